//! The export of traces.

use axum::{Router, body::Bytes, http::header::CONTENT_TYPE, routing::post};
use nix::sys::signal::Signal;
use proto::webrtc_recorder::{StopP2pVideoRequest, web_rtc_service_client::WebRtcServiceClient};
use tokio::sync::mpsc;
use tonic::Request;

use crate::{
    binary::{serve, signal},
    support::NOBODY,
};

const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// A collector. It answers each export with an empty message and passes the request on.
async fn collector() -> (String, mpsc::Receiver<Bytes>) {
    let (sender, received) = mpsc::channel(100);
    let export = post(move |body: Bytes| async move {
        sender.send(body).await.unwrap();
        ([(CONTENT_TYPE, "application/grpc"), ("grpc-status".parse().unwrap(), "0")], vec![0; 5])
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().route(EXPORT, export)).await });
    (url, received)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_a_span_of_its_callers_trace_with_its_session_id() {
    let (url, mut received) = collector().await;
    let directory = tempfile::tempdir().unwrap();
    let environment =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()), ("OTEL_SERVICE_NAME", "recorder-under-test")];
    let (mut child, log) = serve(&directory, &environment);
    let (_, rest) = log.split_once("gRPC address=").unwrap();
    let address = rest.split_whitespace().next().unwrap();
    let mut client = WebRtcServiceClient::connect(format!("http://{address}")).await.unwrap();
    let mut request = Request::new(StopP2pVideoRequest { id: NOBODY.to_owned() });
    let parent = format!("00-{}-00f067aa0ba902b7-01", "5a".repeat(16));
    request.metadata_mut().insert("traceparent", parent.parse().unwrap());
    client.stop_p2p_video(request).await.unwrap_err();
    signal(&child, Signal::SIGTERM);
    child.wait().unwrap();

    let mut all = Vec::new();
    while let Ok(body) = received.try_recv() {
        all.extend(body);
    }
    let text = String::from_utf8_lossy(&all);
    // The last one is the caller's trace id: 16 bytes of 0x5a.
    for part in ["recorder-under-test", "StopP2PVideo", NOBODY, "ZZZZZZZZZZZZZZZZ"] {
        assert!(text.contains(part), "{part} did not reach the collector: {text}");
    }
}
