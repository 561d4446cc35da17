//! Renditions as users describe them.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::{Map, Value};

use super::{Rendition, RenditionKind, Stem, Unfit};
use crate::{BadOption, MediaKind};

/// A rendition as a user describes it, in the configuration or in a call. All its parameters are within their ranges.
///
/// Its JSON is that of [`Rendition`] with one difference: a stem names its track by the number that the recording shows,
/// from 1. [`resolve`](Self::resolve) finds the track in a recording.
///
/// ```
/// use transcode::{MediaKind, Rendition, RequestedRendition, Stem, StemFormat, TrackOfRecording};
///
/// let requested: RequestedRendition = serde_json::from_str(r#"{"kind": "stem", "track": 2}"#)?;
/// let tracks = [(1, MediaKind::Audio), (2, MediaKind::Video)];
/// let tracks = tracks.map(|(number, kind)| TrackOfRecording { number, kind });
/// let stem = Stem { track: 1, format: Some(StemFormat::Webm) };
/// assert_eq!(requested.resolve(&tracks), Ok(stem.into()));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RequestedRendition(
    /// The track of a stem is its number less 1, the position that it has if the numbers have no gap.
    Rendition,
);

/// A track of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackOfRecording {
    /// From 1. Numbers can have gaps.
    pub number: u32,
    /// What it holds.
    pub kind: MediaKind,
}

impl RequestedRendition {
    /// Reads the parameters of a rendition of a kind.
    ///
    /// # Errors
    /// The first parameter that is unknown, missing, of the wrong type or out of its range.
    pub fn parse(kind: RenditionKind, mut parameters: Map<String, Value>) -> Result<Self, BadOption> {
        if kind == RenditionKind::Stem {
            number_to_position(&mut parameters)?;
        }
        let rendition = kind.parse(parameters.into())?;
        rendition.check()?;
        Ok(Self(rendition))
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> RenditionKind {
        self.0.kind()
    }

    /// The rendition of a recording with `tracks`, in the order of its file. If `tracks` is empty, nothing is known of
    /// them, as after a crash; the positions of tracks then follow from their numbers.
    ///
    /// # Errors
    /// [`Unfit::NoTrack`].
    pub fn resolve(&self, tracks: &[TrackOfRecording]) -> Result<Rendition, Unfit> {
        let Rendition::Stem(stem) = &self.0 else { return Ok(self.0.clone()) };
        if tracks.is_empty() {
            let format = stem.format.or(Some(Stem::default_format(MediaKind::Audio)));
            return Ok(Stem { format, ..stem.clone() }.into());
        }
        let number = stem.track.saturating_add(1);
        let found = tracks.iter().enumerate().find(|(_, track)| track.number == number);
        let (position, track) = found.ok_or(Unfit::NoTrack(number))?;
        let position = u32::try_from(position).map_err(|_| Unfit::NoTrack(number))?;
        let format = stem.format.or(Some(Stem::default_format(track.kind)));
        Ok(Stem { track: position, format }.into())
    }

    /// How a user would request `rendition`. The number of a stem's track is taken from its position in the file, which is
    /// right unless the numbers of the recording's tracks have a gap.
    #[must_use]
    pub fn of(rendition: Rendition) -> Self {
        Self(rendition)
    }

    /// Its parameters as JSON, without `kind`.
    ///
    /// # Errors
    /// A number that JSON can't represent.
    pub fn parameters(&self) -> Result<Map<String, Value>, serde_json::Error> {
        let Value::Object(mut parameters) = serde_json::to_value(&self.0)? else {
            return Err(ser::Error::custom("a rendition is an object"));
        };
        parameters.remove("kind");
        if let Rendition::Stem(stem) = &self.0 {
            parameters.insert("track".to_owned(), stem.track.saturating_add(1).into());
        }
        Ok(parameters)
    }
}

fn number_to_position(parameters: &mut Map<String, Value>) -> Result<(), BadOption> {
    const PROBLEM: &str = "must be the number of a track, from 1";
    let number = parameters.get_mut("track").ok_or_else(|| BadOption::new("track", PROBLEM))?;
    let position = number.as_u64().and_then(|number| number.checked_sub(1));
    *number = position.ok_or_else(|| BadOption::new("track", PROBLEM))?.into();
    Ok(())
}

impl<'de> Deserialize<'de> for RequestedRendition {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut parameters = Map::deserialize(from)?;
        let kind = parameters.remove("kind").ok_or_else(|| de::Error::missing_field("kind"))?;
        let kind: RenditionKind = kind.as_str().unwrap_or_default().parse().map_err(de::Error::custom)?;
        Self::parse(kind, parameters)
            .map_err(|bad| de::Error::custom(format!("{} of {kind}: {}", bad.option, bad.reason)))
    }
}

impl Serialize for RequestedRendition {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut all = Map::from_iter([("kind".to_owned(), self.kind().name().into())]);
        all.extend(self.parameters().map_err(ser::Error::custom)?);
        all.serialize(to)
    }
}

impl JsonSchema for RequestedRendition {
    fn schema_name() -> Cow<'static, str> {
        "Rendition".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        // The schema of a stem's track describes its number.
        Rendition::json_schema(generator)
    }
}
