//! A model's arguments: checked by the tool's schema before anything else looks at them.

use std::fmt;

use jsonschema::Validator;
use schemars::{JsonSchema, generate::SchemaSettings};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

use crate::domain::text;

/// How long the description of one mistake may be: it may quote what the model wrote.
const MAX_MISTAKE: usize = 240;

/// How much of a field's name is quoted.
const MAX_FIELD: usize = 64;

/// How many mistakes are told at once.
const MAX_MISTAKES: usize = 3;

/// Returns the schema of a tool's parameters.
///
/// Optional fields are left out or given, never `null`: not every provider knows types that are
/// lists, and [`parse`] takes a `null` as left out.
pub(crate) fn schema<T: JsonSchema>() -> Value {
    let generator = SchemaSettings::draft2020_12().with(|it| it.inline_subschemas = true);
    let schema = generator.into_generator().into_root_schema_for::<T>();
    let mut schema = schema.to_value();
    if let Value::Object(fields) = &mut schema {
        fields.remove("$schema");
        fields.remove("title");
        fields.remove("description");
        // Some providers take no object without them.
        fields.entry("properties").or_insert_with(|| Value::Object(Map::new()));
        if let Some(Value::Object(properties)) = fields.get_mut("properties") {
            properties.values_mut().for_each(without_null);
        }
    }
    schema
}

/// Takes nothing as a choice away from a property, and from those inside of it.
fn without_null(property: &mut Value) {
    let Value::Object(fields) = property else { return };
    if fields.get("default") == Some(&Value::Null) {
        fields.remove("default");
    }
    if let Some(Value::Array(types)) = fields.get("type") {
        let other = types.iter().find(|of| *of != "null").cloned();
        if let Some(other) = other {
            fields.insert("type".into(), other);
        }
    }
    if let Some(items) = fields.get_mut("items") {
        without_null(items);
    }
    if let Some(Value::Object(properties)) = fields.get_mut("properties") {
        properties.values_mut().for_each(without_null);
    }
}

/// Reads arguments, or says in words for the model what is wrong with them.
pub(crate) fn parse(
    validator: &Validator,
    arguments: &str,
    max_bytes: usize,
) -> Result<Value, String> {
    if arguments.len() > max_bytes {
        return Err(format!("The arguments are longer than {max_bytes} bytes."));
    }
    let arguments = match arguments.trim() {
        "" => Value::Object(Map::new()),
        arguments => match serde_json::from_str::<Unambiguous>(arguments) {
            Ok(Unambiguous(arguments)) => arguments,
            // It takes any JSON, so this is all that it finds fault with itself.
            Err(error) if error.is_data() => return Err(format!("The arguments name {error}.")),
            Err(error) => return Err(format!("The arguments are no valid JSON: {error}.")),
        },
    };
    let Value::Object(mut fields) = arguments else {
        return Err("The arguments must be one JSON object.".into());
    };
    fields.retain(|_, value| !value.is_null());
    let arguments = Value::Object(fields);
    let mistakes: Vec<String> = validator
        .iter_errors(&arguments)
        .take(MAX_MISTAKES)
        .map(|error| {
            let at = error.instance_path().to_string();
            let at = if at.is_empty() { "the object" } else { at.trim_start_matches('/') };
            text::shortened(&text::visible(&format!("{at}: {}", error.masked())), MAX_MISTAKE)
        })
        .collect();
    if mistakes.is_empty() {
        Ok(arguments)
    } else {
        Err(format!("The arguments do not fit the tool: {}.", mistakes.join("; ")))
    }
}

/// JSON in which no object names a field twice: of two readers one would take the first value, the other
/// the last, and another act would be shown than is done.
struct Unambiguous(Value);

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue).map(Self)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Unambiguous(value)) = items.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = items.next_key::<String>()? {
            if fields.contains_key(&name) {
                let name = text::shortened(&text::visible(&name), MAX_FIELD);
                return Err(A::Error::custom(format!("the field `{name}` twice")));
            }
            let Unambiguous(value) = items.next_value()?;
            fields.insert(name, value);
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use crate::tools;

    fn parse(tool: &str, arguments: &str) -> Result<serde_json::Value, String> {
        tools::find(tool).unwrap().parse(arguments, 32 * 1024)
    }

    #[test]
    fn fitting_arguments_are_taken() {
        for (tool, arguments) in [
            ("send_message", r#"{"content":"hi"}"#),
            ("send_message", r#"{"content":"hi","reply_to":null,"mention_users":["1"]}"#),
            ("fetch_messages", ""),
            ("fetch_messages", r#"{"limit":100}"#),
            ("timeout_member", r#"{"member":"<@1>","duration_seconds":0}"#),
            ("timeout_member", r#"{"member":"bob","duration_seconds":2419200,"reason":"x"}"#),
            ("search_messages", r#"{"query":"pizza"}"#),
        ] {
            parse(tool, arguments).unwrap();
        }
    }

    #[test]
    fn hostile_arguments_are_refused_with_a_sentence() {
        let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
        let long = format!(r#"{{"content":"{}"}}"#, "x".repeat(2_001));
        let huge = format!(r#"{{"content":"{}"}}"#, "x".repeat(100_000));
        for (tool, arguments, named) in [
            (
                "timeout_member",
                r#"{"member":"1","duration_seconds":9,"member":"2"}"#,
                "`member` twice",
            ),
            (
                "timeout_member",
                r#"{"member":"1","duration_seconds":9,"m\u0065mber":"2"}"#,
                "`member`",
            ),
            ("send_message", r#"{"poll":{"question":"a","question":"b"}}"#, "`question` twice"),
            ("manage_permissions", r#"{"allow":["A"],"role":"x","allow":["A"]}"#, "`allow` twice"),
            ("send_message", "{", "no valid JSON"),
            ("send_message", "[1]", "one JSON object"),
            ("send_message", r#""text""#, "one JSON object"),
            ("send_message", r#"{"content":""}"#, "content"),
            ("send_message", r#"{"content":7}"#, "content"),
            ("send_message", r#"{"content":"a","tts":true}"#, "tts"),
            (
                "send_message",
                r#"{"content":"a","allowed_mentions":{"parse":["everyone"]}}"#,
                "allowed",
            ),
            ("send_message", r#"{"content":"a","reply_to":17}"#, "reply_to"),
            ("send_message", r#"{"content":"a","mention_users":"1"}"#, "mention_users"),
            ("send_message", long.as_str(), "content"),
            ("send_message", huge.as_str(), "longer than"),
            ("send_message", deep.as_str(), "no valid JSON"),
            ("fetch_messages", r#"{"limit":0}"#, "limit"),
            ("fetch_messages", r#"{"limit":101}"#, "limit"),
            ("fetch_messages", r#"{"limit":"10"}"#, "limit"),
            ("timeout_member", r#"{"member":"1"}"#, "duration_seconds"),
            ("timeout_member", r#"{"member":"1","duration_seconds":-1}"#, "duration_seconds"),
            ("timeout_member", r#"{"member":"1","duration_seconds":2419201}"#, "duration_seconds"),
            ("timeout_member", r#"{"member":"1","duration_seconds":1e99}"#, "duration_seconds"),
            ("timeout_member", r#"{"member":{"id":"1"},"duration_seconds":60}"#, "member"),
            ("search_messages", r#"{"guild":"2","query":"x"}"#, "guild"),
            ("add_reaction", r#"{"message":"1"}"#, "emoji"),
        ] {
            let mistake = parse(tool, arguments).unwrap_err();
            assert!(mistake.contains(named), "{tool} {mistake}");
            assert!(mistake.len() < 1_200, "{tool} {}", mistake.len());
        }
    }
}
