//! The conformance suite: checks that every back end must pass, each on an empty, migrated database of its own.
//!
//! A back end's tests run all checks with
//!
//! ```text
//! store::conformance_suite!(fresh_store());
//! ```
//!
//! where `fresh_store()` is a future of a value that dereferences to a [`Store`](crate::Store) and owns its database. A
//! check panics if the store is wrong.

#![allow(missing_docs, reason = "the name of a check is the sentence that it verifies")]
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

/// Defines one test for each check. `$fresh` is a future of the store, evaluated once per test.
#[macro_export]
macro_rules! conformance_suite {
    ($fresh:expr) => {
        $crate::conformance_suite! { $fresh;
            // Sessions
            a_session_begins_in_state_recording_and_is_live_on_its_node,
            begin_can_be_repeated_but_an_id_is_used_once,
            a_finalized_recording_reads_back_complete,
            finalize_closes_the_session_and_inserts_the_jobs,
            a_second_finalize_changes_nothing,
            one_of_several_concurrent_finalizes_is_written,
            a_recording_without_a_begin_can_be_finalized,
            a_session_of_another_tenant_cannot_be_finalized,
            a_failed_finalize_changes_nothing,
            a_recording_without_media_is_finalized_with_its_error,
            finalize_without_an_end_reason_closes_the_session_as_a_crash,
            a_live_session_is_paused_and_resumed_but_a_finalized_one_is_not,
            a_session_of_another_tenant_is_not_found,
            // Recordings
            a_recording_of_another_tenant_is_not_found,
            names_are_stored_unchanged_except_u_0000,
            a_name_of_any_length_is_stored_and_found,
            sizes_beyond_32_bits_read_back_and_impossible_ones_are_clamped,
            times_are_stored_to_the_microsecond,
            a_list_has_one_tenants_recordings_newest_first,
            a_list_is_filtered_by_all_conditions_together,
            a_list_includes_its_first_time_and_excludes_its_last,
            pages_do_not_shift_while_recordings_are_added,
            pages_separate_recordings_that_began_at_the_same_time,
            a_page_has_the_tracks_of_each_recording,
            a_checksum_is_stored_once,
            // Jobs
            a_done_job_commits_the_recordings_state_and_the_next_jobs,
            a_failed_job_runs_again_when_it_is_due,
            a_job_has_the_times_of_its_last_run,
            a_parked_job_parks_its_recording_with_the_error,
            a_retry_of_a_parked_job_restores_the_recordings_state,
            a_recording_with_two_parked_jobs_stays_parked_until_both_are_retried,
            concurrent_retries_of_two_parked_jobs_restore_the_recordings_state,
            only_a_failed_or_parked_job_of_the_tenant_can_be_retried,
            a_retried_job_is_due_at_once,
            a_job_does_not_restore_a_deleted_recording,
            jobs_that_are_not_done_are_counted_by_kind_and_state,
            the_jobs_of_a_recording_are_listed_oldest_first,
            // Leases
            a_lease_takes_the_job_that_is_due_longest,
            a_lease_is_exclusive_among_twenty_workers,
            a_job_is_leased_for_its_kind_and_node_only,
            a_job_is_not_leased_before_it_is_due,
            an_expired_lease_is_lost_when_another_worker_leases_the_job,
            a_renewed_lease_is_not_lost,
            an_expired_lease_is_valid_until_another_worker_leases_the_job,
            finish_can_be_repeated_but_not_with_another_lease,
            a_waiting_worker_wakes_when_a_job_is_inserted,
            a_waiting_worker_wakes_when_a_job_becomes_due,
            a_wait_without_jobs_ends_at_its_limit,
            // Renditions
            a_rendition_is_rendered_and_reads_back,
            two_requests_for_a_rendition_insert_one_row_and_one_job,
            concurrent_requests_for_a_rendition_insert_one_job,
            default_renditions_are_bound_to_the_recordings_node_until_it_is_stored,
            a_rendition_of_a_recording_that_is_not_stored_is_bound_to_its_node,
            a_recording_without_a_file_can_have_no_renditions,
            a_parked_render_job_parks_the_rendition_but_not_the_recording,
            the_worker_of_a_cancelled_render_job_loses_its_lease,
            a_cancelled_render_job_can_be_retried_or_its_rendition_requested_again,
            a_delete_job_removes_the_file_of_a_cancelled_render_job,
            only_an_unfinished_render_job_of_the_tenant_can_be_cancelled,
            a_postponed_run_is_not_counted_as_an_attempt,
            jobs_are_listed_newest_first_in_pages_and_by_filters,
            changes_are_reported,
            // Deletion
            a_deletion_retains_the_row_and_removes_everything_else,
            a_second_deletion_changes_nothing,
            one_of_several_concurrent_deletions_is_written,
            a_live_recording_and_one_of_another_tenant_are_not_deleted,
            a_deletion_cancels_running_renders_and_any_node_removes_a_cleaned_up_recording,
            of_a_deleted_recordings_jobs_only_the_delete_job_can_be_retried,
            deleted_recordings_are_listed_only_on_request,
            expired_recordings_are_found_by_tenant_oldest_first,
            of_parked_recordings_only_those_without_media_expire,
            expired_renditions_are_found_and_deleted_without_their_recording,
            a_run_of_a_periodic_task_is_claimed_once,
            // Nodes
            a_node_has_the_address_of_its_last_heartbeat,
            nodes_with_a_recent_heartbeat_are_listed_by_id,
            an_unknown_node_is_not_found,
            the_database_answers_a_ping,
            // Uploads
            an_upload_and_its_parts_read_back,
            a_part_that_is_uploaded_again_replaces_the_first,
            a_recording_has_one_upload_at_a_time,
            an_upload_without_a_recording_is_refused,
            a_deleted_upload_accepts_no_part,
            uploads_are_listed_with_the_state_of_their_recordings,
            the_uploads_of_a_silent_node_are_lost,
            a_rescue_makes_a_live_recording_available_with_an_error,
            the_node_of_a_rescued_recording_can_still_finalize_it,
            a_rescue_is_undone_when_the_node_has_uploaded_the_finalized_file,
            a_deleted_recording_is_not_rescued,
            the_owner_of_a_recording_is_found_without_its_tenant,
            // Rescued uploads
            default_renditions_of_a_rescued_recording_are_rendered_by_any_node,
            render_jobs_of_a_lost_node_are_run_once_by_any_node,
            the_rescue_of_a_deleted_recording_requests_no_renditions,
            renditions_of_a_rescued_recording_are_requeued_when_its_node_finalizes_it,
            renditions_of_a_rescued_recording_are_requeued_when_its_node_has_uploaded_the_whole_file,
            renditions_of_a_complete_rescue_are_not_requeued,
            a_rescued_and_deleted_recording_stays_deleted_when_its_node_finalizes_it,
            // Lost recordings
            unfinished_recordings_of_a_silent_node_without_an_upload_are_lost,
            park_lost_parks_a_live_recording_and_closes_its_session,
            a_recording_whose_node_has_a_new_heartbeat_is_not_parked,
            the_node_of_a_parked_lost_recording_can_still_finalize_it,
            a_parked_finalized_recording_resumes_when_its_node_returns,
            a_parked_live_session_resumes_when_its_node_returns,
            a_recording_that_a_job_parked_stays_parked_when_its_node_returns,
            a_parked_and_deleted_recording_stays_deleted,
            // Segments
            segments_read_back_by_rendition_in_order,
            a_segment_that_is_written_again_is_replaced,
            a_segment_without_a_recording_is_refused,
            requeued_segments_are_queued_or_failed_with_the_error,
            delete_segments_deletes_those_of_one_rendition,
            delete_old_segments_deletes_those_of_recordings_that_ended_long_ago,
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
