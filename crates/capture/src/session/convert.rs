//! The words of `peer` into those of `media`, and those of `media` into those of `model`.

use media::{Anchor, Encoding, Input, LayerId, NtpTime, Rotation};
use peer::PeerEvent;

/// What the payload is that an `a=rtpmap` names; none for what the recorder doesn't know.
fn encoding(name: &str) -> Option<Encoding> {
    const NAMES: &[(&str, Encoding)] = &[
        ("VP8", Encoding::Vp8),
        ("VP9", Encoding::Vp9),
        ("AV1", Encoding::Av1),
        ("H264", Encoding::H264),
        ("H265", Encoding::H265),
        ("opus", Encoding::Opus),
        ("PCMU", Encoding::Pcmu),
        ("PCMA", Encoding::Pcma),
        ("G722", Encoding::G722),
        ("red", Encoding::Red),
    ];
    NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|&(_, encoding)| encoding)
}

/// A negotiated track as the recorder wants it.
pub(crate) fn track_config(track: &peer::Track) -> media::TrackConfig {
    let format = |format: &peer::PayloadFormat| {
        Some(media::PayloadFormat {
            payload_type: format.payload_type,
            encoding: encoding(&format.encoding_name)?,
            clock_rate: format.clock_rate,
            channels: format.channels,
            fmtp: format.fmtp.clone(),
        })
    };
    media::TrackConfig {
        id: media::TrackId(track.id.0),
        name: track.mid.clone(),
        kind: match track.kind {
            peer::MediaKind::Audio => media::MediaKind::Audio,
            peer::MediaKind::Video => media::MediaKind::Video,
        },
        formats: track.formats.iter().filter_map(format).collect(),
        anchor: Anchor::SenderReports,
    }
}

/// What the recorder has to hear of an event at `now`; the event itself where it is none of the recorder's.
pub(crate) fn recorder_input(event: PeerEvent, now: std::time::Instant) -> Result<Input, PeerEvent> {
    match event {
        PeerEvent::Rtp { track, layer, arrival, packet } => Ok(Input::Rtp {
            track: media::TrackId(track.0),
            layer: LayerId(layer.0),
            arrival,
            packet: rtp_packet(packet),
        }),
        PeerEvent::SenderReport { track, layer, ssrc, arrival, ntp, rtp_timestamp } => {
            Ok(Input::SenderReport {
                track: media::TrackId(track.0),
                layer: LayerId(layer.0),
                ssrc,
                arrival,
                ntp: NtpTime(ntp),
                rtp_timestamp,
            })
        }
        PeerEvent::TrackEnded(track) => Ok(Input::EndTrack { track: media::TrackId(track.0), at: now }),
        other => Err(other),
    }
}

fn rtp_packet(packet: peer::RtpPacket) -> media::RtpPacket {
    media::RtpPacket {
        ssrc: packet.ssrc,
        payload_type: packet.payload_type,
        sequence_number: packet.sequence_number,
        timestamp: packet.timestamp,
        marker: packet.marker,
        rotation: packet.rotation.map(rotation),
        payload: packet.payload,
    }
}

/// 3GPP TS 26.114 §7.4.5: the low two bits count quarter turns clockwise.
fn rotation(quarter_turns: u8) -> Rotation {
    match quarter_turns & 3 {
        0 => Rotation::None,
        1 => Rotation::Clockwise90,
        2 => Rotation::UpsideDown,
        _ => Rotation::Clockwise270,
    }
}

/// The codec of a track of a live session; none until its first frame.
#[must_use]
pub fn codec_of(track: &media::TrackStatistics) -> Option<model::Codec> {
    track.codec.map(spool::codec)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WebrtcConfig;

    #[test]
    fn every_codec_that_can_be_configured_is_known_to_the_recorder() {
        for name in WebrtcConfig::DEFAULT_CODECS {
            assert!(encoding(name).is_some(), "{name}");
            assert_eq!(encoding(&name.to_lowercase()), encoding(name));
        }
        assert_eq!(encoding("telephone-event"), None);
    }

    #[test]
    fn rotation_counts_quarter_turns_clockwise_and_ignores_the_other_bits() {
        assert_eq!(rotation(0), Rotation::None);
        assert_eq!(rotation(1), Rotation::Clockwise90);
        assert_eq!(rotation(2), Rotation::UpsideDown);
        assert_eq!(rotation(0b1011), Rotation::Clockwise270);
    }
}
