//! What is made of recordings while they go on, on the embedded default and on the configuration of production.

mod scenarios;
mod support;

use scenarios::segments;
use support::Place;

#[tokio::test]
async fn a_call_has_its_mp3_right_after_the_stop() {
    segments::a_call_has_its_mp3_right_after_the_stop(&Place::embedded()).await;
}

#[tokio::test]
async fn a_call_has_its_mp3_right_after_the_stop_in_production() {
    segments::a_call_has_its_mp3_right_after_the_stop(&Place::production().await).await;
}

#[tokio::test]
async fn a_tone_that_is_pushed_goes_on_through_the_joins() {
    segments::a_tone_that_is_pushed_goes_on_through_the_joins(&Place::embedded()).await;
}

#[tokio::test]
async fn what_is_buffered_is_all_that_is_recorded_and_not_made() {
    segments::what_is_buffered_is_all_that_is_recorded_and_not_made(&Place::embedded()).await;
}

#[tokio::test]
async fn what_a_push_asks_for_is_made_while_it_goes_on() {
    segments::what_a_push_asks_for_is_made_while_it_goes_on(&Place::embedded()).await;
}

#[tokio::test]
async fn a_kill_costs_the_segments_and_not_the_rendition() {
    segments::a_kill_costs_the_segments_and_not_the_rendition(&Place::embedded()).await;
}
