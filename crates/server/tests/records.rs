//! Recordings on the embedded default: SQLite and a local object directory.

mod scenarios;
mod support;

use scenarios::records;
use support::Place;
use testkit::signal::Codec;

#[tokio::test]
async fn vp8_is_recorded_whole_and_in_step() {
    records::codec_is_recorded_whole_and_in_step(&Place::embedded(), Codec::Vp8).await;
}

#[tokio::test]
async fn vp9_is_recorded_whole_and_in_step() {
    records::codec_is_recorded_whole_and_in_step(&Place::embedded(), Codec::Vp9).await;
}

#[tokio::test]
async fn av1_is_recorded_whole_and_in_step() {
    records::codec_is_recorded_whole_and_in_step(&Place::embedded(), Codec::Av1).await;
}

#[tokio::test]
async fn h264_is_recorded_whole_and_in_step() {
    records::codec_is_recorded_whole_and_in_step(&Place::embedded(), Codec::H264).await;
}

#[tokio::test]
async fn five_percent_of_packets_lost_cost_no_frame() {
    records::five_percent_of_packets_lost_cost_no_frame(&Place::embedded()).await;
}

#[tokio::test]
async fn five_percent_of_packets_lost_cost_no_frame_of_the_best_simulcast_layer() {
    records::five_percent_of_packets_lost_cost_no_frame_of_the_best_simulcast_layer(&Place::embedded()).await;
}

#[tokio::test]
async fn reordered_and_repeated_packets_are_written_once_and_in_order() {
    records::reordered_and_repeated_packets_are_written_once_and_in_order(&Place::embedded()).await;
}

#[tokio::test]
async fn sound_that_begins_three_seconds_late_is_still_in_step() {
    records::sound_that_begins_three_seconds_late_is_still_in_step(&Place::embedded()).await;
}

#[tokio::test]
async fn track_added_by_renegotiation_goes_into_the_same_file() {
    records::track_added_by_renegotiation_goes_into_the_same_file(&Place::embedded()).await;
}

#[tokio::test]
async fn client_that_says_goodbye_has_its_recording_sealed() {
    records::client_that_says_goodbye_has_its_recording_sealed(&Place::embedded()).await;
}

#[tokio::test]
async fn client_that_vanishes_has_its_recording_sealed_after_the_grace_time() {
    records::client_that_vanishes_has_its_recording_sealed_after_the_grace_time(&Place::embedded()).await;
}

#[tokio::test]
async fn blackout_shorter_than_the_grace_time_goes_on_in_the_same_recording() {
    records::blackout_shorter_than_the_grace_time_goes_on_in_the_same_recording(&Place::embedded()).await;
}

#[tokio::test]
async fn hundred_handshakes_at_ten_percent_loss_each_way_all_connect() {
    records::hundred_handshakes_at_ten_percent_loss_each_way_all_connect(&Place::embedded()).await;
}
