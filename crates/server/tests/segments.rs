//! The scenarios of segments on both configurations.

mod scenarios;
mod support;

use scenarios::segments;
use support::TestBackend;

#[tokio::test]
async fn the_mp3_of_a_call_is_available_right_after_the_stop() {
    segments::the_mp3_of_a_call_is_available_right_after_the_stop(&TestBackend::embedded()).await;
}

#[tokio::test]
async fn the_mp3_of_a_call_is_available_right_after_the_stop_in_production() {
    segments::the_mp3_of_a_call_is_available_right_after_the_stop(&TestBackend::production().await).await;
}

#[tokio::test]
async fn a_pushed_tone_is_continuous_across_joined_segments() {
    segments::a_pushed_tone_is_continuous_across_joined_segments(&TestBackend::embedded()).await;
}

#[tokio::test]
async fn the_buffered_time_is_all_recorded_time_without_a_finished_segment() {
    segments::the_buffered_time_is_all_recorded_time_without_a_finished_segment(&TestBackend::embedded())
        .await;
}

#[tokio::test]
async fn requested_results_of_a_push_are_made_while_recording() {
    segments::requested_results_of_a_push_are_made_while_recording(&TestBackend::embedded()).await;
}

#[tokio::test]
async fn a_kill_loses_segments_and_not_the_rendition() {
    segments::a_kill_loses_segments_and_not_the_rendition(&TestBackend::embedded()).await;
}
