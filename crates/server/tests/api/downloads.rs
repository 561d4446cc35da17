//! Download links.

use std::time::{Duration, Instant};

use model::RecordingState as RowState;
use proto::recorder::v1::{self as pb, create_download_url_request};
use tonic::Code;

use crate::{
    rows::{create, film, finalize, mp3, row},
    support::{NOBODY, TestApp, http},
};

pub fn download(source: create_download_url_request::Source) -> pb::CreateDownloadUrlRequest {
    pb::CreateDownloadUrlRequest { source: Some(source), ..Default::default() }
}

#[tokio::test]
async fn a_link_serves_the_file_and_its_ranges_until_it_expires() {
    use create_download_url_request::Source;
    let app = TestApp::start(&[]).await;
    let recording = row("default", RowState::Available, film());
    let id = finalize(&app, &recording).await;
    let object = app.directory.path().join("objects").join(recording.object_key.as_ref().unwrap());
    std::fs::create_dir_all(object.parent().unwrap()).unwrap();
    std::fs::write(&object, b"media").unwrap();

    let request = download(Source::RecordingId(id.clone()));
    let link = app.recordings().create_download_url(request.clone()).await.unwrap().into_inner();
    assert_eq!(link.file_name, "visit 7.webm");
    let lasts = link.expires_at.unwrap().seconds - chrono::Utc::now().timestamp();
    assert!((840..=901).contains(&lasts), "{lasts} s");
    assert!(link.url.starts_with(&app.url("/download/")), "{}", link.url);
    let response = http().get(&link.url).send().await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    assert_eq!(response.headers()["content-disposition"], "attachment; filename=\"visit 7.webm\"");
    assert_eq!(response.headers()["content-type"], "video/webm");
    assert_eq!(response.headers()["accept-ranges"], "bytes");
    let tag = response.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(response.bytes().await.unwrap(), "media");

    for (range, code, content_range, body) in [
        ("bytes=1-2", 206, Some("bytes 1-2/5"), "ed"),
        ("bytes=-2", 206, Some("bytes 3-4/5"), "ia"),
        ("bytes=9-", 416, Some("bytes */5"), ""),
        ("bytes=0-0,2-2", 200, None, "media"),
    ] {
        let response = http().get(&link.url).header("range", range).send().await.unwrap();
        assert_eq!(response.status().as_u16(), code, "{range}");
        assert_eq!(
            response.headers().get("content-range").map(|value| value.to_str().unwrap()),
            content_range
        );
        assert_eq!(response.bytes().await.unwrap(), body, "{range}");
    }
    let head = http().head(&link.url).send().await.unwrap();
    assert_eq!((head.status().as_u16(), &head.headers()["content-length"]), (200, &"5".parse().unwrap()));
    let same = http().get(&link.url).header("if-none-match", tag).send().await.unwrap();
    assert_eq!(same.status().as_u16(), 304);

    let status = async |url: String| http().get(url).send().await.unwrap().status().as_u16();
    for changed in [
        link.url.replace("visit", "other"),
        link.url.replace("tenant=default", "tenant=acme"),
        link.url.replace("expires=", "expires=9"),
        format!("{}0", link.url),
    ] {
        assert_eq!(status(changed.clone()).await, 403, "{changed}");
    }
    let valid_for = Some(prost_types::Duration { seconds: 5, nanos: 0 });
    let begun = Instant::now();
    let short = pb::CreateDownloadUrlRequest { valid_for, file_name: "a/ü.webm".to_owned(), ..request };
    let short = app.recordings().create_download_url(short).await.unwrap().into_inner();
    let response = http().get(&short.url).send().await.unwrap();
    let disposition = response.headers().get("content-disposition").map(|name| name.to_str().unwrap());
    let named = disposition.is_some_and(|name| name.ends_with("filename*=UTF-8''a_%C3%BC.webm"));
    assert!(named, "{}: {disposition:?}", response.status());
    while status(short.url.clone()).await != 410 {
        assert!(begun.elapsed() < Duration::from_secs(60), "the link still leads there");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(begun.elapsed() >= Duration::from_secs(4), "over after {:?}", begun.elapsed());

    app.recordings().delete_recording(pb::DeleteRecordingRequest { id }).await.unwrap();
    assert_eq!(status(link.url).await, 410);
    app.stop().await;
}

#[tokio::test]
async fn a_link_to_a_missing_object_is_refused() {
    use create_download_url_request::Source;
    let app = TestApp::start(&[]).await;
    let id = finalize(&app, &row("default", RowState::Processing, film())).await;
    app.recordings().create_rendition(create(&id, mp3())).await.unwrap();
    let recording = |id: &str| download(Source::RecordingId(id.to_owned()));
    let rendition = |id: &str| download(Source::RenditionId(id.to_owned()));
    let lasting = |seconds| pb::CreateDownloadUrlRequest {
        valid_for: Some(prost_types::Duration { seconds, nanos: 0 }),
        ..recording(&id)
    };
    let named = pb::CreateDownloadUrlRequest { file_name: "x".repeat(2000), ..recording(&id) };
    let waiting = made_id(&app, &id).await;
    for (request, code) in [
        (pb::CreateDownloadUrlRequest::default(), Code::InvalidArgument),
        (recording("x"), Code::InvalidArgument),
        (rendition("x"), Code::InvalidArgument),
        (lasting(0), Code::InvalidArgument),
        (lasting(-1), Code::InvalidArgument),
        (lasting(7 * 24 * 3600 + 1), Code::InvalidArgument),
        (named, Code::InvalidArgument),
        (recording(NOBODY), Code::NotFound),
        (rendition(NOBODY), Code::NotFound),
        (recording(&id), Code::FailedPrecondition),
        (rendition(&waiting), Code::FailedPrecondition),
    ] {
        let status = app.recordings().create_download_url(request.clone()).await.unwrap_err();
        assert_eq!(status.code(), code, "{request:?}: {status}");
    }
    app.stop().await;
}

async fn made_id(app: &TestApp, id: &str) -> String {
    let got = app.recordings().get_recording(pb::GetRecordingRequest { id: id.to_owned() }).await.unwrap();
    got.into_inner().renditions.remove(0).id
}
