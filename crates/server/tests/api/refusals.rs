//! Invalid requests: each row of the service's error table, by gRPC and JSON.

use proto::webrtc_recorder::{
    IceServers, RenegotiateP2pVideoRequest, StopP2pVideoRequest, UploadP2pVideoRequest,
};
use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::support::{NOBODY, OFFER, TestApp, answer, http, upload};

async fn refused(app: &TestApp, request: UploadP2pVideoRequest) -> Status {
    app.webrtc().upload_p2p_video(request).await.unwrap_err()
}

fn field(status: &Status) -> String {
    let details = status.get_error_details();
    details.bad_request().unwrap().field_violations[0].field.clone()
}

#[tokio::test]
async fn an_invalid_offer_is_a_violation_of_its_field() {
    let app = TestApp::start(&[]).await;
    let large = format!("{OFFER}a=x:{}\r\n", "x".repeat(300 << 10));
    for offer in ["", "this is no SDP", "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n", &large] {
        let status = refused(&app, upload(offer)).await;
        assert_eq!(
            (status.code(), field(&status).as_str()),
            (Code::InvalidArgument, "sdp_offer"),
            "{status}"
        );
    }
    app.webrtc().upload_p2p_video(upload(OFFER)).await.unwrap();
    app.stop().await;
}

#[tokio::test]
async fn an_invalid_ice_url_and_channel_are_violations_of_their_fields() {
    let app = TestApp::start(&[]).await;
    let server = IceServers {
        urls: vec!["stun:stun.example.org:3478".to_owned(), "http://inside/".to_owned()],
        ..Default::default()
    };
    let status = refused(&app, UploadP2pVideoRequest { ice_servers: vec![server], ..upload(OFFER) }).await;
    assert_eq!((status.code(), field(&status).as_str()), (Code::InvalidArgument, "ice_servers[0].urls[1]"));
    let status = refused(&app, UploadP2pVideoRequest { channel: 8, ..upload(OFFER) }).await;
    assert_eq!((status.code(), field(&status).as_str()), (Code::InvalidArgument, "channel"));
    app.stop().await;
}

#[tokio::test]
async fn no_codec_in_common_names_the_offered_and_the_supported_codecs() {
    let app = TestApp::start(&[]).await;
    let offer = OFFER.replace("VP8/90000", "H263/90000").replace("opus/48000/2", "speex/16000");
    let status = refused(&app, upload(&offer)).await;
    assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
    assert!(status.message().contains("H263") && status.message().contains("VP8"), "{status}");
    app.stop().await;
}

#[tokio::test]
async fn an_id_that_is_not_a_uuid_is_invalid_and_an_unknown_one_is_not_found() {
    let app = TestApp::start(&[]).await;
    for (id, code) in
        [("../../etc", Code::InvalidArgument), ("", Code::InvalidArgument), (NOBODY, Code::NotFound)]
    {
        let stop = StopP2pVideoRequest { id: id.to_owned() };
        assert_eq!(app.webrtc().stop_p2p_video(stop).await.unwrap_err().code(), code, "{id:?}");
        let renegotiate = RenegotiateP2pVideoRequest { id: id.to_owned(), sdp_offer: OFFER.to_owned() };
        assert_eq!(app.webrtc().renegotiate_p2p_video(renegotiate).await.unwrap_err().code(), code, "{id:?}");
    }
    app.stop().await;
}

#[tokio::test]
async fn the_session_limit_is_refused_with_retry_info() {
    let app = TestApp::start(&[("limits.sessions", "1")]).await;
    app.webrtc().upload_p2p_video(upload(OFFER)).await.unwrap();
    let status = refused(&app, upload(OFFER)).await;
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "SESSION_LIMIT");
    assert!(details.retry_info().unwrap().retry_delay.is_some());
    app.stop().await;
}

#[tokio::test]
async fn a_nearly_full_disk_is_refused_with_retry_info() {
    let app = TestApp::start(&[("limits.min_free_bytes", "1000000TB")]).await;
    let status = refused(&app, upload(OFFER)).await;
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "DISK_NEARLY_FULL");
    assert!(details.retry_info().is_some());
    app.stop().await;
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_and_the_next_one_is_accepted() {
    let app = TestApp::start(&[("grpc.max_message_bytes", "1MiB")]).await;
    let status = refused(&app, upload(&"x".repeat(2 << 20))).await;
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
    app.webrtc().upload_p2p_video(upload(OFFER)).await.unwrap();
    app.stop().await;
}

#[tokio::test]
async fn json_errors_are_google_rpc_statuses_with_http_codes() {
    let app = TestApp::start(&[]).await;
    let (client, video) = (http(), app.url("/webrtc/video"));
    let session = |id: &str| app.url(&format!("/webrtc/video/{id}"));
    let rows: Vec<(reqwest::RequestBuilder, u16, i32)> = vec![
        (client.post(&video).body("no json"), 400, 3),
        (client.post(&video).json(&json!({"sdpOffer": 1})), 400, 3),
        (client.post(&video).json(&json!({"sdp_offer": "no sdp"})), 400, 3),
        (client.post(&video).json(&json!({"sdp_offer": OFFER, "channel": 8})), 400, 3),
        (client.put(session("x")).json(&json!({"sdp_offer": OFFER})), 400, 3),
        (client.put(session(NOBODY)).json(&json!({"sdp_offer": OFFER})), 404, 5),
        (client.delete(session("x")), 400, 3),
        (client.delete(session(NOBODY)), 404, 5),
    ];
    for (request, http_code, code) in rows {
        let (answered, body) = answer(request).await;
        assert_eq!((answered, body["code"].as_i64()), (http_code, Some(code.into())), "{body}");
        assert!(!body["message"].as_str().unwrap().is_empty(), "{body}");
        let details = body["details"].as_array().unwrap();
        let has = |name: &str| details.iter().any(|detail| detail["@type"] == name);
        assert_eq!(has("type.googleapis.com/google.rpc.BadRequest"), code == 3, "{body}");
    }
    let (code, body) = answer(client.post(&video).json(&json!({ "sdpOffer": OFFER }))).await;
    assert_eq!(code, 200);
    assert!(matches!(&body["sdpAnswer"], Value::String(answer) if answer.starts_with("v=0")), "{body}");
    app.stop().await;
}
