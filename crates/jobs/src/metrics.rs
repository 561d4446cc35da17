//! This crate's metrics.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use model::{JobKind, JobState};

const JOBS: &str = "recorder_jobs";
const ENQUEUED: &str = "recorder_jobs_enqueued_total";
const STARTED: &str = "recorder_jobs_started_total";
const SUCCEEDED: &str = "recorder_jobs_succeeded_total";
const PUT_OFF: &str = "recorder_jobs_put_off_total";
const FAILED: &str = "recorder_jobs_failed_total";
const PARKED: &str = "recorder_jobs_parked_total";
const CANCELLED: &str = "recorder_jobs_cancelled_total";
const LEASES_LOST: &str = "recorder_jobs_leases_lost_total";
const DURATION: &str = "recorder_job_duration_seconds";
const RETENTION: &str = "recorder_retention_deleted_total";
const LIVE_BYTES: &str = "recorder_upload_streamed_bytes_total";
const LIVE_PARTS: &str = "recorder_upload_streamed_parts_total";
const LIVE_LAG: &str = "recorder_upload_lag_bytes";
const LIVE_RETRIES: &str = "recorder_upload_stream_retries_total";
const ABORTED: &str = "recorder_uploads_aborted_total";
const RESCUED: &str = "recorder_uploads_rescued_total";
const PARKED_LOST: &str = "recorder_recordings_parked_lost_total";
const TASK_RUNS: &str = "recorder_periodic_task_runs_total";
const TASK_FAILURES: &str = "recorder_periodic_task_failures_total";
const TASK_SECONDS: &str = "recorder_periodic_task_seconds";
const FOLLOWERS: &str = "recorder_segment_followers";
const FOLLOWERS_FAILED: &str = "recorder_segment_followers_failed_total";
const SEGMENTS: &str = "recorder_segments_made_total";
const PROMOTIONS: &str = "recorder_segment_renditions_total";

/// Describes the metrics. Call it once, after the metrics recorder is installed.
pub fn describe() {
    describe_gauge!(
        JOBS,
        "Jobs of the whole cluster that are neither done nor cancelled, by kind and state."
    );
    describe_counter!(ENQUEUED, "Jobs created by this node, by kind.");
    describe_counter!(STARTED, "Runs of jobs started on this node, by kind.");
    describe_counter!(SUCCEEDED, "Runs that succeeded, by kind.");
    describe_counter!(PUT_OFF, "Runs that were put off because their work was not due, by kind.");
    describe_counter!(FAILED, "Runs that failed and will be retried, by kind.");
    describe_counter!(PARKED, "Jobs parked after a failure, by kind.");
    describe_counter!(CANCELLED, "Runs that were cancelled by a caller, by kind.");
    describe_counter!(LEASES_LOST, "Runs that ended because their lease was lost, by kind.");
    describe_histogram!(DURATION, Unit::Seconds, "Duration of runs, by kind.");
    describe_counter!(RETENTION, "Recordings and renditions deleted by this node because of their age.");
    describe_counter!(LIVE_BYTES, Unit::Bytes, "Bytes uploaded of open files.");
    describe_counter!(LIVE_PARTS, "Parts uploaded of open files.");
    describe_gauge!(LIVE_LAG, Unit::Bytes, "Final bytes of open files that are not uploaded yet.");
    describe_counter!(LIVE_RETRIES, "Failures to upload a part of an open file.");
    describe_counter!(ABORTED, "Orphaned uploads that were aborted.");
    describe_counter!(RESCUED, "Uploads of lost nodes that were completed with the parts that were sent.");
    describe_counter!(
        PARKED_LOST,
        "Recordings of lost nodes that were parked because nothing of them was uploaded."
    );
    describe_counter!(TASK_RUNS, "Runs of periodic tasks on this node, by task.");
    describe_counter!(TASK_FAILURES, "Runs of periodic tasks that failed, by task.");
    describe_histogram!(TASK_SECONDS, Unit::Seconds, "Duration of runs of periodic tasks, by task.");
    describe_gauge!(FOLLOWERS, "Renditions of open files that are being made on this node.");
    describe_counter!(FOLLOWERS_FAILED, "Failures of followers, after which segments are made again.");
    describe_counter!(SEGMENTS, "Segments made of open files.");
    describe_counter!(
        PROMOTIONS,
        "Renditions that had a follower at the recording's end, by whether they were joined of segments."
    );
}

pub(crate) fn set_queued(kind: JobKind, state: JobState, jobs: u64) {
    // Exact up to 2^53 jobs.
    gauge!(JOBS, "kind" => kind.as_str(), "state" => state.as_str()).set(jobs as f64);
}

/// Counts jobs that this node has created.
pub fn enqueued(kind: JobKind, jobs: u64) {
    counter!(ENQUEUED, "kind" => kind.as_str()).increment(jobs);
}

pub(crate) fn cancelled(kind: JobKind) {
    counter!(CANCELLED, "kind" => kind.as_str()).increment(1);
}

pub(crate) fn deleted_by_retention() {
    counter!(RETENTION).increment(1);
}

pub(crate) fn started(kind: JobKind) {
    counter!(STARTED, "kind" => kind.as_str()).increment(1);
}

pub(crate) fn succeeded(kind: JobKind) {
    counter!(SUCCEEDED, "kind" => kind.as_str()).increment(1);
}

pub(crate) fn put_off(kind: JobKind) {
    counter!(PUT_OFF, "kind" => kind.as_str()).increment(1);
}

pub(crate) fn failed(kind: JobKind) {
    counter!(FAILED, "kind" => kind.as_str()).increment(1);
}

pub(crate) fn parked(kind: JobKind) {
    counter!(PARKED, "kind" => kind.as_str()).increment(1);
}

pub(crate) fn lease_lost(kind: JobKind) {
    counter!(LEASES_LOST, "kind" => kind.as_str()).increment(1);
}

pub(crate) fn took(kind: JobKind, duration: Duration) {
    histogram!(DURATION, "kind" => kind.as_str()).record(duration);
}

pub(crate) fn live_uploaded(bytes: u64) {
    counter!(LIVE_BYTES).increment(bytes);
    counter!(LIVE_PARTS).increment(1);
}

pub(crate) fn live_upload_lag(bytes: u64) {
    gauge!(LIVE_LAG).set(bytes as f64);
}

pub(crate) fn live_upload_retry() {
    counter!(LIVE_RETRIES).increment(1);
}

pub(crate) fn upload_aborted() {
    counter!(ABORTED).increment(1);
}

pub(crate) fn rescued() {
    counter!(RESCUED).increment(1);
}

pub(crate) fn parked_lost() {
    counter!(PARKED_LOST).increment(1);
}

pub(crate) fn periodic_task_ran(task: &'static str, duration: Duration) {
    counter!(TASK_RUNS, "task" => task).increment(1);
    histogram!(TASK_SECONDS, "task" => task).record(duration);
}

pub(crate) fn periodic_task_failed(task: &'static str) {
    counter!(TASK_FAILURES, "task" => task).increment(1);
}

pub(crate) fn followers(running: usize) {
    gauge!(FOLLOWERS).set(running as f64);
}

pub(crate) fn follower_failed() {
    counter!(FOLLOWERS_FAILED).increment(1);
}

pub(crate) fn segment_made() {
    counter!(SEGMENTS).increment(1);
}

pub(crate) fn joined() {
    counter!(PROMOTIONS, "joined" => "true").increment(1);
}

pub(crate) fn not_joined() {
    counter!(PROMOTIONS, "joined" => "false").increment(1);
}
