//! Maps the errors of S3 and of its transport to [`BlobError`].

use std::error::Error;

use aws_sdk_s3::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};

use crate::BlobError;

/// The error of a call about `key`.
pub(super) fn s3_error<E>(error: &SdkError<E, HttpResponse>, key: &str) -> BlobError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let SdkError::ServiceError(service) = error else { return transport_error(error) };
    let status = service.raw().status().as_u16();
    let (code, message) = (error.code().unwrap_or_default(), error.message().unwrap_or_default());
    let text = match (code, message) {
        ("", "") => format!("HTTP status {status}"),
        _ => format!("{code}: {message} (HTTP status {status})"),
    };
    classify(status, code, text, key)
}

/// The error of a request without a readable answer.
fn transport_error<E: Error + 'static>(error: &SdkError<E, HttpResponse>) -> BlobError {
    let text = chain(error);
    match error {
        // The request could not be built: a fault of the settings, or of this program.
        SdkError::ConstructionFailure(_) => BlobError::Refused(text),
        SdkError::DispatchFailure(failure) if failure.is_user() => BlobError::Refused(text),
        _ => BlobError::Unavailable(text),
    }
}

/// The messages of an error and its causes. Not their debug texts, which may have headers with credentials.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Maps a status and code (Amazon S3 API Reference, "Error responses"). Other stores differ less in the status than in the
/// code, so a code counts only if the status is not enough.
fn classify(status: u16, code: &str, text: String, key: &str) -> BlobError {
    match (status, code) {
        (_, "NoSuchBucket" | "PermanentRedirect" | "AuthorizationHeaderMalformed") => {
            BlobError::Refused(text)
        }
        // The body was changed in transit.
        (
            400,
            "BadDigest"
            | "InvalidDigest"
            | "XAmzContentSHA256Mismatch"
            | "XAmzContentChecksumMismatch"
            | "InvalidPart",
        ) => BlobError::Mismatch { key: key.to_owned(), detail: text },
        // The store did not receive the whole body in time.
        (400, "RequestTimeout" | "IncompleteBody") => BlobError::Unavailable(text),
        (_, "NoSuchUpload") => BlobError::NoUpload(key.to_owned()),
        (404, _) => BlobError::NotFound(key.to_owned()),
        (408 | 409 | 412 | 425 | 429 | 500.., _) => BlobError::Unavailable(text),
        _ => BlobError::Refused(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_and_code_decide_whether_to_retry() {
        let cases = [
            (404, "NoSuchKey", "no object"),
            (404, "", "no object"),
            (404, "NoSuchBucket", "refused"),
            (404, "NoSuchUpload", "no upload"),
            (403, "AccessDenied", "refused"),
            (403, "SignatureDoesNotMatch", "refused"),
            (400, "BadDigest", "damaged"),
            (400, "RequestTimeout", "failed"),
            (400, "InvalidArgument", "refused"),
            (408, "", "failed"),
            (429, "", "failed"),
            (500, "InternalError", "failed"),
            (503, "SlowDown", "failed"),
        ];
        for (status, code, expected) in cases {
            let error = classify(status, code, code.to_owned(), "k");
            assert!(error.to_string().contains(expected), "{status} {code}: {error}");
        }
    }
}
