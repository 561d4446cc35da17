//! How workers work.

use std::{path::PathBuf, time::Duration};

use model::{NodeId, TenantId};

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
    /// Runs of a render that fail by themselves before it is parked; others have `max_attempts`.
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
    /// Interval between two runs of the periodic tasks that look for orphaned uploads and lost nodes.
    pub maintenance_interval: Duration,
    /// Segments.
    pub segments: SegmentsConfig,
}

/// How renditions are made while their recordings go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentsConfig {
    /// Where segments are kept.
    pub directory: PathBuf,
    /// How long segments are. A recording shorter than one has none.
    pub interval: Duration,
    /// How long a rendition waits for its segments when the recording has ended; then it is made of the whole recording.
    pub wait: Duration,
    /// How long segments are kept that nobody has joined.
    pub keep: Duration,
    /// How often those are looked for.
    pub clean_up_interval: Duration,
    /// Renditions at a time, each made by a process of its own.
    pub followers: usize,
}

impl JobsConfig {
    /// Defaults for a node and its spool.
    #[must_use]
    pub fn new(node: NodeId, spool: PathBuf) -> Self {
        Self {
            node,
            work: spool.with_file_name("work"),
            segments: SegmentsConfig::new(spool.with_file_name("segments")),
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
            maintenance_interval: Duration::from_secs(60),
        }
    }

    /// With values that workers can live with in place of those that they can't.
    pub(crate) fn bounded(mut self) -> Self {
        self.upload_workers = self.upload_workers.max(1);
        self.render_workers = self.render_workers.max(1);
        self.lease = self.lease.max(SHORTEST);
        self.poll = self.poll.max(SHORTEST);
        self.maintenance_interval = self.maintenance_interval.max(SHORTEST);
        self.segments.interval = self.segments.interval.max(SHORTEST);
        self.segments.clean_up_interval = self.segments.clean_up_interval.max(SHORTEST);
        self
    }
}

impl SegmentsConfig {
    /// Defaults for a directory.
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            interval: Duration::from_secs(10),
            wait: Duration::from_secs(5 * 60),
            keep: Duration::from_secs(24 * 3600),
            clean_up_interval: Duration::from_secs(3600),
            followers: 32,
        }
    }
}

/// The age at which recordings or renditions are deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionRule {
    /// The tenant. None: every tenant that has no rule of its own for the same kind.
    pub tenant: Option<TenantId>,
    /// Renditions of this kind, whose age counts from when they became available. None: recordings with all their renditions,
    /// whose age counts from their end.
    pub rendition: Option<String>,
    /// The age at which they are deleted.
    pub after: Duration,
}
