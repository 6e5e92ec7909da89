//! What a file says, as it is written there: with what stands in it twice, and with what no value can be.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Number, Value};

/// One value of a file, or a table of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Written {
    Table(Table),
    Value(Value),
    /// TOML's, as it stands there.
    Date(String),
    /// TOML's `nan` and `inf`, or a list with one.
    NotFinite(String),
}

/// What stands below names, in its order; JSON may have a name twice.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Table(pub(crate) Vec<(String, Written)>);

impl Table {
    /// Takes out what stands below a name.
    ///
    /// # Errors
    ///
    /// The name, if it is there more than once.
    pub(crate) fn take(&mut self, name: &str) -> Result<Option<Written>, String> {
        let (taken, left) = std::mem::take(&mut self.0).into_iter().partition(|(of, _)| of == name);
        self.0 = left;
        let mut taken: Vec<(String, Written)> = taken;
        let first = taken.pop().map(|(_, written)| written);
        if taken.is_empty() { Ok(first) } else { Err(name.to_owned()) }
    }
}

impl From<toml::Table> for Table {
    fn from(table: toml::Table) -> Self {
        Self(table.into_iter().map(|(name, value)| (name, Written::from(value))).collect())
    }
}

impl From<toml::Value> for Written {
    fn from(value: toml::Value) -> Self {
        match value {
            toml::Value::Table(table) => Self::Table(table.into()),
            toml::Value::String(text) => Self::Value(text.into()),
            toml::Value::Integer(number) => Self::Value(number.into()),
            toml::Value::Boolean(is_so) => Self::Value(is_so.into()),
            toml::Value::Datetime(date) => Self::Date(date.to_string()),
            toml::Value::Float(number) => match Number::from_f64(number) {
                Some(number) => Self::Value(number.into()),
                // As TOML writes it, and Rust does not.
                None => Self::NotFinite(toml::Value::Float(number).to_string()),
            },
            toml::Value::Array(items) => {
                let mut values = Vec::new();
                for item in items {
                    match Self::from(item) {
                        Self::Value(value) => values.push(value),
                        Self::Table(table) => values.push(table.into()),
                        odd @ (Self::Date(_) | Self::NotFinite(_)) => return odd,
                    }
                }
                Self::Value(values.into())
            }
        }
    }
}

/// A list has no place for tables: what this loses of one is refused with it.
impl From<Table> for Value {
    fn from(table: Table) -> Self {
        let value = |written| match written {
            Written::Table(table) => table.into(),
            Written::Value(value) => value,
            Written::Date(text) | Written::NotFinite(text) => text.into(),
        };
        Self::Object(table.0.into_iter().map(|(name, written)| (name, value(written))).collect())
    }
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AsWritten)
    }
}

struct AsWritten;

impl<'de> Visitor<'de> for AsWritten {
    type Value = Written;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Written, A::Error> {
        let mut table = Vec::new();
        while let Some(entry) = map.next_entry()? {
            table.push(entry);
        }
        Ok(Written::Table(Table(table)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Written, A::Error> {
        let mut values: Vec<Value> = Vec::new();
        while let Some(value) = items.next_element()? {
            values.push(value);
        }
        Ok(Written::Value(values.into()))
    }

    fn visit_bool<E: Error>(self, is_so: bool) -> Result<Written, E> {
        Ok(Written::Value(is_so.into()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Written, E> {
        Ok(Written::Value(number.into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Written, E> {
        Ok(Written::Value(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Written, E> {
        Ok(Written::Value(number.into()))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Written, E> {
        Ok(Written::Value(text.into()))
    }

    fn visit_unit<E: Error>(self) -> Result<Written, E> {
        Ok(Written::Value(Value::Null))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of_toml(text: &str) -> Written {
        Written::Table(toml::from_str::<toml::Table>(text).unwrap().into())
    }

    #[test]
    fn both_spellings_say_the_same() {
        let toml = of_toml("[a]\nb = 1\nc = [true, \"x\", 0.5, { d = -2 }]");
        let json = serde_json::from_str(r#"{"a": {"b": 1, "c": [true, "x", 0.5, {"d": -2}]}}"#);
        assert_eq!(toml, json.unwrap());
    }

    #[test]
    fn what_stands_there_twice_is_kept_to_be_found() {
        let Written::Table(mut table) =
            serde_json::from_str(r#"{"a": 1, "b": null, "a": 2}"#).unwrap()
        else {
            panic!("an object is a table")
        };
        assert_eq!(table.take("a"), Err("a".to_owned()));
        assert_eq!(table.take("b"), Ok(Some(Written::Value(json!(null)))));
        assert_eq!(table.take("b"), Ok(None));
    }

    #[test]
    fn what_is_no_value_is_known_as_it_stands_there() {
        for (value, written) in [
            ("1979-05-27", Written::Date("1979-05-27".into())),
            ("[07:32:00]", Written::Date("07:32:00".into())),
            ("nan", Written::NotFinite("nan".into())),
            ("-inf", Written::NotFinite("-inf".into())),
            ("[1, inf]", Written::NotFinite("inf".into())),
        ] {
            let found = of_toml(&format!("a = {value}"));
            assert_eq!(found, Written::Table(Table(vec![("a".into(), written)])), "{value}");
        }
    }
}
