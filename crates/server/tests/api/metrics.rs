//! The exposed metrics are those of `docs/metrics.md`, with the values of one recording.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

use testkit::{
    call::Call,
    recorder::{Recorder, RecorderConfig},
    sender::{Driver, SenderConfig, Track},
    signal::{ClipSpec, Codec, clip},
};

use crate::support::http;

const DOCUMENT: &str = include_str!("../../../../docs/metrics.md");

/// Documented metrics without an event after one WebRTC recording on the embedded default.
const WITHOUT_EVENT: [&str; 22] = [
    "recorder_jobs_cancelled_total",
    "recorder_jobs_failed_total",
    "recorder_jobs_leases_lost_total",
    "recorder_jobs_parked_total",
    "recorder_jobs_put_off_total",
    "recorder_ledger_retries_total",
    "recorder_periodic_task_failures_total",
    "recorder_recordings_given_up_total",
    "recorder_recordings_parked_lost_total",
    "recorder_recovered_total",
    "recorder_retention_deleted_total",
    "recorder_segment_followers_failed_total",
    "recorder_segments_made_total",
    "recorder_segment_renditions_total",
    "recorder_segments_promoted_total",
    "recorder_source_packets_dropped_total",
    "recorder_upload_lag_bytes",
    "recorder_upload_stream_retries_total",
    "recorder_upload_streamed_bytes_total",
    "recorder_upload_streamed_parts_total",
    "recorder_uploads_aborted_total",
    "recorder_uploads_rescued_total",
];

/// The names in the tables' first columns.
fn documented() -> BTreeSet<&'static str> {
    let cells = DOCUMENT.lines().filter_map(|line| line.strip_prefix("| `")?.split(" |").next());
    cells.flat_map(|cell| cell.split('`')).filter(|word| word.starts_with("recorder_")).collect()
}

/// The answer of a scrape.
struct Scrape(String);

impl Scrape {
    async fn of(recorder: &Recorder) -> Self {
        let response = http().get(format!("http://{}/metrics", recorder.http())).send().await.unwrap();
        let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
        assert_eq!(content_type, "text/plain; version=0.0.4; charset=utf-8");
        Self(response.text().await.unwrap())
    }

    /// The series and their values. Fails if a series occurs twice.
    fn samples(&self) -> Vec<(&str, f64)> {
        let lines = self.0.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let samples: Vec<_> = lines
            .map(|line| line.rsplit_once(' ').unwrap())
            .map(|(series, value)| (series, value.parse().unwrap()))
            .collect();
        let series: BTreeSet<_> = samples.iter().map(|(series, _)| *series).collect();
        assert_eq!(series.len(), samples.len(), "a series occurs twice:\n{}", self.0);
        samples
    }

    /// The sum of a name's samples that have all of these labels.
    fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let fits = |series: &str| {
            let (found, in_braces) = series.split_once('{').unwrap_or((series, ""));
            found == name && labels.iter().all(|label| in_braces.contains(label))
        };
        self.samples().into_iter().filter(|(series, _)| fits(series)).map(|(_, value)| value).sum()
    }

    /// The metrics. Fails if one is declared twice or has no help text.
    fn families(&self) -> BTreeSet<&str> {
        let said = |what: &str| -> Vec<&str> {
            let lines = self.0.lines().filter_map(|line| line.strip_prefix(what));
            lines.filter_map(|line| line.split(' ').next()).collect()
        };
        let (types, helps) = (said("# TYPE "), said("# HELP "));
        let families: BTreeSet<_> = types.iter().copied().collect();
        assert_eq!(families.len(), types.len(), "a metric is declared twice:\n{}", self.0);
        assert_eq!(families, helps.into_iter().collect(), "a metric has no help text");
        families
    }
}

#[tokio::test]
async fn after_one_recording_the_documented_metrics_have_its_values() {
    let recorder = RecorderConfig::new(env!("CARGO_BIN_EXE_webrtc-recorder"))
        .env("RECORDER__SPOOL__SYNC_INTERVAL", "200ms")
        .start()
        .await
        .unwrap();
    let driver = Driver::start().unwrap();
    let tracks = [ClipSpec::small(Codec::Vp8), ClipSpec::beep()].map(|spec| Track::of(clip(spec).unwrap()));
    let session = driver.add(SenderConfig::playing(tracks), IpAddr::V4(Ipv4Addr::LOCALHOST)).await.unwrap();
    let call = Call::begin(&mut recorder.client(), &session, "metrics").await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    while session.stats().await.frames.first().is_none_or(|frames| *frames < 60) {
        assert!(Instant::now() < deadline, "{:?}", session.stats().await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let live = Scrape::of(&recorder).await;
    assert_eq!((live.sum("recorder_ready", &[]), live.sum("recorder_sessions_live", &[])), (1.0, 1.0));
    call.stop(&mut recorder.client()).await.unwrap();
    let object = recorder.object_of(&call.id, Duration::from_secs(60)).await.unwrap();
    let bytes = std::fs::metadata(object).unwrap().len() as f64;
    let scrape = loop {
        let scrape = Scrape::of(&recorder).await;
        if scrape.sum("recorder_jobs_succeeded_total", &["kind=\"CLEAN_UP\""]) > 0.0 {
            break scrape;
        }
        assert!(Instant::now() < deadline, "no clean-up:\n{}", scrape.0);
        tokio::time::sleep(Duration::from_millis(50)).await;
    };

    let mut expected = documented();
    for name in WITHOUT_EVENT {
        assert!(expected.remove(name), "{name} is not documented");
    }
    assert_eq!(scrape.families(), expected);

    for (name, labels, value) in [
        ("recorder_ready", &[][..], 1.0),
        ("recorder_build_info", &[concat!("version=\"", env!("CARGO_PKG_VERSION"), "\"")], 1.0),
        ("recorder_sessions_live", &[], 0.0),
        ("recorder_sessions_ended_total", &["reason=\"REQUESTED\""], 1.0),
        ("recorder_finalize_seconds_count", &[], 1.0),
        ("recorder_seal_seconds_count", &[], 1.0),
        ("recorder_calls_total", &["transport=\"grpc\"", "method=\"UploadP2PVideo\"", "code=\"OK\""], 1.0),
        ("recorder_calls_total", &["transport=\"grpc\"", "method=\"StopP2PVideo\"", "code=\"OK\""], 1.0),
        ("recorder_calls_total", &[], 2.0),
        ("recorder_call_seconds_count", &["method=\"StopP2PVideo\""], 1.0),
        ("recorder_jobs_enqueued_total", &["kind=\"UPLOAD\""], 1.0),
        ("recorder_jobs_enqueued_total", &["kind=\"CLEAN_UP\""], 1.0),
        ("recorder_jobs_started_total", &[], 2.0),
        ("recorder_jobs_succeeded_total", &[], 2.0),
        ("recorder_job_duration_seconds_count", &["kind=\"UPLOAD\""], 1.0),
        ("recorder_spool_waiting_bytes", &[], 0.0),
    ] {
        assert_eq!(scrape.sum(name, labels), value, "{name} {labels:?}:\n{}", scrape.0);
    }
    let sent = session.stats().await.packets as f64;
    for (name, least, most) in [
        // STUN, DTLS and RTCP are counted besides RTP.
        ("recorder_datagrams_received_total", sent * 0.9, sent * 3.0),
        ("recorder_bytes_received_total", bytes * 0.8, bytes * 4.0),
        ("recorder_spool_written_bytes_total", bytes, bytes * 4.0),
        ("recorder_finalize_seconds_sum", 0.0001, 20.0),
        ("recorder_call_seconds_sum", 0.0001, 40.0),
        ("recorder_spool_sync_seconds_count", 1.0, 200.0),
    ] {
        let value = scrape.sum(name, &[]);
        assert!((least..=most).contains(&value), "{name} is {value}, not {least} to {most}");
    }
}
