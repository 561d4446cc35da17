//! The HTTP port: the calls of `WebRTCService` as JSON, downloads, probes and metrics.

mod download;
mod json;
mod probes;
mod range;
mod tls;
mod webrtc;

pub(crate) use tls::TlsListener;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    response::{IntoResponse as _, Response},
    routing::{get, post, put},
};
use http::HeaderValue;
use tower_http::cors::{AllowOrigin, Any, CorsLayer};

use crate::{calls::Calls, downloads, readiness::Readiness};

/// The state that the routes share.
#[derive(Clone)]
pub struct HttpState {
    /// Runs the calls.
    pub calls: Calls,
    /// The answer of `/readyz`.
    pub readiness: Readiness,
}

/// The routes of the port.
pub fn router(state: HttpState, max_body_bytes: usize, cors: CorsLayer) -> Router {
    Router::new()
        .route("/webrtc/video", post(webrtc::upload))
        .route("/webrtc/video/{id}", put(webrtc::renegotiate).delete(webrtc::stop))
        .route(&format!("{}/{{recording}}/{{name}}", downloads::PATH), get(download::download))
        .route("/healthz", get(probes::alive))
        .route("/readyz", get(probes::ready))
        .route("/metrics", get(probes::metrics))
        .fallback(no_such_route)
        .layer(DefaultBodyLimit::max(max_body_bytes))
        .layer(cors)
        .with_state(state)
}

async fn no_such_route(request: Request) -> Response {
    let text = format!("no route {} {}", request.method(), request.uri().path());
    (http::StatusCode::NOT_FOUND, text).into_response()
}

/// Allows web pages of these origins to call and to read gRPC-web's headers. Without origins, no cross-origin call is
/// allowed.
pub fn cors(origins: &[String]) -> CorsLayer {
    if origins.is_empty() {
        return CorsLayer::new();
    }
    let allowed = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()))
    };
    let exposed =
        ["grpc-status", "grpc-message", "grpc-status-details-bin"].map(http::HeaderName::from_static);
    CorsLayer::new().allow_origin(allowed).allow_methods(Any).allow_headers(Any).expose_headers(exposed)
}
