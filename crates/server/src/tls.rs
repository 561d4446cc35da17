//! TLS of the gRPC port, the HTTP port and the calls to other nodes.

use std::{fs, path::PathBuf, sync::Arc};

use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tonic::transport::{Certificate, ClientTlsConfig, Identity, ServerTlsConfig};

use crate::config::Tls;

/// An unusable file.
#[derive(Debug)]
pub(crate) struct TlsError {
    /// The key that names it.
    pub(crate) key: &'static str,
    /// What is wrong.
    pub(crate) problem: String,
}

/// The certificates that were read. Empty without TLS.
#[derive(Clone, Default)]
pub(crate) struct Material {
    identity: Option<(String, String)>,
    client_ca: Option<String>,
}

impl Material {
    /// Reads and checks the files.
    pub(crate) fn read(tls: &Tls) -> Result<Self, TlsError> {
        let (Some(certificate), Some(key)) = (&tls.certificate, &tls.key) else { return Ok(Self::default()) };
        let certificate = read("tls.certificate", certificate)?;
        let key = read("tls.key", key)?;
        let client_ca = tls.client_ca.as_ref().map(|path| read("tls.client_ca", path)).transpose()?;
        for (name, pem) in [("tls.certificate", Some(&certificate)), ("tls.client_ca", client_ca.as_ref())] {
            let none = pem.is_some_and(|pem| certificates(pem).is_none_or(|found| found.is_empty()));
            if none {
                return Err(TlsError {
                    key: name,
                    problem: "the file contains no PEM certificate".to_owned(),
                });
            }
        }
        let material = Self { identity: Some((certificate, key)), client_ca };
        material.http_server()?;
        Ok(material)
    }

    /// For the gRPC port. It requests client certificates if an authority is configured.
    pub(crate) fn grpc_server(&self) -> Option<ServerTlsConfig> {
        let (certificate, key) = self.identity.as_ref()?;
        let server = ServerTlsConfig::new().identity(Identity::from_pem(certificate, key));
        Some(match &self.client_ca {
            Some(ca) => server.client_ca_root(Certificate::from_pem(ca)),
            None => server,
        })
    }

    /// For calls to other nodes. Each side presents its certificate. Without an authority, nodes share one certificate.
    pub(crate) fn grpc_client(&self) -> Option<ClientTlsConfig> {
        let (certificate, key) = self.identity.as_ref()?;
        let client = ClientTlsConfig::new().identity(Identity::from_pem(certificate, key));
        Some(match &self.client_ca {
            Some(ca) => client.ca_certificate(Certificate::from_pem(ca)),
            // Nodes that share a certificate trust it, also if it is self-signed.
            None => client.ca_certificate(Certificate::from_pem(certificate)),
        })
    }

    /// For the HTTP port. It requests no client certificates: probes and scrapers have none, callers have tokens.
    pub(crate) fn http_server(&self) -> Result<Option<Arc<ServerConfig>>, TlsError> {
        let Some((certificate, key)) = &self.identity else { return Ok(None) };
        let unusable = |problem: String| TlsError { key: "tls.key", problem };
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
            .map_err(|_| unusable("the file contains no PEM private key".to_owned()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                builder
                    .with_no_client_auth()
                    .with_single_cert(certificates(certificate).unwrap_or_default(), key)
            })
            .map_err(|error| unusable(format!("certificate and key can't be used: {error}")))?;
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Some(Arc::new(server)))
    }
}

fn read(key: &'static str, path: &PathBuf) -> Result<String, TlsError> {
    fs::read_to_string(path)
        .map_err(|error| TlsError { key, problem: format!("can't read {}: {error}", path.display()) })
}

/// None if the text is not PEM.
fn certificates(pem: &str) -> Option<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().ok()
}
