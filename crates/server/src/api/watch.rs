//! `WatchRecording`: sends the current state of a recording, then each change.
//!
//! A watcher stores only the state that it has sent. After a change it reads the rows again and sends the difference. A
//! slow client makes it wait; the changes in the meantime are sent as one difference, after a `Lagged` event.

use std::{collections::HashMap, sync::Arc, time::Duration};

use model::{Job, JobId, Recording, RecordingId, RecordingState, Rendition, RenditionId, TenantId};
use proto::recorder::v1 as pb;
use store::{Change, Store, StoreError};
use tokio::{
    sync::{OwnedSemaphorePermit, broadcast, mpsc},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{Api, check};
use crate::{auth::Caller, error::ApiError, wire};

/// Maximum of watchers on this node: each change costs each watcher some queries.
pub(crate) const MAX_WATCHERS: usize = 256;
/// Capacity of the channel to the client, in events. While it is full, the watcher waits.
const CHANNEL: usize = 16;
/// Changes without a notification (another process on SQLite, a broken connection to Postgres) are found within this
/// interval.
const POLL: Duration = Duration::from_secs(2);
/// Minimum interval between two reads of the rows.
const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// The events of a watch. Dropping it ends the watch.
pub(crate) type Watch = mpsc::Receiver<Result<pb::WatchRecordingResponse, ApiError>>;

impl Api {
    /// Watches a recording until it is deleted, the recorder stops, or the returned receiver is dropped.
    ///
    /// # Errors
    /// `Invalid`, `NotFound`, `WatchLimit`, `Store`.
    pub async fn watch_recording(
        &self,
        caller: &Caller,
        request: pb::WatchRecordingRequest,
    ) -> Result<Watch, ApiError> {
        let id = check::recording_id("recording_id", &request.recording_id)?;
        // Subscribed before the first read, so that no change is missed between the two.
        let changes = self.store.changes();
        self.recording(caller, id).await?;
        let permit = Arc::clone(&self.watchers)
            .try_acquire_owned()
            .map_err(|_| ApiError::WatchLimit { limit: MAX_WATCHERS })?;
        let (sender, receiver) = mpsc::channel(CHANNEL);
        let watcher = Watcher {
            store: Arc::clone(&self.store),
            tenant: caller.tenant.clone(),
            id,
            changes,
            sent: Sent::default(),
            sender,
            closing: self.closing.clone(),
            _permit: permit,
        };
        self.work.spawn(watcher.run());
        Ok(receiver)
    }
}

/// The state that the client has.
#[derive(Default)]
struct Sent {
    recording: Option<Recording>,
    renditions: HashMap<RenditionId, Rendition>,
    jobs: HashMap<JobId, Job>,
}

struct Watcher {
    store: Arc<dyn Store>,
    tenant: TenantId,
    id: RecordingId,
    changes: broadcast::Receiver<Change>,
    sent: Sent,
    sender: mpsc::Sender<Result<pb::WatchRecordingResponse, ApiError>>,
    closing: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

/// An event to send.
enum Event {
    Recording(Recording),
    Rendition(Rendition),
    Job(Job),
    Lagged(i64),
}

/// The client has disconnected.
struct Disconnected;

impl Watcher {
    async fn run(mut self) {
        loop {
            match self.read_changes().await {
                Ok(events) => match self.send_all(events).await {
                    Ok(()) => {}
                    Err(Disconnected) => return,
                },
                Err(StoreError::NotFound { .. }) => return,
                Err(error) => tracing::debug!(%error, "watch: reading the rows failed, retried later"),
            }
            if self.is_over() {
                return;
            }
            let (sender, closing) = (self.sender.clone(), self.closing.clone());
            tokio::select! {
                () = sender.closed() => return,
                () = closing.cancelled() => {
                    // If the channel is full, the stream ends without this error.
                    let _ = sender.try_send(Err(ApiError::Stopping));
                    return;
                }
                () = self.wait() => {}
            }
        }
    }

    /// Reads the rows and returns what differs from the sent state.
    async fn read_changes(&self) -> Result<Vec<Event>, StoreError> {
        let recording = self.store.recording(&self.tenant, self.id).await?;
        let renditions = self.store.renditions_of(&self.tenant, self.id).await?;
        let jobs = self.store.jobs_of(self.id).await?;
        let sent = &self.sent;
        let mut events = Vec::new();
        if sent.recording.as_ref() != Some(&recording) {
            events.push(Event::Recording(recording));
        }
        let new = |one: &Rendition| sent.renditions.get(&one.id) != Some(one);
        events.extend(renditions.into_iter().filter(new).map(Event::Rendition));
        let new = |one: &Job| sent.jobs.get(&one.id) != Some(one);
        events.extend(jobs.into_iter().filter(new).map(Event::Job));
        Ok(events)
    }

    /// Sends the events as fast as the client reads them. If changes were missed while it did not read, sends `Lagged` and
    /// leaves the rest to the next read of the rows.
    async fn send_all(&mut self, events: Vec<Event>) -> Result<(), Disconnected> {
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

    /// Waits until the channel has room. Returns how many changes were notified in the meantime.
    async fn wait_for_room(&mut self) -> Result<i64, Disconnected> {
        let closing = self.closing.clone();
        tokio::select! {
            room = self.sender.reserve() => drop(room.map_err(|_| Disconnected)?),
            () = closing.cancelled() => return Err(Disconnected),
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

    async fn send(&mut self, event: Event) -> Result<(), Disconnected> {
        let message = pb::WatchRecordingResponse { event: Some(event.message()) };
        self.sender.send(Ok(message)).await.map_err(|_| Disconnected)?;
        self.sent.update(event);
        Ok(())
    }

    /// Returns when the recording, a rendition or a job of it may have changed.
    async fn wait(&mut self) {
        sleep(MIN_INTERVAL).await;
        let (id, changes) = (self.id, &mut self.changes);
        let notified = async {
            loop {
                match changes.recv().await {
                    Ok(change) if !concerns(id, change) => {}
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => return,
                    Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        let _ = tokio::time::timeout(POLL, notified).await;
    }

    /// After a deletion, nothing changes any more once all jobs are done.
    fn is_over(&self) -> bool {
        let is_deleted =
            self.sent.recording.as_ref().is_some_and(|recording| recording.state == RecordingState::Deleted);
        is_deleted && self.sent.jobs.values().all(|job| job.state.is_final())
    }
}

fn concerns(id: RecordingId, change: Change) -> bool {
    match change {
        Change::Recording(changed) => changed == id,
        // The store also notifies a change of its recording.
        Change::Cancelled(_) => false,
        Change::Anything => true,
    }
}

impl Sent {
    fn update(&mut self, event: Event) {
        match event {
            Event::Recording(recording) => self.recording = Some(recording),
            Event::Rendition(rendition) => drop(self.renditions.insert(rendition.id, rendition)),
            Event::Job(job) => drop(self.jobs.insert(job.id, job)),
            Event::Lagged(_) => {}
        }
    }
}

impl Event {
    fn message(&self) -> pb::watch_recording_response::Event {
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
    async fn a_slow_client_receives_lagged_and_the_newest_state() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(folder.path().join("recorder.db")).await.unwrap());
        store.migrate().await.unwrap();
        let recording = recording();
        // More than the channel holds.
        let upload = NewJob { kind: JobKind::Upload, node: None, run_at: Utc::now() };
        let jobs = vec![upload; CHANNEL + 4];
        let finalized = FinalizedRecording { recording: recording.clone(), jobs, renditions: Vec::new() };
        store.finalize(&finalized).await.unwrap();
        let (sender, mut receiver) = mpsc::channel(CHANNEL);
        let watcher = Watcher {
            store: store.clone(),
            tenant: recording.tenant.clone(),
            id: recording.id,
            changes: store::Store::changes(&*store),
            sent: Sent::default(),
            sender: sender.clone(),
            closing: CancellationToken::new(),
            _permit: Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap(),
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
        // The jobs of the finalized recording, those of the renditions, and the renditions themselves.
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
