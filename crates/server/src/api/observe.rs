//! What every call has, however it came: a span, a count and a duration, and the log line of a fault of ours.

use std::time::Instant;

use http::HeaderMap;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::{error::ApiError, grpc::status, metrics::names, traces::continue_trace};

/// Runs a call within its span, which continues the caller's trace. A fault of ours is logged with an id, and the caller gets the id alone.
///
/// # Errors
/// Those of the call.
pub async fn observed<T>(
    transport: &'static str,
    method: &'static str,
    headers: &HeaderMap,
    call: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, ApiError> {
    let span = tracing::info_span!(
        "call",
        transport,
        method,
        tenant = tracing::field::Empty,
        caller = tracing::field::Empty,
        session_id = tracing::field::Empty,
    );
    continue_trace(&span, headers);
    let began = Instant::now();
    let result = async {
        match call.await {
            Err(error) if error.is_internal() => {
                let id = Uuid::new_v4();
                tracing::error!(error_id = %id, error = %error, "a call failed by our fault");
                Err(ApiError::Logged(id))
            }
            Err(error) => {
                if error.is_database_away() {
                    tracing::warn!(error = %error, "a call was refused: the database is away");
                } else {
                    tracing::debug!(error = %error, "a call was refused");
                }
                Err(error)
            }
            Ok(answer) => Ok(answer),
        }
    }
    .instrument(span)
    .await;
    let code = result.as_ref().map_or_else(status::code_name, |_| "OK");
    metrics::counter!(names::CALLS, "transport" => transport, "method" => method, "code" => code)
        .increment(1);
    metrics::histogram!(names::CALL_SECONDS, "transport" => transport, "method" => method)
        .record(began.elapsed().as_secs_f64());
    result
}
