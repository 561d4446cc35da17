//! The names of what the spool counts.

use std::time::Duration;

/// Gauge: bytes waiting for the spool's disk.
const WAITING: &str = "recorder_spool_waiting_bytes";
/// Counter: bytes written to the spool.
const WRITTEN: &str = "recorder_spool_written_bytes_total";
/// Histogram, seconds: forcing one file's data to disk.
const SYNC_SECONDS: &str = "recorder_spool_sync_seconds";
/// Counter by `outcome`: directories found at start.
const RECOVERED: &str = "recorder_recovered_total";

/// Describes the metrics to the exporter.
pub fn describe() {
    metrics::describe_gauge!(WAITING, "Bytes waiting for the spool's disk");
    metrics::describe_counter!(WRITTEN, "Bytes written to the spool");
    metrics::describe_histogram!(SYNC_SECONDS, metrics::Unit::Seconds, "Forcing one file's data to disk");
    metrics::describe_counter!(RECOVERED, "Directories of an earlier run found at start, by outcome");
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

pub(crate) fn recovered(outcome: &'static str) {
    metrics::counter!(RECOVERED, "outcome" => outcome).increment(1);
}
