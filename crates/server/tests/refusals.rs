//! Invalid requests: their errors, and that the recorder still records afterwards.

mod support;

use std::time::Duration;

use proto::webrtc_recorder::{
    IceServers, RenegotiateP2pVideoRequest, StopP2pVideoRequest, UploadP2pVideoRequest,
};
use support::{beep, check_file, config, driver, object, ok, played, sender, start, video};
use testkit::{
    call::{Call, upload_request},
    recorder::{Client, Recorder},
    sender::{SenderConfig, Session},
    signal::Codec,
};
use tonic::{Code, Status, metadata::MetadataValue};
use tonic_types::StatusExt as _;

const UNKNOWN_ID: &str = "7e4f2c3a-9f0b-4a55-8f53-1f2f0a6f9b11";

fn playing() -> SenderConfig {
    SenderConfig {
        play_for: Some(Duration::from_secs(2)),
        ..SenderConfig::playing([video(Codec::Vp8), beep()])
    }
}

async fn refused(client: &mut Client, request: UploadP2pVideoRequest, what: &str) -> Status {
    let response = client.upload_p2p_video(request).await;
    ok(response.err().ok_or("it was accepted"), what)
}

/// The fields of the BadRequest detail.
fn violations(status: &Status) -> Vec<String> {
    let details = status.get_details_bad_request();
    details
        .map(|bad| bad.field_violations.into_iter().map(|violation| violation.field).collect())
        .unwrap_or_default()
}

fn has_retry_info(status: &Status) -> bool {
    status.get_details_retry_info().is_some_and(|retry| retry.retry_delay.is_some())
}

/// Makes a complete recording, which must still work after invalid requests.
async fn records_on(recorder: &Recorder, client: &mut Client) {
    let driver = driver();
    let session = sender(&driver, playing()).await;
    let call = ok(Call::begin(client, &session, "still").await, "an offer after bad input");
    played(&session, 60).await;
    ok(call.stop(client).await, "the stop");
    check_file(&object(recorder, &call.id).await, &["vp8"], &["opus"], 2.0);
}

async fn offer() -> (testkit::sender::Driver, Session, String) {
    let driver = driver();
    let session = sender(&driver, playing()).await;
    let offer = ok(session.offer().await, "the offer");
    (driver, session, offer)
}

#[tokio::test]
async fn invalid_arguments_are_violations_of_their_fields() {
    let recorder = start(config()).await;
    let mut client = recorder.client();
    let (_driver, _session, offer) = offer().await;
    let sessionless = offer.split("m=").next().unwrap_or_default().to_owned();
    let long = format!("{offer}{}", "a=x-padding:0123456789\r\n".repeat(40_000));
    let rows = [
        ("no SDP", "hello".to_owned()),
        ("nothing", String::new()),
        ("no section", sessionless),
        ("long", long),
    ];
    for (what, sdp) in rows {
        let status = refused(&mut client, upload_request(sdp, "bad"), what).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{what}: {status:?}");
        assert_eq!(violations(&status), ["sdp_offer"], "{what}: {status:?}");
    }
    for url in ["http://example.org", "stun:", "turn:bad host:1"] {
        let mut request = upload_request(offer.clone(), "bad");
        request.ice_servers.push(IceServers { urls: vec![url.into()], ..IceServers::default() });
        let status = refused(&mut client, request, url).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{url}: {status:?}");
        assert!(
            violations(&status).iter().any(|field| field.starts_with("ice_servers")),
            "{url}: {status:?}"
        );
    }
    for id in ["", "17", "../../etc/passwd"] {
        let stop = client.stop_p2p_video(StopP2pVideoRequest { id: id.into() }).await;
        let status = ok(stop.err().ok_or("it was accepted"), id);
        assert_eq!(
            (status.code(), violations(&status)),
            (Code::InvalidArgument, vec!["id".to_owned()]),
            "{id}"
        );
        let request = RenegotiateP2pVideoRequest { id: id.into(), sdp_offer: offer.clone() };
        let status = ok(client.renegotiate_p2p_video(request).await.err().ok_or("it was accepted"), id);
        assert_eq!(
            (status.code(), violations(&status)),
            (Code::InvalidArgument, vec!["id".to_owned()]),
            "{id}"
        );
    }
    records_on(&recorder, &mut client).await;
}

#[tokio::test]
async fn an_offer_without_a_common_codec_is_refused_with_the_supported_ones() {
    let recorder = start(config().env("WEBRTC_CODECS", "VP8,OPUS")).await;
    let mut client = recorder.client();
    let driver = driver();
    let session = sender(&driver, SenderConfig::playing([video(Codec::Av1)])).await;
    let offer = ok(session.offer().await, "the offer");
    let status = refused(&mut client, upload_request(offer, "codec"), "AV1 alone").await;
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    let message = status.message().to_ascii_uppercase();
    assert!(message.contains("AV1") && message.contains("VP8"), "{message}");
    records_on(&recorder, &mut client).await;
}

#[tokio::test]
async fn unknown_and_ended_sessions_have_different_errors() {
    let recorder = start(config()).await;
    let mut client = recorder.client();
    let stop = client.stop_p2p_video(StopP2pVideoRequest { id: UNKNOWN_ID.into() }).await;
    assert_eq!(stop.err().map(|status| status.code()), Some(Code::NotFound));
    let (_driver, session, offer) = offer().await;
    let request = RenegotiateP2pVideoRequest { id: UNKNOWN_ID.into(), sdp_offer: offer.clone() };
    let renegotiation = client.renegotiate_p2p_video(request).await;
    assert_eq!(renegotiation.err().map(|status| status.code()), Some(Code::NotFound));

    let response = ok(client.upload_p2p_video(upload_request(offer, "ends")).await, "the offer").into_inner();
    ok(session.accept_answer(response.sdp_answer).await, "the answer");
    played(&session, 60).await;
    let stop = || StopP2pVideoRequest { id: response.id.clone() };
    ok(client.stop_p2p_video(stop()).await, "the stop");
    ok(client.stop_p2p_video(stop()).await, "the stop again");
    let sdp_offer = ok(session.offer_more(video(Codec::Vp8)).await, "another offer");
    let request = RenegotiateP2pVideoRequest { id: response.id.clone(), sdp_offer };
    let renegotiation = client.renegotiate_p2p_video(request).await;
    assert_eq!(renegotiation.err().map(|status| status.code()), Some(Code::FailedPrecondition));
}

#[tokio::test]
async fn a_failed_renegotiation_leaves_the_recording_unchanged() {
    let (recorder, driver) = (start(config()).await, driver());
    let mut client = recorder.client();
    let session = sender(&driver, playing()).await;
    let call = ok(Call::begin(&mut client, &session, "on").await, "the offer");
    support::connected(&session).await;
    for sdp_offer in ["", "nonsense", "v=0\r\ns=-\r\nt=0 0\r\n"] {
        let request = RenegotiateP2pVideoRequest { id: call.id.clone(), sdp_offer: sdp_offer.into() };
        let status = ok(client.renegotiate_p2p_video(request).await.err().ok_or("accepted"), sdp_offer);
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    }
    played(&session, 60).await;
    ok(call.stop(&mut client).await, "the stop");
    check_file(&object(&recorder, &call.id).await, &["vp8"], &["opus"], 2.0);
}

#[tokio::test]
async fn a_session_beyond_the_limit_is_refused_with_retry_info() {
    let (recorder, driver) = (start(config().env("RECORDER__LIMITS__SESSIONS", "1")).await, driver());
    let mut client = recorder.client();
    let session = sender(&driver, playing()).await;
    let call = ok(Call::begin(&mut client, &session, "first").await, "the first offer");
    let second = sender(&driver, playing()).await;
    let offer = ok(second.offer().await, "the second offer");
    let status = refused(&mut client, upload_request(offer, "second"), "the second session").await;
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert!(has_retry_info(&status), "{status:?}");
    played(&session, 60).await;
    ok(call.stop(&mut client).await, "the stop");
    records_on(&recorder, &mut client).await;
}

#[tokio::test]
async fn a_nearly_full_disk_refuses_new_sessions() {
    let recorder = start(config().env("RECORDER__LIMITS__MIN_FREE_BYTES", "1000000000000000")).await;
    let (_driver, _session, offer) = offer().await;
    let status = refused(&mut recorder.client(), upload_request(offer, "full"), "a full disk").await;
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert!(has_retry_info(&status), "{status:?}");
}

#[tokio::test]
async fn callers_need_a_valid_token_and_see_only_their_tenant() {
    // SHA-256 of "one", "two" and "look".
    let tokens = r#"[
        { tenant = "a", role = "recorder", name = "one", sha256 = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed" },
        { tenant = "b", role = "recorder", name = "two", sha256 = "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3" },
        { tenant = "a", role = "viewer", name = "look", sha256 = "3c01eba119e00d79c82b6f65d70bc5f1044d568618bf41377e6d1432023fc2b8" },
    ]"#;
    let recorder = start(config().env("RECORDER__AUTH__TOKENS", tokens)).await;
    let mut client = recorder.client();
    let (_driver, _session, offer) = offer().await;
    let mut code = async |token: Option<&str>| {
        let mut request = tonic::Request::new(upload_request(offer.clone(), "who"));
        if let Some(token) = token {
            let value = ok(MetadataValue::try_from(format!("Bearer {token}")), "the header");
            request.metadata_mut().insert("authorization", value);
        }
        match client.upload_p2p_video(request).await {
            Ok(response) => Ok(response.into_inner().id),
            Err(status) => Err(status.code()),
        }
    };
    assert_eq!(code(None).await, Err(Code::Unauthenticated));
    assert_eq!(code(Some("wrong")).await, Err(Code::Unauthenticated));
    assert_eq!(code(Some("look")).await, Err(Code::PermissionDenied));
    let id = ok(code(Some("one")).await.map_err(|code| format!("{code:?}")), "the right token");
    let stop = async |token: &str| {
        let mut request = tonic::Request::new(StopP2pVideoRequest { id: id.clone() });
        let value = ok(MetadataValue::try_from(token), "the header");
        request.metadata_mut().insert("x-webitel-access", value);
        recorder.client().stop_p2p_video(request).await.map(drop).map_err(|status| status.code())
    };
    assert_eq!(stop("two").await, Err(Code::NotFound), "another tenant's");
    assert_eq!(stop("look").await, Err(Code::PermissionDenied));
    assert_eq!(stop("one").await, Ok(()));
}
