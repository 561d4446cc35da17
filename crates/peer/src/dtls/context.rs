//! The OpenSSL context that all sessions share. No setting depends on the system's openssl.cnf.

use openssl::{
    error::ErrorStack,
    ssl::{SslContext, SslMethod, SslOptions, SslSessionCacheMode, SslVerifyMode, SslVersion},
};

use super::{
    Engine,
    certificate::{Identity, fingerprint},
    session::OpensslSession,
    sys,
};

const CIPHERS: &str =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305";
const GROUPS: &str = "X25519:P-256:P-384";
/// RSA too, for clients such as GStreamer that have an RSA certificate.
const SIGNATURES: &str = "ECDSA+SHA256:ECDSA+SHA384:RSA-PSS+SHA256:RSA+SHA256:RSA+SHA384:RSA+SHA512";
/// AES-GCM first: it is several times cheaper than AES-CM with HMAC-SHA1.
const SRTP_PROFILES: &str = "SRTP_AEAD_AES_128_GCM:SRTP_AEAD_AES_256_GCM:SRTP_AES128_CM_SHA1_80";

pub(crate) struct DtlsContext {
    context: SslContext,
    fingerprint: [u8; 32],
}

impl DtlsContext {
    pub(crate) fn new() -> Result<Self, ErrorStack> {
        let identity = Identity::generate()?;
        let mut builder = SslContext::builder(SslMethod::dtls_server())?;
        builder.set_min_proto_version(Some(SslVersion::DTLS1_2))?;
        builder.set_max_proto_version(Some(SslVersion::DTLS1_2))?;
        // 1: at least 80 bits. Some distributions set 2, which refuses clients with RSA keys of 1024 bits.
        builder.set_security_level(1);
        builder.set_cipher_list(CIPHERS)?;
        builder.set_groups_list(GROUPS)?;
        builder.set_sigalgs_list(SIGNATURES)?;
        builder.set_options(
            SslOptions::NO_QUERY_MTU
                | SslOptions::NO_RENEGOTIATION
                | SslOptions::NO_TICKET
                | SslOptions::NO_COMPRESSION
                | SslOptions::CIPHER_SERVER_PREFERENCE,
        );
        builder.set_session_cache_mode(SslSessionCacheMode::OFF);
        // One read has to return a whole datagram.
        builder.set_read_ahead(true);
        builder.set_tlsext_use_srtp(SRTP_PROFILES)?;
        builder.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
        builder.set_certificate(&identity.certificate)?;
        builder.set_private_key(&identity.key)?;
        builder.check_private_key()?;
        sys::limit_sizes(&mut builder);
        sys::accept_any_certificate(&mut builder);
        Ok(Self { fingerprint: fingerprint(&identity.certificate)?, context: builder.build() })
    }

    /// The SHA-256 of our certificate.
    pub(crate) fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    /// A session that waits for a ClientHello.
    pub(crate) fn session(&self) -> Result<Box<dyn Engine>, ErrorStack> {
        Ok(Box::new(OpensslSession::new(&self.context)?))
    }
}
