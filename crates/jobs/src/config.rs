//! The configuration of background work: the sections `jobs`, `segments` and `retention`, and what a node adds to them.

use std::{ops::RangeInclusive, path::PathBuf, time::Duration as StdDuration};

use model::{NodeId, TenantId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settings::{ByteSize, Duration, Fault};
use transcode::RenditionKind;

/// The shortest lease and the shortest sleep: shorter ones would occupy a core.
const SHORTEST: Duration = Duration::from_millis(10);
/// Shorter segments would be files and rows of little use.
const SEGMENT: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);

/// Everything that [`Workers`](crate::Workers) are started with.
#[derive(Debug, Clone, PartialEq)]
pub struct JobsConfig {
    /// This node.
    pub node: NodeId,
    /// The spool's directory: a recording's file is `<spool>/<id>/<id>.<format>`.
    pub spool: PathBuf,
    /// The first part of every object key.
    pub base_path: String,
    /// The section `jobs`.
    pub workers: WorkersConfig,
    /// The section `segments`.
    pub segments: SegmentsConfig,
    /// Ages at which recordings and renditions are deleted.
    pub retention: Vec<RetentionRule>,
    /// Silence of a node after which another one completes its uploads. None: never.
    pub node_lost_after: Option<StdDuration>,
    /// How long a clean-up waits for the renders of its recording. Later ones fetch the media from the object store.
    pub keep_for_renders: StdDuration,
    /// Interval between two runs of the periodic tasks that look for orphaned uploads and lost nodes.
    pub maintenance_interval: StdDuration,
}

impl JobsConfig {
    /// Defaults for a node and its spool. Work and segments are beside the spool, so that nothing has to be copied.
    #[must_use]
    pub fn new(node: NodeId, spool: PathBuf) -> Self {
        Self {
            node,
            workers: WorkersConfig {
                work_directory: spool.with_file_name("work"),
                ..WorkersConfig::default()
            },
            segments: SegmentsConfig {
                directory: spool.with_file_name("segments"),
                ..SegmentsConfig::default()
            },
            spool,
            base_path: String::new(),
            retention: Vec::new(),
            node_lost_after: None,
            keep_for_renders: StdDuration::from_secs(3600),
            maintenance_interval: StdDuration::from_secs(60),
        }
    }

    /// The same with at least one worker of each kind, and without intervals that would occupy a core.
    pub(crate) fn bounded(mut self) -> Self {
        self.workers.upload_workers = self.workers.upload_workers.max(1);
        self.workers.transcoding_workers = self.workers.transcoding_workers.max(1);
        self.workers.lease = self.workers.lease.max(SHORTEST);
        self.workers.poll = self.workers.poll.max(SHORTEST);
        self.maintenance_interval = self.maintenance_interval.max(SHORTEST.0);
        self.segments.interval = self.segments.interval.max(SHORTEST);
        self.segments.clean_up_interval = self.segments.clean_up_interval.max(SHORTEST);
        self
    }
}

/// Work on finished recordings: the section `jobs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct WorkersConfig {
    /// Concurrent uploads, 1 to 1,000.
    #[schemars(range(min = 1, max = 1000), extend("env" = "UPLOADER_WORKERS"))]
    pub upload_workers: usize,
    /// Repeats of a failed upload before its job is parked. The recording stays on disk.
    #[schemars(extend("env" = "UPLOADER_MAX_RETRY"))]
    pub upload_max_retry: u32,
    /// Concurrent renders, 1 to 1,000, each in a process of its own with a lower priority.
    #[schemars(range(min = 1, max = 1000), extend("env" = "TRANSCODING_WORKERS", "default_text" = "one a core"))]
    pub transcoding_workers: usize,
    /// Repeats of a failed render before its job is parked. Media that can't be decoded parks it at once. Failures of the
    /// object store and of the database count against `jobs.upload_max_retry` instead.
    #[schemars(extend("env" = "TRANSCODING_MAX_RETRY"))]
    pub transcoding_max_retry: u32,
    /// Most address space of a render's process. `0`: no limit. AV1 of large pictures may need more than the default.
    pub transcoding_memory: ByteSize,
    /// Directory of renders. Nothing has to be copied if it is on the spool's file system.
    #[schemars(extend("default_text" = "`<data_dir>/work`"))]
    pub work_directory: PathBuf,
    /// Interval at which one node of the cluster deletes what `retention` names.
    pub retention_interval: Duration,
    /// Wait after a job's first failure. It doubles with each further one.
    pub first_backoff: Duration,
    /// Longest wait after a failure.
    pub max_backoff: Duration,
    /// Lease: how long a job stays assigned after its worker stops renewing.
    pub lease: Duration,
    /// Longest time between two looks at the job queue.
    pub poll: Duration,
}

impl Default for WorkersConfig {
    fn default() -> Self {
        Self {
            upload_workers: 10,
            // With the waits below about two hours: nobody has to act on an outage of the object store that ends within them.
            upload_max_retry: 34,
            transcoding_workers: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            transcoding_max_retry: 3,
            transcoding_memory: ByteSize(2 << 30),
            work_directory: PathBuf::from("work"),
            retention_interval: Duration::from_secs(3600),
            first_backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(300),
            lease: Duration::from_secs(60),
            poll: Duration::from_secs(5),
        }
    }
}

impl WorkersConfig {
    /// Runs of a job before it is parked.
    #[must_use]
    pub fn max_attempts(&self) -> u32 {
        self.upload_max_retry.saturating_add(1)
    }

    /// Runs of a render that fail by themselves before it is parked.
    #[must_use]
    pub fn max_render_attempts(&self) -> u32 {
        self.transcoding_max_retry.saturating_add(1)
    }

    /// Address space of a render's process, in bytes. None: no limit.
    #[must_use]
    pub fn render_memory(&self) -> Option<u64> {
        Some(self.transcoding_memory.0).filter(|bytes| *bytes > 0)
    }

    /// Values of the section that can't be used.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let durations =
            [("lease", self.lease), ("poll", self.poll), ("retention_interval", self.retention_interval)];
        let zero = durations.into_iter().filter(|(_, duration)| duration.is_zero());
        zero.map(|(key, _)| Fault::new(key, "has to be longer than 0")).collect()
    }
}

/// Renditions that are made in segments while their recordings are open: the section `segments`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SegmentsConfig {
    /// Duration of a segment, `1s` to `1h`. Shorter recordings have none.
    pub interval: Duration,
    /// How long a rendition waits for its segments after its recording has ended. Then it is rendered from the whole recording.
    pub wait: Duration,
    /// Age, counted from the recording's end, at which segments that were not joined are removed.
    pub keep: Duration,
    /// Interval at which segments of that age are looked for.
    pub clean_up_interval: Duration,
    /// Most renditions of open recordings that are made at the same time, at most 1,000, each in a process of its own with a
    /// lower priority. Others are rendered after their recordings have ended. `0`: all of them.
    #[schemars(range(max = 1000))]
    pub followers: usize,
    /// Directory of segments until they are joined.
    #[schemars(extend("default_text" = "`<data_dir>/segments`"))]
    pub directory: PathBuf,
}

impl Default for SegmentsConfig {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(10),
            wait: Duration::from_secs(5 * 60),
            keep: Duration::from_secs(24 * 3600),
            clean_up_interval: Duration::from_secs(3600),
            followers: 32,
            directory: PathBuf::from("segments"),
        }
    }
}

impl SegmentsConfig {
    /// Values of the section that can't be used.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.clean_up_interval.is_zero() {
            faults.push(Fault::new("clean_up_interval", "has to be longer than 0"));
        }
        if !SEGMENT.contains(&self.interval) {
            faults.push(Fault::new("interval", "has to be from 1s to 1h"));
        }
        faults
    }
}

/// The age at which recordings or renditions are deleted: an entry of `retention`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetentionRule {
    /// The tenant. None: every tenant that has no rule of its own for the same kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub tenant: Option<TenantId>,
    /// Renditions of this kind, whose age counts from when they became available. None: recordings with all their renditions,
    /// whose age counts from their end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rendition: Option<RenditionKind>,
    /// The age at which they are deleted.
    pub after: Duration,
}
