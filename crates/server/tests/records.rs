//! The scenarios of recordings on the embedded default: SQLite and a local object directory.

mod scenarios;
mod support;

use scenarios::records;
use support::TestBackend;
use testkit::signal::Codec;

#[tokio::test]
async fn vp8_is_recorded_completely_and_in_sync() {
    records::a_codec_is_recorded_completely_and_in_sync(&TestBackend::embedded(), Codec::Vp8).await;
}

#[tokio::test]
async fn vp9_is_recorded_completely_and_in_sync() {
    records::a_codec_is_recorded_completely_and_in_sync(&TestBackend::embedded(), Codec::Vp9).await;
}

#[tokio::test]
async fn av1_is_recorded_completely_and_in_sync() {
    records::a_codec_is_recorded_completely_and_in_sync(&TestBackend::embedded(), Codec::Av1).await;
}

#[tokio::test]
async fn h264_is_recorded_completely_and_in_sync() {
    records::a_codec_is_recorded_completely_and_in_sync(&TestBackend::embedded(), Codec::H264).await;
}

#[tokio::test]
async fn five_percent_packet_loss_costs_no_frame() {
    records::five_percent_packet_loss_costs_no_frame(&TestBackend::embedded()).await;
}

#[tokio::test]
async fn five_percent_packet_loss_costs_no_frame_of_the_best_simulcast_layer() {
    records::five_percent_packet_loss_costs_no_frame_of_the_best_simulcast_layer(&TestBackend::embedded())
        .await;
}

#[tokio::test]
async fn reordered_and_duplicate_packets_are_written_once_and_in_order() {
    records::reordered_and_duplicate_packets_are_written_once_and_in_order(&TestBackend::embedded()).await;
}

#[tokio::test]
async fn audio_that_begins_three_seconds_late_is_in_sync() {
    records::audio_that_begins_three_seconds_late_is_in_sync(&TestBackend::embedded()).await;
}

#[tokio::test]
async fn a_track_added_by_renegotiation_is_in_the_same_file() {
    records::a_track_added_by_renegotiation_is_in_the_same_file(&TestBackend::embedded()).await;
}

#[tokio::test]
async fn a_closed_connection_finalizes_the_recording() {
    records::a_closed_connection_finalizes_the_recording(&TestBackend::embedded()).await;
}

#[tokio::test]
async fn a_silent_client_has_its_recording_finalized_after_the_ice_timeout() {
    records::a_silent_client_has_its_recording_finalized_after_the_ice_timeout(&TestBackend::embedded())
        .await;
}

#[tokio::test]
async fn an_outage_shorter_than_the_ice_timeout_continues_the_recording() {
    records::an_outage_shorter_than_the_ice_timeout_continues_the_recording(&TestBackend::embedded()).await;
}

#[tokio::test]
async fn a_hundred_handshakes_at_ten_percent_loss_all_connect() {
    records::a_hundred_handshakes_at_ten_percent_loss_all_connect(&TestBackend::embedded()).await;
}
