//! The server's metrics, and their exposition.

use std::{sync::OnceLock, time::Duration};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;

pub(crate) use ::metrics::gauge;

/// Their names.
pub mod names {
    /// Calls, by transport, method and code.
    pub const CALLS: &str = "recorder_calls_total";
    /// How long calls took, in seconds, by transport and method.
    pub const CALL_SECONDS: &str = "recorder_call_seconds";
    /// Whether the node is ready: 1 or 0.
    pub const READY: &str = "recorder_ready";
    /// Always 1; the version is its label.
    pub const BUILD: &str = "recorder_build_info";
}

/// Bounds of the buckets of every duration, in seconds: from an answer within a millisecond to a stop that waits.
const SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// The process's recorder of metrics, installed at the first call. None if another one is installed.
pub(crate) fn exporter() -> Option<PrometheusHandle> {
    static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    let install = || {
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)
            .expect("the list of buckets is not empty");
        let handle = builder.install_recorder().ok()?;
        describe();
        Some(handle)
    };
    HANDLE.get_or_init(install).clone()
}

fn describe() {
    ::metrics::describe_counter!(names::CALLS, "Calls by transport, method and code");
    ::metrics::describe_histogram!(names::CALL_SECONDS, "Duration of calls");
    ::metrics::describe_gauge!(names::READY, "Whether the node is ready");
    jobs::describe_metrics();
    ::metrics::describe_gauge!(names::BUILD, "The version that runs");
    gauge!(names::BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}

/// Lets the exporter forget old samples, every so often until `stop`.
pub(crate) async fn keep_up(interval: Duration, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(interval)).await.is_some() {
        if let Some(exporter) = exporter() {
            exporter.run_upkeep();
        }
    }
}
