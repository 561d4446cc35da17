//! The task that follows one open recording for one rendition.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
};

use super::{
    directory::SegmentDirectory,
    followers::{Inbox, JoinRequest, Key},
    segment_tracker::SegmentTracker,
};
use crate::{FollowRequest, Followed, RenderError, context::Context, metrics, retry::backoff};

/// How one run of the follower ended.
enum End {
    /// The join was answered or cancelled, or the recording is not followed any more.
    Over,
    /// The header has another track entry: the file must be read again from its start.
    OtherHeader,
    Failed(RenderError),
}

/// Follows until the segments are joined or the inbox is closed. Starts again after failures; after
/// `render_max_attempts` of them, or a permanent one, it pauses until the header changes.
pub(super) async fn run(context: Arc<Context>, key: Key, path: PathBuf, mut inbox: Inbox) {
    let (config, segments) = (&context.config, &context.config.segments);
    let (store, node) = (Arc::clone(&context.store), config.node.clone());
    let mut tracker = SegmentTracker::new(store, key.0, Arc::clone(&key.1), node, segments.interval.0);
    let mut failures = 0;
    loop {
        let entries = inbox.file.borrow().entries;
        let error = match follow(&context, &key, &path, &mut tracker, &mut inbox).await {
            End::Over => return,
            End::OtherHeader => {
                tracing::debug!("follower starts again: the header has changed");
                tracker.start_again(None);
                tracker.write().await;
                continue;
            }
            End::Failed(error) => error,
        };
        let is_permanent = matches!(error, RenderError::Permanent(_));
        if is_permanent {
            tracing::debug!(%error, "follower paused: the recording can't be rendered while it is open");
            tracker.clear().await;
        } else {
            failures += 1;
            metrics::follower_failed();
            tracing::warn!(%error, failures, "follower failed");
            tracker.start_again(Some(&error.to_string()));
            tracker.write().await;
        }
        if is_permanent || failures >= config.workers.max_render_attempts() {
            inbox.paused.store(true, Ordering::Relaxed);
            let tracker = Some(&mut tracker).filter(|_| !is_permanent);
            if !header_changes(entries, &mut inbox, tracker).await {
                return;
            }
            inbox.paused.store(false, Ordering::Relaxed);
            failures = 0;
            continue;
        }
        let wait =
            backoff(config.workers.first_backoff.0, config.workers.max_backoff.0, failures, rand::random());
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            // To render the whole file takes no longer than to start again now.
            _ = inbox.joins.recv() => return,
        }
        if inbox.file.has_changed().is_err() {
            return;
        }
    }
}

/// Waits for another number of track entries. Returns false if the recording ends first. Meanwhile new segments are added
/// to the tracker as QUEUED.
async fn header_changes(entries: usize, inbox: &mut Inbox, mut tracker: Option<&mut SegmentTracker>) -> bool {
    loop {
        tokio::select! {
            changed = inbox.file.changed() => {
                let now = *inbox.file.borrow_and_update();
                if changed.is_err() || now.entries != entries {
                    return changed.is_ok();
                }
                if let Some(tracker) = &mut tracker {
                    tracker.queue(now.recorded, now.bytes);
                    tracker.write().await;
                }
            }
            _ = inbox.joins.recv() => return false,
        }
    }
}

/// One run: starts a process at the file's beginning and feeds it until the recording ends.
async fn follow(
    context: &Context,
    key: &Key,
    path: &Path,
    tracker: &mut SegmentTracker,
    inbox: &mut Inbox,
) -> End {
    let segments = &context.config.segments;
    let directory = match SegmentDirectory::make(&segments.directory, key.0) {
        Ok(directory) => directory,
        Err(error) => {
            let error = format!("{}: {error}", segments.directory.display());
            return End::Failed(RenderError::Transient(error));
        }
    };
    let request = FollowRequest {
        input: path,
        segments: directory.path(),
        interval: segments.interval.0,
        parameters: &key.1,
    };
    let mut following = match context.renderer.follow(request).await {
        Ok(following) => following,
        Err(error) => return End::Failed(error),
    };
    let first = *inbox.file.borrow_and_update();
    tracing::debug!(entries = first.entries, until = first.until, "follower started");
    tracker.recorded(first.recorded, first.bytes);
    if let Err(error) = following.advance(first.until).await {
        return End::Failed(error);
    }
    tracker.write().await;
    let request = loop {
        let step = tokio::select! {
            changed = inbox.file.changed() => {
                let now = *inbox.file.borrow_and_update();
                if changed.is_err() {
                    return End::Over;
                }
                if now.entries != first.entries {
                    return End::OtherHeader;
                }
                tracker.recorded(now.recorded, now.bytes);
                following.advance(now.until).await
            }
            request = inbox.joins.recv() => match request {
                Some(request) => break request,
                None => return End::Over,
            },
            followed = following.next() => match followed {
                Ok(Followed::Segment(segment)) => tracker.done(&segment),
                Ok(Followed::Rendered(_)) => {
                    Err(RenderError::Transient("the follower ended before the recording did".to_owned()))
                }
                Err(error) => Err(error),
            },
        };
        if let Err(error) = step {
            return End::Failed(error);
        }
        tracker.write().await;
    };
    let JoinRequest { bytes, output, mut answer } = request;
    let joined = async {
        following.end(bytes, &output).await?;
        loop {
            match following.next().await? {
                Followed::Segment(segment) => {
                    tracker.done(&segment)?;
                    tracker.write().await;
                }
                Followed::Rendered(rendered) => return Ok(rendered),
            }
        }
    };
    tokio::select! {
        joined = joined => drop(answer.send(joined)),
        () = answer.closed() => {}
    }
    End::Over
}
