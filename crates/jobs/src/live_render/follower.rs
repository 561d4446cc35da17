//! One recording that is followed for one rendition.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::{mpsc, oneshot, watch};

use super::{directory::SegmentDirectory, followers::Key, segment_tracker::SegmentTracker};
use crate::{FollowRequest, Followed, RenderError, Rendered, dispatch::Context, metrics, retry::backoff};

/// How far the file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grown {
    /// The end of what is final.
    pub until: u64,
    /// Entries in the header.
    pub entries: usize,
    /// How long the recording is, final or not.
    pub recorded: Duration,
    /// Bytes in the file, final or not.
    pub bytes: u64,
}

/// The recording has ended: join the segments. Whoever asked gives up by dropping the other end of `answer`.
pub(crate) struct Promotion {
    /// The size of the sealed file.
    pub bytes: u64,
    /// Where the rendition goes.
    pub output: PathBuf,
    /// What became of it.
    pub answer: oneshot::Sender<Result<Rendered, RenderError>>,
}

/// How following ended.
enum End {
    /// The rendition was made or given up, or nobody wants it any more.
    Over,
    /// There is another track: what is read has to be read with the new header.
    OtherHeader,
    /// It failed.
    Failed(RenderError),
}

/// Follows until the rendition is made, or until nobody tells how the file grows any more. When it has failed too often it
/// rests until a track joins.
pub(crate) async fn run(
    context: Arc<Context>,
    key: Key,
    path: PathBuf,
    mut grown: watch::Receiver<Grown>,
    mut promotions: mpsc::Receiver<Promotion>,
    rests: Arc<AtomicBool>,
) {
    let (config, segments) = (&context.config, &context.config.segments);
    let (store, node) = (Arc::clone(&context.store), config.node.clone());
    let mut board = SegmentTracker::new(store, key.0, Arc::clone(&key.1), node, segments.interval);
    let mut failures = 0;
    loop {
        let entries = grown.borrow().entries;
        let ended = follow(&context, &key, &path, &mut board, &mut grown, &mut promotions).await;
        let error = match ended {
            End::Over => return,
            End::OtherHeader => {
                board.begin_again(None);
                board.write().await;
                continue;
            }
            End::Failed(error) => error,
        };
        let is_permanent = matches!(error, RenderError::Permanent(_));
        if is_permanent {
            tracing::debug!(%error, "nothing can be made of the recording while it goes on");
            board.clear().await;
        } else {
            failures += 1;
            metrics::follower_failed();
            tracing::warn!(%error, failures, "what is made while recording goes on has to be begun anew");
            board.begin_again(Some(&error.to_string()));
            board.write().await;
        }
        if is_permanent || failures >= config.render_max_attempts {
            rests.store(true, Ordering::Relaxed);
            let waiting = Some(&mut board).filter(|_| !is_permanent);
            if !another_track_joins(entries, &mut grown, &mut promotions, waiting).await {
                return;
            }
            rests.store(false, Ordering::Relaxed);
            failures = 0;
            continue;
        }
        let wait = backoff(config.first_backoff, config.max_backoff, failures, rand::random());
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            // To make it of the whole recording takes no longer than to begin now.
            _ = promotions.recv() => return,
        }
        if grown.has_changed().is_err() {
            return;
        }
    }
}

/// Waits for a file with other entries: then it may be another matter. False if the recording ends before. Meanwhile segments
/// wait on the board for what is recorded.
async fn another_track_joins(
    entries: usize,
    grown: &mut watch::Receiver<Grown>,
    promotions: &mut mpsc::Receiver<Promotion>,
    mut waiting: Option<&mut SegmentTracker>,
) -> bool {
    loop {
        tokio::select! {
            changed = grown.changed() => {
                let now = *grown.borrow_and_update();
                if changed.is_err() || now.entries != entries {
                    return changed.is_ok();
                }
                if let Some(board) = &mut waiting {
                    board.waits(now.recorded, now.bytes);
                    board.write().await;
                }
            }
            _ = promotions.recv() => return false,
        }
    }
}

/// From the file's beginning as far as it goes.
async fn follow(
    context: &Context,
    key: &Key,
    path: &Path,
    board: &mut SegmentTracker,
    grown: &mut watch::Receiver<Grown>,
    promotions: &mut mpsc::Receiver<Promotion>,
) -> End {
    let segments = &context.config.segments;
    let directory = match SegmentDirectory::make(&segments.directory, key.0) {
        Ok(directory) => directory,
        Err(error) => {
            let error = format!("{}: {error}", segments.directory.display());
            return End::Failed(RenderError::Transient(error));
        }
    };
    let order = FollowRequest {
        input: path,
        segments: directory.path(),
        interval: segments.interval,
        parameters: &key.1,
    };
    let mut following = match context.renderer.follow(order).await {
        Ok(following) => following,
        Err(error) => return End::Failed(error),
    };
    let first = *grown.borrow_and_update();
    board.recorded(first.recorded, first.bytes);
    if let Err(error) = following.grown(first.until).await {
        return End::Failed(error);
    }
    board.write().await;
    let promotion = loop {
        let went_well = tokio::select! {
            changed = grown.changed() => {
                let now = *grown.borrow_and_update();
                if changed.is_err() {
                    return End::Over;
                }
                if now.entries != first.entries {
                    return End::OtherHeader;
                }
                board.recorded(now.recorded, now.bytes);
                following.grown(now.until).await
            }
            promotion = promotions.recv() => match promotion {
                Some(promotion) => break promotion,
                None => return End::Over,
            },
            followed = following.next() => match followed {
                Ok(Followed::Segment(made)) => {
                    board.done(&made);
                    Ok(())
                }
                Ok(Followed::Rendered(_)) => Err(RenderError::Transient("ended before it was told to".to_owned())),
                Err(error) => Err(error),
            },
        };
        if let Err(error) = went_well {
            return End::Failed(error);
        }
        board.write().await;
    };
    let Promotion { bytes, output, mut answer } = promotion;
    let made = async {
        following.end(bytes, &output).await?;
        loop {
            match following.next().await? {
                Followed::Segment(made) => {
                    board.done(&made);
                    board.write().await;
                }
                Followed::Rendered(rendered) => return Ok(rendered),
            }
        }
    };
    tokio::select! {
        made = made => drop(answer.send(made)),
        () = answer.closed() => {}
    }
    End::Over
}
