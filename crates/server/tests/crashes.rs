//! Crashes on the embedded default. Four tests of five kills each, so that they can run in parallel.

mod scenarios;
mod support;

use scenarios::crashes;
use support::TestBackend;

#[tokio::test]
async fn a_kill_at_any_moment_loses_at_most_the_last_second_1_to_5() {
    crashes::killed_and_recovered(&TestBackend::embedded(), 1, 5).await;
}

#[tokio::test]
async fn a_kill_at_any_moment_loses_at_most_the_last_second_6_to_10() {
    crashes::killed_and_recovered(&TestBackend::embedded(), 2, 5).await;
}

#[tokio::test]
async fn a_kill_at_any_moment_loses_at_most_the_last_second_11_to_15() {
    crashes::killed_and_recovered(&TestBackend::embedded(), 3, 5).await;
}

#[tokio::test]
async fn a_kill_at_any_moment_loses_at_most_the_last_second_16_to_20() {
    crashes::killed_and_recovered(&TestBackend::embedded(), 4, 5).await;
}

#[tokio::test]
async fn sigterm_finalizes_every_live_recording() {
    crashes::sigterm_finalizes_every_live_recording(&TestBackend::embedded()).await;
}
