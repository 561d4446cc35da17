//! The names of what capture counts.

use std::time::Duration;

use model::EndReason;

/// Gauge: sessions that are live or being sealed.
const SESSIONS_LIVE: &str = "capture_sessions_live";
/// Counter by `reason`: sessions sealed and committed.
const SESSIONS_ENDED: &str = "capture_sessions_ended_total";
/// Counter: datagrams received, by UDP and ICE-TCP.
const DATAGRAMS: &str = "capture_datagrams_received_total";
/// Counter: bytes of them.
const BYTES: &str = "capture_bytes_received_total";
/// Counter: datagrams from nobody whom we know.
const UNROUTABLE: &str = "capture_datagrams_unroutable_total";
/// Counter: datagrams larger than a receive buffer.
const TRUNCATED: &str = "capture_datagrams_truncated_total";
/// Counter: ICE-TCP datagrams dropped because a shard or a connection was behind.
const TCP_DROPPED: &str = "capture_tcp_datagrams_dropped_total";
/// Counter: datagrams that the kernel did not take.
const SEND_FAILED: &str = "capture_datagrams_send_failed_total";
/// Gauge: datagrams the kernel dropped because a receive buffer was full, since the sockets were opened.
const RECEIVE_DROPS: &str = "capture_receive_buffer_drops";
/// Counter: data-channel messages received and dropped: they aren't kept yet.
const DATA_MESSAGES: &str = "capture_data_messages_dropped_total";
/// Gauge: bytes waiting for the spool's disk.
const WAITING: &str = "capture_spool_waiting_bytes";
/// Counter: bytes written to the spool.
const WRITTEN: &str = "capture_spool_written_bytes_total";
/// Histogram, seconds: forcing one file's data to disk.
const SYNC_SECONDS: &str = "capture_spool_sync_seconds";
/// Histogram, seconds: from a session's end to its commit.
const SEAL_SECONDS: &str = "capture_seal_seconds";
/// Counter: tries of the ledger that failed.
const LEDGER_RETRIES: &str = "capture_ledger_retries_total";
/// Counter by `outcome`: directories found at start.
const RECOVERED: &str = "capture_recovered_total";

/// What a shard counts. Added up without atomics and reported once a wake-up.
#[derive(Debug, Default)]
pub(crate) struct ShardCounters {
    pub(crate) datagrams: u64,
    pub(crate) bytes: u64,
    pub(crate) unroutable: u64,
    pub(crate) truncated: u64,
    pub(crate) tcp_dropped: u64,
    pub(crate) send_failed: u64,
    pub(crate) data_messages: u64,
}

/// The same as handles, looked up once.
pub(crate) struct ShardMetrics([metrics::Counter; 7]);

impl ShardMetrics {
    pub(crate) fn new() -> Self {
        Self([
            metrics::counter!(DATAGRAMS),
            metrics::counter!(BYTES),
            metrics::counter!(UNROUTABLE),
            metrics::counter!(TRUNCATED),
            metrics::counter!(TCP_DROPPED),
            metrics::counter!(SEND_FAILED),
            metrics::counter!(DATA_MESSAGES),
        ])
    }

    /// Reports what was counted and begins at zero.
    pub(crate) fn report(&self, counters: &mut ShardCounters) {
        let ShardCounters {
            datagrams,
            bytes,
            unroutable,
            truncated,
            tcp_dropped,
            send_failed,
            data_messages,
        } = std::mem::take(counters);
        let values = [datagrams, bytes, unroutable, truncated, tcp_dropped, send_failed, data_messages];
        for (counter, value) in self.0.iter().zip(values).filter(|&(_, value)| value > 0) {
            counter.increment(value);
        }
    }
}

pub(crate) fn sessions_live(count: usize) {
    metrics::gauge!(SESSIONS_LIVE).set(count as f64);
}

pub(crate) fn session_ended(reason: EndReason, took: Duration) {
    metrics::counter!(SESSIONS_ENDED, "reason" => reason.as_str()).increment(1);
    metrics::histogram!(SEAL_SECONDS).record(took);
}

pub(crate) fn waiting(bytes: usize) {
    metrics::gauge!(WAITING).set(bytes as f64);
}

pub(crate) fn written(bytes: u64) {
    metrics::counter!(WRITTEN).increment(bytes);
}

pub(crate) fn synced(took: Duration) {
    metrics::histogram!(SYNC_SECONDS).record(took);
}

pub(crate) fn ledger_retry() {
    metrics::counter!(LEDGER_RETRIES).increment(1);
}

pub(crate) fn recovered(outcome: &'static str) {
    metrics::counter!(RECOVERED, "outcome" => outcome).increment(1);
}

pub(crate) fn receive_drops(count: u64) {
    metrics::gauge!(RECEIVE_DROPS).set(count as f64);
}
