//! Reflection, health, probes, compression, gRPC-web and CORS.

use proto::webrtc_recorder::{StopP2pVideoRequest, web_rtc_service_client::WebRtcServiceClient};
use tokio_stream::StreamExt as _;
use tonic::codec::CompressionEncoding;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::support::{NOBODY, OFFER, TOKENS, TestApp, http, upload};

const SERVICES: [&str; 4] = [
    "webrtc_recorder.WebRTCService",
    "recorder.v1.RecordingService",
    "recorder.v1.IngestService",
    "grpc.health.v1.Health",
];

/// The same tests for both versions of the reflection service.
macro_rules! reflection_test {
    ($name:ident, $version:ident) => {
        #[tokio::test]
        async fn $name() {
            use tonic_reflection::pb::$version::{
                ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
                server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
            };
            // Reflection needs no token.
            let app = TestApp::start(&[("auth.tokens", TOKENS)]).await;
            let ask =
                |question| ServerReflectionRequest { host: String::new(), message_request: Some(question) };
            let questions = tokio_stream::iter([
                ask(MessageRequest::ListServices(String::new())),
                ask(MessageRequest::FileContainingSymbol(SERVICES[0].to_owned())),
            ]);
            let mut client = ServerReflectionClient::new(app.channel());
            let mut answers = client.server_reflection_info(questions).await.unwrap().into_inner();
            let Some(MessageResponse::ListServicesResponse(list)) =
                answers.next().await.unwrap().unwrap().message_response
            else {
                panic!("no list of services")
            };
            let listed: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
            for service in SERVICES {
                assert!(listed.iter().any(|name| name == service), "{service} is not in {listed:?}");
            }
            let Some(MessageResponse::FileDescriptorResponse(file)) =
                answers.next().await.unwrap().unwrap().message_response
            else {
                panic!("no file")
            };
            let text = String::from_utf8_lossy(&file.file_descriptor_proto[0]).into_owned();
            assert!(text.contains("/webrtc/video/{id}"), "the HTTP mapping is missing");
            drop(answers);
            app.stop().await;
        }
    };
}
reflection_test!(reflection_v1_lists_the_services_and_their_http_mapping, v1);
reflection_test!(reflection_v1alpha_lists_the_services_and_their_http_mapping, v1alpha);

#[tokio::test]
async fn health_is_reported_for_each_service_and_for_all() {
    let app = TestApp::start(&[]).await;
    let mut client = HealthClient::new(app.channel());
    for service in ["", SERVICES[0], SERVICES[1], SERVICES[2]] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = client.check(request).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service:?}");
    }
    let request = HealthCheckRequest { service: "no.such.Service".to_owned() };
    assert_eq!(client.check(request).await.unwrap_err().code(), tonic::Code::NotFound);
    app.stop().await;
}

#[tokio::test]
async fn a_health_watch_reports_the_shutdown_and_does_not_delay_it() {
    let app = TestApp::start(&[]).await;
    let request = HealthCheckRequest { service: SERVICES[0].to_owned() };
    let mut watch = HealthClient::new(app.channel()).watch(request).await.unwrap().into_inner();
    assert_eq!(watch.next().await.unwrap().unwrap().status(), ServingStatus::Serving);
    let stopped = tokio::spawn(app.stop());
    assert_eq!(watch.next().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    drop(watch);
    stopped.await.unwrap();
}

#[tokio::test]
async fn probes_answer_over_http() {
    let app = TestApp::start(&[]).await;
    let text = async |path| {
        let response = http().get(app.url(path)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    assert_eq!(text("/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(text("/readyz").await, (200, "ready\n".to_owned()));
    assert_eq!(text("/nothing").await.0, 404);
    app.stop().await;
}

#[tokio::test]
async fn gzip_is_accepted_and_sent() {
    let app = TestApp::start(&[]).await;
    let mut client = WebRtcServiceClient::new(app.channel())
        .send_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Gzip);
    let answer = client.upload_p2p_video(upload(OFFER)).await.unwrap();
    assert_eq!(answer.metadata().get("grpc-encoding").unwrap(), "gzip");
    assert!(answer.into_inner().sdp_answer.starts_with("v=0"));
    app.stop().await;
}

#[tokio::test]
async fn a_web_page_calls_by_grpc_web_over_http_1() {
    let app = TestApp::start(&[("http.cors_origins", "https://desk.example")]).await;
    let message = prost::Message::encode_to_vec(&StopP2pVideoRequest { id: NOBODY.to_owned() });
    let mut body = vec![0];
    body.extend((message.len() as u32).to_be_bytes());
    body.extend(message);
    let url = format!("http://{}/webrtc_recorder.WebRTCService/StopP2PVideo", app.grpc);
    let post = http().post(&url).header("content-type", "application/grpc-web+proto").body(body);
    let response = post.header("origin", "https://desk.example").send().await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    let headers = response.headers();
    assert_eq!(headers["access-control-allow-origin"], "https://desk.example");
    assert_eq!(headers["grpc-status"], "5");
    app.stop().await;
}

#[tokio::test]
async fn only_configured_origins_get_cors_headers() {
    for (origins, allowed) in
        [("", None), ("https://desk.example", Some("https://desk.example")), ("*", Some("*"))]
    {
        let app = TestApp::start(&[("http.cors_origins", origins)]).await;
        let request = http().get(app.url("/healthz")).header("origin", "https://desk.example");
        let response = request.send().await.unwrap();
        let got = response.headers().get("access-control-allow-origin").map(|value| value.to_str().unwrap());
        assert_eq!(got, allowed, "{origins:?}");
        app.stop().await;
    }
}
