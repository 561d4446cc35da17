//! Upload while recording: parts of files that still grow are sent as soon as they are final.
//!
//! Nothing of it can slow a recording: the files are looked at from outside, every so often. An object store that is
//! slow or away makes the uploads lag; what has not been sent when a recording is sealed is sent by its upload job,
//! which also ends the upload ([`crate::upload`]). What a node that died had sent is completed by another one ([`crate::maintenance`]).

mod registry;
mod sender;

use std::{collections::HashSet, path::PathBuf, sync::Arc, time::Duration};

use model::{Container, RecordingId};
use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::{dispatch::Context, metrics};

pub(crate) use registry::{LiveUploads, State};

/// How often the files are looked at. A part of 5 MiB takes a recording of 10 Mbit/s 4 s.
const LOOK: Duration = Duration::from_secs(1);

/// A file that is being written on this node.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenFile {
    /// The recording.
    pub recording: RecordingId,
    /// The key that its object will have, if its format stays as it is.
    pub key: String,
    /// The file format so far.
    pub container: Container,
    /// The file.
    pub path: PathBuf,
    /// Bytes at its beginning that still change.
    pub from: u64,
    /// The end of what is on disk and will not change.
    pub until: u64,
    /// The time of the recording up to which all is before `until`.
    pub time: Duration,
    /// Changes whenever the beginning has.
    pub entries: usize,
    /// How long the recording is, final or not.
    pub recorded: Duration,
    /// Bytes in the file, final or not.
    pub bytes: u64,
    /// Parameters of the renditions that are to be made of it while it grows.
    pub derived: Arc<[Arc<str>]>,
}

/// Who knows the files that are being written on this node.
pub trait OpenFiles: Send + Sync + 'static {
    /// All of them.
    fn files(&self) -> Vec<OpenFile>;
}

/// Sends what is final, until `shutdown`.
pub(crate) async fn run(context: Arc<Context>, growing: Arc<dyn OpenFiles>, shutdown: CancellationToken) {
    if context.blobs.parts().is_none() {
        return;
    }
    let places = Arc::new(Semaphore::new(context.config.upload_workers));
    let mut sending = JoinSet::new();
    while !shutdown.is_cancelled() {
        let files = growing.files();
        context.streams.keep(&files.iter().map(|file| file.recording).collect::<HashSet<_>>());
        start(&context, files, &places, &mut sending, &shutdown);
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(LOOK) => {}
            // A place is free, and the file may have another part.
            Some(_) = sending.join_next() => while sending.try_join_next().is_some() {},
        }
    }
    // The senders see the shutdown too.
    while sending.join_next().await.is_some() {}
}

/// Gives the free places to the files that lag most, one a file.
fn start(
    context: &Arc<Context>,
    files: Vec<OpenFile>,
    places: &Arc<Semaphore>,
    sending: &mut JoinSet<()>,
    shutdown: &CancellationToken,
) {
    let mut files: Vec<_> = files
        .into_iter()
        .map(|file| {
            let stream = context.streams.of(file.recording);
            (file.until.saturating_sub(stream.sent()), file, stream)
        })
        .collect();
    metrics::stream_lag(files.iter().map(|(lag, ..)| lag).sum());
    files.sort_by_key(|(lag, ..)| std::cmp::Reverse(*lag));
    for (_, file, stream) in files {
        // A file that is being sent has the lock; so has one whose upload job runs.
        let Ok(mut state) = stream.try_lock() else { continue };
        if !sender::has_work(context, &file, &state) {
            continue;
        }
        let Ok(place) = Arc::clone(places).try_acquire_owned() else { return };
        let (context, shutdown) = (Arc::clone(context), shutdown.clone());
        let span = tracing::info_span!("stream", recording_id = %file.recording);
        let work = async move {
            sender::advance(&context, &file, &mut state, &shutdown).await;
            drop(place);
        };
        sending.spawn(work.instrument(span));
    }
}
