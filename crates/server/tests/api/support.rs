//! A recorder in this process, on free ports and in its own directory.

use std::{collections::BTreeMap, net::SocketAddr};

use proto::{
    recorder::v1::{
        ingest_service_client::IngestServiceClient, recording_service_client::RecordingServiceClient,
    },
    webrtc_recorder::{UploadP2pVideoRequest, web_rtc_service_client::WebRtcServiceClient},
};
use serde_json::Value;
use server::{App, Config, Ended, config::Flag, config::Sources};
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};
use tonic::{
    Request,
    transport::{Channel, Endpoint},
};

/// Hashes of `recorder-token`, `viewer-token` and `other-token`, the last of another tenant.
pub const TOKENS: &str = r#"[
  { tenant = "acme", role = "recorder", name = "pbx", sha256 = "253a8fcd018b73407fdbdf4cd516472100124b247f77b5037effa8cb5f32ac6f" },
  { tenant = "acme", role = "viewer", name = "desk", sha256 = "d036bd6d01a1cae081d39a2f8dab751dc042de814fd60df31fcb553170950f29" },
  { tenant = "other", role = "admin", name = "other", sha256 = "6c67163bbed989f232b31acc4f04df54b31285bfc01bd022c735b71e041a4754" },
]"#;

/// A shortened offer of Chromium. No client ever connects for it.
pub const OFFER: &str = include_str!("offer.sdp");

/// A UUID that no session has.
pub const NOBODY: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

pub fn upload(sdp_offer: &str) -> UploadP2pVideoRequest {
    UploadP2pVideoRequest { sdp_offer: sdp_offer.to_owned(), ..Default::default() }
}

/// A request with a token.
pub fn with_token<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

pub struct TestApp {
    pub grpc: SocketAddr,
    pub http: SocketAddr,
    pub directory: TempDir,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Ended>,
}

/// The settings of every test, then those of this test.
pub fn sources(directory: &TempDir, settings: &[(&str, &str)]) -> Sources {
    let common = [
        ("data_dir", directory.path().to_str().unwrap()),
        ("grpc.listen", "127.0.0.1:0"),
        ("http.listen", "127.0.0.1:0"),
        ("webrtc.udp_port_range", "0"),
        ("webrtc.listen_ips", "127.0.0.1"),
        ("webrtc.shards", "1"),
        ("limits.min_free_bytes", "0"),
    ];
    let flag = |(key, value): &(&str, &str)| Flag {
        flag: "--set".to_owned(),
        key: (*key).to_owned(),
        value: (*value).to_owned(),
    };
    let flags = common.iter().chain(settings).map(flag).collect();
    Sources { file: None, environment: BTreeMap::new(), flags }
}

impl TestApp {
    pub async fn start(settings: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = Config::load(&sources(&directory, settings)).unwrap();
        let app = App::build(config).await.unwrap();
        let (grpc, http) = (app.grpc_address(), app.http_address());
        let (stop, stopped) = oneshot::channel();
        let ended = tokio::spawn(async move {
            app.run(async {
                let _ = stopped.await;
            })
            .await
            .unwrap()
        });
        Self { grpc, http, directory, stop, ended }
    }

    pub async fn stop(self) -> Ended {
        self.stop_and_return_files().await.0
    }

    /// Stops it. Its directory is removed when the returned handle is dropped.
    pub async fn stop_and_return_files(self) -> (Ended, TempDir) {
        self.stop.send(()).unwrap();
        (self.ended.await.unwrap(), self.directory)
    }

    pub fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.grpc)).unwrap().connect_lazy()
    }

    pub fn webrtc(&self) -> WebRtcServiceClient<Channel> {
        WebRtcServiceClient::new(self.channel())
    }

    pub fn recordings(&self) -> RecordingServiceClient<Channel> {
        RecordingServiceClient::new(self.channel())
    }

    pub fn ingest(&self) -> IngestServiceClient<Channel> {
        IngestServiceClient::new(self.channel())
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http)
    }
}

/// A client of the HTTP port.
pub fn http() -> reqwest::Client {
    // Fails if another test has installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

/// Sends a request. Returns code and body of the response.
pub async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}
