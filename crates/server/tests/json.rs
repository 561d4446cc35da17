//! The calls of `WebRTCService` as JSON over HTTP.

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::{beep, check_file, config, driver, object, ok, played, sender, start, video};
use testkit::{recorder::Recorder, sender::SenderConfig, signal::Codec};

struct Http {
    client: reqwest::Client,
    base: String,
}

impl Http {
    fn to(recorder: &Recorder) -> Self {
        // Fails if another test has installed it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let base = format!("http://{}/webrtc/video", recorder.http());
        Self { client: reqwest::Client::new(), base }
    }

    async fn call(&self, method: reqwest::Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = ok(request.send().await, "the HTTP call");
        (response.status().as_u16(), response.json().await.unwrap_or_default())
    }
}

fn text<'a>(response: &'a Value, name: &str) -> &'a str {
    response[name].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_recording_is_begun_renegotiated_and_stopped_by_json() {
    let (recorder, driver) = (start(config()).await, driver());
    let http = Http::to(&recorder);
    let play_for = Some(Duration::from_secs(2));
    let session =
        sender(&driver, SenderConfig { play_for, ..SenderConfig::playing([video(Codec::Vp8), beep()]) })
            .await;
    let offer = ok(session.offer().await, "the offer");
    let body = json!({ "sdpOffer": offer, "name": "json", "uuid": "u", "channel": "CallChannel" });
    let (code, response) = http.call(reqwest::Method::POST, "", Some(body)).await;
    assert_eq!(code, 200, "{response}");
    let id = text(&response, "id").to_owned();
    ok(session.accept_answer(text(&response, "sdpAnswer").into()).await, "the answer");
    support::connected(&session).await;
    let offer = ok(session.offer_more(video(Codec::Vp8)).await, "another offer");
    let body = json!({ "sdp_offer": offer });
    let (code, response) = http.call(reqwest::Method::PUT, &format!("/{id}"), Some(body)).await;
    assert_eq!(code, 200, "{response}");
    ok(session.accept_answer(text(&response, "sdpAnswer").into()).await, "the answer");
    played(&session, 60).await;
    for _ in 0..2 {
        let (code, response) = http.call(reqwest::Method::DELETE, &format!("/{id}"), None).await;
        assert_eq!((code, response), (200, json!({})));
    }
    check_file(&object(&recorder, &id).await, &["vp8", "vp8"], &["opus"], 2.0);
}

#[tokio::test]
async fn json_errors_have_the_http_codes_of_their_status() {
    let recorder = start(config()).await;
    let http = Http::to(&recorder);
    let unknown = "/7e4f2c3a-9f0b-4a55-8f53-1f2f0a6f9b11";
    let rows = [
        (reqwest::Method::POST, "", Some(json!({ "sdpOffer": "hello" })), 400, 3),
        (reqwest::Method::POST, "", Some(json!({ "sdpOffer": 17 })), 400, 3),
        (reqwest::Method::PUT, "/17", Some(json!({ "sdpOffer": "v=0" })), 400, 3),
        (reqwest::Method::DELETE, unknown, None, 404, 5),
    ];
    for (method, path, body, http_code, grpc_code) in rows {
        let (code, response) = http.call(method.clone(), path, body).await;
        assert_eq!((code, &response["code"]), (http_code, &json!(grpc_code)), "{method} {path}: {response}");
    }
}
