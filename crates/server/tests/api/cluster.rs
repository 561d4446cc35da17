//! Several nodes on one database: each forwards calls about the others' sessions.

use std::time::Duration;

use model::{Channel, NodeId, Recording, RecordingId, RecordingState, Source, TenantId};
use proto::{
    recorder::v1::{
        GetRecordingRequest, ListSessionsRequest, ListSessionsResponse, RecordingState as State,
        Source as PbSource,
    },
    webrtc_recorder::{RenegotiateP2pVideoRequest, StopP2pVideoRequest, UploadP2pVideoRequest},
};
use store::Store as _;
use store_postgres::{PostgresConfig, PostgresStore};
use store_sqlite::SqliteStore;
use testkit::servers::postgres::Postgres;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::support::{OFFER, TOKENS, TestApp, upload, with_token};

#[tokio::test]
async fn a_call_to_another_node_is_forwarded_to_the_owner() {
    let shared = tempfile::tempdir().unwrap();
    let database = shared.path().join("recorder.db");
    let common = [("store.url", database.to_str().unwrap()), ("auth.tokens", TOKENS)];
    let owner = TestApp::start(&[&common[..], &[("node.id", "owner")]].concat()).await;
    let other = TestApp::start(&[&common[..], &[("node.id", "other")]].concat()).await;
    let begun = owner.webrtc().upload_p2p_video(with_token("recorder-token", upload(OFFER))).await.unwrap();
    let id = begun.into_inner().id;

    let renegotiate =
        |offer: &str| RenegotiateP2pVideoRequest { id: id.clone(), sdp_offer: offer.to_owned() };
    let answer = other.webrtc().renegotiate_p2p_video(with_token("recorder-token", renegotiate(OFFER))).await;
    assert!(answer.unwrap().into_inner().sdp_answer.starts_with("v=0"));
    let refused =
        other.webrtc().renegotiate_p2p_video(with_token("recorder-token", renegotiate("no sdp"))).await;
    let details = refused.unwrap_err().get_error_details();
    assert_eq!(details.bad_request().unwrap().field_violations[0].field, "sdp_offer");

    let stop = StopP2pVideoRequest { id: id.clone() };
    let theirs = other.webrtc().stop_p2p_video(with_token("other-token", stop.clone())).await;
    assert_eq!(theirs.unwrap_err().code(), Code::NotFound);
    for _ in 0..2 {
        other.webrtc().stop_p2p_video(with_token("recorder-token", stop.clone())).await.unwrap();
    }
    let get = with_token("recorder-token", GetRecordingRequest { id });
    let finalized = other.recordings().get_recording(get).await.unwrap().into_inner().recording.unwrap();
    assert_eq!((finalized.state(), finalized.node.as_str()), (State::Parked, "owner"));
    owner.stop().await;
    other.stop().await;
}

fn session_of(node: &str) -> Recording {
    let id = RecordingId::new();
    Recording {
        id,
        tenant: TenantId::default(),
        name: id.to_string(),
        correlation_id: String::new(),
        channel: Channel::Call,
        source: Source::Webrtc,
        node: node.parse::<NodeId>().unwrap(),
        state: RecordingState::Recording,
        started_at: chrono::Utc::now(),
        ended_at: None,
        end_reason: None,
        container: None,
        object_key: None,
        duration: Duration::ZERO,
        bytes: 0,
        sha256: None,
        error: None,
        tracks: Vec::new(),
        results: Vec::new(),
    }
}

#[tokio::test]
async fn a_session_of_a_silent_node_is_unavailable_with_retry_info() {
    let app = TestApp::start(&[("node.heartbeat", "50ms")]).await;
    let store = SqliteStore::open(app.directory.path().join("recorder.db")).await.unwrap();
    // Without a heartbeat; with an old heartbeat; with a recent heartbeat, but not reachable.
    for node in ["unknown", "silent", "unreachable"] {
        let session = session_of(node);
        store.begin(&session).await.unwrap();
        if node != "unknown" {
            store.heartbeat(&node.parse().unwrap(), "127.0.0.1:1", false).await.unwrap();
        }
        if node == "silent" {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let stop = StopP2pVideoRequest { id: session.id.to_string() };
        let status = app.webrtc().stop_p2p_video(stop).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{node}: {status}");
        assert!(status.get_error_details().retry_info().is_some(), "{node}: {status}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_forwarded_call_is_never_forwarded_again() {
    let shared = tempfile::tempdir().unwrap();
    let database = shared.path().join("recorder.db");
    let first = TestApp::start(&[("store.url", database.to_str().unwrap()), ("node.id", "first")]).await;
    let store = SqliteStore::open(&database).await.unwrap();
    // The owner in the row is `third`, which is registered with the address of `first`.
    let session = session_of("third");
    store.begin(&session).await.unwrap();
    store.heartbeat(&"third".parse().unwrap(), &first.grpc.to_string(), false).await.unwrap();
    let stop = StopP2pVideoRequest { id: session.id.to_string() };
    let status = first.webrtc().stop_p2p_video(stop).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    first.stop().await;
}

async fn sessions(app: &TestApp, token: &str) -> ListSessionsResponse {
    app.recordings().list_sessions(with_token(token, ListSessionsRequest {})).await.unwrap().into_inner()
}

#[tokio::test]
async fn any_node_lists_the_sessions_of_all_nodes_and_names_silent_ones() {
    let url = Postgres::shared().create_database();
    let common = [("store.url", url.as_str()), ("auth.tokens", TOKENS)];
    let mut nodes = Vec::new();
    let mut begun = Vec::new();
    for node in ["a", "b"] {
        let app = TestApp::start(&[&common[..], &[("node.id", node)]].concat()).await;
        let (name, uuid) = (format!("on {node}"), "call-7".to_owned());
        let offer = UploadP2pVideoRequest { name, uuid, ..upload(OFFER) };
        let answer = app.webrtc().upload_p2p_video(with_token("recorder-token", offer)).await.unwrap();
        begun.push((answer.into_inner().id, format!("on {node}"), node.to_owned()));
        nodes.push(app);
    }
    for app in &nodes {
        let listed = sessions(app, "viewer-token").await;
        assert!(listed.missing_nodes.is_empty(), "{:?}", listed.missing_nodes);
        let known = listed.sessions.iter().map(|one| (one.id.clone(), one.name.clone(), one.node.clone()));
        assert_eq!(known.collect::<Vec<_>>(), begun);
        for session in &listed.sessions {
            assert_eq!((session.source(), &*session.correlation_id), (PbSource::Webrtc, "call-7"));
            assert!(session.started_at.is_some());
        }
        assert!(sessions(app, "other-token").await.sessions.is_empty());
    }

    // One that is not reachable, one that never answers, and `a` under another id.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let store = PostgresStore::connect(&PostgresConfig::new(url.as_str())).await.unwrap();
    for (node, address) in [
        ("gone", "127.0.0.1:1".to_owned()),
        ("silent", silent.local_addr().unwrap().to_string()),
        ("renamed", nodes[0].grpc.to_string()),
    ] {
        store.heartbeat(&node.parse().unwrap(), &address, false).await.unwrap();
    }
    let asked = std::time::Instant::now();
    let listed = sessions(&nodes[1], "viewer-token").await;
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    assert_eq!(listed.missing_nodes, ["gone", "silent"]);
    let ids: Vec<_> = listed.sessions.into_iter().map(|session| session.id).collect();
    assert_eq!(ids, [begun[0].0.clone(), begun[1].0.clone()]);
    store.close().await;
    for app in nodes {
        app.stop().await;
    }
}
