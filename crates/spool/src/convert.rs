//! From the types of `media` to those of `model`.

/// The container as `model` names it.
#[must_use]
pub fn container(container: media::Container) -> model::Container {
    match container {
        media::Container::Webm => model::Container::Webm,
        media::Container::Matroska => model::Container::Matroska,
    }
}

/// The codec as `model` names it.
#[must_use]
pub fn codec(codec: media::Codec) -> model::Codec {
    match codec {
        media::Codec::Vp8 => model::Codec::Vp8,
        media::Codec::Vp9 => model::Codec::Vp9,
        media::Codec::Av1 => model::Codec::Av1,
        media::Codec::H264 => model::Codec::H264,
        media::Codec::H265 => model::Codec::H265,
        media::Codec::Opus => model::Codec::Opus,
        media::Codec::Pcmu => model::Codec::Pcmu,
        media::Codec::Pcma => model::Codec::Pcma,
        media::Codec::G722 => model::Codec::G722,
        media::Codec::Pcm => model::Codec::Pcm,
    }
}

/// A written track as `model` describes it.
pub(crate) fn track(track: &media::TrackSummary) -> model::Track {
    let start = track.start.to_duration();
    model::Track {
        number: track.number,
        mid: track.name.clone(),
        kind: match track.kind {
            media::MediaKind::Audio => model::MediaKind::Audio,
            media::MediaKind::Video => model::MediaKind::Video,
        },
        codec: codec(track.codec),
        width: track.width,
        height: track.height,
        start,
        duration: track.end.to_duration().saturating_sub(start),
        frames: track.frames,
        bytes: track.bytes,
        packets_lost: track.packets_lost,
    }
}
