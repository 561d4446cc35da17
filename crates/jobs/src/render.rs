//! The render job: makes a rendition and puts it into the object store.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use blob::{BlobError, ObjectInfo, PutFile};
use chrono::{TimeDelta, Utc};
use model::{JobKind, JobState, Progress, Recording, Rendition, RenditionId, RenditionState};
use store::{JobOutcome, LeasedJob, RenderedFile, StoreError};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    JobError, RenderRequest, Rendered, context::Context, delete::abort_uploads,
    finalized_file::FinalizedFile, live_render::join, retry::backoff, work_directory::WorkDirectory,
};

/// About how long a delete job takes.
const REMOVAL: TimeDelta = TimeDelta::milliseconds(100);
/// The shortest interval between two commits of progress.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);
/// How long a finished rendition waits for an object store that is away.
const PUT_PATIENCE: Duration = Duration::from_secs(10 * 60);
/// The longest wait between two tries in that time.
const MAX_PUT_BACKOFF: Duration = Duration::from_secs(30);

/// Makes the rendition and stores it. The key follows from the recording and the parameters alone, so a repeated run
/// overwrites the object.
pub(crate) async fn run(
    context: &Context,
    leased: &LeasedJob,
    recording: &Recording,
    cancel: &CancellationToken,
) -> Result<JobOutcome, JobError> {
    let id = leased.job.rendition.ok_or(JobError::NoRendition)?;
    let rendition = context.store.rendition(&leased.job.tenant, id).await?;
    if rendition.state == RenditionState::Deleted {
        return Ok(JobOutcome::Done { recording_state: None, next: Vec::new() });
    }
    if is_being_removed(context, leased, id).await? {
        return Ok(JobOutcome::Later { at: Utc::now() + REMOVAL });
    }
    // Fails if the job was cancelled before this run subscribed to changes.
    context.store.set_progress(leased, &Progress::default()).await?;
    // Uploads of a killed run. This run may fail before it stores anything.
    abort_uploads(context, &rendition.object_key).await?;
    let work = WorkDirectory::make(&context.config.workers.work_directory, leased)
        .map_err(|source| JobError::Work { path: context.config.workers.work_directory.clone(), source })?;
    let output = work.path().join(file_name(&rendition));
    let rendered = match join::segments_of(context, recording, &rendition, &output, cancel).await? {
        Some(joined) => joined,
        None => {
            let input = fetch(context, recording, &work, cancel).await?;
            let request = RenderRequest { input: &input, output: &output, parameters: &rendition.parameters };
            render(context, leased, request, cancel).await?
        }
    };
    let file = store_file(context, &rendition, &output, rendered, cancel).await?;
    if let Err(error) = context.store.delete_segments(recording.id, &rendition.parameters).await {
        tracing::debug!(%error, "rows of segments not removed; the periodic task will");
    }
    Ok(JobOutcome::Rendered(file))
}

/// Whether a delete job is removing the rendition's former object at this moment. It would remove a new one, too.
async fn is_being_removed(context: &Context, leased: &LeasedJob, id: RenditionId) -> Result<bool, JobError> {
    let jobs = context.store.jobs_of(leased.job.recording).await?;
    Ok(jobs.iter().any(|job| {
        job.kind == JobKind::Delete && job.rendition == Some(id) && job.state == JobState::InProgress
    }))
}

/// Provides the recording's file: a hard link to the file in the spool or in a local object store, which the clean-up can't
/// remove; else a download.
async fn fetch(
    context: &Context,
    recording: &Recording,
    work: &WorkDirectory,
    cancel: &CancellationToken,
) -> Result<PathBuf, JobError> {
    let file = FinalizedFile::of(recording, &context.config.spool)?;
    let input = work.path().join(format!("input.{}", file.container.extension()));
    if let Some(found) = link(&file.path, &input, file.bytes)? {
        return Ok(found);
    }
    if let Some(object) = context.blobs.local_path(file.key)?
        && let Some(found) = link(&object, &input, file.bytes)?
    {
        return Ok(found);
    }
    let fetched = cancel.run_until_cancelled(context.blobs.get_file(file.key, &input)).await;
    let fetched = fetched.ok_or(JobError::Cancelled)?.map_err(|error| match error {
        BlobError::NotFound(_) => JobError::FileMissing { path: file.path.clone() },
        error => error.into(),
    })?;
    // Compares the SHA-256 only if it is known: an object that was sent in parts may have none.
    if let Err(differs) = file.check(&fetched)
        && !is_rescued(context, recording).await?
    {
        return Err(differs);
    }
    Ok(input)
}

/// While its node is lost, the object holds only what was uploaded of the file.
async fn is_rescued(context: &Context, recording: &Recording) -> Result<bool, JobError> {
    let upload = context.store.upload_of(recording.id).await?;
    Ok(upload.is_some_and(|(upload, _)| upload.rescued))
}

/// Links `name` to a file of this size and returns it. Returns the file's own path if no link is possible, and None if there is
/// no such file.
fn link(path: &Path, name: &Path, bytes: u64) -> Result<Option<PathBuf>, JobError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() && metadata.len() == bytes => {}
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(JobError::Spool { path: path.to_owned(), source }),
    }
    match fs::hard_link(path, name) {
        Ok(()) => Ok(Some(name.to_owned())),
        // Removed since the look at its size.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        // On another file system. If the file is removed while it is read, the next run downloads the object.
        Err(_) => Ok(Some(path.to_owned())),
    }
}

fn file_name(rendition: &Rendition) -> &str {
    rendition.object_key.rsplit_once('/').map_or(rendition.object_key.as_str(), |(_, name)| name)
}

/// Renders, and commits progress meanwhile. Ends if that shows that the lease is lost.
async fn render(
    context: &Context,
    leased: &LeasedJob,
    request: RenderRequest<'_>,
    cancel: &CancellationToken,
) -> Result<Rendered, JobError> {
    let (sender, receiver) = watch::channel(Progress::default());
    let stop = cancel.child_token();
    let rendering = context.renderer.render(request, &stop, &sender);
    tokio::pin!(rendering);
    let lost = tokio::select! {
        rendered = &mut rendering => return rendered.map_err(JobError::from),
        lost = commit_progress(context, leased, receiver) => lost,
    };
    stop.cancel();
    let _ = rendering.await;
    Err(lost.into())
}

/// Returns when the lease is lost.
async fn commit_progress(
    context: &Context,
    leased: &LeasedJob,
    mut progress: watch::Receiver<Progress>,
) -> StoreError {
    loop {
        if progress.changed().await.is_err() {
            // The sender is dropped with the render, which is about to end.
            std::future::pending::<()>().await;
        }
        let now = *progress.borrow_and_update();
        match context.store.set_progress(leased, &now).await {
            Err(lost @ StoreError::LeaseLost(_)) => return lost,
            Err(error) => tracing::debug!(%error, "progress not committed"),
            Ok(()) => {}
        }
        tokio::time::sleep(PROGRESS_INTERVAL).await;
    }
}

async fn store_file(
    context: &Context,
    rendition: &Rendition,
    path: &Path,
    rendered: Rendered,
    cancel: &CancellationToken,
) -> Result<RenderedFile, JobError> {
    // S3 takes the digest while it sends; a local store does not read the file.
    let put = PutFile {
        key: &rendition.object_key,
        path,
        content_type: &rendition.content_type,
        sha256: None,
        confirmed: None,
    };
    let stored = put_file(context, put, cancel).await?;
    let sha256 = match stored.sha256 {
        Some(sha256) => sha256,
        None => blob::file_digest(path, cancel).await?.sha256,
    };
    let Rendered { duration, width, height } = rendered;
    Ok(RenderedFile { bytes: stored.bytes, duration, width, height, sha256 })
}

/// Puts the file. While the object store is away it tries again for some minutes, since another render would cost more.
async fn put_file(
    context: &Context,
    put: PutFile<'_>,
    cancel: &CancellationToken,
) -> Result<ObjectInfo, JobError> {
    let (begun, mut failures) = (Instant::now(), 0);
    loop {
        match context.blobs.put_file(put.clone(), cancel).await {
            Err(error) if error.is_transient() && begun.elapsed() < PUT_PATIENCE => {
                failures += 1;
                let wait = backoff(
                    context.config.workers.first_backoff.0,
                    MAX_PUT_BACKOFF,
                    failures,
                    rand::random(),
                );
                tracing::warn!(%error, failures, ?wait, "rendition not stored yet, to be retried");
                let slept = cancel.run_until_cancelled(tokio::time::sleep(wait)).await;
                slept.ok_or(JobError::Cancelled)?;
            }
            put => return Ok(put?),
        }
    }
}
