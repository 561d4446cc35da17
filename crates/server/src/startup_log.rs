//! What the log says first.

use crate::{
    App,
    config::{BlobConfig, Origin},
};

impl App {
    /// Says where everything is, a line each.
    pub fn log_startup(&self) {
        let config = &self.config;
        tracing::info!(version = env!("CARGO_PKG_VERSION"), node = %self.calls.api().cluster.node, "webrtc-recorder");
        let openssl = peer::openssl_version();
        if peer::openssl_predates_dtls_fixes() {
            tracing::warn!(openssl, "OpenSSL serves DTLS and lacks fixes of its DTLS code: update it");
        } else {
            tracing::info!(openssl, "DTLS");
        }
        tracing::info!(address = %self.grpc_address, tls = config.tls.certificate.is_some(), "gRPC");
        tracing::info!(address = %self.http_address, tls = config.tls.certificate.is_some(), "HTTP");
        let media = self.media_addresses();
        tracing::info!(addresses = ?media, announced = ?config.webrtc.public_ips, "media");
        tracing::info!(data_dir = %config.data_dir.display(), spool = %config.spool.directory.display(), "files");
        tracing::info!(database = %config.store.url.redacted(), "metadata");
        match config.blob() {
            BlobConfig::Local(directory) => tracing::info!(directory = %directory.display(), "objects"),
            BlobConfig::S3 { bucket, .. } => {
                tracing::info!(bucket, endpoint = config.blob.s3.endpoint, "objects");
            }
        }
        if !config.authenticates() && config.insecure {
            tracing::warn!("no authentication: whoever reaches the ports may record");
        }
        let open = !config.grpc.listen.is_loopback() || !config.http.listen.is_loopback();
        if open && config.authenticates() && config.tls.certificate.is_none() {
            tracing::warn!("no TLS: tokens travel readable unless something in front encrypts");
        }
        self.warn_of_what_has_no_effect();
    }

    fn warn_of_what_has_no_effect(&self) {
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
