//! The metrics of capture.

use std::time::Duration;

use model::EndReason;

use crate::session::statistics::SessionStatistics;

/// Gauge: sessions that are live or being finalized.
const SESSIONS_LIVE: &str = "recorder_sessions_live";
/// Counter by `reason`: sessions finalized.
const SESSIONS_ENDED: &str = "recorder_sessions_ended_total";
/// Counter: datagrams received, by UDP and ICE-TCP.
const DATAGRAMS: &str = "recorder_datagrams_received_total";
/// Counter: bytes of them.
const BYTES: &str = "recorder_bytes_received_total";
/// Counter: datagrams that belong to no session.
const UNROUTABLE: &str = "recorder_datagrams_unroutable_total";
/// Counter: datagrams larger than a receive buffer, dropped.
const TRUNCATED: &str = "recorder_datagrams_truncated_total";
/// Counter: ICE-TCP datagrams dropped because a shard or a connection was behind.
const TCP_DROPPED: &str = "recorder_tcp_datagrams_dropped_total";
/// Counter: datagrams that could not be sent: the kernel refused them, or their ICE-TCP connection was closed.
const SEND_FAILED: &str = "recorder_datagrams_send_failed_total";
/// Counter: ICE-TCP connections refused: too many, or too many that no session has authenticated.
const TCP_REFUSED: &str = "recorder_tcp_connections_refused_total";
/// Gauge: datagrams the kernel dropped because a receive buffer was full, since the sockets were opened.
const RECEIVE_DROPS: &str = "recorder_receive_buffer_drops";
/// Counter: data-channel messages received and dropped: they are not recorded.
const DATA_MESSAGES: &str = "recorder_data_messages_dropped_total";
/// Counter: packets of sources other than WebRTC that were dropped because their session's queue was full.
const SOURCE_DROPPED: &str = "recorder_source_packets_dropped_total";
/// Histogram, seconds: from a session's end to its commit.
const FINALIZE_SECONDS: &str = "recorder_finalize_seconds";
/// Counter: commits of finalized recordings that failed and are retried.
const LEDGER_RETRIES: &str = "recorder_ledger_retries_total";

/// A counter of session drops: its name, its help, and its value in a session.
type DropCounter = (&'static str, &'static str, fn(&SessionStatistics) -> u64);

/// The counters of session drops. Sessions report them every few seconds and at their end.
const SESSION_DROPS: [DropCounter; 19] = [
    ("recorder_packets_lost_total", "RTP packets that were never received", |s| sum(s, |t| t.lost)),
    ("recorder_packets_late_total", "RTP packets dropped because their hole was given up", |s| {
        sum(s, |t| t.late)
    }),
    ("recorder_packets_duplicate_total", "RTP packets dropped because they were received before", |s| {
        sum(s, |t| t.duplicates) + s.drops.received.duplicate
    }),
    ("recorder_packets_out_of_sequence_total", "RTP packets dropped for their sequence number", |s| {
        sum(s, |t| t.out_of_sequence)
    }),
    (
        "recorder_packets_malformed_total",
        "RTP packets dropped because they break their payload format",
        |s| sum(s, |t| t.malformed) + s.drops.received.malformed,
    ),
    ("recorder_packets_unknown_payload_type_total", "RTP packets dropped for their payload type", |s| {
        sum(s, |t| t.unknown_payload_type) + s.drops.received.unknown_payload_type
    }),
    ("recorder_packets_excess_layer_total", "RTP packets of more simulcast layers than a track has", |s| {
        sum(s, |t| t.excess_layers)
    }),
    ("recorder_packets_unknown_track_total", "RTP packets of tracks that their session lacks", |s| {
        s.drops.unknown_track
    }),
    ("recorder_frames_dropped_total", "Frames dropped: incomplete, or without a frame that they need", |s| {
        sum(s, |t| t.frames_dropped)
    }),
    (
        "recorder_frames_without_entry_total",
        "Frames dropped: no room for their track in the file's header",
        |s| sum(s, |t| t.frames_without_entry),
    ),
    ("recorder_srtp_authentication_failures_total", "RTP and RTCP that failed SRTP's authentication", |s| {
        s.drops.received.not_authentic
    }),
    ("recorder_srtp_replays_total", "RTP and RTCP that SRTP received before, or that are too old", |s| {
        s.drops.received.replayed
    }),
    ("recorder_packets_unknown_ssrc_total", "RTP and RTCP of sources whose track is unknown", |s| {
        s.drops.received.unknown_ssrc
    }),
    ("recorder_packets_before_keys_total", "RTP and RTCP received before the DTLS handshake's end", |s| {
        s.drops.received.before_keys
    }),
    ("recorder_packets_unmatched_resend_total", "Resent RTP packets whose original source is unknown", |s| {
        s.drops.received.unmatched_resend
    }),
    (
        "recorder_datagrams_unexpected_total",
        "Datagrams of sessions that are none of WebRTC's protocols",
        |s| s.drops.received.unexpected,
    ),
    ("recorder_stun_rejected_total", "STUN messages that are no authentic binding request", |s| {
        s.drops.received.stun
    }),
    ("recorder_dtls_rejected_total", "Datagrams with DTLS records that no honest client sends", |s| {
        s.drops.received.dtls
    }),
    ("recorder_peer_queue_full_total", "Datagrams dropped because their peer's queue was full", |s| {
        s.drops.received.queue_full
    }),
];

fn sum(session: &SessionStatistics, value: fn(&media::TrackStatistics) -> u64) -> u64 {
    session.tracks.iter().map(|track| value(&track.recorded)).sum()
}

/// The drops of one session that are in the metrics.
#[derive(Debug, Default)]
pub(crate) struct ReportedDrops([u64; SESSION_DROPS.len()]);

impl ReportedDrops {
    /// Adds a session's drops since the last report. A lost packet that arrives late stays counted as lost.
    pub(crate) fn report(&mut self, session: &SessionStatistics) {
        for ((name, _, value), reported) in SESSION_DROPS.iter().zip(&mut self.0) {
            let now = value(session);
            if now > *reported {
                metrics::counter!(*name).increment(now - *reported);
                *reported = now;
            }
        }
    }
}

/// Describes the metrics to the exporter.
pub(crate) fn describe() {
    spool::describe_metrics();
    metrics::describe_gauge!(SESSIONS_LIVE, "Sessions that are live or being finalized");
    metrics::describe_counter!(SESSIONS_ENDED, "Sessions finalized, by reason");
    metrics::describe_counter!(DATAGRAMS, "Datagrams received, by UDP and ICE-TCP");
    metrics::describe_counter!(BYTES, "Bytes of received datagrams");
    metrics::describe_counter!(UNROUTABLE, "Datagrams that belong to no session");
    metrics::describe_counter!(TRUNCATED, "Datagrams larger than a receive buffer, dropped");
    metrics::describe_counter!(
        TCP_DROPPED,
        "ICE-TCP datagrams dropped because a shard or a connection was behind"
    );
    metrics::describe_counter!(TCP_REFUSED, "ICE-TCP connections refused because there were too many");
    metrics::describe_counter!(
        SEND_FAILED,
        "Datagrams that could not be sent: refused by the kernel, or of a closed ICE-TCP connection"
    );
    metrics::describe_gauge!(
        RECEIVE_DROPS,
        "Datagrams the kernel dropped because a receive buffer was full, since the sockets were opened"
    );
    metrics::describe_counter!(
        DATA_MESSAGES,
        "Data-channel messages received and dropped: they are not recorded"
    );
    metrics::describe_counter!(
        SOURCE_DROPPED,
        "Packets of sources other than WebRTC that were dropped because their session's queue was full"
    );
    metrics::describe_histogram!(
        FINALIZE_SECONDS,
        metrics::Unit::Seconds,
        "From a session's end to its commit"
    );
    for (name, help, _) in SESSION_DROPS {
        metrics::describe_counter!(name, help);
        // The series appear with the start.
        metrics::counter!(name).increment(0);
    }
    metrics::counter!(TCP_REFUSED).increment(0);
    metrics::describe_counter!(LEDGER_RETRIES, "Commits of finalized recordings that failed and are retried");
}

/// The counters of a shard. Added up without atomics and reported once per wake-up.
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

/// The same counters as handles, looked up once.
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

    /// Reports the counters and resets them to zero.
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
    metrics::histogram!(FINALIZE_SECONDS).record(took);
}

pub(crate) fn source_packet_dropped() {
    metrics::counter!(SOURCE_DROPPED).increment(1);
}

pub(crate) fn tcp_connection_refused() {
    metrics::counter!(TCP_REFUSED).increment(1);
}

pub(crate) fn ledger_retry() {
    metrics::counter!(LEDGER_RETRIES).increment(1);
}

pub(crate) fn receive_drops(count: u64) {
    metrics::gauge!(RECEIVE_DROPS).set(count as f64);
}
