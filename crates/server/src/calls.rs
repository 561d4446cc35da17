//! The one path of every call, by gRPC or HTTP: authenticate, authorise, run the handler within a span, count, log.

use std::time::Instant;

use http::HeaderMap;
use tracing::{Instrument as _, Span, field::Empty};
use uuid::Uuid;

use crate::{
    api::Api,
    auth::{Authenticator, Caller, Permission},
    error::ApiError,
    metrics::names,
    traces::continue_trace,
};

/// How a call arrived: a label of metrics and spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// gRPC or gRPC-web.
    Grpc,
    /// JSON over HTTP, and downloads.
    Http,
}

impl Transport {
    fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http",
        }
    }
}

/// A method of the services in `/proto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "named and documented in /proto")]
pub enum Method {
    UploadP2pVideo,
    RenegotiateP2pVideo,
    StopP2pVideo,
    RecordAudio,
    GetRecording,
    ListRecordings,
    ListSessions,
    WatchRecording,
    CreateRendition,
    ListSegments,
    ListJobs,
    RetryJob,
    CancelJob,
    CreateDownloadUrl,
    DeleteRecording,
    PauseRecording,
    ResumeRecording,
}

impl Method {
    /// The table of all methods: the name in `/proto`, and what the caller must be permitted.
    const fn row(self) -> (&'static str, Permission) {
        use Permission::{Record, View};
        match self {
            Self::UploadP2pVideo => ("UploadP2PVideo", Record),
            Self::RenegotiateP2pVideo => ("RenegotiateP2PVideo", Record),
            Self::StopP2pVideo => ("StopP2PVideo", Record),
            Self::RecordAudio => ("RecordAudio", Record),
            Self::GetRecording => ("GetRecording", View),
            Self::ListRecordings => ("ListRecordings", View),
            Self::ListSessions => ("ListSessions", View),
            Self::WatchRecording => ("WatchRecording", View),
            Self::CreateRendition => ("CreateRendition", Record),
            Self::ListSegments => ("ListSegments", View),
            Self::ListJobs => ("ListJobs", View),
            Self::RetryJob => ("RetryJob", Record),
            Self::CancelJob => ("CancelJob", Record),
            Self::CreateDownloadUrl => ("CreateDownloadUrl", View),
            Self::DeleteRecording => ("DeleteRecording", Record),
            Self::PauseRecording => ("PauseRecording", Record),
            Self::ResumeRecording => ("ResumeRecording", Record),
        }
    }
}

/// Runs the calls of all transports.
#[derive(Clone)]
pub struct Calls {
    api: Api,
    auth: Authenticator,
}

impl Calls {
    /// Runs calls of `api` for callers whom `auth` knows.
    pub fn new(api: Api, auth: Authenticator) -> Self {
        Self { api, auth }
    }

    /// What the handlers call.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Runs `handler` for the caller whom the headers authenticate.
    ///
    /// # Errors
    /// `Unauthenticated`, `Denied` if the caller lacks the method's permission, and the handler's own.
    pub async fn run<Q, A>(
        &self,
        transport: Transport,
        method: Method,
        headers: &HeaderMap,
        request: Q,
        handler: impl AsyncFnOnce(&Api, &Caller, Q) -> Result<A, ApiError>,
    ) -> Result<A, ApiError> {
        let (name, permission) = method.row();
        let call = async {
            let caller = self.auth.caller(headers, permission)?;
            let span = Span::current();
            span.record("tenant", caller.tenant.as_str());
            if !caller.name.is_empty() {
                span.record("caller", caller.name.as_str());
            }
            handler(&self.api, &caller, request).await
        };
        observe(transport, name, headers, call).await
    }
}

/// Runs a call within a span that continues the caller's trace, counts it, and logs its failure. An internal error is
/// logged under a new id; the caller gets the id only.
///
/// # Errors
/// Those of the call.
pub async fn observe<T>(
    transport: Transport,
    method: &'static str,
    headers: &HeaderMap,
    call: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, ApiError> {
    let transport = transport.as_str();
    let span = tracing::info_span!(
        "call",
        transport,
        method,
        tenant = Empty,
        caller = Empty,
        session_id = Empty,
        recording_id = Empty,
        job_id = Empty,
    );
    continue_trace(&span, headers);
    let began = Instant::now();
    let result = async { call.await.map_err(log_failure) }.instrument(span).await;
    let code = result.as_ref().map_or_else(ApiError::code_name, |_| "OK");
    metrics::counter!(names::CALLS, "transport" => transport, "method" => method, "code" => code)
        .increment(1);
    metrics::histogram!(names::CALL_SECONDS, "transport" => transport, "method" => method)
        .record(began.elapsed().as_secs_f64());
    result
}

fn log_failure(error: ApiError) -> ApiError {
    if error.is_internal() {
        let id = Uuid::new_v4();
        tracing::error!(error_id = %id, %error, "call failed: internal error");
        return ApiError::Logged(id);
    }
    if error.is_database_away() {
        tracing::warn!(%error, "call refused: database unavailable");
    } else {
        tracing::debug!(%error, "call refused");
    }
    error
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost_reflect::DescriptorPool;

    use super::*;

    const ALL: [Method; 17] = [
        Method::UploadP2pVideo,
        Method::RenegotiateP2pVideo,
        Method::StopP2pVideo,
        Method::RecordAudio,
        Method::GetRecording,
        Method::ListRecordings,
        Method::ListSessions,
        Method::WatchRecording,
        Method::CreateRendition,
        Method::ListSegments,
        Method::ListJobs,
        Method::RetryJob,
        Method::CancelJob,
        Method::CreateDownloadUrl,
        Method::DeleteRecording,
        Method::PauseRecording,
        Method::ResumeRecording,
    ];

    #[test]
    fn the_table_has_every_method_of_the_services_by_its_name() {
        let pool = DescriptorPool::decode(proto::DESCRIPTORS).unwrap();
        let methods = pool
            .services()
            .flat_map(|service| service.methods().map(|method| method.name().to_owned()).collect::<Vec<_>>());
        let of_services: BTreeSet<String> = methods.collect();
        let of_table: BTreeSet<String> = ALL.iter().map(|method| method.row().0.to_owned()).collect();
        assert_eq!(of_table, of_services);
    }
}
