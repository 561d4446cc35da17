//! How workers work.

use std::{path::PathBuf, time::Duration};

use model::{JobKind, NodeId};

use crate::RetentionRule;

/// The shortest lease and the shortest sleep that are taken: shorter ones would keep a core busy.
const SHORTEST: Duration = Duration::from_millis(10);

/// How workers work.
#[derive(Debug, Clone, PartialEq)]
pub struct JobsConfig {
    /// This node.
    pub node: NodeId,
    /// The spool's directory: a recording's file is `<spool>/<id>/<id>.<format>`.
    pub spool: PathBuf,
    /// Renders work in directories below it, `<work>/<job id>`. On the spool's file system nothing has to be copied.
    pub work: PathBuf,
    /// Uploads at a time; at least one.
    pub upload_workers: usize,
    /// Runs of a job before it is parked.
    pub max_attempts: u32,
    /// Renders at a time; at least one.
    pub render_workers: usize,
    /// Runs of a render before it is parked.
    pub render_max_attempts: u32,
    /// How long a clean-up waits for the renders of its recording. Those that are later fetch the media from the object
    /// store.
    pub keep_for_renders: Duration,
    /// What is deleted with age.
    pub retention: Vec<RetentionRule>,
    /// How often that is looked for.
    pub retention_interval: Duration,
    /// The first wait after a failure; it doubles from run to run, with jitter.
    pub first_backoff: Duration,
    /// The longest wait.
    pub max_backoff: Duration,
    /// How long a lease lasts; it is renewed at a third of it.
    pub lease: Duration,
    /// The longest sleep between looks at the queue.
    pub poll: Duration,
    /// The first part of every object key.
    pub base_path: String,
    /// A node that has said nothing for so long is lost: another one completes its uploads with what is there. None:
    /// nobody does.
    pub node_lost_after: Option<Duration>,
    /// How often uploads that nobody ends are looked for.
    pub keep: Duration,
}

impl JobsConfig {
    /// Defaults for a node and its spool.
    #[must_use]
    pub fn new(node: NodeId, spool: PathBuf) -> Self {
        Self {
            node,
            work: spool.with_file_name("work"),
            spool,
            upload_workers: 10,
            // With the waits below about two hours: an outage of the object store that is mended within them needs nobody.
            max_attempts: 35,
            render_workers: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            render_max_attempts: 4,
            keep_for_renders: Duration::from_secs(3600),
            retention: Vec::new(),
            retention_interval: Duration::from_secs(3600),
            first_backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(300),
            lease: Duration::from_secs(60),
            poll: Duration::from_secs(5),
            base_path: String::new(),
            node_lost_after: None,
            keep: Duration::from_secs(60),
        }
    }

    pub(crate) fn max_attempts(&self, kind: JobKind) -> u32 {
        match kind {
            JobKind::Render => self.render_max_attempts,
            JobKind::Upload | JobKind::CleanUp | JobKind::Delete => self.max_attempts,
        }
    }

    /// With values that workers can live with in place of those that they can't.
    pub(crate) fn bounded(mut self) -> Self {
        self.upload_workers = self.upload_workers.max(1);
        self.render_workers = self.render_workers.max(1);
        self.lease = self.lease.max(SHORTEST);
        self.poll = self.poll.max(SHORTEST);
        self.keep = self.keep.max(SHORTEST);
        self
    }
}
