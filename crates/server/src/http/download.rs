//! `GET /download/…`: files behind links of our own, whole or in part.

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
    api::{Download, is_over},
    calls::{Transport, observe},
    downloads::Link,
    error::ApiError,
};

/// Bytes read at a time.
const READ: usize = 64 * 1024;

#[derive(Debug, Deserialize)]
pub(super) struct Signed {
    tenant: String,
    expires: i64,
    rendition: Option<String>,
    signature: String,
}

/// The link itself is the permission: no token is asked for.
pub(super) async fn download(
    State(state): State<HttpState>,
    Path((recording, file_name)): Path<(String, String)>,
    Query(signed): Query<Signed>,
    headers: HeaderMap,
) -> Response {
    let Some((link, signature)) = read(&recording, file_name, signed) else { return forbidden() };
    if !state.calls.api().downloads.is_ours(&link, &signature) {
        return forbidden();
    }
    if is_over(&link, Utc::now()) {
        return (StatusCode::GONE, "the link has expired\n").into_response();
    }
    let file = observe(Transport::Http, "Download", &headers, async {
        let download = state.calls.api().follow(&link).await?;
        // Deleted a moment ago: its row will say so.
        let file = File::open(&download.path).await;
        let file = file.map_err(|error| ApiError::Internal(format!("an object can't be read: {error}")))?;
        let metadata = file.metadata().await.map_err(|error| ApiError::Internal(error.to_string()))?;
        Ok((download, file, metadata.len()))
    });
    match file.await {
        Ok((download, file, size)) => answer(&link, &download, file, size, &headers).await,
        // It was there when the link was made.
        Err(ApiError::Store(StoreError::WrongState { .. })) => {
            (StatusCode::GONE, "the file was deleted\n").into_response()
        }
        Err(error) => json::refusal(error),
    }
}

fn read(recording: &str, file_name: String, signed: Signed) -> Option<(Link, String)> {
    let link = Link {
        tenant: signed.tenant.parse::<TenantId>().ok()?,
        recording: recording.parse::<RecordingId>().ok()?,
        rendition: signed.rendition.map(|id| id.parse::<RenditionId>()).transpose().ok()?,
        file_name,
        expires: signed.expires,
    };
    Some((link, signed.signature))
}

/// Nobody is told which part of a link is wrong.
fn forbidden() -> Response {
    (StatusCode::FORBIDDEN, "the link is not one of this recorder\n").into_response()
}

async fn answer(link: &Link, download: &Download, mut file: File, size: u64, asked: &HeaderMap) -> Response {
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
    if tag.is_some() && asked.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok()) == tag.as_deref()
    {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    match Range::asked(asked, tag.as_deref(), size) {
        Range::Whole => {
            set_length(&mut headers, size);
            (StatusCode::OK, headers, stream(file, size)).into_response()
        }
        Range::Part { first, last } => {
            if let Err(error) = file.seek(SeekFrom::Start(first)).await {
                return json::refusal(ApiError::Internal(format!("an object can't be read: {error}")));
            }
            let length = last - first + 1;
            set_length(&mut headers, length);
            let place = format!("bytes {first}-{last}/{size}");
            headers.extend(HeaderValue::from_str(&place).ok().map(|place| (header::CONTENT_RANGE, place)));
            (StatusCode::PARTIAL_CONTENT, headers, stream(file, length)).into_response()
        }
        Range::Unsatisfiable => {
            let place = format!("bytes */{size}");
            (StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, place)]).into_response()
        }
    }
}

fn set_length(headers: &mut HeaderMap, length: u64) {
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
}

fn stream(file: File, length: u64) -> Body {
    Body::from_stream(ReaderStream::with_capacity(file.take(length), READ))
}
