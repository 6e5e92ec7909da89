//! The OpenAPI document, as far as exchanges are held to it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use jsonschema::Validator;
use serde_json::{Map, Value};

use crate::{
    deviations,
    exchange::decoded,
    schema::{self, Direction},
};

/// Why there is no document to check against.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("could not read {}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{} is no JSON", path.display())]
    Parse { path: PathBuf, source: serde_json::Error },
    #[error("{} lacks {what}: it is not Discord's OpenAPI document", path.display())]
    Shape { path: PathBuf, what: &'static str },
}

#[derive(Debug)]
pub(crate) struct Document {
    /// The document with its references and the deviations applied to its components.
    root: Value,
    /// Templates in the order in which they are tried.
    templates: Vec<Template>,
    /// Compiled when they are first needed, since no run needs all of them.
    validators: Mutex<BTreeMap<(Direction, String), Arc<Validator>>>,
}

#[derive(Debug)]
struct Template {
    text: String,
    segments: Vec<Segment>,
}

/// Literals stand before parameters in this order, so that `@me` is not taken for an id.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Literal(String),
    Parameter(String),
}

/// A path's template, and what stands in its parameters, still percent-encoded.
#[derive(Debug)]
pub(crate) struct Matched<'a> {
    pub(crate) template: &'a str,
    pub(crate) parameters: Vec<(&'a str, &'a str)>,
}

impl Document {
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        let shape = |what| OpenError::Shape { path: path.to_owned(), what };
        let text = std::fs::read(path)
            .map_err(|source| OpenError::Read { path: path.to_owned(), source })?;
        let mut root: Value = serde_json::from_slice(&text)
            .map_err(|source| OpenError::Parse { path: path.to_owned(), source })?;
        let paths = root["paths"].as_object().ok_or_else(|| shape("paths"))?;
        let mut templates: Vec<_> = paths.keys().map(|text| Template::new(text)).collect();
        templates.sort_by(|one, other| one.segments.cmp(&other.segments));
        let components = root.pointer_mut("/components/schemas").and_then(Value::as_object_mut);
        deviations::apply(components.ok_or_else(|| shape("components/schemas"))?);
        Ok(Self { root, templates, validators: Mutex::default() })
    }

    /// Finds the template of a path below the version.
    pub(crate) fn find<'a>(&'a self, path: &'a str) -> Option<Matched<'a>> {
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        self.templates.iter().find_map(|template| template.matches(&parts))
    }

    pub(crate) fn operation(&self, template: &str, method: &str) -> Option<&Map<String, Value>> {
        self.root["paths"][template].get(method.to_ascii_lowercase())?.as_object()
    }

    /// Returns the parameters of an operation, its own and those of its path.
    pub(crate) fn parameters(&self, template: &str, method: &str) -> impl Iterator<Item = &Value> {
        let own =
            self.operation(template, method).and_then(|operation| operation.get("parameters"));
        let shared = self.root["paths"][template].get("parameters");
        [own, shared].into_iter().flatten().filter_map(Value::as_array).flatten()
    }

    /// Returns the response that an operation documents for a status.
    pub(crate) fn response<'a>(
        &'a self,
        operation: &'a Map<String, Value>,
        status: u16,
    ) -> Option<&'a Value> {
        let responses = operation.get("responses")?;
        let class = format!("{}XX", status / 100);
        let found = responses.get(status.to_string()).or_else(|| responses.get(class))?;
        self.resolved(found)
    }

    /// Follows a reference to a response.
    fn resolved<'a>(&'a self, value: &'a Value) -> Option<&'a Value> {
        match value.get("$ref").and_then(Value::as_str) {
            Some(target) => self.root.pointer(target.trim_start_matches('#')),
            None => Some(value),
        }
    }

    pub(crate) fn has_component(&self, name: &str) -> bool {
        self.components().contains_key(name)
    }

    /// Returns the validator of a schema, compiled once.
    pub(crate) fn validator(&self, schema: &Value, direction: Direction) -> Arc<Validator> {
        let key = (direction, schema.to_string());
        let mut validators = self.validators.lock().unwrap_or_else(PoisonError::into_inner);
        let validator = validators
            .entry(key)
            .or_insert_with(|| Arc::new(schema::compile(self.components(), schema, direction)));
        Arc::clone(validator)
    }

    fn components(&self) -> &Map<String, Value> {
        self.root["components"]["schemas"].as_object().expect("looked at when it was opened")
    }
}

impl Template {
    fn new(text: &str) -> Self {
        let segments = text.trim_start_matches('/').split('/');
        let segments = segments.map(|segment| {
            match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                Some(name) => Segment::Parameter(name.to_owned()),
                None => Segment::Literal(segment.to_owned()),
            }
        });
        Self { text: text.to_owned(), segments: segments.collect() }
    }

    fn matches<'a>(&'a self, parts: &[&'a str]) -> Option<Matched<'a>> {
        if parts.len() != self.segments.len() {
            return None;
        }
        let mut parameters = Vec::new();
        for (segment, part) in self.segments.iter().zip(parts) {
            match segment {
                // A client may encode `@`, as discord.js does in `@original`.
                Segment::Literal(literal) if *literal == decoded(part) => {}
                Segment::Literal(_) => return None,
                Segment::Parameter(name) => parameters.push((name.as_str(), *part)),
            }
        }
        Some(Matched { template: &self.text, parameters })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_tried_before_parameters() {
        let mut templates =
            ["/users/{user_id}", "/users/@me", "/users/{user_id}/x"].map(Template::new);
        templates.sort_by(|one, other| one.segments.cmp(&other.segments));
        let find = |path: &str| {
            let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
            let found = templates.iter().find_map(|template| template.matches(&parts));
            found.map(|found| found.template.to_owned())
        };
        assert_eq!(find("/users/@me").as_deref(), Some("/users/@me"));
        assert_eq!(find("/users/%40me").as_deref(), Some("/users/@me"));
        assert_eq!(find("/users/5").as_deref(), Some("/users/{user_id}"));
        assert_eq!(find("/users/5/x").as_deref(), Some("/users/{user_id}/x"));
        assert_eq!(find("/users"), None);
    }
}
