//! The scenarios of renditions on both configurations.

mod scenarios;
mod support;

use scenarios::{kinds, renditions};
use support::TestBackend;

#[tokio::test]
async fn a_recording_is_rendered_watched_downloaded_and_deleted() {
    renditions::a_recording_is_rendered_watched_downloaded_and_deleted(&TestBackend::embedded()).await;
}

#[tokio::test]
async fn a_recording_is_rendered_watched_downloaded_and_deleted_in_production() {
    renditions::a_recording_is_rendered_watched_downloaded_and_deleted(&TestBackend::production().await)
        .await;
}

#[tokio::test]
async fn every_kind_of_rendition_of_a_call_is_made_and_in_sync() {
    kinds::every_kind_of_rendition_of_a_call_is_made_and_in_sync(&TestBackend::embedded()).await;
}

#[tokio::test]
async fn a_cancelled_render_stops_at_once_and_leaves_no_files() {
    renditions::a_cancelled_render_stops_at_once_and_leaves_no_files(&TestBackend::embedded()).await;
}

#[tokio::test]
async fn a_cancelled_render_stops_at_once_and_leaves_no_files_in_production() {
    renditions::a_cancelled_render_stops_at_once_and_leaves_no_files(&TestBackend::production().await).await;
}

#[tokio::test]
async fn an_unreadable_object_parks_the_rendition_and_not_the_recording() {
    renditions::an_unreadable_object_parks_the_rendition_and_not_the_recording(&TestBackend::embedded())
        .await;
}

#[tokio::test]
async fn retention_deletes_old_recordings() {
    renditions::retention_deletes_old_recordings(&TestBackend::embedded()).await;
}

#[tokio::test]
async fn kills_while_rendering_and_deleting_lose_nothing_and_leave_no_files() {
    renditions::kills_while_rendering_and_deleting_lose_nothing_and_leave_no_files(
        &TestBackend::embedded(),
        6,
    )
    .await;
}

#[tokio::test]
async fn kills_while_rendering_and_deleting_lose_nothing_and_leave_no_files_in_production() {
    let backend = TestBackend::production().await;
    renditions::kills_while_rendering_and_deleting_lose_nothing_and_leave_no_files(&backend, 3).await;
}
