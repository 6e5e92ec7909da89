//! Discord's schemas as JSON Schemas that stand alone, in the sense in which Discord means them.

use std::collections::BTreeMap;

use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};

use crate::deviations::{Difference, tolerated};

const REFERENCE: &str = "#/components/schemas/";
const SNOWFLAKE: &str = "SnowflakeType";

/// Which way a body goes; Discord takes more than it gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Direction {
    Request,
    Response,
}

/// Compiles a schema together with every component that it refers to.
///
/// # Panics
///
/// If it refers to a component that is missing, or is no schema.
pub(crate) fn compile(
    components: &Map<String, Value>,
    schema: &Value,
    direction: Direction,
) -> Validator {
    let rewriter = Rewriter::new(direction);
    let mut needed = BTreeMap::new();
    rewriter.collect(components, schema, &mut needed);
    let needed: Map<String, Value> = needed.into_iter().collect();
    let root = json!({ "allOf": [rewriter.rewrite(schema)], "$defs": needed });
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(true)
        .with_format("snowflake", |text: &str| text.parse::<u64>().is_ok())
        .build(&root)
        .expect("the document's schemas are schemas, and refer to what the document has")
}

#[derive(Clone, Copy, Debug)]
struct Rewriter {
    unions_match_any: bool,
    integers_as_digits: bool,
    ids_as_numbers: bool,
}

impl Rewriter {
    fn new(direction: Direction) -> Self {
        let is_request = direction == Direction::Request;
        Self {
            unions_match_any: tolerated(|it| matches!(it, Difference::UnionsMatchAny)),
            integers_as_digits: is_request
                && tolerated(|it| matches!(it, Difference::IntegersAsDigits)),
            ids_as_numbers: is_request && tolerated(|it| matches!(it, Difference::IdsAsNumbers)),
        }
    }

    /// Adds all components that a schema refers to, rewritten.
    fn collect(
        self,
        components: &Map<String, Value>,
        schema: &Value,
        into: &mut BTreeMap<String, Value>,
    ) {
        match schema {
            Value::Object(fields) => {
                if let Some(name) = fields.get("$ref").and_then(component_name)
                    && !into.contains_key(name)
                {
                    let component = components
                        .get(name)
                        .unwrap_or_else(|| panic!("the document refers to a missing `{name}`"));
                    into.insert(name.to_owned(), self.named(name, component));
                    self.collect(components, component, into);
                }
                for value in fields.values() {
                    self.collect(components, value, into);
                }
            }
            Value::Array(items) => {
                for item in items {
                    self.collect(components, item, into);
                }
            }
            _ => {}
        }
    }

    fn named(self, name: &str, component: &Value) -> Value {
        let schema = self.rewrite(component);
        if name == SNOWFLAKE && self.ids_as_numbers {
            return json!({ "anyOf": [schema, { "type": "integer", "minimum": 0 }] });
        }
        schema
    }

    fn rewrite(self, schema: &Value) -> Value {
        let Value::Object(fields) = schema else { return schema.clone() };
        let mut written = Map::new();
        for (key, value) in fields {
            let value = match (key.as_str(), value) {
                // For readers, not for validators.
                ("description" | "title" | "discriminator" | "default", _) => continue,
                ("$ref", _) => {
                    let name = component_name(value).unwrap_or_default();
                    format!("#/$defs/{name}").into()
                }
                ("properties", Value::Object(properties)) => {
                    let properties = properties.iter();
                    let properties =
                        properties.map(|(name, schema)| (name.clone(), self.rewrite(schema)));
                    Value::Object(properties.collect())
                }
                ("oneOf" | "anyOf" | "allOf", Value::Array(branches)) => {
                    branches.iter().map(|branch| self.rewrite(branch)).collect()
                }
                ("items" | "additionalProperties", _) => self.rewrite(value),
                _ => value.clone(),
            };
            let is_union = key == "oneOf" && self.unions_match_any;
            written.insert(if is_union { "anyOf".to_owned() } else { key.clone() }, value);
        }
        hold_to_width(&mut written);
        if self.integers_as_digits && is_integer(&written) {
            let digits = json!({ "type": "string", "pattern": "^-?[0-9]+$" });
            return json!({ "anyOf": [written, digits] });
        }
        Value::Object(written)
    }
}

fn component_name(reference: &Value) -> Option<&str> {
    reference.as_str().and_then(|target| target.strip_prefix(REFERENCE))
}

fn is_integer(schema: &Map<String, Value>) -> bool {
    match schema.get("type") {
        Some(Value::String(name)) => name == "integer",
        Some(Value::Array(names)) => names.iter().any(|name| name == "integer"),
        _ => false,
    }
}

/// JSON Schema knows no `int32`, so that its bounds must be written out.
fn hold_to_width(schema: &mut Map<String, Value>) {
    if schema.get("format").is_some_and(|format| format == "int32") {
        schema.entry("minimum").or_insert_with(|| i32::MIN.into());
        schema.entry("maximum").or_insert_with(|| i32::MAX.into());
    }
}
