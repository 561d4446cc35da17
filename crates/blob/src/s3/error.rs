//! What S3's answers and the ways in which they fail to come mean to us.

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

/// No answer, or none that can be read.
fn transport_error<E: Error + 'static>(error: &SdkError<E, HttpResponse>) -> BlobError {
    let text = chain(error);
    match error {
        // The request could not even be made: a fault of the settings, or of ours.
        SdkError::ConstructionFailure(_) => BlobError::Refused(text),
        SdkError::DispatchFailure(failure) if failure.is_user() => BlobError::Refused(text),
        _ => BlobError::Unavailable(text),
    }
}

/// The texts of an error and its causes. Not their debug texts: those may hold headers, and with them credentials.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// By status and code (Amazon S3 API Reference, "Error responses"). Stores that aren't Amazon's agree on the status
/// more than on the code, so a code decides only where the status does not.
fn classify(status: u16, code: &str, text: String, key: &str) -> BlobError {
    match (status, code) {
        (_, "NoSuchBucket" | "PermanentRedirect" | "AuthorizationHeaderMalformed") => {
            BlobError::Refused(text)
        }
        // What we sent was changed on its way.
        (
            400,
            "BadDigest"
            | "InvalidDigest"
            | "XAmzContentSHA256Mismatch"
            | "XAmzContentChecksumMismatch"
            | "InvalidPart",
        ) => BlobError::Mismatch { key: key.to_owned(), detail: text },
        // The store did not get the whole body in time, or at all.
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
    fn an_answer_says_whether_to_try_again() {
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
        for (status, code, want) in cases {
            let error = classify(status, code, code.to_owned(), "k");
            assert!(error.to_string().contains(want), "{status} {code}: {error}");
        }
    }
}
