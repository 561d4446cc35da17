//! Makes a rendition and brings it into the object store.

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
    JobError, RenderError, RenderRequest, Rendered, delete::abort_uploads, dispatch::Context,
    finalized_file::FinalizedFile, live_render::join, retry::backoff, upload::unless_cancelled,
    work_directory::WorkDirectory,
};

/// About what it takes to remove an object.
const REMOVAL: TimeDelta = TimeDelta::milliseconds(100);
/// How often progress is written down, at most.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// How long a file that has been made waits for an object store that is away.
const PUT_PATIENCE: Duration = Duration::from_secs(10 * 60);
/// The longest pause in that time.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The key follows from the recording and the parameters alone, so that a rerun overwrites.
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
    // Also says whether the job was cancelled in the moment before anybody listened.
    context.store.note_progress(leased, &Progress::default()).await?;
    // Of a run that was killed. Whether this one ever comes to store anything is open.
    abort_uploads(context, &rendition.object_key).await?;
    let work = WorkDirectory::make(&context.config.work, leased)
        .map_err(|source| JobError::Work { path: context.config.work.clone(), source })?;
    let output = work.path().join(file_name(&rendition));
    let rendered = match join::segments_of(context, recording, &rendition, &output, cancel).await? {
        Some(joined) => joined,
        None => {
            let input = fetch(context, recording, &work, cancel).await?;
            let order = RenderRequest { input: &input, output: &output, parameters: &rendition.parameters };
            render(context, leased, order, cancel).await?
        }
    };
    let file = store_file(context, &rendition, &output, rendered, cancel).await?;
    if let Err(error) = context.store.forget_segments(recording.id, &rendition.parameters).await {
        tracing::debug!(%error, "rows of segments are left to the clean-up");
    }
    Ok(JobOutcome::Rendered(file))
}

/// Whether a job removes the rendition's former file, which would be the new one if that came before.
async fn is_being_removed(context: &Context, leased: &LeasedJob, id: RenditionId) -> Result<bool, JobError> {
    let jobs = context.store.jobs_of(leased.job.recording).await?;
    Ok(jobs.iter().any(|job| {
        job.kind == JobKind::Delete && job.rendition == Some(id) && job.state == JobState::InProgress
    }))
}

/// The recording's file under a name of the job's own, so that nobody removes it meanwhile: from the spool while it is
/// there, else from the object store.
async fn fetch(
    context: &Context,
    recording: &Recording,
    work: &WorkDirectory,
    cancel: &CancellationToken,
) -> Result<PathBuf, JobError> {
    let file = FinalizedFile::of(recording, &context.config.spool)?;
    let input = work.path().join(format!("input.{}", file.container.extension()));
    if let Some(found) = borrow(&file.path, &input, file.bytes)? {
        return Ok(found);
    }
    if let Some(object) = context.blobs.local_path(file.key)?
        && let Some(found) = borrow(&object, &input, file.bytes)?
    {
        return Ok(found);
    }
    let fetched = cancel.run_until_cancelled(context.blobs.get_file(file.key, &input)).await;
    let fetched = fetched.ok_or(JobError::Cancelled)?.map_err(|error| match error {
        BlobError::NotFound(_) => JobError::FileMissing { path: file.path.clone() },
        error => error.into(),
    })?;
    // An object that was sent in parts has no note of its SHA-256 to be held against.
    if let Err(differs) = file.check(&fetched)
        && !is_rescued(context, recording).await?
    {
        return Err(differs);
    }
    Ok(input)
}

/// The object holds less than was sealed while its node is lost.
async fn is_rescued(context: &Context, recording: &Recording) -> Result<bool, JobError> {
    let upload = context.store.upload_of(recording.id).await?;
    Ok(upload.is_some_and(|(upload, _)| upload.rescued))
}

/// A second name for a file if it is there with this size; where there can't be one, its own.
fn borrow(path: &Path, name: &Path, bytes: u64) -> Result<Option<PathBuf>, JobError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() && metadata.len() == bytes => {}
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(JobError::Spool { path: path.to_owned(), source }),
    }
    match fs::hard_link(path, name) {
        Ok(()) => Ok(Some(name.to_owned())),
        // Removed just now.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        // On another file system. If it goes while it is being read, the next run fetches it from the store.
        Err(_) => Ok(Some(path.to_owned())),
    }
}

fn file_name(rendition: &Rendition) -> &str {
    rendition.object_key.rsplit_once('/').map_or(rendition.object_key.as_str(), |(_, name)| name)
}

/// Renders, and meanwhile writes down how far it is. If that shows that the job is ours no longer, it ends.
async fn render(
    context: &Context,
    leased: &LeasedJob,
    order: RenderRequest<'_>,
    cancel: &CancellationToken,
) -> Result<Rendered, JobError> {
    let (sender, receiver) = watch::channel(Progress::default());
    let stop = cancel.child_token();
    let rendering = context.renderer.render(order, &stop, &sender);
    tokio::pin!(rendering);
    let lost = tokio::select! {
        rendered = &mut rendering => return rendered.map_err(JobError::from),
        lost = tell(context, leased, receiver) => lost,
    };
    stop.cancel();
    let _ = rendering.await;
    Err(lost.into())
}

/// Returns when the lease is lost.
async fn tell(context: &Context, leased: &LeasedJob, mut progress: watch::Receiver<Progress>) -> StoreError {
    loop {
        if progress.changed().await.is_err() {
            // Nothing more comes; the render's own end is near.
            std::future::pending::<()>().await;
        }
        let now = *progress.borrow_and_update();
        match context.store.note_progress(leased, &now).await {
            Err(lost @ StoreError::LeaseLost(_)) => return lost,
            Err(error) => tracing::debug!(%error, "progress is not written down"),
            Ok(()) => {}
        }
        tokio::time::sleep(TELL_EVERY).await;
    }
}

async fn store_file(
    context: &Context,
    rendition: &Rendition,
    path: &Path,
    rendered: Rendered,
    cancel: &CancellationToken,
) -> Result<RenderedFile, JobError> {
    // The store digests it on its way, or doesn't read it at all.
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
        None => blob::file_digest(path, cancel).await.map_err(unless_cancelled)?.sha256,
    };
    let Rendered { duration, width, height } = rendered;
    Ok(RenderedFile { bytes: stored.bytes, duration, width, height, sha256 })
}

/// Puts a file, again and again for a while if the object store is away: to render it anew would cost more.
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
                let wait = backoff(context.config.first_backoff, LONGEST_PAUSE, failures, rand::random());
                tracing::warn!(%error, failures, ?wait, "a rendition can't be stored yet");
                let slept = cancel.run_until_cancelled(tokio::time::sleep(wait)).await;
                slept.ok_or(JobError::Cancelled)?;
            }
            put => return put.map_err(unless_cancelled),
        }
    }
}

impl From<RenderError> for JobError {
    fn from(error: RenderError) -> Self {
        match error {
            RenderError::Cancelled => Self::Cancelled,
            error => Self::Render(error),
        }
    }
}
