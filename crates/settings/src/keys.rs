//! The list of keys, made from the JSON schema of the settings structs.

use std::{collections::BTreeMap, fmt};

use schemars::JsonSchema;
use serde::{
    Deserialize, Serialize,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value as Json;

/// One key, as its field describes it.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    /// Its dotted name.
    pub(crate) name: String,
    /// Names that older deployments set in the environment (`#[schemars(extend("env" = "NAME"))]`).
    pub(crate) older: Vec<String>,
    /// The doc comment.
    pub(crate) help: String,
    /// The default in words where it is made at start (`#[schemars(extend("default_text" = "…"))]`). Markdown.
    pub(crate) default_text: Option<String>,
    /// What it accepts.
    pub(crate) shape: Shape,
    /// Whether it may have no value: empty text means none.
    pub(crate) optional: bool,
    /// Whether its value is hidden.
    pub(crate) secret: bool,
}

/// What a value has to look like before its own type reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Any scalar.
    Text,
    /// A whole number from `min` to `max`.
    Integer { min: Option<i64>, max: Option<i64> },
    /// True or false.
    Boolean,
    /// A list.
    List(Box<Shape>),
    /// A table, as an entry of a list.
    Table,
}

impl Key {
    /// The variable's name by rule: `grpc.listen` is `RECORDER__GRPC__LISTEN`.
    pub(crate) fn variable(&self) -> String {
        format!("RECORDER__{}", self.name.replace('.', "__").to_uppercase())
    }
}

/// Every key, in the order of the structs' fields.
pub(crate) fn keys<T: Default + Serialize + JsonSchema>() -> Vec<Key> {
    let schema = schemars::schema_for!(T).to_value();
    let mut found = Vec::new();
    collect(&schema, &schema, "", &mut found);
    let order = order(&T::default());
    found.sort_by_key(|key| order.get(&key.name).copied().unwrap_or(usize::MAX));
    found
}

fn collect(root: &Json, field: &Json, name: &str, found: &mut Vec<Key>) {
    let target = resolve(root, field);
    if let Some(fields) = target["properties"].as_object() {
        for (inner, field) in fields {
            let name = if name.is_empty() { inner.clone() } else { format!("{name}.{inner}") };
            collect(root, field, &name, found);
        }
        return;
    }
    let text = |attribute: &str| field[attribute].as_str().unwrap_or_default().replace('\n', " ");
    found.push(Key {
        name: name.to_owned(),
        older: text("env").split_whitespace().map(str::to_owned).collect(),
        help: text("description"),
        default_text: Some(text("default_text")).filter(|text| !text.is_empty()),
        shape: Shape::of(root, target),
        optional: target["type"].as_array().is_some_and(|types| types.contains(&"null".into())),
        secret: field["writeOnly"] == true || target["writeOnly"] == true,
    });
}

fn resolve<'a>(root: &'a Json, field: &'a Json) -> &'a Json {
    let referred = field["$ref"].as_str().and_then(|path| root.pointer(path.trim_start_matches('#')));
    referred.unwrap_or(field)
}

impl Shape {
    fn of(root: &Json, schema: &Json) -> Self {
        let is = |name: &str| {
            let types = &schema["type"];
            types == name || types.as_array().is_some_and(|all| all.contains(&name.into()))
        };
        if is("array") {
            return Self::List(Box::new(Self::of(root, resolve(root, &schema["items"]))));
        }
        let bound = |name: &str| schema[name].as_i64();
        match () {
            () if is("integer") => Self::Integer { min: bound("minimum"), max: bound("maximum") },
            () if is("boolean") => Self::Boolean,
            () if is("string") => Self::Text,
            () => Self::Table,
        }
    }
}

/// The position of each field in its struct. A schema sorts its properties; serde writes them as declared.
fn order<T: Serialize>(settings: &T) -> BTreeMap<String, usize> {
    let text = serde_json::to_string(settings).unwrap_or_default();
    let mut names = Vec::new();
    serde_json::from_str::<Fields>(&text).unwrap_or_default().names("", &mut names);
    names.into_iter().enumerate().map(|(position, name)| (name, position)).collect()
}

/// Names of fields, and of the fields below them, as written.
#[derive(Default)]
struct Fields(Vec<(String, Fields)>);

impl Fields {
    fn names(self, prefix: &str, names: &mut Vec<String>) {
        for (field, inner) in self.0 {
            let name = format!("{prefix}{field}");
            inner.names(&format!("{name}."), names);
            names.push(name);
        }
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Fields(fields))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Fields, A::Error> {
        while entries.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Fields::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Fields, E> {
        Ok(Fields::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Fields, E> {
        Ok(Fields::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Fields, E> {
        Ok(Fields::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Fields, E> {
        Ok(Fields::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Fields, E> {
        Ok(Fields::default())
    }

    fn visit_unit<E>(self) -> Result<Fields, E> {
        Ok(Fields::default())
    }
}
