//! TLS and mutual TLS on both ports.

use openssl::{
    asn1::Asn1Time,
    bn::BigNum,
    ec::{EcGroup, EcKey},
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    x509::{
        X509, X509NameBuilder,
        extension::{BasicConstraints, SubjectAlternativeName},
    },
};
use tempfile::TempDir;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use proto::webrtc_recorder::{StopP2pVideoRequest, web_rtc_service_client::WebRtcServiceClient};

use crate::support::{OFFER, TestApp, upload};

struct Issued {
    certificate: X509,
    key: PKey<Private>,
}

impl Issued {
    /// A certificate for localhost signed by `authority`; without one, a self-signed authority.
    fn new(authority: Option<&Self>) -> Self {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
        let mut name = X509NameBuilder::new().unwrap();
        let common = if authority.is_some() { "localhost" } else { "authority" };
        name.append_entry_by_text("CN", common).unwrap();
        let name = name.build();
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap();
        let serial = BigNum::from_u32(rand::random::<u32>() >> 1).unwrap().to_asn1_integer().unwrap();
        builder.set_serial_number(&serial).unwrap();
        builder.set_subject_name(&name).unwrap();
        builder.set_pubkey(&key).unwrap();
        builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
        match authority {
            None => {
                builder.set_issuer_name(&name).unwrap();
                builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
                builder.sign(&key, MessageDigest::sha256()).unwrap();
            }
            Some(authority) => {
                builder.set_issuer_name(authority.certificate.subject_name()).unwrap();
                let context = builder.x509v3_context(Some(&authority.certificate), None);
                let names =
                    SubjectAlternativeName::new().dns("localhost").ip("127.0.0.1").build(&context).unwrap();
                builder.append_extension(names).unwrap();
                builder.sign(&authority.key, MessageDigest::sha256()).unwrap();
            }
        }
        Self { certificate: builder.build(), key }
    }

    fn pem(&self) -> (String, String) {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (text(self.certificate.to_pem().unwrap()), text(self.key.private_key_to_pem_pkcs8().unwrap()))
    }
}

struct Files {
    _directory: TempDir,
    certificate: String,
    key: String,
    ca: String,
}

fn files(authority: &Issued) -> Files {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (certificate, key) = Issued::new(Some(authority)).pem();
    Files {
        certificate: write("certificate.pem", certificate),
        key: write("key.pem", key),
        ca: write("ca.pem", authority.pem().0),
        _directory: directory,
    }
}

fn client(app: &TestApp, authority: &Issued, identity: Option<&Issued>) -> WebRtcServiceClient<Channel> {
    let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority.pem().0));
    if let Some(identity) = identity {
        let (certificate, key) = identity.pem();
        tls = tls.identity(Identity::from_pem(certificate, key));
    }
    let url = format!("https://localhost:{}", app.grpc.port());
    WebRtcServiceClient::new(Endpoint::from_shared(url).unwrap().tls_config(tls).unwrap().connect_lazy())
}

#[tokio::test]
async fn with_a_certificate_both_ports_accept_tls_only() {
    let authority = Issued::new(None);
    let files = files(&authority);
    let app = TestApp::start(&[("tls.certificate", &files.certificate), ("tls.key", &files.key)]).await;
    client(&app, &authority, None).upload_p2p_video(upload(OFFER)).await.unwrap();
    app.webrtc().upload_p2p_video(upload(OFFER)).await.unwrap_err();

    let _ = rustls::crypto::ring::default_provider().install_default();
    let root = reqwest::Certificate::from_pem(authority.pem().0.as_bytes()).unwrap();
    let https = reqwest::Client::builder().tls_certs_only([root]).build().unwrap();
    let url = format!("https://localhost:{}/readyz", app.http.port());
    assert_eq!(https.get(url).send().await.unwrap().status().as_u16(), 200);
    reqwest::get(app.url("/readyz")).await.unwrap_err();
    app.stop().await;
}

#[tokio::test]
async fn nodes_forward_calls_over_tls() {
    let authority = Issued::new(None);
    let files = files(&authority);
    let shared = tempfile::tempdir().unwrap();
    let database = shared.path().join("recorder.db");
    let common = [
        ("store.url", database.to_str().unwrap()),
        ("node.advertise", "localhost"),
        ("tls.certificate", &files.certificate),
        ("tls.key", &files.key),
        ("tls.client_ca", &files.ca),
    ];
    let owner = TestApp::start(&[&common[..], &[("node.id", "owner")]].concat()).await;
    let other = TestApp::start(&[&common[..], &[("node.id", "other")]].concat()).await;
    let ours = Issued::new(Some(&authority));
    let begun = client(&owner, &authority, Some(&ours)).upload_p2p_video(upload(OFFER)).await.unwrap();
    let stop = StopP2pVideoRequest { id: begun.into_inner().id };
    client(&other, &authority, Some(&ours)).stop_p2p_video(stop).await.unwrap();
    owner.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn with_a_client_authority_a_client_needs_its_certificate() {
    let authority = Issued::new(None);
    let files = files(&authority);
    let app = TestApp::start(&[
        ("tls.certificate", &files.certificate),
        ("tls.key", &files.key),
        ("tls.client_ca", &files.ca),
    ])
    .await;
    let ours = Issued::new(Some(&authority));
    client(&app, &authority, Some(&ours)).upload_p2p_video(upload(OFFER)).await.unwrap();
    client(&app, &authority, None).upload_p2p_video(upload(OFFER)).await.unwrap_err();
    let unknown_authority = Issued::new(None);
    let theirs = Issued::new(Some(&unknown_authority));
    client(&app, &authority, Some(&theirs)).upload_p2p_video(upload(OFFER)).await.unwrap_err();
    app.stop().await;
}
