//! An object store whose next calls fail, wait or panic by script.

use std::{
    collections::{HashMap, VecDeque},
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use blob::{BlobError, BlobStore, LocalDir, ObjectInfo, PutFile};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// The next put's behaviour instead of storing the file.
#[derive(Debug, Clone, Copy)]
pub enum Put {
    Unavailable,
    Refused,
    Panic,
    /// Confirms a half after this time, the other after as long again, and ends after as long again.
    InHalves(Duration),
}

#[derive(Debug)]
pub struct ScriptedBlobs {
    objects: LocalDir,
    script: Mutex<VecDeque<Put>>,
    /// Each put takes a permit first. Without permits puts wait.
    gate: Semaphore,
    puts: Mutex<HashMap<String, usize>>,
    running: AtomicUsize,
    most_running: AtomicUsize,
    cancelled: AtomicUsize,
}

impl ScriptedBlobs {
    pub fn new(objects: LocalDir) -> Self {
        Self {
            objects,
            script: Mutex::default(),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
            puts: Mutex::default(),
            running: AtomicUsize::default(),
            most_running: AtomicUsize::default(),
            cancelled: AtomicUsize::default(),
        }
    }

    pub fn script(&self, puts: impl IntoIterator<Item = Put>) {
        self.script.lock().unwrap().extend(puts);
    }

    /// From now on puts wait until [`Self::release`].
    pub fn hold(&self) {
        self.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    /// Ends [`Self::hold`].
    pub fn release(&self) {
        self.gate.add_permits(Semaphore::MAX_PERMITS - self.gate.available_permits());
    }

    /// Puts that run now.
    pub fn running(&self) -> usize {
        self.running.load(SeqCst)
    }

    pub fn most_running(&self) -> usize {
        self.most_running.load(SeqCst)
    }

    /// Puts that were cancelled while they waited.
    pub fn cancelled(&self) -> usize {
        self.cancelled.load(SeqCst)
    }

    /// Number of puts to a key.
    pub fn puts(&self, key: &str) -> usize {
        self.puts.lock().unwrap().get(key).copied().unwrap_or_default()
    }
}

/// Counts a put as running until it is dropped.
struct Running<'a>(&'a AtomicUsize);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

#[async_trait::async_trait]
impl BlobStore for ScriptedBlobs {
    async fn put_file(&self, file: PutFile<'_>, cancel: &CancellationToken) -> Result<ObjectInfo, BlobError> {
        *self.puts.lock().unwrap().entry(file.key.to_owned()).or_default() += 1;
        let running = self.running.fetch_add(1, SeqCst) + 1;
        let _running = Running(&self.running);
        self.most_running.fetch_max(running, SeqCst);
        if cancel.run_until_cancelled(self.gate.acquire()).await.is_none() {
            self.cancelled.fetch_add(1, SeqCst);
            return Err(BlobError::Cancelled);
        }
        let next = self.script.lock().unwrap().pop_front();
        match next {
            Some(Put::Unavailable) => Err(BlobError::Unavailable("no answer".into())),
            Some(Put::Refused) => Err(BlobError::Refused("403".into())),
            Some(Put::Panic) => panic!("a panic by script"),
            Some(Put::InHalves(wait)) => {
                let half = std::fs::metadata(file.path).unwrap().len() / 2;
                for _ in 0..2 {
                    tokio::time::sleep(wait).await;
                    file.confirmed.unwrap().send_modify(|bytes| *bytes += half);
                }
                tokio::time::sleep(wait).await;
                self.objects.put_file(PutFile { confirmed: None, ..file }, cancel).await
            }
            None => self.objects.put_file(file, cancel).await,
        }
    }

    async fn head(&self, key: &str) -> Result<ObjectInfo, BlobError> {
        self.objects.head(key).await
    }

    async fn get_file(&self, key: &str, path: &Path) -> Result<ObjectInfo, BlobError> {
        self.objects.get_file(key, path).await
    }

    async fn delete(&self, key: &str) -> Result<(), BlobError> {
        self.objects.delete(key).await
    }

    async fn download_url(
        &self,
        key: &str,
        valid: Duration,
        file_name: Option<&str>,
    ) -> Result<Option<String>, BlobError> {
        self.objects.download_url(key, valid, file_name).await
    }

    fn local_path(&self, key: &str) -> Result<Option<std::path::PathBuf>, BlobError> {
        self.objects.local_path(key)
    }

    async fn ping(&self) -> Result<(), BlobError> {
        self.objects.ping().await
    }
}
