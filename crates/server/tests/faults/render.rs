//! A short recording, its renditions, and the processes that render them.

use std::{path::PathBuf, time::Duration};

use proto::recorder::v1::{
    CreateRenditionRequest, GetRecordingRequest, Job, ListJobsRequest, Mp4, Preset, Recording,
    RecordingState, Rendition, RenditionSpec, RenditionState, VideoOptions,
    recording_service_client::RecordingServiceClient, rendition_spec::Kind,
};
use testkit::{call::Call, recorder::Recorder, sender::SenderConfig, signal::Codec};
use tonic::transport::Channel;

use crate::support::{beep, driver, files_in, ok, played, sender, video, wait_for};

/// Time-out of every wait, long enough for a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

pub type Client = RecordingServiceClient<Channel>;

pub fn client(recorder: &Recorder) -> Client {
    RecordingServiceClient::new(recorder.channel())
}

/// Records four seconds of the test signal: more than an encoder buffers before it reports progress.
pub async fn film(recorder: &Recorder) -> String {
    const SECONDS: u64 = 4;
    let driver = driver();
    let play_for = Some(Duration::from_secs(SECONDS));
    let config = SenderConfig { play_for, ..SenderConfig::playing([video(Codec::Vp8), beep()]) };
    let session = sender(&driver, config).await;
    let call = ok(Call::begin(&mut recorder.client(), &session, "film").await, "the offer");
    played(&session, SECONDS * 30).await;
    ok(call.stop(&mut recorder.client()).await, "the stop");
    call.id
}

/// An MP4 of this height, encoded with this preset.
pub fn mp4(height: i32, preset: Preset) -> Kind {
    let video = VideoOptions { height, preset: preset.into(), ..Default::default() };
    Kind::Mp4(Mp4 { video: Some(video), audio: None })
}

/// A rendition that takes many seconds and reports progress early.
pub fn long_work() -> Kind {
    mp4(1080, Preset::Slower)
}

pub async fn create(client: &mut Client, id: &str, kind: Kind) -> Rendition {
    let spec = Some(RenditionSpec { kind: Some(kind) });
    let request = CreateRenditionRequest { recording_id: id.to_owned(), spec };
    ok(client.create_rendition(request).await, "the rendition").into_inner().rendition.unwrap_or_default()
}

pub async fn get(client: &mut Client, id: &str) -> (Recording, Vec<Rendition>) {
    let got = client.get_recording(GetRecordingRequest { id: id.to_owned() }).await;
    let got = ok(got, "the recording").into_inner();
    (got.recording.unwrap_or_default(), got.renditions)
}

/// The job that makes a rendition.
pub async fn job(client: &mut Client, of: &Rendition) -> Job {
    let request = ListJobsRequest { recording_id: of.recording_id.clone(), ..Default::default() };
    let jobs = ok(client.list_jobs(request).await, "the jobs").into_inner().jobs;
    jobs.into_iter().find(|job| job.id == of.job_id).unwrap_or_default()
}

/// Waits until the recording is available.
pub async fn available(client: &mut Client, id: &str) -> Recording {
    let mut last = None;
    let available = wait_for(PATIENCE, async || {
        let got = client.get_recording(GetRecordingRequest { id: id.to_owned() }).await;
        last = got.ok().and_then(|got| got.into_inner().recording);
        last.as_ref().is_some_and(|recording| recording.state() == RecordingState::Available)
    });
    assert!(available.await, "{last:?}");
    last.unwrap_or_default()
}

/// Waits until a rendition is in a state.
pub async fn rendition(client: &mut Client, of: &Rendition, state: RenditionState) -> Rendition {
    let mut last = None;
    let is = wait_for(PATIENCE, async || {
        let request = GetRecordingRequest { id: of.recording_id.clone() };
        let Ok(got) = client.get_recording(request).await else { return false };
        last = got.into_inner().renditions.into_iter().find(|one| one.id == of.id);
        last.as_ref().is_some_and(|rendition| rendition.state() == state)
    });
    assert!(is.await, "not {state:?}: {last:?}");
    last.unwrap_or_default()
}

/// Waits until a render reports progress.
pub async fn under_way(client: &mut Client, of: &Rendition) {
    let mut last = None;
    let under_way = wait_for(PATIENCE, async || {
        last = job(client, of).await.progress;
        last.as_ref().is_some_and(|progress| progress.percent > 0.0)
    });
    assert!(under_way.await, "{last:?}");
}

/// Child processes of the recorder.
pub fn children(recorder: &Recorder) -> Vec<i32> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", recorder.pid())).into_iter().flatten();
    let lists = tasks.flatten().filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|child| child.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// The entries of the work directory of renders.
pub fn work(recorder: &Recorder) -> Vec<PathBuf> {
    files_in(&recorder.data_dir().join("work"))
}
