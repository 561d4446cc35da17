//! Sound of a file that still grows: what a film's lanes would make of the whole, cut into segments as it comes.

use super::{
    Made,
    join::join,
    lane::STEP,
    pipeline::{sound_codec, sound_container, sound_spec},
    sound_lane::Mix,
};
use crate::{
    Follow, Produced, Segment, TranscodeError, libav,
    partial::Partial,
    progress::Cancelled,
    sink::{Cutter, SoundEncoder},
    source::{Demux, Kind, OpenFile, Probe, Reader, Track},
    time::Time,
};

/// Makes segments while `file` grows, and when it has ended the whole.
pub(crate) fn follow(
    follow: &Follow,
    file: OpenFile,
    report: &mut dyn FnMut(Segment),
) -> Result<Produced, TranscodeError> {
    follow.check().map_err(TranscodeError::BadOption)?;
    libav::init()?;
    let (format, audio) = follow.rendition.sound().unwrap_or_default();
    let container = sound_container(format);
    let cancelled = Cancelled::never();
    let final_bytes = file.final_bytes();
    let reader = Reader::follow(file)?;
    let probe = Probe::ahead(&reader);
    let sounds: Vec<&Track> = probe.of_kind(Kind::Audio).collect();
    if sounds.is_empty() {
        return Err(TranscodeError::NoSuchTrack { wanted: "track of audio".to_owned() });
    }
    let spec = sound_spec(sound_codec(container), &audio, &sounds);
    let tracks: Vec<usize> = sounds.iter().map(|track| track.index).collect();
    let mut demux = Demux::new(reader, &probe, &tracks, cancelled);
    let mut mix = Mix::open(&sounds, spec.sample_rate, spec.channels)?;
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
    if !present.is_empty() && mix.is_shaped_by_others(&present, &sound_spec(spec.codec, &audio, &present)) {
        let detail = "a track that has no sound has another rate or more channels than those that have";
        return Err(TranscodeError::CantFollow { detail: detail.to_owned() });
    }
    encoder.push(&mix.finish()?, &mut cutter)?;
    encoder.finish(&mut cutter)?;
    let Some(pieces) = cutter.finish()? else {
        return Err(TranscodeError::Unreadable { detail: libav::with_log("nothing in it can be decoded") });
    };
    drop(demux);
    // Also where damage ended the reading early.
    let partial = Partial::new(&final_bytes.output());
    let end = join(&pieces, partial.path(), container, cancelled)?;
    let made = Made { end, size: (0, 0) };
    Ok(made.produced(partial.keep()?))
}
