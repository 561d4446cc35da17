//! Values that can't be used together, beside those that a section finds by itself.

use settings::Fault;

use super::Config;

impl Config {
    pub(super) fn all_faults(&self) -> Vec<Fault> {
        let mut faults = self.faults_between_sections();
        let sections = [
            ("webrtc", self.webrtc.faults()),
            ("spool", self.spool.faults()),
            ("blob", self.blob.faults()),
            ("jobs", self.jobs.faults()),
            ("segments", self.segments.faults()),
        ];
        for (section, found) in sections {
            faults.extend(found.into_iter().map(|fault| fault.within(section)));
        }
        faults
    }

    fn faults_between_sections(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut refuse = |key: &str, reason: &str| faults.push(Fault::new(key, reason));
        let open =
            "it would listen beyond loopback without authentication: set auth.tokens, or say --insecure";
        if !self.insecure && !self.authenticates() {
            // A client certificate authenticates callers of gRPC; the HTTP port requires none.
            if !self.grpc.listen.is_loopback() && self.tls.client_ca.is_none() {
                refuse("grpc.listen", open);
            }
            if !self.http.listen.is_loopback() {
                refuse("http.listen", open);
            }
        }
        if self.tls.certificate.is_some() != self.tls.key.is_some() {
            refuse("tls.key", "tls.certificate and tls.key are only valid together");
        }
        if self.tls.client_ca.is_some() && self.tls.certificate.is_none() {
            refuse("tls.client_ca", "needs tls.certificate and tls.key");
        }
        if self.node.heartbeat.is_zero() {
            refuse("node.heartbeat", "has to be longer than 0");
        }
        let lost_after = self.node.lost_after.0;
        if !lost_after.is_zero() && lost_after <= self.node.silent_after() {
            refuse("node.lost_after", "has to be longer than three heartbeats");
        }
        let is_url = |url: &String| url.starts_with("http://") || url.starts_with("https://");
        if !self.http.public_url.as_ref().is_none_or(is_url) {
            refuse("http.public_url", "has to begin with http:// or https://");
        }
        if self.grpc.max_message_bytes <= self.limits.offer_bytes {
            refuse("grpc.max_message_bytes", "has to be larger than limits.offer_bytes");
        }
        if self.data_dir.as_os_str().is_empty() {
            refuse("data_dir", "has to name a directory");
        }
        for (key, reason) in self.directory_faults() {
            refuse(key, &reason);
        }
        for (number, rule) in (1..).zip(&self.retention) {
            if rule.after.is_zero() {
                // In other keys 0 is never. Here it would be at once.
                let reason = "after = 0 would delete everything at the next run; media without a rule is never deleted";
                refuse("retention", &format!("entry {number}: {reason}"));
            }
        }
        faults
    }
}
