//! The gRPC port: its services and their limits.

use std::time::Duration;

use proto::{
    recorder::v1::{
        ingest_service_server::{IngestServiceServer, SERVICE_NAME as INGEST},
        recording_service_server::{RecordingServiceServer, SERVICE_NAME as RECORDING},
    },
    webrtc_recorder::web_rtc_service_server::{SERVICE_NAME as WEBRTC, WebRtcServiceServer},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{
    codec::CompressionEncoding,
    service::Routes,
    transport::{Server, ServerTlsConfig, server::TcpIncoming},
};
use tonic_health::server::{HealthReporter, HealthService};
use tonic_reflection::server::Builder as Reflection;
use tonic_web::GrpcWebLayer;
use tower_http::cors::CorsLayer;

use super::Rpc;
use crate::calls::Calls;

/// The full names of our services, for health checks.
pub const SERVICES: &[&str] = &[WEBRTC, RECORDING, INGEST];

/// HTTP/2 ping interval: a client that does not answer one is disconnected.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// Concurrent calls of one connection.
const MAX_STREAMS: u32 = 1000;

/// Settings of the port.
pub struct GrpcSettings {
    /// The largest request message, in bytes.
    pub max_message_bytes: usize,
    /// Certificate, key and the authority of client certificates.
    pub tls: Option<ServerTlsConfig>,
    /// For web pages of other origins that call by gRPC-web.
    pub cors: CorsLayer,
}

/// Serves until `stop` is cancelled, then finishes the calls in progress.
///
/// # Errors
/// An unusable TLS setting, or a failure of the port.
pub async fn serve(
    listener: TcpListener,
    calls: Calls,
    health: HealthReporter,
    settings: GrpcSettings,
    stop: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    let mut server = Server::builder()
        .accept_http1(true)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .max_concurrent_streams(MAX_STREAMS);
    if let Some(tls) = settings.tls {
        server = server.tls_config(tls)?;
    }
    let routes = routes(calls, health, settings.max_message_bytes);
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    server
        .layer(settings.cors)
        .layer(GrpcWebLayer::new())
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, stop.cancelled())
        .await
}

fn routes(calls: Calls, health: HealthReporter, max_message_bytes: usize) -> Routes {
    let rpc = Rpc { calls };
    let webrtc = WebRtcServiceServer::new(rpc.clone())
        .max_decoding_message_size(max_message_bytes)
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip);
    let ingest = IngestServiceServer::new(rpc.clone())
        .max_decoding_message_size(max_message_bytes)
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip);
    let recording = RecordingServiceServer::new(rpc)
        .max_decoding_message_size(max_message_bytes)
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip);
    let health =
        tonic_health::pb::health_server::HealthServer::new(HealthService::from_health_reporter(health));
    let reflection = || {
        Reflection::configure()
            .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // Lets tools decode the details of an error.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    let built_in = "the build made the descriptors";
    Routes::new(webrtc)
        .add_service(recording)
        .add_service(ingest)
        .add_service(health)
        .add_service(reflection().build_v1().expect(built_in))
        .add_service(reflection().build_v1alpha().expect(built_in))
}
