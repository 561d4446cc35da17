//! The first lines of the log: versions, addresses, directories, and settings that deserve a warning.

use crate::{App, config::Origin};

/// What is wrong with the installed OpenSSL, and what to do about it. None: nothing is known to be wrong.
pub fn openssl_fault() -> Option<String> {
    peer::openssl_predates_dtls_fixes().then(|| {
        format!(
            "{} lacks security fixes of DTLS, with which clients connect: upgrade the package libssl3, then restart the \
             recorder",
            peer::openssl_version()
        )
    })
}

impl App {
    /// Logs where everything is, one line each.
    pub fn log_startup(&self) {
        let config = &self.config;
        tracing::info!(version = env!("CARGO_PKG_VERSION"), node = %self.calls.api().cluster.node, "webrtc-recorder");
        match openssl_fault() {
            Some(fault) => tracing::error!("{fault}"),
            None => tracing::info!(openssl = peer::openssl_version(), "DTLS"),
        }
        tracing::info!(address = %self.grpc_address, tls = config.tls.certificate.is_some(), "gRPC");
        tracing::info!(address = %self.http_address, tls = config.tls.certificate.is_some(), "HTTP");
        let media = self.media_addresses();
        tracing::info!(addresses = ?media, announced = ?config.webrtc.public_ips, "media");
        tracing::info!(data_dir = %config.data_dir.display(), spool = %config.spool.directory.display(), "files");
        tracing::info!(database = %config.store.url.redacted(), "metadata");
        match config.blob.s3.bucket.as_str() {
            "" => tracing::info!(directory = %config.blob.local.directory.display(), "objects"),
            bucket => tracing::info!(bucket, endpoint = config.blob.s3.endpoint, "objects"),
        }
        if !config.authenticates() && config.insecure {
            tracing::warn!("no authentication: every client that reaches the ports may record");
        }
        let open = !config.grpc.listen.is_loopback() || !config.http.listen.is_loopback();
        if open && config.authenticates() && config.tls.certificate.is_none() {
            tracing::warn!("no TLS: tokens are sent in plain text unless a proxy in front encrypts");
        }
        self.warn_of_keys_without_effect();
    }

    fn warn_of_keys_without_effect(&self) {
        if let Some(address) = &self.config.consul.address {
            tracing::warn!(address, "Consul: registration is not part of this version");
        }
        let key = "webrtc.ice_keepalive_interval";
        let origin = self.config.origin(key);
        if origin != Origin::Default {
            tracing::warn!(key, %origin, "has no effect in this version");
        }
    }
}
