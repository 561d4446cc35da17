//! Upload of open files: a part is sent as soon as its bytes are final and durable.
//!
//! A recording is never slowed down by it: this module looks at the files from outside, once a second. While the object
//! store is slow or away the uploads lag. What is missing at the end of the recording is sent by its upload job, which also
//! completes the upload ([`crate::upload`]). The uploads of a lost node are completed by another one
//! ([`crate::maintenance`]).

pub(crate) mod registry;
mod sender;

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::{OpenFile, OpenFiles, context::Context, metrics};

/// Interval between two looks at the open files. A recording of 10 Mbit/s fills a part of 5 MiB in 4 s.
const LOOK: Duration = Duration::from_secs(1);

/// Sends final bytes of the open files until `shutdown`. Returns at once if the object store takes no parts.
pub(crate) async fn run(context: Arc<Context>, open_files: Arc<dyn OpenFiles>, shutdown: CancellationToken) {
    if context.blobs.parts().is_none() {
        return;
    }
    let permits = Arc::new(Semaphore::new(context.config.workers.upload_workers));
    let mut sending = JoinSet::new();
    while !shutdown.is_cancelled() {
        let files = open_files.files();
        context.live_uploads.retain_open(&files.iter().map(|file| file.recording).collect::<HashSet<_>>());
        start(&context, files, &permits, &mut sending, &shutdown);
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(LOOK) => {}
            // A permit is free, and the file may have another part.
            Some(_) = sending.join_next() => while sending.try_join_next().is_some() {},
        }
    }
    // The senders see the shutdown too.
    while sending.join_next().await.is_some() {}
}

/// Starts sending one part each of the files that lag most, while there are permits.
fn start(
    context: &Arc<Context>,
    files: Vec<OpenFile>,
    permits: &Arc<Semaphore>,
    sending: &mut JoinSet<()>,
    shutdown: &CancellationToken,
) {
    let mut files: Vec<_> = files
        .into_iter()
        .map(|file| {
            let upload = context.live_uploads.of(file.recording);
            (file.until.saturating_sub(upload.sent()), file, upload)
        })
        .collect();
    metrics::live_upload_lag(files.iter().map(|(lag, ..)| lag).sum());
    files.sort_by_key(|(lag, ..)| std::cmp::Reverse(*lag));
    for (_, file, upload) in files {
        // Locked: a part of the file is being sent, or its upload job runs.
        let Ok(mut guard) = upload.try_lock() else { continue };
        if !sender::has_work(context, &file, &guard) {
            continue;
        }
        let Ok(permit) = Arc::clone(permits).try_acquire_owned() else { return };
        let (context, shutdown) = (Arc::clone(context), shutdown.clone());
        let span = tracing::info_span!("live_upload", recording_id = %file.recording);
        let work = async move {
            sender::advance(&context, &file, &mut guard, &shutdown).await;
            drop(permit);
        };
        sending.spawn(work.instrument(span));
    }
}
