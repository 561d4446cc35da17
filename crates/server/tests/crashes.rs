//! Crashes on the embedded default. Four tests of five kills each, so that they can run side by side.

mod scenarios;
mod support;

use scenarios::crashes;
use support::Place;

#[tokio::test]
async fn kill_at_any_moment_costs_at_most_the_last_second_1_to_5() {
    crashes::killed_and_recovered(&Place::embedded(), 1, 5).await;
}

#[tokio::test]
async fn kill_at_any_moment_costs_at_most_the_last_second_6_to_10() {
    crashes::killed_and_recovered(&Place::embedded(), 2, 5).await;
}

#[tokio::test]
async fn kill_at_any_moment_costs_at_most_the_last_second_11_to_15() {
    crashes::killed_and_recovered(&Place::embedded(), 3, 5).await;
}

#[tokio::test]
async fn kill_at_any_moment_costs_at_most_the_last_second_16_to_20() {
    crashes::killed_and_recovered(&Place::embedded(), 4, 5).await;
}

#[tokio::test]
async fn termination_seals_every_live_recording() {
    crashes::termination_seals_every_live_recording(&Place::embedded()).await;
}
