//! `RenditionSpec` of `recorder.v1` and the JSON of renditions: one mapping for all kinds.
//!
//! The messages and the JSON have the same names. They differ in the spelling of three sorts of values: a field that is
//! zero is left out of the JSON, a value of an enumeration loses its prefix and is in lower case
//! (`AUDIO_FORMAT_OGG_OPUS` is `"ogg_opus"`), and a duration is a number of seconds.

use std::{sync::LazyLock, time::Duration};

use prost_reflect::{DynamicMessage, EnumDescriptor, Kind, MessageDescriptor, Value as Field};
use proto::recorder::v1 as pb;
use serde_json::{Map, Value};
use transcode::{Rendition, RenditionKind, RequestedRendition};

use crate::{descriptors::POOL, error::FieldViolation};

const DURATION: &str = "google.protobuf.Duration";

static SPEC: LazyLock<MessageDescriptor> = LazyLock::new(|| {
    POOL.get_message_by_name("recorder.v1.RenditionSpec").expect("the build made the descriptors")
});

/// Reads what a caller requests. Every parameter is checked; the path of a violation begins with `spec`.
pub(crate) fn requested_rendition(spec: &pb::RenditionSpec) -> Result<RequestedRendition, FieldViolation> {
    let mut message = DynamicMessage::new(SPEC.clone());
    message.transcode_from(spec).map_err(|error| FieldViolation::new("spec", error.to_string()))?;
    let Some((field, Field::Message(parameters))) = message.fields().next() else {
        return Err(FieldViolation::new("spec", "names no kind of rendition"));
    };
    let path = format!("spec.{}", field.name());
    let kind: RenditionKind =
        field.name().parse().map_err(|_| FieldViolation::new(&path, "is no kind of rendition"))?;
    RequestedRendition::parse(kind, to_json(parameters, &path)?)
        .map_err(|bad| FieldViolation::new(format!("{path}.{}", bad.option), bad.reason))
}

/// The `spec` of a rendition by its stored parameters; `None` if those are of another version.
pub(super) fn spec(parameters: &str) -> Option<pb::RenditionSpec> {
    let rendition: Rendition = serde_json::from_str(parameters).ok()?;
    let requested = RequestedRendition::of(rendition);
    let field = SPEC.get_field_by_name(requested.kind().name())?;
    let message = from_json(field.kind().as_message()?, &requested.parameters().ok()?)?;
    let mut spec = DynamicMessage::new(SPEC.clone());
    spec.set_field(&field, Field::Message(message));
    spec.transcode_to().ok()
}

/// The fields of `message` that are set, as JSON. `path` is its own.
fn to_json(message: &DynamicMessage, path: &str) -> Result<Map<String, Value>, FieldViolation> {
    let mut parameters = Map::new();
    for (field, value) in message.fields() {
        let path = format!("{path}.{}", field.name());
        let violation = |description: &str| FieldViolation::new(&path, description);
        let json = match (value, field.kind()) {
            (Field::I32(number), _) if *number < 0 => return Err(violation("must not be negative")),
            (Field::I32(number), _) => (*number).into(),
            (Field::EnumNumber(number), Kind::Enum(values)) => {
                let unknown = || violation(&format!("{number} is not a value of {}", values.name()));
                name_of(&values, *number).ok_or_else(unknown)?.into()
            }
            (Field::Message(message), Kind::Message(of)) if of.full_name() == DURATION => {
                let duration = message.transcode_to::<prost_types::Duration>().ok();
                let duration = duration.and_then(|duration| Duration::try_from(duration).ok());
                let seconds = duration.map(|duration| duration.as_secs_f64());
                seconds.ok_or_else(|| violation("must be a duration of 0 or more"))?.into()
            }
            (Field::Message(message), _) => to_json(message, &path)?.into(),
            _ => {
                debug_assert!(false, "parameters are int32, enumerations, durations and messages of these");
                return Err(violation("is not supported"));
            }
        };
        parameters.insert(field.name().to_owned(), json);
    }
    Ok(parameters)
}

/// The inverse of [`to_json`]; `None` if the message can't represent the parameters.
fn from_json(descriptor: &MessageDescriptor, parameters: &Map<String, Value>) -> Option<DynamicMessage> {
    let mut message = DynamicMessage::new(descriptor.clone());
    for (name, value) in parameters {
        let field = descriptor.get_field_by_name(name)?;
        let value = match (field.kind(), value) {
            (Kind::Int32, value) => Field::I32(i32::try_from(value.as_u64()?).ok()?),
            (Kind::Enum(values), value) => Field::EnumNumber(number_of(&values, value.as_str()?)?),
            (Kind::Message(of), value) if of.full_name() == DURATION => {
                let mut duration = DynamicMessage::new(of);
                let seconds = Duration::try_from_secs_f64(value.as_f64()?).ok()?;
                duration.transcode_from(&super::duration(seconds)).ok()?;
                Field::Message(duration)
            }
            // Options without any value are left out.
            (Kind::Message(_), Value::Object(options)) if options.is_empty() => continue,
            (Kind::Message(of), Value::Object(options)) => Field::Message(from_json(&of, options)?),
            _ => return None,
        };
        message.set_field(&field, value);
    }
    Some(message)
}

/// `AUDIO_FORMAT_` of the enumeration whose value 0 is `AUDIO_FORMAT_UNSPECIFIED`.
fn prefix(values: &EnumDescriptor) -> Option<String> {
    Some(values.get_value(0)?.name().strip_suffix("UNSPECIFIED")?.to_owned())
}

fn name_of(values: &EnumDescriptor, number: i32) -> Option<String> {
    let value = values.get_value(number)?;
    Some(value.name().strip_prefix(&prefix(values)?)?.to_ascii_lowercase())
}

fn number_of(values: &EnumDescriptor, name: &str) -> Option<i32> {
    let name = format!("{}{}", prefix(values)?, name.to_ascii_uppercase());
    Some(values.get_value_by_name(&name)?.number())
}

#[cfg(test)]
mod tests {
    use proto::recorder::v1::rendition_spec::Kind;

    use super::*;

    fn requested(kind: Kind) -> Result<RequestedRendition, FieldViolation> {
        requested_rendition(&pb::RenditionSpec { kind: Some(kind) })
    }

    fn kinds() -> Vec<Kind> {
        let video = pb::VideoOptions {
            width: 640,
            height: 360,
            frame_rate: 15,
            crf: Some(1),
            preset: pb::Preset::Slow.into(),
            ..Default::default()
        };
        let audio = pb::AudioOptions { bit_rate: 64_000, channels: 1, sample_rate: 48_000 };
        vec![
            Kind::Mp4(pb::Mp4 { video: Some(video), audio: Some(audio) }),
            Kind::Webm(pb::Webm { codec: pb::webm::VideoCodec::Av1.into(), ..Default::default() }),
            Kind::Mp3(pb::Mp3 { audio: Some(audio) }),
            Kind::OggOpus(pb::OggOpus { audio: None }),
            Kind::Wav(pb::Wav { sample_rate: 16_000, channels: 2 }),
            Kind::Thumbnail(pb::Thumbnail {
                at: Some(prost_types::Duration { seconds: 1, nanos: 500_000_000 }),
                width: 320,
            }),
            Kind::ContactSheet(pb::ContactSheet { columns: 3, rows: 2, width: 900 }),
            Kind::Waveform(pb::Waveform { pixels_per_second: 50, samples_per_pixel: 0, bits: 16 }),
            Kind::Mosaic(pb::Mosaic {
                format: pb::FilmFormat::Webm.into(),
                width: 640,
                ..Default::default()
            }),
            Kind::Mix(pb::Mix { format: pb::AudioFormat::Wav.into(), channels: 1 }),
            Kind::Stem(pb::Stem { track: 2, format: pb::StemFormat::Mp3.into() }),
        ]
    }

    #[test]
    fn every_kind_reads_back_from_what_is_stored() {
        for kind in kinds() {
            let rendition = requested(kind).unwrap().resolve(&[]).unwrap();
            let stored = serde_json::to_string(&rendition).unwrap();
            let shown = spec(&stored).unwrap().kind.unwrap();
            match (kind, shown) {
                // What was left out is shown with its default.
                (Kind::Webm(_), Kind::Webm(shown)) => assert_eq!(shown.codec(), pb::webm::VideoCodec::Av1),
                (kind, shown) => assert_eq!(shown, kind),
            }
        }
    }

    #[test]
    fn every_kind_has_a_message_with_its_parameters() {
        assert_eq!(SPEC.fields().len(), RenditionKind::ALL.len());
        for kind in RenditionKind::ALL {
            let field = SPEC.get_field_by_name(kind.name()).unwrap();
            for parameter in field.kind().as_message().unwrap().fields() {
                let parameters = Map::from_iter([(parameter.name().to_owned(), Value::Null)]);
                let unknown = RequestedRendition::parse(*kind, parameters)
                    .is_err_and(|bad| bad.reason.contains("unknown field"));
                assert!(!unknown, "{kind} has no parameter {}", parameter.name());
            }
        }
    }

    #[test]
    fn every_value_of_an_enumeration_is_known_to_both() {
        let formats = ["mp3", "ogg_opus", "wav", "mp4", "webm"];
        for (number, name) in (1..).zip(formats) {
            let stem = Kind::Stem(pb::Stem { track: 1, format: number });
            assert_eq!(requested(stem).unwrap().parameters().unwrap()["format"], name);
        }
        for number in 1..=8 {
            let video = pb::VideoOptions { preset: number, ..Default::default() };
            let mp4 = Kind::Mp4(pb::Mp4 { video: Some(video), audio: None });
            let rendition = requested(mp4).unwrap().resolve(&[]).unwrap();
            assert_eq!(spec(&serde_json::to_string(&rendition).unwrap()).unwrap().kind, Some(mp4));
        }
    }

    #[test]
    fn an_empty_message_of_each_kind_has_defaults_except_a_stem_which_has_to_name_its_track() {
        for kind in [
            Kind::Mp4(pb::Mp4::default()),
            Kind::Webm(pb::Webm::default()),
            Kind::Mp3(pb::Mp3::default()),
            Kind::OggOpus(pb::OggOpus::default()),
            Kind::Wav(pb::Wav::default()),
            Kind::Thumbnail(pb::Thumbnail::default()),
            Kind::ContactSheet(pb::ContactSheet::default()),
            Kind::Waveform(pb::Waveform::default()),
            Kind::Mosaic(pb::Mosaic::default()),
            Kind::Mix(pb::Mix::default()),
        ] {
            assert!(requested(kind).is_ok(), "{kind:?}");
        }
        assert_eq!(requested(Kind::Stem(pb::Stem::default())).unwrap_err().field, "spec.stem.track");
    }

    #[test]
    fn a_parameter_that_cannot_be_used_is_named_by_its_path() {
        let video = |video| Kind::Mp4(pb::Mp4 { video: Some(video), audio: None });
        let audio = |audio| Kind::Mp3(pb::Mp3 { audio: Some(audio) });
        for (kind, want) in [
            (video(pb::VideoOptions { width: -1, ..Default::default() }), "spec.mp4.video.width"),
            (video(pb::VideoOptions { width: 9, ..Default::default() }), "spec.mp4.video.width"),
            (video(pb::VideoOptions { crf: Some(99), ..Default::default() }), "spec.mp4.video.crf"),
            (video(pb::VideoOptions { crf: Some(300), ..Default::default() }), "spec.mp4.video.crf"),
            (video(pb::VideoOptions { preset: 99, ..Default::default() }), "spec.mp4.video.preset"),
            (audio(pb::AudioOptions { channels: 6, ..Default::default() }), "spec.mp3.audio.channels"),
            (audio(pb::AudioOptions { sample_rate: 7, ..Default::default() }), "spec.mp3.audio.sample_rate"),
            (Kind::Waveform(pb::Waveform { bits: 12, ..Default::default() }), "spec.waveform.bits"),
            (
                Kind::ContactSheet(pb::ContactSheet { rows: 99, ..Default::default() }),
                "spec.contact_sheet.rows",
            ),
            (
                Kind::Thumbnail(pb::Thumbnail {
                    at: Some(prost_types::Duration { seconds: -1, nanos: 0 }),
                    width: 0,
                }),
                "spec.thumbnail.at",
            ),
            (Kind::Stem(pb::Stem { track: 1, format: 99 }), "spec.stem.format"),
        ] {
            assert_eq!(requested(kind).unwrap_err().field, want);
        }
        assert_eq!(requested_rendition(&pb::RenditionSpec::default()).unwrap_err().field, "spec");
    }
}
