use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use figment::value::Value;

/// What settings were given, by dotted key, to be compared with what they are given later. Holds
/// secrets, and shows none of its values.
#[derive(Clone, Default, PartialEq)]
pub struct Values(BTreeMap<String, Value>);

impl Values {
    pub(crate) fn of(root: &Value) -> Self {
        let mut values = BTreeMap::new();
        flatten(root, "", &mut values);
        Self(values)
    }

    /// Returns the keys that are set to something else there, or only on one side.
    pub fn changed(&self, other: &Self) -> BTreeSet<String> {
        let keys: BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
        keys.into_iter().filter(|key| self.0.get(*key) != other.0.get(*key)).cloned().collect()
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

fn flatten(value: &Value, path: &str, into: &mut BTreeMap<String, Value>) {
    match value {
        Value::Dict(_, table) if path.is_empty() || !table.is_empty() => {
            for (key, value) in table {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(value, &path, into);
            }
        }
        // Where a value came from is no part of it.
        value => _ = into.insert(path.to_owned(), untagged(value)),
    }
}

fn untagged(value: &Value) -> Value {
    let tag = figment::value::Tag::Default;
    match value.clone() {
        Value::String(_, it) => Value::String(tag, it),
        Value::Char(_, it) => Value::Char(tag, it),
        Value::Bool(_, it) => Value::Bool(tag, it),
        Value::Num(_, it) => Value::Num(tag, it),
        Value::Empty(_, it) => Value::Empty(tag, it),
        Value::Dict(_, it) => {
            Value::Dict(tag, it.iter().map(|(key, it)| (key.clone(), untagged(it))).collect())
        }
        Value::Array(_, it) => Value::Array(tag, it.iter().map(untagged).collect()),
    }
}
