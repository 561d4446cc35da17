//! What every back end has to do, as checks that run on a fresh, migrated store of its own each.
//!
//! A back end's tests take them all with
//!
//! ```text
//! store::conformance_suite!(fresh_store());
//! ```
//!
//! where `fresh_store()` is a future of something that derefs to a [`Store`](crate::Store) and keeps it alive. Checks
//! panic where a store does wrong.

#![allow(missing_docs, reason = "a check is named by the sentence that it checks")]
#![allow(clippy::missing_panics_doc, reason = "panicking is how a check fails")]
#![allow(clippy::unwrap_used, reason = "panicking is how a check fails")]

mod deletion;
mod jobs;
mod leases;
mod lost;
mod nodes;
mod recordings;
mod renditions;
mod rescue;
pub mod sample;
mod segments;
mod sessions;
mod uploads;

pub use deletion::*;
pub use jobs::*;
pub use leases::*;
pub use lost::*;
pub use nodes::*;
pub use recordings::*;
pub use renditions::*;
pub use rescue::*;
pub use segments::*;
pub use sessions::*;
pub use uploads::*;

/// Makes a test of every check, each on the store that `$fresh` is a future of.
#[macro_export]
macro_rules! conformance_suite {
    ($fresh:expr) => {
        $crate::conformance_suite! { $fresh;
            // Sessions
            a_session_that_begins_is_recording_and_live_on_its_node,
            a_begin_may_be_repeated_but_an_id_is_not_taken_twice,
            a_sealed_recording_reads_back_whole,
            a_seal_closes_the_session_and_makes_the_jobs,
            sealing_again_changes_nothing,
            of_seals_at_the_same_time_one_is_written,
            a_recording_whose_session_was_never_begun_can_be_sealed,
            another_tenants_session_can_not_be_sealed,
            a_seal_that_fails_leaves_nothing_behind,
            a_recording_without_media_is_sealed_with_what_went_wrong,
            a_seal_without_a_reason_closes_the_session,
            a_live_session_is_paused_and_resumed_and_a_sealed_one_stays,
            a_session_of_another_tenant_is_not_found,
            live_sessions_are_those_of_the_node_that_are_not_sealed,
            // Recordings
            a_recording_of_another_tenant_is_not_found,
            names_keep_every_letter_and_a_nul_is_replaced,
            a_name_of_any_length_is_kept_and_found,
            sizes_beyond_32_bits_read_back_and_absurd_ones_do_not_fail,
            times_are_kept_to_the_microsecond,
            a_list_is_newest_first_and_of_one_tenant,
            a_list_is_filtered_by_everything_at_once,
            a_list_is_filtered_by_time_from_included_until_excluded,
            pages_are_stable_while_recordings_are_added,
            pages_part_recordings_that_began_at_the_same_time,
            a_page_has_the_tracks_of_each_recording,
            a_checksum_is_written_down_once,
            // Jobs
            a_job_that_is_done_writes_the_state_and_the_next_jobs,
            a_failed_job_waits_for_its_time_and_then_runs_again,
            a_job_says_when_its_newest_run_began_and_ended,
            a_parked_job_parks_its_recording_with_the_error,
            a_parked_job_that_is_retried_sets_the_recording_back,
            a_recording_with_two_parked_jobs_stays_parked_until_both_are_retried,
            parked_jobs_that_are_retried_at_the_same_time_set_the_recording_back,
            only_a_failed_or_parked_job_of_the_tenant_can_be_retried,
            a_failed_job_that_is_retried_is_due_at_once,
            a_deleted_recording_is_not_brought_back_by_a_job,
            depth_counts_the_jobs_that_are_not_done,
            jobs_are_listed_oldest_first,
            // Leases
            a_lease_takes_the_job_that_has_been_due_longest,
            a_lease_is_exclusive_among_twenty_workers,
            a_job_is_leased_for_its_kind_and_node_only,
            a_job_is_not_leased_before_its_time,
            an_expired_lease_is_taken_over_and_its_holder_has_lost_it,
            a_lease_that_is_renewed_is_not_taken_over,
            an_expired_lease_that_nobody_took_is_still_good,
            a_finish_may_be_repeated_but_not_by_another_lease,
            a_waiting_worker_wakes_when_a_job_comes,
            a_waiting_worker_wakes_when_a_job_becomes_due,
            a_wait_ends_when_nothing_comes,
            // Renditions
            a_rendition_is_made_and_read_back,
            the_same_rendition_twice_is_one_row_and_one_job,
            of_equal_renditions_at_the_same_time_one_is_made,
            renditions_that_are_sealed_with_a_recording_are_made_by_its_node_until_it_is_stored,
            a_rendition_of_what_is_not_stored_yet_is_made_by_its_node,
            a_recording_without_a_file_has_no_renditions,
            a_render_that_is_given_up_parks_the_rendition_and_not_the_recording,
            a_cancelled_render_is_over_for_whoever_runs_it,
            a_cancelled_render_can_be_retried_or_asked_for_again,
            what_a_cancelled_render_may_have_stored_is_removed,
            only_a_render_of_the_tenant_that_is_not_over_can_be_cancelled,
            a_job_that_is_put_off_has_not_been_attempted,
            jobs_are_listed_newest_first_by_pages_and_filters,
            changes_are_told,
            // Deletion
            a_deleted_recording_keeps_its_row_and_loses_the_rest,
            deleting_again_changes_nothing,
            of_deletions_at_the_same_time_one_is_written,
            a_live_recording_and_another_tenants_are_not_deleted,
            what_runs_is_told_of_the_deletion_and_what_is_off_the_disk_is_removed_by_any_node,
            jobs_of_a_deleted_recording_are_not_retried_but_its_removal_is,
            deleted_recordings_are_listed_only_where_they_are_asked_for,
            recordings_whose_time_is_over_are_found_by_tenant_oldest_first,
            of_what_is_parked_only_recordings_without_media_have_a_time,
            renditions_whose_time_is_over_are_found_and_deleted_alone,
            a_turn_is_taken_by_one_of_all_that_ask,
            // Nodes
            a_node_is_where_its_last_heartbeat_said,
            nodes_that_were_seen_lately_are_listed_by_id,
            an_unknown_node_is_not_found,
            the_database_answers_a_ping,
            // Uploads
            an_upload_and_its_parts_read_back,
            a_part_that_is_sent_again_takes_the_place_of_the_first,
            a_recording_has_one_upload_at_a_time,
            an_upload_needs_a_recording,
            a_forgotten_upload_takes_no_part,
            uploads_are_listed_with_what_their_recordings_say,
            the_uploads_of_a_node_are_lost_when_it_has_been_silent_for_long,
            a_rescue_makes_a_live_recording_available_and_says_what_is_missing,
            a_recording_that_was_rescued_can_still_be_sealed_by_its_node,
            a_rescue_of_a_sealed_recording_is_taken_back_when_its_node_has_uploaded_it,
            a_deleted_recording_is_not_rescued,
            the_owner_of_a_recording_is_known_without_its_tenant,
            // Rescue
            what_is_wanted_of_a_rescued_recording_is_made_by_any_node,
            what_waited_for_a_lost_node_is_made_by_any_node_and_once,
            nothing_is_made_of_a_deleted_recording_that_is_rescued,
            what_was_made_of_a_part_is_made_anew_when_the_lost_node_seals_the_whole,
            what_was_made_of_a_part_is_made_anew_when_the_lost_node_has_sent_the_whole,
            what_was_made_of_all_that_there_is_stays,
            a_recording_that_was_deleted_after_its_rescue_stays_so_when_its_node_seals_it,
            // Lost recordings
            what_a_silent_node_has_not_finished_and_not_begun_to_upload_is_lost,
            a_live_recording_that_is_given_up_is_parked_and_its_session_closed,
            a_recording_whose_node_speaks_again_is_not_given_up,
            a_recording_that_was_given_up_is_sealed_by_its_node_and_goes_on,
            a_sealed_recording_that_was_given_up_goes_on_when_its_node_is_back,
            a_live_session_that_was_given_up_goes_on_when_its_node_is_heard_again,
            what_a_job_has_parked_stays_so_when_its_node_is_back,
            a_recording_that_was_deleted_after_it_was_given_up_stays_so,
            // Segments
            segments_read_back_by_rendition_in_order,
            a_segment_is_told_of_again_with_what_is_new,
            a_segment_needs_a_recording,
            segments_that_are_begun_again_wait_and_say_what_went_wrong,
            forgotten_segments_are_those_of_one_rendition,
            old_segments_are_those_of_recordings_that_ended_long_ago,
        }
    };
    ($fresh:expr; $($check:ident),+ $(,)?) => {
        mod conformance {
            use super::*;

            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $check() {
                    let store = $fresh.await;
                    $crate::conformance::$check(&*store).await;
                }
            )+
        }
    };
}
