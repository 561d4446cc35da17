//! Renditions that are made while their recordings go on, so that they are ready right after the stop.
//!
//! One process follows one file for one rendition, from the first interval on, and makes a segment of every interval. When
//! the recording has ended its render job has the segments joined into the rendition ([`join`]). Nothing depends on
//! that: where there are no segments, or the follower died, the rendition is made of the whole file as any other. So a
//! follower that died, or whose file has got another track, begins anew; it is many times faster than the recording.
//!
//! Nothing of it can slow a recording: the files are looked at from outside, every so often.

mod directory;
mod follower;
mod followers;
pub(crate) mod join;
mod segment_tracker;

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{OpenFiles, dispatch::Context};

pub(crate) use directory::sweep;
pub(crate) use followers::Followers;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Follows what grows, until `shutdown`.
pub(crate) async fn run(context: Arc<Context>, growing: Arc<dyn OpenFiles>, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        let files = growing.files();
        let mut seen = HashSet::new();
        for file in &files {
            for parameters in file.derived.iter() {
                context.followers.see(&context, file, parameters);
                seen.insert((file.recording, Arc::clone(parameters)));
            }
        }
        // A render job asks for what is sealed, at the latest when it has waited for as long as it does.
        context.followers.retire(&seen, context.config.segments.wait);
        shutdown.run_until_cancelled(tokio::time::sleep(LOOK)).await;
    }
    context.followers.stop().await;
}
