//! The names of what capture counts.

use std::time::Duration;

use model::EndReason;

/// Gauge: sessions that are live or being sealed.
const SESSIONS_LIVE: &str = "recorder_sessions_live";
/// Counter by `reason`: sessions sealed and committed.
const SESSIONS_ENDED: &str = "recorder_sessions_ended_total";
/// Counter: datagrams received, by UDP and ICE-TCP.
const DATAGRAMS: &str = "recorder_datagrams_received_total";
/// Counter: bytes of them.
const BYTES: &str = "recorder_bytes_received_total";
/// Counter: datagrams from nobody whom we know.
const UNROUTABLE: &str = "recorder_datagrams_unroutable_total";
/// Counter: datagrams larger than a receive buffer.
const TRUNCATED: &str = "recorder_datagrams_truncated_total";
/// Counter: ICE-TCP datagrams dropped because a shard or a connection was behind.
const TCP_DROPPED: &str = "recorder_tcp_datagrams_dropped_total";
/// Counter: datagrams that the kernel did not take.
const SEND_FAILED: &str = "recorder_datagrams_send_failed_total";
/// Gauge: datagrams the kernel dropped because a receive buffer was full, since the sockets were opened.
const RECEIVE_DROPS: &str = "recorder_receive_buffer_drops";
/// Counter: data-channel messages received and dropped: they aren't kept yet.
const DATA_MESSAGES: &str = "recorder_data_messages_dropped_total";
/// Counter: packets of sources other than WebRTC that were dropped because their session was behind.
const SOURCE_DROPPED: &str = "recorder_source_packets_dropped_total";
/// Histogram, seconds: from a session's end to its commit.
const SEAL_SECONDS: &str = "recorder_finalize_seconds";
/// Counter: tries of the ledger that failed.
const LEDGER_RETRIES: &str = "recorder_ledger_retries_total";

/// Tells the exporter what they mean.
pub(crate) fn describe() {
    spool::describe_metrics();
    metrics::describe_gauge!(SESSIONS_LIVE, "Sessions that are live or being sealed");
    metrics::describe_counter!(SESSIONS_ENDED, "Sessions sealed and committed, by reason");
    metrics::describe_counter!(DATAGRAMS, "Datagrams received, by UDP and ICE-TCP");
    metrics::describe_counter!(BYTES, "Bytes of received datagrams");
    metrics::describe_counter!(UNROUTABLE, "Datagrams from nobody whom we know");
    metrics::describe_counter!(TRUNCATED, "Datagrams larger than a receive buffer");
    metrics::describe_counter!(
        TCP_DROPPED,
        "ICE-TCP datagrams dropped because a shard or a connection was behind"
    );
    metrics::describe_counter!(SEND_FAILED, "Datagrams that the kernel did not take");
    metrics::describe_gauge!(
        RECEIVE_DROPS,
        "Datagrams the kernel dropped because a receive buffer was full, since the sockets were opened"
    );
    metrics::describe_counter!(
        DATA_MESSAGES,
        "Data-channel messages received and dropped: they aren't kept yet"
    );
    metrics::describe_counter!(
        SOURCE_DROPPED,
        "Packets of sources other than WebRTC that were dropped because their session was behind"
    );
    metrics::describe_histogram!(SEAL_SECONDS, metrics::Unit::Seconds, "From a session's end to its commit");
    metrics::describe_counter!(LEDGER_RETRIES, "Tries of the ledger that failed");
}

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

pub(crate) fn source_packet_dropped() {
    metrics::counter!(SOURCE_DROPPED).increment(1);
}

pub(crate) fn ledger_retry() {
    metrics::counter!(LEDGER_RETRIES).increment(1);
}

pub(crate) fn receive_drops(count: u64) {
    metrics::gauge!(RECEIVE_DROPS).set(count as f64);
}
