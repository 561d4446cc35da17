//! What the parts of the service are started with.

use std::net::IpAddr;

use capture::CaptureConfig;
use jobs::JobsConfig;
use model::NodeId;
use transcode::Worker;

use super::{Config, interfaces};

impl Config {
    /// What capture is started with.
    ///
    /// # Errors
    /// The system call that lists the machine's addresses.
    pub fn capture(&self, node: NodeId) -> std::io::Result<CaptureConfig> {
        let mut webrtc = self.webrtc.clone();
        webrtc.listen_ips = self.media_addresses()?;
        let (base_path, limits, spool) =
            (self.blob.base_path.clone(), self.limits.clone(), self.spool.clone());
        Ok(CaptureConfig { node, base_path, webrtc, limits, spool })
    }

    fn media_addresses(&self) -> std::io::Result<Vec<IpAddr>> {
        if !self.webrtc.listen_ips.is_empty() {
            return Ok(self.webrtc.listen_ips.clone());
        }
        let addresses = interfaces::addresses()?;
        // Callers on this machine may send their media from this machine, too.
        let used = addresses.into_iter().filter(|ip| !ip.is_loopback() || self.grpc.listen.is_loopback());
        Ok(used.collect())
    }

    /// What the workers are started with.
    #[must_use]
    pub fn jobs(&self, node: NodeId) -> JobsConfig {
        let defaults = JobsConfig::new(node, self.spool.directory.clone());
        let node_lost_after = Some(self.node.lost_after.0).filter(|time| !time.is_zero());
        let interval = defaults.maintenance_interval;
        JobsConfig {
            base_path: self.blob.base_path.clone(),
            workers: self.jobs.clone(),
            segments: self.segments.clone(),
            retention: self.retention.clone(),
            // A node counts as lost after it was found silent twice.
            maintenance_interval: node_lost_after.map_or(interval, |after| interval.min(after / 4)),
            node_lost_after,
            ..defaults
        }
    }

    /// The program that renders: this one, in processes of its own. This name finds it even if another version has replaced
    /// its file.
    #[must_use]
    pub fn renderer(&self) -> Worker {
        let mut worker = Worker::new("/proc/self/exe");
        worker.limits.memory_bytes = self.jobs.render_memory();
        worker
    }
}
