//! Conversions between the types of `model` and the messages of `recorder.v1`.

mod segment;
mod spec;

use std::time::Duration;

use chrono::{DateTime, Utc};
use model::{
    Channel, Codec, Container, EndReason, Job, JobKind, JobState, MediaKind, Progress, Recording,
    RecordingState, Rendition, RenditionState, Source, Track,
};
use proto::recorder::v1 as pb;

pub(crate) use segment::{segment, segment_progress, segment_state};
pub(crate) use spec::requested_rendition;

pub(crate) fn recording(recording: &Recording) -> pb::Recording {
    pb::Recording {
        id: recording.id.to_string(),
        name: recording.name.clone(),
        correlation_id: recording.correlation_id.clone(),
        channel: channel(recording.channel).into(),
        source: source(recording.source).into(),
        node: recording.node.to_string(),
        state: state(recording.state).into(),
        started_at: Some(timestamp(recording.started_at)),
        ended_at: recording.ended_at.map(timestamp),
        end_reason: recording.end_reason.map_or(pb::EndReason::Unspecified, end_reason).into(),
        container: recording.container.map_or(pb::Container::Unspecified, container).into(),
        object_key: recording.object_key.clone().unwrap_or_default(),
        duration: Some(duration(recording.duration)),
        bytes: count(recording.bytes),
        sha256: recording.sha256.clone().unwrap_or_default(),
        error: recording.error.clone().unwrap_or_default(),
        tracks: recording.tracks.iter().map(track).collect(),
    }
}

fn track(track: &Track) -> pb::Track {
    pb::Track {
        number: count32(track.number),
        mid: track.mid.clone(),
        kind: match track.kind {
            MediaKind::Audio => pb::MediaKind::Audio,
            MediaKind::Video => pb::MediaKind::Video,
        }
        .into(),
        codec: codec(track.codec).into(),
        width: count32(track.width),
        height: count32(track.height),
        start: Some(duration(track.start)),
        duration: Some(duration(track.duration)),
        frames: count(track.frames),
        bytes: count(track.bytes),
        packets_lost: count(track.packets_lost),
    }
}

pub(crate) fn rendition(rendition: &Rendition) -> pb::Rendition {
    pb::Rendition {
        id: rendition.id.to_string(),
        recording_id: rendition.recording.to_string(),
        kind: rendition.kind.clone(),
        spec: spec::spec(&rendition.parameters),
        state: match rendition.state {
            RenditionState::Queued => pb::RenditionState::Queued,
            RenditionState::InProgress => pb::RenditionState::InProgress,
            RenditionState::Available => pb::RenditionState::Available,
            RenditionState::Parked => pb::RenditionState::Parked,
            RenditionState::Cancelled => pb::RenditionState::Cancelled,
            RenditionState::Deleted => pb::RenditionState::Deleted,
        }
        .into(),
        job_id: rendition.job.to_string(),
        object_key: rendition.object_key.clone(),
        content_type: rendition.content_type.clone(),
        bytes: count(rendition.bytes),
        duration: Some(duration(rendition.duration)),
        width: count32(rendition.width),
        height: count32(rendition.height),
        sha256: rendition.sha256.clone().unwrap_or_default(),
        error: rendition.error.clone().unwrap_or_default(),
        created_at: Some(timestamp(rendition.created_at)),
        ready_at: rendition.ready_at.map(timestamp),
    }
}

pub(crate) fn job(job: &Job) -> pb::Job {
    pb::Job {
        id: job.id.to_string(),
        recording_id: job.recording.to_string(),
        rendition_id: job.rendition.map(|id| id.to_string()).unwrap_or_default(),
        kind: match job.kind {
            JobKind::Upload => pb::JobKind::Upload,
            JobKind::CleanUp => pb::JobKind::CleanUp,
            JobKind::Render => pb::JobKind::Render,
            JobKind::Delete => pb::JobKind::Delete,
        }
        .into(),
        state: match job.state {
            JobState::Queued => pb::JobState::Queued,
            JobState::InProgress => pb::JobState::InProgress,
            JobState::Done => pb::JobState::Done,
            JobState::Failed => pb::JobState::Failed,
            JobState::Parked => pb::JobState::Parked,
            JobState::Cancelled => pb::JobState::Cancelled,
        }
        .into(),
        node: job.node.as_ref().map(ToString::to_string).unwrap_or_default(),
        attempts: count32(job.attempts),
        created_at: Some(timestamp(job.created_at)),
        run_at: Some(timestamp(job.run_at)),
        progress: job.progress.map(|now| match job.state {
            // The last progress in the database may be a second older than the end.
            JobState::Done => progress(Progress { fraction: 1.0, remaining: Some(Duration::ZERO), ..now }),
            _ => progress(now),
        }),
        error: job.error.clone().unwrap_or_default(),
        started_at: job.started_at.map(timestamp),
        ended_at: job.ended_at.map(timestamp),
    }
}

fn progress(progress: Progress) -> pb::JobProgress {
    pb::JobProgress {
        percent: progress.fraction * 100.0,
        speed: progress.speed,
        remaining: progress.remaining.map(duration),
    }
}

/// The kind of a filter, as [`recording_state`].
pub(crate) fn job_kind(number: i32) -> Option<Option<JobKind>> {
    Some(match pb::JobKind::try_from(number).ok()? {
        pb::JobKind::Unspecified => None,
        pb::JobKind::Upload => Some(JobKind::Upload),
        pb::JobKind::CleanUp => Some(JobKind::CleanUp),
        pb::JobKind::Render => Some(JobKind::Render),
        pb::JobKind::Delete => Some(JobKind::Delete),
    })
}

/// The state of a filter, as [`recording_state`].
pub(crate) fn job_state(number: i32) -> Option<Option<JobState>> {
    Some(match pb::JobState::try_from(number).ok()? {
        pb::JobState::Unspecified => None,
        pb::JobState::Queued => Some(JobState::Queued),
        pb::JobState::InProgress => Some(JobState::InProgress),
        pb::JobState::Done => Some(JobState::Done),
        pb::JobState::Failed => Some(JobState::Failed),
        pb::JobState::Parked => Some(JobState::Parked),
        pb::JobState::Cancelled => Some(JobState::Cancelled),
    })
}

/// The source of a filter, as [`recording_state`].
pub(crate) fn source_filter(number: i32) -> Option<Option<Source>> {
    Some(match pb::Source::try_from(number).ok()? {
        pb::Source::Unspecified => None,
        pb::Source::Webrtc => Some(Source::Webrtc),
        pb::Source::Discord => Some(Source::Discord),
        pb::Source::Audio => Some(Source::Audio),
    })
}

pub(crate) fn timestamp(at: DateTime<Utc>) -> prost_types::Timestamp {
    let nanos = i32::try_from(at.timestamp_subsec_nanos()).unwrap_or(999_999_999);
    prost_types::Timestamp { seconds: at.timestamp(), nanos }
}

/// None if it is negative or invalid.
pub(crate) fn positive_duration(duration: prost_types::Duration) -> Option<Duration> {
    let nanos = u32::try_from(duration.nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    Some(Duration::new(u64::try_from(duration.seconds).ok()?, nanos))
}

/// None if it is outside of the range of `DateTime`.
pub(crate) fn instant(at: prost_types::Timestamp) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(at.seconds, u32::try_from(at.nanos).ok()?)
}

pub(crate) fn duration(duration: Duration) -> prost_types::Duration {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    let nanos = i32::try_from(duration.subsec_nanos()).unwrap_or(999_999_999);
    prost_types::Duration { seconds, nanos }
}

/// Seconds and nanoseconds have the same sign, as protobuf requires.
pub(crate) fn signed_duration(nanos: i64) -> prost_types::Duration {
    const SECOND: i64 = 1_000_000_000;
    let below = i32::try_from(nanos % SECOND).unwrap_or(0);
    prost_types::Duration { seconds: nanos / SECOND, nanos: below }
}

/// The API has signed counts throughout. Saturates.
pub(crate) fn count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(crate) fn count32(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// The state of a filter: `Some(None)` is any, `None` is a number outside of the enum.
pub(crate) fn recording_state(number: i32) -> Option<Option<RecordingState>> {
    Some(match pb::RecordingState::try_from(number).ok()? {
        pb::RecordingState::Unspecified => None,
        pb::RecordingState::Recording => Some(RecordingState::Recording),
        pb::RecordingState::Paused => Some(RecordingState::Paused),
        pb::RecordingState::Processing => Some(RecordingState::Processing),
        pb::RecordingState::Available => Some(RecordingState::Available),
        pb::RecordingState::Parked => Some(RecordingState::Parked),
        pb::RecordingState::Deleted => Some(RecordingState::Deleted),
    })
}

pub(crate) fn state(state: RecordingState) -> pb::RecordingState {
    match state {
        RecordingState::Recording => pb::RecordingState::Recording,
        RecordingState::Paused => pb::RecordingState::Paused,
        RecordingState::Processing => pb::RecordingState::Processing,
        RecordingState::Available => pb::RecordingState::Available,
        RecordingState::Parked => pb::RecordingState::Parked,
        RecordingState::Deleted => pb::RecordingState::Deleted,
    }
}

fn channel(channel: Channel) -> pb::Channel {
    match channel {
        Channel::Chat => pb::Channel::Chat,
        Channel::Mail => pb::Channel::Mail,
        Channel::Call => pb::Channel::Call,
        Channel::Log => pb::Channel::Log,
        Channel::Media => pb::Channel::Media,
        Channel::Knowledgebase => pb::Channel::Knowledgebase,
        Channel::Cases => pb::Channel::Cases,
        Channel::ScreenRecording => pb::Channel::ScreenRecording,
    }
}

pub(crate) fn source(source: Source) -> pb::Source {
    match source {
        Source::Webrtc => pb::Source::Webrtc,
        Source::Discord => pb::Source::Discord,
        Source::Audio => pb::Source::Audio,
    }
}

pub(crate) fn end_reason(reason: EndReason) -> pb::EndReason {
    match reason {
        EndReason::Requested => pb::EndReason::Requested,
        EndReason::PeerClosed => pb::EndReason::PeerClosed,
        EndReason::ConnectTimeout => pb::EndReason::ConnectTimeout,
        EndReason::IceFailed => pb::EndReason::IceFailed,
        EndReason::TransportFailed => pb::EndReason::TransportFailed,
        EndReason::TimeLimit => pb::EndReason::TimeLimit,
        EndReason::SizeLimit => pb::EndReason::SizeLimit,
        EndReason::DiskFull => pb::EndReason::DiskFull,
        EndReason::DiskStalled => pb::EndReason::DiskStalled,
        EndReason::Shutdown => pb::EndReason::Shutdown,
        EndReason::Crash => pb::EndReason::Crash,
        EndReason::InvalidMedia => pb::EndReason::InvalidMedia,
    }
}

pub(crate) fn container(container: Container) -> pb::Container {
    match container {
        Container::Webm => pb::Container::Webm,
        Container::Matroska => pb::Container::Matroska,
    }
}

pub(crate) fn codec(codec: Codec) -> pb::Codec {
    match codec {
        Codec::Vp8 => pb::Codec::Vp8,
        Codec::Vp9 => pb::Codec::Vp9,
        Codec::Av1 => pb::Codec::Av1,
        Codec::H264 => pb::Codec::H264,
        Codec::H265 => pb::Codec::H265,
        Codec::Opus => pb::Codec::Opus,
        Codec::Pcmu => pb::Codec::Pcmu,
        Codec::Pcma => pb::Codec::Pcma,
        Codec::G722 => pb::Codec::G722,
        Codec::Pcm => pb::Codec::Pcm,
    }
}

#[cfg(test)]
mod tests {
    use model::{JobId, NodeId, RecordingId, TenantId};

    use super::*;

    #[test]
    fn a_done_job_shows_100_percent_and_another_its_last_progress() {
        let now = Utc::now();
        let mut render = Job {
            id: JobId::new(),
            recording: RecordingId::new(),
            tenant: TenantId::default(),
            rendition: None,
            kind: JobKind::Render,
            state: JobState::Failed,
            node: Some(NodeId::default()),
            attempts: 1,
            run_at: now,
            error: None,
            progress: Some(Progress { fraction: 0.25, speed: 3.0, remaining: None }),
            created_at: now,
            started_at: Some(now),
            ended_at: None,
        };
        let shown = |job: &Job| super::job(job).progress.map(|shown| (shown.percent, shown.speed));
        assert_eq!(shown(&render), Some((25.0, 3.0)));
        render.state = JobState::Done;
        assert_eq!(shown(&render), Some((100.0, 3.0)));
        render.progress = None;
        assert_eq!(shown(&render), None);
    }

    #[test]
    fn a_negative_duration_has_the_sign_in_both_parts() {
        for (nanos, seconds, below) in [
            (-120_000_000, 0, -120_000_000),
            (-2_500_000_000, -2, -500_000_000),
            (1_000_000_001, 1, 1),
            (0, 0, 0),
        ] {
            let shown = signed_duration(nanos);
            assert_eq!((shown.seconds, shown.nanos), (seconds, below), "{nanos}");
        }
    }
}
