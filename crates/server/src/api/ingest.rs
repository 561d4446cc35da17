//! `RecordAudio`: a stream of messages becomes a session.

use capture::{AudioChunk, AudioFormat, NewSource, SourceHandle, SourceOutcome, TrackId};
use model::{AudioResult, Channel, EndReason, Recording, Source};
use proto::recorder::v1::{self as pb, AudioData, AudioHeader, RecordAudioResponse, audio_header::Format};

use super::{Api, RequestLimits, check, record_session_id};
use crate::{
    auth::Caller,
    error::{ApiError, FieldViolation},
    renditions::{new_rendition, of_source},
    wire,
};

/// The only track of pushed audio, and its name.
const TRACK: TrackId = TrackId(0);
const TRACK_NAME: &str = "audio";
/// Maximum of results in a header.
const MAX_RESULTS: usize = 8;

/// Why a stream ended early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamError {
    /// The caller disconnected or reset the stream.
    Broken,
    /// An invalid message. The caller must change it.
    Invalid(FieldViolation),
}

impl StreamError {
    pub(crate) fn invalid(field: &str, description: &str) -> Self {
        Self::Invalid(FieldViolation::new(field, description))
    }
}

/// The messages of a stream: a header first, then audio. Implementations buffer at most one message.
pub trait AudioStream {
    /// Receives the first message.
    fn header(&mut self) -> impl Future<Output = Result<AudioHeader, ApiError>> + Send;

    /// Receives the next message; None at the end of the stream.
    fn audio(&mut self) -> impl Future<Output = Result<Option<AudioData>, StreamError>> + Send;
}

impl Api {
    /// Records a stream and returns once the recording is finalized. Dropping the future finalizes it with the audio received
    /// so far.
    ///
    /// # Errors
    /// `Invalid` for the header, `Audio` for later messages; `Capture`.
    pub async fn record_audio(
        &self,
        caller: &Caller,
        mut messages: impl AudioStream + Send,
    ) -> Result<RecordAudioResponse, ApiError> {
        let header = messages.header().await?;
        let (source, format) = new_source(caller, header, self.limits)?;
        let mut handle = self.capture.open(source).await?;
        record_session_id(handle.id());
        // If the session has ended already, `push_all` finds that out.
        let _ = handle.add_audio(TRACK, TRACK_NAME, format).await;
        let (outcome, violation) = match push_all(&mut messages, &mut handle).await {
            PushEnd::StreamEnded => (handle.finish(EndReason::Requested).await?, None),
            PushEnd::Invalid(violation) => (handle.finish(EndReason::InvalidMedia).await?, Some(violation)),
            PushEnd::Broken => (handle.finish(EndReason::PeerClosed).await?, None),
            PushEnd::SessionEnded => (handle.ended().await?, None),
        };
        let mut answer = answer(outcome, violation)?;
        self.add_rendition_ids(caller, &mut answer).await;
        Ok(answer)
    }

    /// Adds the ids of the results' renditions, whose rows were committed with the recording.
    async fn add_rendition_ids(&self, caller: &Caller, answer: &mut RecordAudioResponse) {
        let (Ok(id), false) = (answer.id.parse(), answer.results.is_empty()) else { return };
        match self.store.renditions_of(&caller.tenant, id).await {
            Ok(renditions) => {
                for result in &mut answer.results {
                    let rendition = renditions.iter().find(|one| one.object_key == result.object_key);
                    result.rendition_id = rendition.map(|one| one.id.to_string()).unwrap_or_default();
                }
            }
            Err(error) => {
                tracing::warn!(%error, "RecordAudio: results are returned without the ids of their renditions");
            }
        }
    }
}

/// Why no more audio is pushed.
enum PushEnd {
    /// The stream ended.
    StreamEnded,
    /// A message was invalid.
    Invalid(FieldViolation),
    /// The caller disconnected or reset the stream.
    Broken,
    /// The session ended for another reason, such as a limit or a call.
    SessionEnded,
}

async fn push_all(messages: &mut impl AudioStream, handle: &mut SourceHandle) -> PushEnd {
    loop {
        let message = tokio::select! {
            message = messages.audio() => message,
            _ = handle.ended() => return PushEnd::SessionEnded,
        };
        let chunk = match message {
            Ok(Some(audio)) => chunk(audio),
            Ok(None) => return PushEnd::StreamEnded,
            Err(StreamError::Broken) => return PushEnd::Broken,
            Err(StreamError::Invalid(violation)) => return PushEnd::Invalid(violation),
        };
        let chunk = match chunk {
            Ok(chunk) => chunk,
            Err(violation) => return PushEnd::Invalid(violation),
        };
        if handle.push(TRACK, chunk).await.is_err() {
            return PushEnd::SessionEnded;
        }
    }
}

fn chunk(audio: AudioData) -> Result<AudioChunk, FieldViolation> {
    let duration = |field: &str, value: Option<prost_types::Duration>| match value {
        None => Ok(None),
        Some(value) => wire::positive_duration(value).map(Some).ok_or_else(|| {
            FieldViolation::new(format!("audio.{field}"), "is negative or not a valid duration")
        }),
    };
    let timestamp = duration("timestamp", audio.timestamp)?;
    let duration = duration("duration", audio.duration)?;
    Ok(AudioChunk { data: audio.data.into(), timestamp, duration })
}

fn answer(
    outcome: SourceOutcome,
    violation: Option<FieldViolation>,
) -> Result<RecordAudioResponse, ApiError> {
    let SourceOutcome { recording, refused } = outcome;
    let refused = refused
        .map(|error| FieldViolation::new(format!("audio.{}", error.field()), error.to_string()))
        .or(violation);
    if let Some(violation) = refused {
        return Err(ApiError::Audio { recording: recording.id, violation });
    }
    let Some(container) = recording.container else {
        let violation = FieldViolation::new("audio", "none was received");
        return Err(ApiError::Audio { recording: recording.id, violation });
    };
    let results = recording.results.iter().map(|result| audio_result(&recording, *result)).collect();
    let codec = recording.tracks.first().map_or(pb::Codec::Unspecified, |track| wire::codec(track.codec));
    Ok(RecordAudioResponse {
        id: recording.id.to_string(),
        object_key: recording.object_key.unwrap_or_default(),
        started_at: Some(wire::timestamp(recording.started_at)),
        ended_at: recording.ended_at.map(wire::timestamp),
        container: wire::container(container).into(),
        codec: codec.into(),
        bytes: wire::count(recording.bytes),
        duration: Some(wire::duration(recording.duration)),
        end_reason: recording.end_reason.map_or(pb::EndReason::Unspecified, wire::end_reason).into(),
        results,
    })
}

fn audio_result(recording: &Recording, result: AudioResult) -> pb::AudioResult {
    let format = match result {
        AudioResult::Wav => pb::AudioFormat::Wav,
        AudioResult::Opus => pb::AudioFormat::OggOpus,
        AudioResult::Mp3 => pb::AudioFormat::Mp3,
    };
    let object_key =
        new_rendition(recording, &of_source(result)).map(|new| new.object_key).unwrap_or_default();
    pb::AudioResult { format: format.into(), object_key, rendition_id: String::new() }
}

/// The session and the audio format that a header describes.
fn new_source(
    caller: &Caller,
    header: AudioHeader,
    limits: RequestLimits,
) -> Result<(NewSource, AudioFormat), ApiError> {
    let mut violations = Vec::new();
    check::text("header.name", &header.name, limits, &mut violations);
    check::text("header.correlation_id", &header.correlation_id, limits, &mut violations);
    let channel = channel(header.channel);
    if channel.is_none() {
        violations
            .push(FieldViolation::new("header.channel", format!("{} is not a Channel", header.channel)));
    }
    let results = results(&header.results, &mut violations);
    let format = format(header.format, &mut violations);
    let (Some(channel), Some(format), true) = (channel, format, violations.is_empty()) else {
        return Err(ApiError::Invalid(violations));
    };
    let source = NewSource {
        tenant: caller.tenant.clone(),
        name: header.name,
        correlation_id: header.correlation_id,
        channel,
        source: Source::Audio,
        results,
    };
    Ok((source, format))
}

fn format(format: Option<Format>, violations: &mut Vec<FieldViolation>) -> Option<AudioFormat> {
    // A negative number becomes an out-of-range one, which the check below refuses.
    let channels = |count: i32| u8::try_from(count).unwrap_or(u8::MAX);
    let (member, format) = match format {
        None => {
            violations.push(FieldViolation::new("header.format", "is missing: pcm or opus"));
            return None;
        }
        Some(Format::Pcm(pcm)) => {
            let sample_rate = u32::try_from(pcm.sample_rate).unwrap_or(0);
            ("pcm", AudioFormat::Pcm { sample_rate, channels: channels(pcm.channels) })
        }
        Some(Format::Opus(opus)) => ("opus", AudioFormat::Opus { channels: channels(opus.channels) }),
    };
    if let Err(error) = format.check() {
        let field = format!("header.{member}.{}", error.field());
        violations.push(FieldViolation::new(field, error.to_string()));
        return None;
    }
    Some(format)
}

fn results(numbers: &[i32], violations: &mut Vec<FieldViolation>) -> Vec<AudioResult> {
    if numbers.len() > MAX_RESULTS {
        let problem = format!("are more than {MAX_RESULTS}");
        violations.push(FieldViolation::new("header.results", problem));
        return Vec::new();
    }
    let mut results = Vec::new();
    for (position, number) in numbers.iter().enumerate() {
        let result = match pb::AudioFormat::try_from(*number) {
            Ok(pb::AudioFormat::Wav) => AudioResult::Wav,
            Ok(pb::AudioFormat::OggOpus) => AudioResult::Opus,
            Ok(pb::AudioFormat::Mp3) => AudioResult::Mp3,
            Ok(pb::AudioFormat::Unspecified) | Err(_) => {
                let field = format!("header.results[{position}]");
                violations.push(FieldViolation::new(field, "is none of WAV, OGG_OPUS and MP3"));
                continue;
            }
        };
        if !results.contains(&result) {
            results.push(result);
        }
    }
    results
}

fn channel(number: i32) -> Option<Channel> {
    Some(match pb::Channel::try_from(number).ok()? {
        pb::Channel::Unspecified | pb::Channel::Media => Channel::Media,
        pb::Channel::Chat => Channel::Chat,
        pb::Channel::Mail => Channel::Mail,
        pb::Channel::Call => Channel::Call,
        pb::Channel::Log => Channel::Log,
        pb::Channel::Knowledgebase => Channel::Knowledgebase,
        pb::Channel::Cases => Channel::Cases,
        pb::Channel::ScreenRecording => Channel::ScreenRecording,
    })
}
