use serde_json::{Map, json};

use super::*;
use crate::StemFormat;

fn parse(json: &str) -> Result<Rendition, serde_json::Error> {
    serde_json::from_str(json)
}

/// The default of each kind, as the store holds it.
const STORED: &[&str] = &[
    r#"{"kind":"mp4","video":{},"audio":{}}"#,
    r#"{"kind":"webm","codec":"vp9","video":{},"audio":{}}"#,
    r#"{"kind":"mp3","audio":{}}"#,
    r#"{"kind":"ogg_opus","audio":{}}"#,
    r#"{"kind":"wav"}"#,
    r#"{"kind":"thumbnail"}"#,
    r#"{"kind":"contact_sheet","columns":4,"rows":4}"#,
    r#"{"kind":"waveform","bits":8}"#,
    r#"{"kind":"mosaic","format":"mp4","video":{},"audio":{}}"#,
    r#"{"kind":"mix","format":"mp3"}"#,
    r#"{"kind":"stem","track":0,"format":"ogg_opus"}"#,
];

#[test]
fn stored_json_of_every_kind_stays_the_same_to_the_byte() {
    // Keys of objects contain a digest of it, and equal parameters are one rendition.
    let more = [
        r#"{"kind":"mp4","video":{"width":1,"height":2,"frame_rate":3,"bit_rate":4,"crf":5,"preset":"veryfast"},"audio":{"bit_rate":6,"channels":1,"sample_rate":7}}"#,
        r#"{"kind":"webm","codec":"av1","video":{"preset":"slower"},"audio":{}}"#,
        r#"{"kind":"wav","sample_rate":16000,"channels":2}"#,
        r#"{"kind":"thumbnail","at":1.5,"width":320}"#,
        r#"{"kind":"thumbnail","at":2.0}"#,
        r#"{"kind":"contact_sheet","columns":5,"rows":3,"width":1600}"#,
        r#"{"kind":"waveform","pixels_per_second":50,"bits":16}"#,
        r#"{"kind":"waveform","samples_per_pixel":256,"bits":8}"#,
        r#"{"kind":"mosaic","format":"webm","width":1,"height":2,"frame_rate":3,"video":{"crf":4},"audio":{}}"#,
        r#"{"kind":"mix","format":"ogg_opus","channels":1}"#,
        r#"{"kind":"stem","track":3,"format":"webm"}"#,
    ];
    for json in STORED.iter().chain(&more) {
        assert_eq!(serde_json::to_string(&parse(json).unwrap()).unwrap(), **json);
    }
}

#[test]
fn all_parameters_of_a_kind_but_the_track_of_a_stem_have_defaults() {
    assert_eq!(STORED.len(), RenditionKind::ALL.len());
    for (stored, kind) in STORED.iter().zip(RenditionKind::ALL) {
        let requested = RequestedRendition::parse(*kind, Map::new());
        if *kind == RenditionKind::Stem {
            assert_eq!(requested.unwrap_err().option, "track");
            continue;
        }
        let rendition = requested.unwrap().resolve(&[]).unwrap();
        assert_eq!(serde_json::to_string(&rendition).unwrap(), *stored);
        assert_eq!((rendition.kind(), rendition.check()), (*kind, Ok(())));
        assert_eq!(kind.name().parse(), Ok(*kind));
    }
}

#[test]
fn what_a_kind_says_of_itself_holds_for_its_renditions() {
    for stored in STORED {
        let rendition = parse(stored).unwrap();
        let kind = rendition.kind();
        assert!(kind.files().contains(&rendition.file_type()), "{kind}");
        assert_eq!(rendition.audio_of_all().is_some(), kind.while_recording(), "{kind}");
    }
    let stem = parse(STORED[10]).unwrap().file_type();
    assert_eq!((stem.extension(), stem.content_type()), ("ogg", "audio/ogg"));
}

#[test]
fn a_recording_must_have_what_a_rendition_is_made_of() {
    use MediaKind::{Audio, Video};
    for (kind, tracks, expected) in [
        ("mp4", &[Audio][..], Ok(())),
        ("thumbnail", &[Audio], Err(Unfit::Lacks(Video))),
        ("mosaic", &[Audio, Video], Ok(())),
        ("waveform", &[Video], Err(Unfit::Lacks(Audio))),
        ("mix", &[Video, Audio], Ok(())),
    ] {
        let rendition = parse(&format!(r#"{{"kind":"{kind}"}}"#)).unwrap();
        assert_eq!(rendition.check_tracks(tracks), expected, "{kind}");
    }
    let stem = |track, format| Rendition::from(Stem { track, format: Some(format) });
    assert_eq!(stem(1, StemFormat::Mp4).check_tracks(&[Audio, Video]), Ok(()));
    assert_eq!(stem(2, StemFormat::Mp4).check_tracks(&[Audio, Video]), Err(Unfit::NoTrack(3)));
    assert_eq!(stem(1, StemFormat::Wav).check_tracks(&[Audio, Video]), Err(Unfit::AudioFormat));
}

#[test]
fn a_requested_stem_names_its_track_by_the_number_that_the_recording_shows() {
    let requested = |json| serde_json::from_value::<RequestedRendition>(json).unwrap();
    let track = |number, kind| TrackOfRecording { number, kind };
    let tracks = [track(1, MediaKind::Audio), track(3, MediaKind::Video)];
    for (number, format, expected) in [
        (1, None, Ok((0, StemFormat::OggOpus))),
        (3, None, Ok((1, StemFormat::Webm))),
        (3, Some("mp4"), Ok((1, StemFormat::Mp4))),
        (2, None, Err(Unfit::NoTrack(2))),
    ] {
        let mut json = json!({"kind": "stem", "track": number});
        if let Some(format) = format {
            json["format"] = format.into();
        }
        let requested = requested(json.clone());
        assert_eq!(serde_json::to_value(&requested).unwrap(), json);
        let expected = expected.map(|(track, format)| Stem { track, format: Some(format) }.into());
        assert_eq!(requested.resolve(&tracks), expected, "{json}");
    }
    let unknown = requested(json!({"kind": "stem", "track": 2, "format": "wav"})).resolve(&[]);
    assert_eq!(unknown, Ok(Stem { track: 1, format: Some(StemFormat::Wav) }.into()));
    for bad in [json!({}), json!({"track": 0}), json!({"track": -1}), json!({"track": "1"})] {
        let Value::Object(parameters) = bad else { panic!("an object") };
        assert_eq!(RequestedRendition::parse(RenditionKind::Stem, parameters).unwrap_err().option, "track");
    }
}

#[test]
fn unknown_kinds_and_parameters_are_refused_with_their_path() {
    for (json, path) in [
        (json!({"kind": "hologram"}), "kind must be one of mp4, "),
        (json!({"width": 1}), "missing field `kind`"),
        (json!({"kind": "mp4", "colour": 1}), "colour of mp4: unknown field"),
        (json!({"kind": "mp4", "video": {"hight": 720}}), "video.hight of mp4: unknown field"),
        (json!({"kind": "mp4", "video": {"height": "720"}}), "video.height of mp4: invalid type"),
        (json!({"kind": "mp4", "video": {"crf": 300}}), "video.crf of mp4: must be from 1 to 51, not 300"),
        (json!({"kind": "wav", "audio": {}}), "audio of wav: unknown field"),
        (json!({"kind": "waveform", "bits": 12}), "bits of waveform: must be 8 or 16, not 12"),
        (json!({"kind": "stem", "track": 1, "format": "hologram"}), "format of stem: unknown variant"),
    ] {
        let error = serde_json::from_value::<RequestedRendition>(json.clone()).unwrap_err().to_string();
        assert!(error.starts_with(path), "{json}: {error}");
    }
    assert!(parse(r#"{"kind": "mp4", "colour": 1}"#).is_err());
    assert!(parse(r#"{"kind": "hologram"}"#).is_err());
}

#[test]
fn the_documentation_describes_every_kind_and_every_parameter() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/renditions.md");
    let page = std::fs::read_to_string(page).unwrap();
    let schema = serde_json::to_value(schemars::schema_for!(RequestedRendition)).unwrap();
    let kinds = schema["oneOf"].as_array().unwrap();
    assert_eq!(kinds.len(), RenditionKind::ALL.len());
    for (kind, of_kind) in RenditionKind::ALL.iter().zip(kinds) {
        let files: Vec<String> = kind.files().iter().map(|file| format!("`.{}`", file.extension())).collect();
        let needs = match kind.needs() {
            Needs::AnyTrack => "",
            Needs::Track(MediaKind::Audio) => "audio",
            Needs::Track(MediaKind::Video) => "video",
            Needs::NamedTrack => "the track",
        };
        let early = if kind.while_recording() { "yes" } else { "" };
        let row = format!("| `{kind}` | {} | {} | {needs} | {early} |", kind.summary(), files.join(", "));
        let row = row.replace("|  |", "| |").replace("|  |", "| |");
        assert!(page.contains(&row), "no row {row}");
        let parameters = of_kind["properties"].as_object().unwrap();
        assert_eq!(parameters["kind"]["const"], kind.name());
        let row = page.lines().find(|line| line.starts_with(&row)).unwrap();
        for parameter in parameters.keys().filter(|name| *name != "kind") {
            assert!(row.contains(&format!("`{parameter}`")), "the row of {kind} lacks {parameter}");
        }
    }
}

#[test]
fn bit_rates_at_the_limits_of_an_encoder_are_accepted() {
    for json in [
        r#"{"kind": "mp3", "audio": {"bit_rate": 320000}}"#,
        r#"{"kind": "mp3", "audio": {"bit_rate": 32000}}"#,
        r#"{"kind": "mp3", "audio": {"bit_rate": 8000, "sample_rate": 24000}}"#,
        r#"{"kind": "mp3", "audio": {"bit_rate": 160000, "sample_rate": 16000}}"#,
        r#"{"kind": "ogg_opus", "audio": {"bit_rate": 512000}}"#,
        r#"{"kind": "ogg_opus", "audio": {"bit_rate": 256000, "channels": 1}}"#,
        r#"{"kind": "mp4", "audio": {"bit_rate": 288000, "channels": 1}}"#,
    ] {
        assert_eq!(parse(json).unwrap().check(), Ok(()), "{json}");
    }
    let bad = parse(r#"{"kind": "mp3", "audio": {"bit_rate": 500000}}"#).unwrap().check().unwrap_err();
    assert_eq!(bad.reason, "must be from 32000 to 320000, not 500000");
}

#[test]
fn a_parameter_out_of_the_range_of_its_encoder_is_refused_by_name() {
    for (json, option) in [
        (r#"{"kind": "mp4", "video": {"width": 63}}"#, "video.width"),
        (r#"{"kind": "mp4", "video": {"crf": 52}}"#, "video.crf"),
        (r#"{"kind": "mp4", "video": {"crf": 0}}"#, "video.crf"),
        (r#"{"kind": "mosaic", "video": {"crf": 0}}"#, "video.crf"),
        (r#"{"kind": "webm", "codec": "av1", "video": {"crf": 0}}"#, "video.crf"),
        (r#"{"kind": "webm", "video": {"crf": 64}}"#, "video.crf"),
        (r#"{"kind": "webm", "codec": "av1", "video": {"bit_rate": 100000001}}"#, "video.bit_rate"),
        (r#"{"kind": "mp4", "video": {"bit_rate": 200000001}}"#, "video.bit_rate"),
        (r#"{"kind": "webm", "video": {"crf": 30, "bit_rate": 100000}}"#, "video.crf"),
        (r#"{"kind": "webm", "audio": {"sample_rate": 44100}}"#, "audio.sample_rate"),
        (r#"{"kind": "mp3", "audio": {"channels": 6}}"#, "audio.channels"),
        (r#"{"kind": "mp3", "audio": {"bit_rate": 500000}}"#, "audio.bit_rate"),
        (r#"{"kind": "mp3", "audio": {"bit_rate": 12345}}"#, "audio.bit_rate"),
        (r#"{"kind": "mp3", "audio": {"bit_rate": 300000, "sample_rate": 16000}}"#, "audio.bit_rate"),
        (r#"{"kind": "ogg_opus", "audio": {"bit_rate": 300000, "channels": 1}}"#, "audio.bit_rate"),
        (r#"{"kind": "mp4", "audio": {"bit_rate": 300000, "channels": 1}}"#, "audio.bit_rate"),
        (r#"{"kind": "mp4", "audio": {"bit_rate": 200000, "sample_rate": 16000}}"#, "audio.bit_rate"),
        (r#"{"kind": "wav", "sample_rate": 1}"#, "sample_rate"),
        (r#"{"kind": "thumbnail", "at": -1.0}"#, "at"),
        (r#"{"kind": "contact_sheet", "columns": 0}"#, "columns"),
        (r#"{"kind": "contact_sheet", "columns": 20, "width": 64}"#, "columns"),
        (r#"{"kind": "waveform", "samples_per_pixel": 256, "pixels_per_second": 20}"#, "samples_per_pixel"),
        (r#"{"kind": "mosaic", "video": {"width": 640}}"#, "video"),
        (r#"{"kind": "mix", "channels": 0}"#, "channels"),
    ] {
        assert_eq!(parse(json).unwrap().check().unwrap_err().option, option, "{json}");
    }
}

#[test]
fn qualities_and_bit_rates_at_the_limits_of_a_codec_are_accepted() {
    for json in [
        r#"{"kind": "mp4", "video": {"crf": 1}}"#,
        r#"{"kind": "mp4", "video": {"crf": 51}}"#,
        r#"{"kind": "webm", "video": {"crf": 0}}"#,
        r#"{"kind": "webm", "codec": "av1", "video": {"crf": 1}}"#,
        r#"{"kind": "webm", "codec": "av1", "video": {"bit_rate": 100000000}}"#,
        r#"{"kind": "mosaic", "format": "webm", "video": {"crf": 63}}"#,
    ] {
        assert_eq!(parse(json).unwrap().check(), Ok(()), "{json}");
    }
}
