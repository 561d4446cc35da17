//! The server's own metrics, and the exposition of all.

use std::{sync::OnceLock, time::Duration};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;

pub(crate) use ::metrics::gauge;

/// Names of the server's metrics.
pub mod names {
    /// Calls, by transport, method and code.
    pub const CALLS: &str = "recorder_calls_total";
    /// Duration of calls in seconds, by transport and method.
    pub const CALL_SECONDS: &str = "recorder_call_seconds";
    /// Whether the node is ready: 1 or 0.
    pub const READY: &str = "recorder_ready";
    /// Always 1; the version is its label.
    pub const BUILD: &str = "recorder_build_info";
}

/// Bucket bounds of every histogram of durations, in seconds.
const SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Former names of metrics, and the names that replaced them. The next release removes this table.
const FORMER_NAMES: [(&str, &str); 3] = [
    ("recorder_seal_seconds", "recorder_finalize_seconds"),
    ("recorder_recordings_given_up_total", "recorder_recordings_parked_lost_total"),
    ("recorder_segments_promoted_total", "recorder_segment_renditions_total"),
];

/// All metrics in Prometheus's text format. Empty if another recorder of metrics is installed.
pub(crate) fn render() -> String {
    exporter().map(|exporter| with_former_names(exporter.render())).unwrap_or_default()
}

/// Repeats each renamed metric under its former name.
fn with_former_names(mut text: String) -> String {
    for (former, name) in FORMER_NAMES {
        let lines = text.lines().filter(|line| is_of(line, name));
        let repeated: String = lines.map(|line| line.replacen(name, former, 1) + "\n").collect();
        text.push_str(&repeated);
    }
    text
}

/// Whether a line describes the metric, or is a sample of it.
fn is_of(line: &str, name: &str) -> bool {
    let line = line.strip_prefix("# HELP ").or_else(|| line.strip_prefix("# TYPE ")).unwrap_or(line);
    let Some(rest) = line.strip_prefix(name) else { return false };
    let rest =
        ["_bucket", "_sum", "_count"].iter().find_map(|suffix| rest.strip_prefix(suffix)).unwrap_or(rest);
    rest.starts_with([' ', '{'])
}

/// The process's Prometheus exporter, installed by the first call. None if another one is installed.
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
    ::metrics::describe_counter!(names::CALLS, "Calls answered, by transport, method and code");
    ::metrics::describe_histogram!(
        names::CALL_SECONDS,
        "Duration of calls; of a stream until its first message can be sent"
    );
    ::metrics::describe_gauge!(names::READY, "1 while the node accepts new sessions, else 0");
    jobs::describe_metrics();
    ::metrics::describe_gauge!(names::BUILD, "Always 1; the label version is the running version");
    gauge!(names::BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}

/// Runs the exporter's upkeep, which drops old samples, every `interval` until `stop`.
pub(crate) async fn run_upkeep(interval: Duration, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(interval)).await.is_some() {
        if let Some(exporter) = exporter() {
            exporter.run_upkeep();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renamed_metric_has_its_former_name_too() {
        let text = "# HELP recorder_finalize_seconds Help.\n# TYPE recorder_finalize_seconds histogram\n\
                    recorder_finalize_seconds_bucket{le=\"1\"} 2\nrecorder_finalize_seconds_sum 0.5\n\n\
                    recorder_finalize_seconds_of_another 1\n";
        let former = "# HELP recorder_seal_seconds Help.\n# TYPE recorder_seal_seconds histogram\n\
                      recorder_seal_seconds_bucket{le=\"1\"} 2\nrecorder_seal_seconds_sum 0.5\n";
        assert_eq!(with_former_names(text.to_owned()), format!("{text}{former}"));
    }
}
