//! Sends requests to S3, each in a span.

use std::{error::Error, time::Instant};

use aws_sdk_s3::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};
use tracing::{Instrument as _, Span, debug};

use super::error::s3_error;
use crate::{BlobError, TARGET};

/// The span of a request, at level DEBUG: its name, such as `"s3.put_part"`, then its fields.
macro_rules! request_span {
    ($name:literal $(, $($fields:tt)+)?) => {
        ::tracing::debug_span!(target: $crate::TARGET, $name $(, $($fields)+)?)
    };
}
pub(super) use request_span;

/// Sends a request about `key` in its span, with one event at its end: how long all attempts took, and the error if they
/// failed.
///
/// The error is an event at level DEBUG: the caller that handles it logs it.
pub(super) async fn traced<T, E>(
    span: Span,
    key: &str,
    request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
) -> Result<T, BlobError>
where
    E: ProvideErrorMetadata + Error + 'static,
{
    // Each layer around a future would add its size again.
    let request = Box::pin(request);
    let run = async {
        let begun = Instant::now();
        let answer = request.await.map_err(|error| s3_error(&error, key));
        let elapsed = begun.elapsed();
        match &answer {
            Ok(_) => debug!(target: TARGET, ?elapsed, "request done"),
            Err(error) => debug!(target: TARGET, ?elapsed, %error, "request failed"),
        }
        answer
    };
    run.instrument(span).await
}
