//! `/healthz`, `/readyz` and `/metrics`.

use axum::extract::State;
use http::{HeaderName, StatusCode, header};

use super::HttpState;
use crate::{metrics, readiness};

/// The process answers.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// The node accepts new sessions.
pub(super) async fn ready(State(state): State<HttpState>) -> (StatusCode, &'static str) {
    match state.readiness.state() {
        readiness::State::Ready => (StatusCode::OK, "ready\n"),
        readiness::State::DatabaseAway => (StatusCode::SERVICE_UNAVAILABLE, "the database is away\n"),
        readiness::State::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
    }
}

/// Prometheus's text format.
pub(super) async fn metrics() -> ([(HeaderName, &'static str); 1], String) {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics::render())
}
