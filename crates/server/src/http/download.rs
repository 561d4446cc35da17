//! `GET /download/…`: the files of signed links, whole or by range.

use std::io::SeekFrom;

use axum::{
    body::Body,
    extract::{Path, Query, State},
    response::{IntoResponse as _, Response},
};
use chrono::Utc;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use model::{RecordingId, RenditionId, TenantId};
use serde::Deserialize;
use store::StoreError;
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, AsyncSeekExt as _},
};
use tokio_util::io::ReaderStream;

use super::{HttpState, json, range::Range};
use crate::{
    api::{Download, is_expired},
    calls::{Transport, observe},
    downloads::Link,
    error::ApiError,
};

/// Size of a read, in bytes.
const READ_BYTES: usize = 64 * 1024;

#[derive(Debug, Deserialize)]
pub(super) struct Signed {
    tenant: String,
    expires: i64,
    rendition: Option<String>,
    signature: String,
}

/// The signature is the permission: no token is needed.
pub(super) async fn download(
    State(state): State<HttpState>,
    Path((recording, file_name)): Path<(String, String)>,
    Query(signed): Query<Signed>,
    headers: HeaderMap,
) -> Response {
    let Some((link, signature)) = parse(&recording, file_name, signed) else { return forbidden() };
    if !state.calls.api().downloads.is_valid(&link, &signature) {
        return forbidden();
    }
    if is_expired(&link, Utc::now()) {
        return (StatusCode::GONE, "the link has expired\n").into_response();
    }
    let file = observe(Transport::Http, "Download", &headers, async {
        let download = state.calls.api().resolve(&link).await?;
        // It fails if the recording was deleted just now.
        let file = File::open(&download.path).await;
        let file = file.map_err(|error| ApiError::Internal(format!("an object can't be read: {error}")))?;
        let metadata = file.metadata().await.map_err(|error| ApiError::Internal(error.to_string()))?;
        Ok((download, file, metadata.len()))
    });
    match file.await {
        Ok((download, file, size)) => answer(&link, &download, file, size, &headers).await,
        // The object existed when the link was signed.
        Err(ApiError::Store(StoreError::WrongState { .. })) => {
            (StatusCode::GONE, "the file was deleted\n").into_response()
        }
        Err(error) => json::error_response(error),
    }
}

fn parse(recording: &str, file_name: String, signed: Signed) -> Option<(Link, String)> {
    let link = Link {
        tenant: signed.tenant.parse::<TenantId>().ok()?,
        recording: recording.parse::<RecordingId>().ok()?,
        rendition: signed.rendition.map(|id| id.parse::<RenditionId>()).transpose().ok()?,
        file_name,
        expires: signed.expires,
    };
    Some((link, signed.signature))
}

/// The response does not say which part of the link is wrong.
fn forbidden() -> Response {
    (StatusCode::FORBIDDEN, "the link was not signed by this recorder\n").into_response()
}

async fn answer(
    link: &Link,
    download: &Download,
    mut file: File,
    size: u64,
    request: &HeaderMap,
) -> Response {
    let tag = download.sha256.as_ref().map(|sum| format!("\"{sum}\""));
    let mut headers = HeaderMap::new();
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set(header::CONTENT_TYPE, &download.content_type);
    set(header::CONTENT_DISPOSITION, &blob::attachment(&link.file_name));
    set(header::ACCEPT_RANGES, "bytes");
    set(header::CACHE_CONTROL, "private");
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    if let Some(tag) = &tag {
        set(header::ETAG, tag);
    }
    if tag.is_some()
        && request.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok()) == tag.as_deref()
    {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    match Range::of(request, tag.as_deref(), size) {
        Range::Whole => {
            set_length(&mut headers, size);
            (StatusCode::OK, headers, stream(file, size)).into_response()
        }
        Range::Part { first, last } => {
            if let Err(error) = file.seek(SeekFrom::Start(first)).await {
                return json::error_response(ApiError::Internal(format!("an object can't be read: {error}")));
            }
            let length = last - first + 1;
            set_length(&mut headers, length);
            let range = format!("bytes {first}-{last}/{size}");
            headers.extend(HeaderValue::from_str(&range).ok().map(|range| (header::CONTENT_RANGE, range)));
            (StatusCode::PARTIAL_CONTENT, headers, stream(file, length)).into_response()
        }
        Range::Unsatisfiable => {
            let range = format!("bytes */{size}");
            (StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, range)]).into_response()
        }
    }
}

fn set_length(headers: &mut HeaderMap, length: u64) {
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
}

fn stream(file: File, length: u64) -> Body {
    Body::from_stream(ReaderStream::with_capacity(file.take(length), READ_BYTES))
}
