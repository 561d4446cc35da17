//! Merges the layers and reads the result into the settings struct. Every value is read alone first, with all else by
//! default: so every problem is found at once, with its key and its origin.

use config::{Config, Value, ValueKind};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value as Json};

use crate::{
    keys::{Key, Shape, keys},
    layers::{Reader, Sources},
    problem::{Fault, Origin, Origins, Problem, Problems},
};

/// A service's settings. Every struct of a section needs `#[serde(default)]` and must not flatten another one.
pub trait Settings: Default + Serialize + DeserializeOwned + JsonSchema {
    /// Fills in what depends on other values or on the environment. Runs once, after the layers are merged.
    fn complete(&mut self, _sources: &Sources, _origins: &Origins) {}

    /// What is wrong with values, or between values, that are each well formed.
    fn faults(&self) -> Vec<Fault>;
}

/// Reads, merges and checks. Opens nothing but the files that the sources name.
///
/// # Errors
/// Every value that can't be used. Faults are only looked for once every value is well formed.
pub fn load<T: Settings>(sources: &Sources) -> Result<(T, Origins), Problems> {
    let keys = keys::<T>();
    let mut reader = Reader { keys: &keys, problems: Vec::new() };
    let mut builder = Config::builder();
    if let Some(path) = &sources.file {
        builder = builder.add_source(reader.file(path));
    }
    builder = builder.add_source(reader.environment(sources));
    for flag in &sources.flags {
        builder = builder.add_source(reader.flag(flag));
    }
    let mut problems = reader.problems;
    let merged = builder.build().map_err(|error| whole(&error))?;

    let mut origins = Origins::default();
    let mut tree = Map::new();
    for key in &keys {
        let Some(value) = find(&merged.cache, &key.name) else { continue };
        origins.0.insert(key.name.clone(), origin_of(value));
        match read::<T>(key, value) {
            Ok(json) => put(&mut tree, &key.name, json),
            Err(found) => problems.extend(found),
        }
    }
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    let mut settings: T = serde_json::from_value(tree.into()).map_err(|error| whole(&error))?;
    settings.complete(sources, &origins);
    let refused = |Fault { key, reason }: Fault| Problem { origin: origins.of(&key), key, reason };
    let problems: Vec<Problem> = settings.faults().into_iter().map(refused).collect();
    if problems.is_empty() { Ok((settings, origins)) } else { Err(Problems(problems)) }
}

/// An error without a key. None is expected: names are known, and every value was read alone.
fn whole(error: &dyn std::error::Error) -> Problems {
    debug_assert!(false, "values that read alone read together: {error}");
    let (key, reason) = ("configuration".to_owned(), error.to_string());
    Problems(vec![Problem { key, origin: Origin::Default, reason }])
}

fn find<'a>(tree: &'a Value, name: &str) -> Option<&'a Value> {
    name.split('.').try_fold(tree, |value, field| match &value.kind {
        ValueKind::Table(fields) => fields.get(field),
        _ => None,
    })
}

fn put(tree: &mut Map<String, Json>, name: &str, json: Json) {
    match name.split_once('.') {
        None => {
            tree.insert(name.to_owned(), json);
        }
        Some((section, rest)) => {
            if let Some(inner) = tree.entry(section).or_insert_with(|| Map::new().into()).as_object_mut() {
                put(inner, rest, json);
            }
        }
    }
}

fn origin_of(value: &Value) -> Origin {
    value.origin().map_or(Origin::Default, |origin| Origin::Set(origin.to_owned()))
}

/// Reads one value as its type does.
fn read<T: Settings>(key: &Key, value: &Value) -> Result<Json, Vec<Problem>> {
    let problem = |origin, reason| Problem { key: key.name.clone(), origin, reason };
    if key.optional && matches!(&value.kind, ValueKind::String(text) if text.is_empty()) {
        return Ok(Json::Null);
    }
    let Shape::List(shape) = &key.shape else {
        let json = shaped(&key.shape, value).map_err(|reason| vec![problem(origin_of(value), reason)])?;
        return match try_alone::<T>(key, json.clone()) {
            Ok(()) => Ok(json),
            Err((_, reason)) => Err(vec![problem(origin_of(value), reason)]),
        };
    };
    let mut problems = Vec::new();
    let mut read = Vec::new();
    for (number, entry) in (1..).zip(entries(value)) {
        let result = shaped(shape, &entry).map_err(|reason| (String::new(), reason));
        let result = result.and_then(|json| try_alone::<T>(key, vec![json.clone()].into()).map(|()| json));
        match result {
            Ok(json) => read.push(json),
            Err((field, reason)) => {
                let comma = if field.is_empty() { "" } else { ", " };
                // A field of a table has its own line.
                let origin = origin_of(find(&entry, &field).unwrap_or(&entry));
                problems.push(problem(origin, format!("entry {number}{comma}{field}: {reason}")));
            }
        }
    }
    if problems.is_empty() { Ok(read.into()) } else { Err(problems) }
}

/// The entries of a list. Text is separated by commas; any other scalar is the only entry.
fn entries(value: &Value) -> Vec<Value> {
    match &value.kind {
        ValueKind::Array(entries) => entries.clone(),
        ValueKind::String(text) => {
            let origin = value.origin().map(str::to_owned);
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            parts.map(|part| Value::new(origin.as_ref(), part)).collect()
        }
        _ => vec![value.clone()],
    }
}

/// The value in the shape that its type reads: text becomes a number or a truth value where one is expected.
fn shaped(shape: &Shape, value: &Value) -> Result<Json, String> {
    let scalar = match &value.kind {
        ValueKind::Array(_) | ValueKind::Table(_) => None,
        // Of 3.0, `to_string` makes 3.
        ValueKind::Float(number) => Some(format!("{number:?}")),
        _ => Some(value.to_string()),
    };
    match (shape, scalar) {
        (Shape::Table, None) => Ok(json(value)),
        // The text may be a secret.
        (Shape::Table, Some(_)) => Err("a table { name = value, … } is expected".to_owned()),
        (Shape::Text, Some(text)) => Ok(text.into()),
        (Shape::Integer { min, max }, Some(text)) => {
            let number: i64 = text.trim().parse().map_err(|_| format!("{text:?} is not a whole number"))?;
            match (*min, *max) {
                (Some(min), _) if number < min => Err(format!("has to be {min} or more")),
                (_, Some(max)) if number > max => Err(format!("has to be {max} or less")),
                _ => Ok(number.into()),
            }
        }
        (Shape::Boolean, Some(text)) => match text.to_lowercase().as_str() {
            "true" | "t" | "1" | "yes" | "on" => Ok(true.into()),
            "false" | "f" | "0" | "no" | "off" => Ok(false.into()),
            _ => Err(format!("{text:?} is not true or false")),
        },
        (_, None) => Err("a single value is expected, not a list or table".to_owned()),
        (Shape::List(_), Some(_)) => Err("a list of lists is not supported".to_owned()),
    }
}

fn json(value: &Value) -> Json {
    match &value.kind {
        ValueKind::Boolean(value) => (*value).into(),
        ValueKind::I64(number) => (*number).into(),
        ValueKind::Float(number) => (*number).into(),
        ValueKind::Array(entries) => entries.iter().map(json).collect(),
        ValueKind::Table(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), json(value))).collect::<Map<_, _>>().into()
        }
        _ => value.to_string().into(),
    }
}

/// Reads the settings with one value set. The error has the field below the key, where it is known.
fn try_alone<T: Settings>(key: &Key, json: Json) -> Result<(), (String, String)> {
    let mut tree = Map::new();
    put(&mut tree, &key.name, json);
    let Err(error) = serde_path_to_error::deserialize::<_, T>(Json::from(tree)) else { return Ok(()) };
    let path = error.path().to_string();
    let field = path.strip_prefix(&format!("{}[0].", key.name)).unwrap_or_default().to_owned();
    Err((field, error.into_inner().to_string()))
}
