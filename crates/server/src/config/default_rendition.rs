//! Default renditions: entries of `renditions`.

use model::TenantId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use transcode::RequestedRendition;

/// A default rendition: made of every recording of a tenant, or of all tenants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Map<String, Value>", into = "Map<String, Value>")]
#[schemars(inline, with = "Map<String, Value>")]
pub struct DefaultRendition {
    /// The owner of the recordings. None: all tenants.
    pub tenant: Option<TenantId>,
    /// The rendition.
    pub rendition: RequestedRendition,
    /// Whether it is made while the recording is open.
    pub while_recording: bool,
}

impl TryFrom<Map<String, Value>> for DefaultRendition {
    type Error = String;

    fn try_from(mut fields: Map<String, Value>) -> Result<Self, String> {
        let tenant = match fields.remove("tenant") {
            None => None,
            Some(tenant) => Some(serde_json::from_value(tenant).map_err(|error| format!("tenant: {error}"))?),
        };
        let while_recording = match fields.remove("while_recording") {
            None => false,
            Some(Value::Bool(value)) => value,
            Some(_) => return Err("while_recording has to be true or false".to_owned()),
        };
        let rendition: RequestedRendition =
            serde_json::from_value(fields.into()).map_err(|error| error.to_string())?;
        let kind = rendition.kind();
        if while_recording && !kind.while_recording() {
            return Err(format!("{kind} can't be made while_recording: only the mix of all audio can"));
        }
        Ok(Self { tenant, rendition, while_recording })
    }
}

impl From<DefaultRendition> for Map<String, Value> {
    fn from(default: DefaultRendition) -> Self {
        let mut fields = default.rendition.parameters().unwrap_or_else(|error| {
            debug_assert!(false, "parameters that were read can be written: {error}");
            Self::new()
        });
        // Options that all have their defaults are an empty object, and parameters without a value are null.
        fields.retain(|_, value| {
            !value.is_null() && value.as_object().is_none_or(|options| !options.is_empty())
        });
        fields.insert("kind".to_owned(), default.rendition.kind().name().into());
        fields.extend(default.tenant.map(|tenant| ("tenant".to_owned(), tenant.as_str().into())));
        if default.while_recording {
            fields.insert("while_recording".to_owned(), true.into());
        }
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<DefaultRendition, String> {
        let table: toml::Table = toml::from_str(&format!("entry = {text}")).unwrap();
        serde_json::from_value(serde_json::to_value(&table["entry"]).unwrap())
            .map_err(|error| error.to_string())
    }

    fn written(default: &DefaultRendition) -> String {
        toml::Value::try_from(default).unwrap().to_string()
    }

    #[test]
    fn the_printed_form_reads_back() {
        for text in [
            "{ kind = \"mp4\" }",
            "{ tenant = \"acme\", kind = \"webm\", codec = \"av1\", video = { height = 720, preset = \"slow\" } }",
            "{ kind = \"thumbnail\", at = 1.5, width = 320 }",
            "{ kind = \"stem\", track = 1, format = \"wav\" }",
            "{ kind = \"waveform\", bits = 16 }",
            "{ tenant = \"acme\", while_recording = true, kind = \"mp3\" }",
        ] {
            let default = read(text).unwrap();
            assert_eq!(read(&written(&default)).unwrap(), default, "{}", written(&default));
        }
    }

    #[test]
    fn tracks_of_stems_are_numbered_from_1() {
        let default = read("{ kind = \"stem\", track = 1, format = \"wav\" }").unwrap();
        assert_eq!(default.rendition.parameters().unwrap()["track"], 1);
        assert!(written(&default).contains("track = 1"), "{}", written(&default));
    }

    #[test]
    fn bad_renditions_are_refused() {
        for (text, want) in [
            ("\"mp4\"", "expected a map"),
            ("{ tenant = \"acme\" }", "kind"),
            ("{ kind = \"gif\" }", "gif"),
            ("{ kind = \"mp4\", quality = 5 }", "quality"),
            ("{ kind = \"mp4\", video = { height = 5 } }", "video.height of mp4"),
            ("{ kind = \"mp4\", tenant = \"a/b\" }", "tenant"),
            ("{ kind = \"mp4\", while_recording = true }", "mp4 can't be made while_recording"),
            ("{ kind = \"mp3\", while_recording = 1 }", "true or false"),
            ("{ kind = \"stem\", track = 0, format = \"wav\" }", "from 1"),
            ("{ kind = \"stem\", track = -1, format = \"wav\" }", "from 1"),
            ("{ kind = \"stem\", format = \"wav\" }", "track"),
        ] {
            let refused = read(text).unwrap_err();
            assert!(refused.contains(want), "{text}: {refused}");
        }
    }
}
