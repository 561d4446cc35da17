//! From the checked configuration to what each crate wants, and the checks that take more than one value.

use std::{net::IpAddr, ops::RangeInclusive, path::PathBuf, time::Duration};

use capture::{CaptureConfig, Limits, SpoolConfig, WebrtcConfig};
use jobs::{JobsConfig, SegmentsConfig};
use model::NodeId;
use transcode::Worker;

use crate::node::dead_after;

use super::{
    ByteSize, Codec, Config, GoDuration, Jobs, Limit, PortRange, Problem, Secret, Segments, Spool, Webrtc,
    interfaces, keys::keys,
};

/// Shorter segments would be files and rows of little use, longer ones are not made.
const SEGMENT: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);

/// Which object store, and what it needs.
#[derive(Debug, Clone)]
pub enum BlobConfig {
    /// A local directory.
    Local(PathBuf),
    /// A bucket.
    S3 {
        /// Its name.
        bucket: String,
        /// Keys to it; none: what the AWS environment gives.
        credentials: Option<(Secret, Secret)>,
        /// Whether requests carry the newer checksums.
        checksum: bool,
    },
}

impl Config {
    /// What capture is started with.
    ///
    /// # Errors
    /// The system call that lists the machine's addresses.
    pub fn capture(&self, node: NodeId) -> std::io::Result<CaptureConfig> {
        Ok(CaptureConfig {
            node,
            base_path: self.blob.base_path.clone(),
            webrtc: WebrtcConfig {
                port_range: self.webrtc.udp_port_range.0.clone(),
                shards: (self.webrtc.shards > 0).then_some(self.webrtc.shards),
                listen_ips: self.media_addresses()?,
                public_ips: self.webrtc.public_ips.clone(),
                ice_tcp: self.webrtc.ice_tcp,
                codecs: self.webrtc.codecs.iter().map(|codec| codec.0.clone()).collect(),
                tick: self.webrtc.tick.0,
                disconnected_timeout: self.webrtc.ice_disconnected_timeout.0,
                failed_timeout: self.webrtc.ice_failed_timeout.0,
                connect_timeout: self.webrtc.connect_timeout.0,
                receive_buffer: self.webrtc.receive_buffer.as_usize(),
            },
            limits: Limits {
                sessions: self.limits.sessions,
                sessions_per_tenant: self.limits.sessions_per_tenant,
                offer_bytes: self.limits.offer_bytes.as_usize(),
                session_time: Some(self.limits.session_time.0).filter(|time| !time.is_zero()),
                recording_bytes: Some(self.limits.recording_bytes.0).filter(|bytes| *bytes > 0),
                min_free_bytes: self.limits.min_free_bytes.0,
            },
            spool: SpoolConfig {
                directory: self.spool.directory.clone(),
                sync_interval: self.spool.sync_interval.0,
                max_waiting_bytes: self.spool.max_waiting_bytes.as_usize(),
                stall_timeout: self.spool.stall_timeout.0,
                writers: self.spool.writers,
            },
        })
    }

    fn media_addresses(&self) -> std::io::Result<Vec<IpAddr>> {
        if !self.webrtc.listen_ips.is_empty() {
            return Ok(self.webrtc.listen_ips.clone());
        }
        let addresses = interfaces::addresses()?;
        // Whoever calls from this machine may send its media from this machine, too.
        let kept = addresses.into_iter().filter(|ip| !ip.is_loopback() || self.grpc.listen.is_loopback());
        Ok(kept.collect())
    }

    /// What the workers are started with.
    #[must_use]
    pub fn jobs(&self, node: NodeId) -> JobsConfig {
        let defaults = JobsConfig::new(node, self.spool.directory.clone());
        let node_lost_after = Some(self.node.lost_after.0).filter(|time| !time.is_zero());
        JobsConfig {
            upload_workers: self.jobs.upload_workers,
            max_attempts: self.jobs.upload_max_retry.saturating_add(1),
            first_backoff: self.jobs.first_backoff.0,
            max_backoff: self.jobs.max_backoff.0,
            lease: self.jobs.lease.0,
            poll: self.jobs.poll.0,
            work: self.jobs.work_directory.clone(),
            render_workers: self.jobs.transcoding_workers.unwrap_or(defaults.render_workers),
            render_max_attempts: self.jobs.transcoding_max_retry.saturating_add(1),
            retention: self.retention.iter().map(|rule| rule.0.clone()).collect(),
            retention_interval: self.jobs.retention_interval.0,
            segments: SegmentsConfig {
                directory: self.segments.directory.clone(),
                interval: self.segments.interval.0,
                wait: self.segments.wait.0,
                keep: self.segments.keep.0,
                clean_up_interval: self.segments.clean_up_interval.0,
                followers: self.segments.followers,
            },
            base_path: self.blob.base_path.clone(),
            // Two looks are needed to take a node for lost.
            maintenance_interval: node_lost_after
                .map_or(defaults.maintenance_interval, |after| defaults.maintenance_interval.min(after / 4)),
            node_lost_after,
            ..defaults
        }
    }

    /// Who makes renditions: this very program, in processes of their own. By this name it is found even if another
    /// version has been put in its place.
    #[must_use]
    pub fn renderer(&self) -> Worker {
        let mut worker = Worker::new("/proc/self/exe");
        worker.limits.memory_bytes = Some(self.jobs.transcoding_memory.0).filter(|bytes| *bytes > 0);
        worker
    }

    /// Which object store.
    #[must_use]
    pub fn blob(&self) -> BlobConfig {
        let s3 = &self.blob.s3;
        match &s3.bucket {
            None => BlobConfig::Local(self.blob.local.directory.clone()),
            Some(bucket) => BlobConfig::S3 {
                bucket: bucket.clone(),
                credentials: s3.access_key.clone().zip(s3.secret_key.clone()),
                checksum: s3.checksum.unwrap_or(s3.endpoint.is_none()),
            },
        }
    }

    /// The keys below a prefix that have another value than by default. Being set to it changes nothing: what
    /// [`print`](Self::print) has printed sets every key.
    fn changed_below(&self, prefix: &str) -> Vec<&'static str> {
        let (mut ours, mut defaults) = (self.clone(), Self::default());
        let below = keys().into_iter().filter(|key| key.name.starts_with(prefix));
        below.filter(|key| (key.show)(&mut ours) != (key.show)(&mut defaults)).map(|key| key.name).collect()
    }

    /// What is wrong between values that are each fine.
    pub(super) fn contradictions(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut refuse = |key: &str, problem: &str| {
            problems.push(Problem {
                key: key.to_owned(),
                origin: self.origin(key),
                problem: problem.to_owned(),
            });
        };
        let open =
            "it would listen beyond loopback without authentication: set auth.tokens, or say --insecure";
        if !self.insecure && !self.authenticates() {
            // A client certificate proves who calls gRPC; the HTTP port asks for none.
            if !self.grpc.listen.is_loopback() && self.tls.client_ca.is_none() {
                refuse("grpc.listen", open);
            }
            if !self.http.listen.is_loopback() {
                refuse("http.listen", open);
            }
        }
        if self.tls.certificate.is_some() != self.tls.key.is_some() {
            refuse("tls.key", "tls.certificate and tls.key go together");
        }
        if self.tls.client_ca.is_some() && self.tls.certificate.is_none() {
            refuse("tls.client_ca", "needs tls.certificate and tls.key");
        }
        if self.blob.s3.access_key.is_some() != self.blob.s3.secret_key.is_some() {
            refuse("blob.s3.secret_key", "blob.s3.access_key and blob.s3.secret_key go together");
        }
        if self.blob.s3.part_bytes.0 < 5 << 20 {
            refuse("blob.s3.part_bytes", "S3 takes no part smaller than 5MiB");
        }
        if self.blob.s3.bucket.is_none() {
            for key in self.changed_below("blob.s3.") {
                refuse(key, "has no effect without blob.s3.bucket: objects would go to blob.local.directory");
            }
        }
        let lost_after = self.node.lost_after.0;
        if !lost_after.is_zero() && lost_after <= dead_after(self.node.heartbeat.0) {
            refuse("node.lost_after", "has to be longer than three heartbeats");
        }
        for (key, before) in self.shared_directories() {
            refuse(key, &format!("is the directory of {before}, too: each needs its own"));
        }
        for (key, zero) in [
            ("jobs.upload_workers", self.jobs.upload_workers == 0),
            ("jobs.transcoding_workers", self.jobs.transcoding_workers == Some(0)),
            ("spool.writers", self.spool.writers == 0),
            ("limits.sessions", self.limits.sessions == 0),
            ("store.max_connections", self.store.max_connections == 0),
        ] {
            if zero {
                refuse(key, "has to be 1 or more");
            }
        }
        for (key, time) in [
            ("node.heartbeat", self.node.heartbeat),
            ("webrtc.tick", self.webrtc.tick),
            ("webrtc.ice_failed_timeout", self.webrtc.ice_failed_timeout),
            ("webrtc.connect_timeout", self.webrtc.connect_timeout),
            ("spool.sync_interval", self.spool.sync_interval),
            ("spool.stall_timeout", self.spool.stall_timeout),
            ("jobs.lease", self.jobs.lease),
            ("jobs.poll", self.jobs.poll),
            ("jobs.retention_interval", self.jobs.retention_interval),
            ("segments.clean_up_interval", self.segments.clean_up_interval),
        ] {
            if time.0.is_zero() {
                refuse(key, "has to be longer than 0");
            }
        }
        if !SEGMENT.contains(&self.segments.interval.0) {
            refuse("segments.interval", "has to be from 1s to 1h");
        }
        let is_url = |url: &String| url.starts_with("http://") || url.starts_with("https://");
        if !self.http.public_url.as_ref().is_none_or(is_url) {
            refuse("http.public_url", "has to begin with http:// or https://");
        }
        if self.webrtc.codecs.is_empty() {
            refuse("webrtc.codecs", "names no codec");
        }
        if self.grpc.max_message_bytes.0 <= self.limits.offer_bytes.0 {
            refuse("grpc.max_message_bytes", "has to be larger than limits.offer_bytes");
        }
        problems
    }
}

impl From<WebrtcConfig> for Webrtc {
    fn from(from: WebrtcConfig) -> Self {
        Self {
            udp_port_range: PortRange(from.port_range),
            shards: from.shards.unwrap_or(0),
            listen_ips: Vec::new(),
            public_ips: from.public_ips,
            ice_tcp: from.ice_tcp,
            codecs: from.codecs.into_iter().map(Codec).collect(),
            tick: GoDuration(from.tick),
            ice_disconnected_timeout: GoDuration(from.disconnected_timeout),
            ice_failed_timeout: GoDuration(from.failed_timeout),
            ice_keepalive_interval: GoDuration(Duration::from_secs(2)),
            connect_timeout: GoDuration(from.connect_timeout),
            receive_buffer: ByteSize(from.receive_buffer as u64),
        }
    }
}

impl From<Limits> for Limit {
    fn from(from: Limits) -> Self {
        Self {
            sessions: from.sessions,
            sessions_per_tenant: from.sessions_per_tenant,
            offer_bytes: ByteSize(from.offer_bytes as u64),
            session_time: GoDuration(from.session_time.unwrap_or_default()),
            recording_bytes: ByteSize(from.recording_bytes.unwrap_or_default()),
            min_free_bytes: ByteSize(from.min_free_bytes),
            name_bytes: 1024,
        }
    }
}

impl From<SpoolConfig> for Spool {
    fn from(from: SpoolConfig) -> Self {
        Self {
            directory: from.directory,
            sync_interval: GoDuration(from.sync_interval),
            max_waiting_bytes: ByteSize(from.max_waiting_bytes as u64),
            stall_timeout: GoDuration(from.stall_timeout),
            writers: from.writers,
        }
    }
}

impl Default for Jobs {
    fn default() -> Self {
        let from = JobsConfig::new(NodeId::default(), PathBuf::new());
        Self {
            upload_workers: from.upload_workers,
            upload_max_retry: from.max_attempts.saturating_sub(1),
            transcoding_workers: None,
            transcoding_max_retry: from.render_max_attempts.saturating_sub(1),
            transcoding_memory: ByteSize(2 << 30),
            work_directory: PathBuf::new(),
            retention_interval: GoDuration(from.retention_interval),
            first_backoff: GoDuration(from.first_backoff),
            max_backoff: GoDuration(from.max_backoff),
            lease: GoDuration(from.lease),
            poll: GoDuration(from.poll),
        }
    }
}

impl Default for Segments {
    fn default() -> Self {
        let from = SegmentsConfig::new(PathBuf::new());
        Self {
            directory: from.directory,
            interval: GoDuration(from.interval),
            wait: GoDuration(from.wait),
            keep: GoDuration(from.keep),
            clean_up_interval: GoDuration(from.clean_up_interval),
            followers: from.followers,
        }
    }
}
