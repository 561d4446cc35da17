//! From what somebody wants made to what the store writes down.

use model::{AudioResult, MediaKind, Recording, Rendition as Row, TenantId};
use sha2::{Digest as _, Sha256};
use store::NewRendition;
use transcode::{AudioOptions, Rendition, StemFormat};

use crate::config::DefaultRendition;

/// Why a rendition can't be made of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// It has no file: it records, or no media came.
    NoFile,
    /// It lacks this kind of media.
    Lacks(&'static str),
    /// It has no track of this number, from 1.
    NoTrack(u32),
    /// Its format can't hold video.
    SoundFormat,
    /// A fault of ours.
    Unwritable(String),
}

/// What the store is to write down for a rendition of a recording. The object's key follows from the two alone.
pub(crate) fn new_rendition(recording: &Recording, rendition: &Rendition) -> Result<NewRendition, Unfit> {
    let key = recording.object_key.as_deref().filter(|_| recording.container.is_some());
    let key = key.ok_or(Unfit::NoFile)?;
    fits(recording, rendition)?;
    let parameters = parameters(rendition)?;
    let sum = Sha256::digest(parameters.as_bytes());
    let sum: String = sum.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let name = format!("{}-{sum}", rendition.name());
    Ok(NewRendition {
        kind: rendition.name().to_owned(),
        object_key: Row::object_key(key, &name, rendition.extension()),
        content_type: rendition.content_type().to_owned(),
        parameters,
    })
}

/// What a rendition is made by, in the one form that is compared.
pub(crate) fn parameters(rendition: &Rendition) -> Result<String, Unfit> {
    serde_json::to_string(rendition).map_err(|error| Unfit::Unwritable(error.to_string()))
}

/// Whether the recording has what the rendition is made of, as far as its row tells.
fn fits(recording: &Recording, rendition: &Rendition) -> Result<(), Unfit> {
    // Of a recording that a crash cut short nothing may be known.
    if recording.tracks.is_empty() {
        return Ok(());
    }
    let has = |kind| recording.tracks.iter().any(|track| track.kind == kind);
    match rendition {
        Rendition::Thumbnail { .. } | Rendition::ContactSheet { .. } | Rendition::Mosaic { .. }
            if !has(MediaKind::Video) =>
        {
            Err(Unfit::Lacks("video"))
        }
        Rendition::Mp3 { .. }
        | Rendition::OggOpus { .. }
        | Rendition::Wav { .. }
        | Rendition::Waveform { .. }
        | Rendition::Mix { .. }
            if !has(MediaKind::Audio) =>
        {
            Err(Unfit::Lacks("sound"))
        }
        Rendition::Stem { track, .. } if *track as usize >= recording.tracks.len() => {
            Err(Unfit::NoTrack(track.saturating_add(1)))
        }
        Rendition::Stem { track, format: StemFormat::Mp3 | StemFormat::OggOpus | StemFormat::Wav }
            if recording.tracks.get(*track as usize).is_some_and(|track| track.kind == MediaKind::Video) =>
        {
            Err(Unfit::SoundFormat)
        }
        _ => Ok(()),
    }
}

/// A rendition of this very recording. A stem that was asked for by its track's number (here less one, as no recording
/// was known) is made by the track's place in the file.
pub(crate) fn in_place(recording: &Recording, rendition: Rendition) -> Result<Rendition, Unfit> {
    let Rendition::Stem { track, format } = rendition else { return Ok(rendition) };
    // Of a recording that a crash cut short nothing may be known.
    if recording.tracks.is_empty() {
        return Ok(rendition);
    }
    let number = track.saturating_add(1);
    let place = recording.tracks.iter().position(|track| track.number == number);
    let place = place.and_then(|place| u32::try_from(place).ok()).ok_or(Unfit::NoTrack(number))?;
    Ok(Rendition::Stem { track: place, format })
}

/// The rendition that a source of audio asked for.
pub(crate) fn asked(result: AudioResult) -> Rendition {
    let audio = AudioOptions::default();
    match result {
        AudioResult::Wav => Rendition::Wav { sample_rate: None, channels: None },
        AudioResult::Opus => Rendition::OggOpus { audio },
        AudioResult::Mp3 => Rendition::Mp3 { audio },
    }
}

/// What its source and the configuration want of a recording when it ends. What can't be made of it is left out.
pub(crate) fn wanted(recording: &Recording, wishes: &[DefaultRendition]) -> Vec<NewRendition> {
    let concerns =
        |tenant: &Option<TenantId>| tenant.as_ref().is_none_or(|tenant| *tenant == recording.tenant);
    let mut wanted: Vec<NewRendition> = Vec::new();
    let configured = wishes.iter().filter(|wish| concerns(&wish.tenant)).map(|wish| wish.rendition.clone());
    for rendition in recording.results.iter().map(|result| asked(*result)).chain(configured) {
        let kind = rendition.name();
        match in_place(recording, rendition).and_then(|rendition| new_rendition(recording, &rendition)) {
            Ok(new) if !wanted.contains(&new) => wanted.push(new),
            Ok(_) => {}
            Err(unfit) => tracing::debug!(recording_id = %recording.id, ?unfit, kind, "not made"),
        }
    }
    wanted
}
