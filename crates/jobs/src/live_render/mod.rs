//! Renditions of open recordings, so that they are ready right after the stop.
//!
//! One process, the follower, reads one open file for one rendition, beginning with the first interval, and makes one
//! segment of each interval. After the recording's end its render job has the segments joined ([`join`]). Segments are only
//! a short cut: where there are none, or the follower failed, the job renders the whole file. So a follower simply starts
//! again after a failure, or when its file gets another track; it is many times faster than the recording.
//!
//! A recording is never slowed down by it: this module looks at the files from outside, once a second.

mod directory;
mod follower;
pub(crate) mod followers;
pub(crate) mod join;
mod segment_tracker;

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use self::followers::{FileState, Key};
use crate::{OpenFile, OpenFiles, context::Context};

pub(crate) use directory::sweep;

/// Interval between two looks at the open files.
const LOOK: Duration = Duration::from_secs(1);

/// Follows the open files until `shutdown`, then stops all followers.
pub(crate) async fn run(context: Arc<Context>, open_files: Arc<dyn OpenFiles>, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        let mut open = HashSet::new();
        for file in &open_files.files() {
            for parameters in file.derived.iter() {
                let key = (file.recording, Arc::clone(parameters));
                follow(&context, file, &key);
                open.insert(key);
            }
        }
        // A render job requests its segments within this time; afterwards it renders the whole file.
        context.followers.remove_unclaimed(&open, context.config.segments.wait.0);
        shutdown.run_until_cancelled(tokio::time::sleep(LOOK)).await;
    }
    context.followers.stop().await;
}

/// Updates the follower, or starts one if the file is longer than a segment.
fn follow(context: &Arc<Context>, file: &OpenFile, key: &Key) {
    let now = FileState::of(file);
    let segments = &context.config.segments;
    if context.followers.update(key, now) || file.time < segments.interval.0 {
        return;
    }
    let spawn = |inbox| {
        let span = tracing::info_span!("follow", recording_id = %key.0, parameters = %key.1);
        let work = follower::run(Arc::clone(context), key.clone(), file.path.clone(), inbox);
        tokio::spawn(work.instrument(span))
    };
    context.followers.start(key.clone(), now, segments.followers, spawn);
}
