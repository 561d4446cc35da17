//! A recording, watched: told as it is, then each change.
//!
//! A watcher holds the newest state that it has told and nothing else: when something has changed it reads the rows
//! again and tells the difference. A reader who is slow makes it wait; what changes meanwhile is told as one, after
//! word that something was missed.

use std::{collections::HashMap, sync::Arc, time::Duration};

use model::{Job, JobId, Recording, RecordingId, RecordingState, Rendition, RenditionId, TenantId};
use proto::recorder::v1 as pb;
use store::{Change, Store, StoreError};
use tokio::{
    sync::{OwnedSemaphorePermit, broadcast, mpsc},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{Api, ApiError};
use crate::{auth::Caller, wire};

/// Watchers at a time on this node: each change costs each of them some queries.
pub(crate) const MAX_WATCHERS: usize = 256;
/// Events on their way to a reader. While they are not taken, the watcher waits.
const CHANNEL: usize = 16;
/// What was not heard of (another process on SQLite, a broken connection to Postgres) is seen after this.
const POLL: Duration = Duration::from_secs(2);
/// Between two looks at the rows.
const BREATH: Duration = Duration::from_millis(100);

/// What a watcher is told. Dropping it ends the watch.
pub(crate) type Watching = mpsc::Receiver<Result<pb::WatchRecordingResponse, ApiError>>;

impl Api {
    /// Watches a recording, until it is deleted, the recorder stops, or what is returned is dropped.
    ///
    /// # Errors
    /// `Invalid`, `NotFound`, `WatchLimit`, `Store`.
    pub async fn watch_recording(
        &self,
        caller: &Caller,
        request: pb::WatchRecordingRequest,
    ) -> Result<Watching, ApiError> {
        let id: RecordingId =
            request.recording_id.parse().map_err(|_| ApiError::invalid("recording_id", "must be a UUID"))?;
        // Before the first look, so that no change falls between.
        let changes = self.store.changes();
        self.recording(caller, id).await?;
        let place = Arc::clone(&self.watchers)
            .try_acquire_owned()
            .map_err(|_| ApiError::WatchLimit { limit: MAX_WATCHERS })?;
        let (sender, receiver) = mpsc::channel(CHANNEL);
        let watcher = Watcher {
            store: Arc::clone(&self.store),
            tenant: caller.tenant.clone(),
            id,
            changes,
            told: Told::default(),
            sender,
            closing: self.closing.clone(),
            _place: place,
        };
        self.work.spawn(watcher.run());
        Ok(receiver)
    }
}

/// What a reader knows.
#[derive(Default)]
struct Told {
    recording: Option<Recording>,
    renditions: HashMap<RenditionId, Rendition>,
    jobs: HashMap<JobId, Job>,
}

struct Watcher {
    store: Arc<dyn Store>,
    tenant: TenantId,
    id: RecordingId,
    changes: broadcast::Receiver<Change>,
    told: Told,
    sender: mpsc::Sender<Result<pb::WatchRecordingResponse, ApiError>>,
    closing: CancellationToken,
    _place: OwnedSemaphorePermit,
}

/// Something that is to be told.
enum Event {
    Recording(Recording),
    Rendition(Rendition),
    Job(Job),
    Lagged(i64),
}

/// The reader has gone.
struct Gone;

impl Watcher {
    async fn run(mut self) {
        loop {
            match self.look().await {
                Ok(events) => match self.tell(events).await {
                    Ok(()) => {}
                    Err(Gone) => return,
                },
                Err(StoreError::NotFound { .. }) => return,
                Err(error) => tracing::debug!(%error, "a watcher looks again later"),
            }
            if self.is_over() {
                return;
            }
            let (sender, closing) = (self.sender.clone(), self.closing.clone());
            tokio::select! {
                () = sender.closed() => return,
                () = closing.cancelled() => {
                    // If there is no room for it, the stream just ends.
                    let _ = sender.try_send(Err(ApiError::Stopping));
                    return;
                }
                () = self.wait() => {}
            }
        }
    }

    /// What is not as it was told.
    async fn look(&self) -> Result<Vec<Event>, StoreError> {
        let recording = self.store.recording(&self.tenant, self.id).await?;
        let renditions = self.store.renditions_of(&self.tenant, self.id).await?;
        let jobs = self.store.jobs_of(self.id).await?;
        let told = &self.told;
        let mut events = Vec::new();
        if told.recording.as_ref() != Some(&recording) {
            events.push(Event::Recording(recording));
        }
        let new = |one: &Rendition| told.renditions.get(&one.id) != Some(one);
        events.extend(renditions.into_iter().filter(new).map(Event::Rendition));
        let new = |one: &Job| told.jobs.get(&one.id) != Some(one);
        events.extend(jobs.into_iter().filter(new).map(Event::Job));
        Ok(events)
    }

    /// Tells them, as fast as they are read. If something changed while nothing was read, the rest is left to the next
    /// look.
    async fn tell(&mut self, events: Vec<Event>) -> Result<(), Gone> {
        for event in events {
            if self.sender.capacity() == 0 {
                let missed = self.wait_for_room().await?;
                if missed > 0 {
                    return self.send(Event::Lagged(missed)).await;
                }
            }
            self.send(event).await?;
        }
        Ok(())
    }

    /// How many changes were heard of before there was room again.
    async fn wait_for_room(&mut self) -> Result<i64, Gone> {
        let closing = self.closing.clone();
        tokio::select! {
            room = self.sender.reserve() => drop(room.map_err(|_| Gone)?),
            () = closing.cancelled() => return Err(Gone),
        }
        let mut missed = 0;
        loop {
            match self.changes.try_recv() {
                Ok(change) if concerns(self.id, change) => missed += 1,
                Ok(_) => {}
                Err(broadcast::error::TryRecvError::Lagged(_)) => missed += 1,
                Err(_) => return Ok(missed),
            }
        }
    }

    async fn send(&mut self, event: Event) -> Result<(), Gone> {
        let shown = pb::WatchRecordingResponse { event: Some(event.shown()) };
        self.sender.send(Ok(shown)).await.map_err(|_| Gone)?;
        self.told.note(event);
        Ok(())
    }

    /// Returns when something of the recording may have changed.
    async fn wait(&mut self) {
        sleep(BREATH).await;
        let (id, changes) = (self.id, &mut self.changes);
        let heard = async {
            loop {
                match changes.recv().await {
                    Ok(change) if !concerns(id, change) => {}
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => return,
                    Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        let _ = tokio::time::timeout(POLL, heard).await;
    }

    /// Nothing changes any more after a deletion, once its jobs are done.
    fn is_over(&self) -> bool {
        let is_deleted =
            self.told.recording.as_ref().is_some_and(|recording| recording.state == RecordingState::Deleted);
        is_deleted && self.told.jobs.values().all(|job| job.state.is_final())
    }
}

fn concerns(id: RecordingId, change: Change) -> bool {
    match change {
        Change::Recording(changed) => changed == id,
        // Told as a change of its recording, too.
        Change::Cancelled(_) => false,
        Change::Anything => true,
    }
}

impl Told {
    fn note(&mut self, event: Event) {
        match event {
            Event::Recording(recording) => self.recording = Some(recording),
            Event::Rendition(rendition) => drop(self.renditions.insert(rendition.id, rendition)),
            Event::Job(job) => drop(self.jobs.insert(job.id, job)),
            Event::Lagged(_) => {}
        }
    }
}

impl Event {
    fn shown(&self) -> pb::watch_recording_response::Event {
        use pb::watch_recording_response::Event as Shown;
        match self {
            Self::Recording(recording) => Shown::Recording(wire::recording(recording)),
            Self::Rendition(rendition) => Shown::Rendition(wire::rendition(rendition)),
            Self::Job(job) => Shown::Job(wire::job(job)),
            Self::Lagged(missed) => Shown::Lagged(pb::Lagged { missed: *missed }),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use model::{Channel, Container, JobKind, NodeId, Source};
    use proto::recorder::v1::watch_recording_response::Event as Shown;
    use store::{FinalizedRecording, NewJob, NewRendition, Store as _};
    use store_sqlite::SqliteStore;
    use tokio::sync::Semaphore;

    use super::*;

    fn recording() -> Recording {
        let (id, now) = (RecordingId::new(), Utc::now());
        Recording {
            id,
            tenant: TenantId::default(),
            name: String::new(),
            correlation_id: String::new(),
            channel: Channel::Call,
            source: Source::Webrtc,
            node: NodeId::default(),
            state: RecordingState::Processing,
            started_at: now,
            ended_at: Some(now),
            end_reason: None,
            container: Some(Container::Webm),
            object_key: Some(Recording::object_key("", id, now, Container::Webm)),
            duration: Duration::ZERO,
            bytes: 0,
            sha256: None,
            error: None,
            tracks: Vec::new(),
            results: Vec::new(),
        }
    }

    #[tokio::test]
    async fn a_reader_that_falls_behind_is_told_so_and_gets_the_newest_state() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(folder.path().join("recorder.db")).await.unwrap());
        store.migrate().await.unwrap();
        let recording = recording();
        // More than the channel holds.
        let upload = NewJob { kind: JobKind::Upload, node: None, run_at: Utc::now() };
        let jobs = vec![upload; CHANNEL + 4];
        let sealed = FinalizedRecording { recording: recording.clone(), jobs, renditions: Vec::new() };
        store.finalize(&sealed).await.unwrap();
        let (sender, mut receiver) = mpsc::channel(CHANNEL);
        let watcher = Watcher {
            store: store.clone(),
            tenant: recording.tenant.clone(),
            id: recording.id,
            changes: store::Store::changes(&*store),
            told: Told::default(),
            sender: sender.clone(),
            closing: CancellationToken::new(),
            _place: Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap(),
        };
        let watching = tokio::spawn(watcher.run());
        while sender.capacity() > 0 {
            tokio::task::yield_now().await;
        }
        for kind in ["mp3", "mp4", "wav"] {
            let new = NewRendition {
                kind: kind.to_owned(),
                parameters: kind.to_owned(),
                object_key: kind.to_owned(),
                content_type: String::new(),
            };
            store.create_rendition(&recording.tenant, recording.id, &new).await.unwrap();
        }
        drop(sender);
        let (mut missed, mut jobs, mut renditions) = (0, 0, 0);
        // The jobs that were sealed, those of the renditions, and the renditions themselves.
        while jobs < CHANNEL + 4 + 3 || renditions < 3 {
            match receiver.recv().await.unwrap().unwrap().event.unwrap() {
                Shown::Recording(_) => {}
                Shown::Job(_) => jobs += 1,
                Shown::Rendition(_) => renditions += 1,
                Shown::Lagged(lagged) => missed += lagged.missed,
            }
        }
        assert!(missed >= 3, "{missed}");
        drop(receiver);
        watching.await.unwrap();
    }
}
