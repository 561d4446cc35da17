//! Default renditions, and rules of retention.

use jobs::RetentionRule;
use model::TenantId;
use transcode::{RenditionKind, RequestedRendition};

use super::{
    GoDuration,
    raw::Raw,
    settings::{Setting, quote},
};

/// A default rendition: made of every recording of a tenant, or of all tenants.
#[derive(Debug, Clone, PartialEq)]
pub struct DefaultRendition {
    /// The owner of the recordings; `None`: all tenants.
    pub tenant: Option<TenantId>,
    /// The rendition.
    pub rendition: RequestedRendition,
    /// Whether it is made while the recording is still open.
    pub while_recording: bool,
}

impl Setting for DefaultRendition {
    fn parse(raw: &Raw) -> Result<Self, String> {
        let Raw::Table(fields) = raw else {
            return Err("a rendition is a table { kind = \"mp4\", … }".to_owned());
        };
        let mut fields = fields.clone();
        let tenant = fields.remove("tenant").map(|tenant| tenant_of(&tenant)).transpose()?;
        let while_recording = match fields.remove("while_recording") {
            None | Some(Raw::Boolean(false)) => false,
            Some(Raw::Boolean(true)) => true,
            Some(_) => return Err("while_recording has to be true or false".to_owned()),
        };
        let kind = fields.remove("kind").ok_or("a rendition needs `kind`")?;
        let kind = kind_of(&kind).map_err(|bad| bad.to_string())?;
        let parameters = fields.iter().map(|(name, value)| (name.clone(), json(value))).collect();
        let rendition = RequestedRendition::parse(kind, parameters)
            .map_err(|bad| format!("{} of {kind}: {}", bad.option, bad.reason))?;
        if while_recording && !kind.while_recording() {
            return Err(format!("{kind} can't be made while_recording: only the mix of all audio can"));
        }
        Ok(Self { tenant, rendition, while_recording })
    }

    fn show(&self) -> String {
        let shown = serde_json::to_value(&self.rendition).unwrap_or_default();
        let tenant = self.tenant.as_ref().map(|tenant| format!("tenant = {}, ", quote(tenant.as_str())));
        let while_recording = if self.while_recording { "while_recording = true, " } else { "" };
        let shown = toml(&shown);
        format!("{{ {}{while_recording}{}", tenant.unwrap_or_default(), shown.trim_start_matches("{ "))
    }
}

/// A rule of retention.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention(pub RetentionRule);

impl Setting for Retention {
    fn parse(raw: &Raw) -> Result<Self, String> {
        let Raw::Table(fields) = raw else {
            return Err("a rule of retention is a table { after = \"720h\", … }".to_owned());
        };
        let known = ["tenant", "rendition", "after"];
        if let Some(unknown) = fields.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(format!(
                "a rule of retention has no field {unknown:?}: only tenant, rendition, after"
            ));
        }
        let after = fields.get("after").ok_or("a rule of retention needs `after`")?;
        let rendition = fields.get("rendition").map(kind_of).transpose();
        let rendition = rendition.map_err(|bad| format!("rendition {}", bad.reason))?;
        let rendition = rendition.map(|kind| kind.name().to_owned());
        let tenant = fields.get("tenant").map(tenant_of).transpose()?;
        let after = GoDuration::parse(after)?.0;
        if after.is_zero() {
            // Elsewhere 0 is never: here it would be at once.
            return Err(
                "after = 0 would delete everything at the next turn; what is to be kept for ever has \
                        no rule of retention"
                    .to_owned(),
            );
        }
        Ok(Self(RetentionRule { tenant, rendition, after }))
    }

    fn show(&self) -> String {
        let RetentionRule { tenant, rendition, after } = &self.0;
        let tenant = tenant.as_ref().map(|tenant| format!("tenant = {}, ", quote(tenant.as_str())));
        let rendition = rendition.as_ref().map(|kind| format!("rendition = {}, ", quote(kind)));
        let (tenant, rendition) = (tenant.unwrap_or_default(), rendition.unwrap_or_default());
        format!("{{ {tenant}{rendition}after = {} }}", GoDuration(*after).show())
    }
}

fn tenant_of(raw: &Raw) -> Result<TenantId, String> {
    let text = raw.scalar().ok_or("tenant has to be a text")?;
    text.parse().map_err(|error: model::InvalidId| error.to_string())
}

fn kind_of(raw: &Raw) -> Result<RenditionKind, transcode::BadOption> {
    raw.scalar().unwrap_or_default().parse()
}

fn json(raw: &Raw) -> serde_json::Value {
    match raw {
        Raw::Text(text) => text.as_str().into(),
        Raw::Integer(integer) => (*integer).into(),
        Raw::Boolean(value) => (*value).into(),
        Raw::List(values) => values.iter().map(json).collect(),
        Raw::Table(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), json(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Raw::Other(text) => text.parse::<f64>().map_or_else(|_| text.as_str().into(), Into::into),
    }
}

/// A value as TOML on one line.
fn toml(value: &serde_json::Value) -> String {
    use serde_json::Value;
    match value {
        // Leaves out what has its default.
        Value::Object(fields) => {
            let shown = fields
                .iter()
                .filter(|(_, value)| value.as_object().is_none_or(|object| !object.is_empty()))
                .map(|(name, value)| format!("{name} = {}", toml(value)));
            format!("{{ {} }}", shown.collect::<Vec<_>>().join(", "))
        }
        Value::Array(values) => format!("[{}]", values.iter().map(toml).collect::<Vec<_>>().join(", ")),
        Value::String(text) => quote(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn raw(text: &str) -> Raw {
        Raw::from_text(text)
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
            let wanted = DefaultRendition::parse(&raw(text)).unwrap();
            assert_eq!(DefaultRendition::parse(&raw(&wanted.show())).unwrap(), wanted, "{}", wanted.show());
        }
        let rule = "{ tenant = \"acme\", rendition = \"mp3\", after = \"720h\" }";
        let retention = Retention::parse(&raw(rule)).unwrap();
        assert_eq!(retention.0.after, Duration::from_secs(720 * 3600));
        assert_eq!(Retention::parse(&raw(&retention.show())).unwrap(), retention);
    }

    #[test]
    fn tracks_of_stems_are_numbered_from_1() {
        let wanted =
            DefaultRendition::parse(&raw("{ kind = \"stem\", track = 1, format = \"wav\" }")).unwrap();
        assert_eq!(wanted.rendition.parameters().unwrap()["track"], 1);
        assert!(wanted.show().contains("track = 1"), "{}", wanted.show());
    }

    #[test]
    fn bad_renditions_and_bad_rules_are_refused() {
        for (text, want) in [
            ("mp4", "is a table"),
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
            let told = DefaultRendition::parse(&raw(text)).unwrap_err();
            assert!(told.contains(want), "{text}: {told}");
        }
        for (text, want) in [
            ("720h", "is a table"),
            ("{ tenant = \"acme\" }", "after"),
            ("{ after = \"soon\" }", "soon"),
            ("{ after = \"0s\" }", "would delete everything"),
            ("{ after = 0 }", "would delete everything"),
            ("{ after = \"1h\", rendition = \"gif\" }", "one of mp4"),
            ("{ after = \"1h\", kind = \"mp4\" }", "kind"),
        ] {
            let told = Retention::parse(&raw(text)).unwrap_err();
            assert!(told.contains(want), "{text}: {told}");
        }
    }
}
