//! What is made of recordings, on the embedded default and on the configuration of production.

mod scenarios;
mod support;

use scenarios::{kinds, renditions};
use support::Place;

#[tokio::test]
async fn a_recording_is_rendered_watched_downloaded_and_deleted() {
    renditions::a_recording_is_rendered_watched_downloaded_and_deleted(&Place::embedded()).await;
}

#[tokio::test]
async fn a_recording_is_rendered_watched_downloaded_and_deleted_in_production() {
    renditions::a_recording_is_rendered_watched_downloaded_and_deleted(&Place::production().await).await;
}

#[tokio::test]
async fn every_kind_of_rendition_of_a_call_can_be_had_and_is_in_step() {
    kinds::every_kind_of_rendition_of_a_call_can_be_had_and_is_in_step(&Place::embedded()).await;
}

#[tokio::test]
async fn a_cancelled_render_is_gone_within_a_moment() {
    renditions::a_cancelled_render_is_gone_within_a_moment(&Place::embedded()).await;
}

#[tokio::test]
async fn a_cancelled_render_is_gone_within_a_moment_in_production() {
    renditions::a_cancelled_render_is_gone_within_a_moment(&Place::production().await).await;
}

#[tokio::test]
async fn what_can_not_be_read_parks_the_rendition_and_keeps_the_recording() {
    renditions::what_can_not_be_read_parks_the_rendition_and_keeps_the_recording(&Place::embedded()).await;
}

#[tokio::test]
async fn retention_deletes_recordings_by_themselves() {
    renditions::retention_deletes_recordings_by_themselves(&Place::embedded()).await;
}

#[tokio::test]
async fn kills_while_rendering_and_deleting_lose_nothing_and_leave_nothing() {
    renditions::kills_while_rendering_and_deleting_lose_nothing_and_leave_nothing(&Place::embedded(), 6)
        .await;
}

#[tokio::test]
async fn kills_while_rendering_and_deleting_lose_nothing_and_leave_nothing_in_production() {
    let place = Place::production().await;
    renditions::kills_while_rendering_and_deleting_lose_nothing_and_leave_nothing(&place, 3).await;
}
