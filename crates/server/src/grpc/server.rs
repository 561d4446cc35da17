//! The gRPC port: its services, their limits, and how it ends.

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

use super::{IngestRpc, RecordingRpc, WebrtcRpc};
use crate::{api::Api, auth::Authenticator};

/// Our services, by their full names, for health.
pub const SERVICES: &[&str] = &[WEBRTC, RECORDING, INGEST];

/// A dead client is noticed by its silence.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// Calls at a time on one connection.
const MAX_STREAMS: u32 = 1000;

/// What the port is made with.
pub struct GrpcSettings {
    /// The largest message that is read, in bytes.
    pub max_message_bytes: usize,
    /// Certificate, key and the clients' authority.
    pub tls: Option<ServerTlsConfig>,
    /// For pages that call by gRPC-web from another origin.
    pub cors: CorsLayer,
}

/// Serves until `stop` is cancelled, and then until the calls under way are answered.
///
/// # Errors
/// A TLS setting that can't be used, or the failure of the port.
pub async fn serve(
    listener: TcpListener,
    api: Api,
    auth: Authenticator,
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
    let routes = routes(api, auth, health, settings.max_message_bytes);
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    server
        .layer(settings.cors)
        .layer(GrpcWebLayer::new())
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, stop.cancelled())
        .await
}

fn routes(api: Api, auth: Authenticator, health: HealthReporter, max_message_bytes: usize) -> Routes {
    let webrtc = WebRtcServiceServer::new(WebrtcRpc { api: api.clone(), auth: auth.clone() })
        .max_decoding_message_size(max_message_bytes)
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip);
    let ingest = IngestServiceServer::new(IngestRpc { api: api.clone(), auth: auth.clone() })
        .max_decoding_message_size(max_message_bytes)
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip);
    let recording = RecordingServiceServer::new(RecordingRpc { api, auth })
        .max_decoding_message_size(max_message_bytes)
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip);
    let health =
        tonic_health::pb::health_server::HealthServer::new(HealthService::from_health_reporter(health));
    let reflection = || {
        Reflection::configure()
            .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // So that tools can show the details of an error.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    let made_by_our_build = "the build made the descriptors";
    Routes::new(webrtc)
        .add_service(recording)
        .add_service(ingest)
        .add_service(health)
        .add_service(reflection().build_v1().expect(made_by_our_build))
        .add_service(reflection().build_v1alpha().expect(made_by_our_build))
}
