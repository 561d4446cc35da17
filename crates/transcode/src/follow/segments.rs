//! Renders the audio of an open file into segments.

use super::{Follow, join::join};
use crate::{
    MediaKind, Produced, Segment, TranscodeError, libav,
    partial::Partial,
    progress::Cancelled,
    render::{Made, MixedTracks, STEP, sound_codec, sound_container, sound_spec},
    sink::{Cutter, SoundEncoder},
    source::{Demux, OpenFile, Probe, Reader, Track},
    time::Time,
};

/// Writes segments while `file` is written, and joins them when it has ended.
pub(crate) fn follow(
    follow: &Follow,
    file: OpenFile,
    report: &mut dyn FnMut(Segment),
) -> Result<Produced, TranscodeError> {
    follow.check().map_err(TranscodeError::BadOption)?;
    libav::init()?;
    let (format, audio) = follow.rendition.audio_of_all().unwrap_or_default();
    let container = sound_container(format);
    let cancelled = Cancelled::never();
    let final_bytes = file.final_bytes();
    let reader = Reader::follow(file)?;
    let probe = Probe::ahead(&reader);
    let sounds: Vec<&Track> = probe.of_kind(MediaKind::Audio).collect();
    if sounds.is_empty() {
        return Err(TranscodeError::NoSuchTrack { wanted: "track of audio".to_owned() });
    }
    let spec = sound_spec(sound_codec(container), &audio, &sounds);
    let tracks: Vec<usize> = sounds.iter().map(|track| track.index).collect();
    let mut demux = Demux::new(reader, &probe, &tracks, cancelled);
    let mut mix = MixedTracks::open(&sounds, spec.sample_rate, spec.channels)?;
    let mut cutter = Cutter::new(&follow.segments, follow.interval, cancelled, report);
    let mut encoder = SoundEncoder::open(&spec, mix.channels(), &mut cutter)?;
    let mut until = Time::ZERO;
    loop {
        encoder.push(&mix.advance(&mut demux, until)?, &mut cutter)?;
        if demux.end().is_some_and(|end| until > end) {
            break;
        }
        until = until + STEP;
    }
    final_bytes.check()?;
    let present: Vec<&Track> = sounds.into_iter().filter(|track| demux.has_seen(track.index)).collect();
    if !present.is_empty() && mix.depends_on_others(&present, &sound_spec(spec.codec, &audio, &present)) {
        let detail = "a track without media has another sample rate or more channels than the others";
        return Err(TranscodeError::CantFollow { detail: detail.to_owned() });
    }
    encoder.push(&mix.finish()?, &mut cutter)?;
    encoder.finish(&mut cutter)?;
    let Some(pieces) = cutter.finish()? else {
        return Err(TranscodeError::Unreadable { detail: libav::with_log("nothing in it can be decoded") });
    };
    drop(demux);
    // Waits for the end of the recording also if damage ended the reading before.
    let partial = Partial::new(&final_bytes.output());
    let end = join(&pieces, partial.path(), container, cancelled)?;
    let made = Made { end, size: (0, 0) };
    Ok(made.produced(partial.finish()?))
}
