//! Reading JSON bodies the way Discord does: lenient with types, exact about what is wrong.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};
use twilight_model::id::Id;

use crate::domain::{FieldError, Refusal};

/// An object whose fields are taken one by one; what is wrong with them is collected.
///
/// Fields that are not asked for are ignored, as Discord does.
#[derive(Debug)]
pub(crate) struct Form {
    fields: Map<String, Value>,
    path: Vec<String>,
    errors: Vec<FieldError>,
}

impl Form {
    pub(crate) fn new(fields: Map<String, Value>) -> Self {
        Self { fields, path: Vec::new(), errors: Vec::new() }
    }

    /// Reports everything that was wrong.
    pub(crate) fn finish(self) -> Result<(), Refusal> {
        if self.errors.is_empty() { Ok(()) } else { Err(Refusal::InvalidForm(self.errors)) }
    }

    pub(crate) fn error(&mut self, key: &str, code: &'static str, message: impl Into<String>) {
        let mut path = self.path.clone();
        path.extend(key.split('/').map(str::to_owned));
        self.errors.push(FieldError { path, code, message: message.into() });
    }

    /// Takes a field; `None` if it is not there.
    pub(crate) fn take(&mut self, key: &str) -> Option<Value> {
        self.fields.remove(key)
    }

    /// Tells whether a field is there and null; it is taken then.
    pub(crate) fn is_null(&mut self, key: &str) -> bool {
        let is_null = self.fields.get(key).is_some_and(Value::is_null);
        if is_null {
            self.fields.remove(key);
        }
        is_null
    }

    /// Returns the names of the fields that were not taken yet.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.fields.keys().cloned().collect()
    }

    /// Takes a text; a number is one too. Null counts as not there.
    pub(crate) fn text(&mut self, key: &str) -> Option<String> {
        self.nullable_text(key).flatten()
    }

    /// Takes a text that may be null.
    pub(crate) fn nullable_text(&mut self, key: &str) -> Option<Option<String>> {
        match self.take(key)? {
            Value::Null => Some(None),
            Value::String(text) => Some(Some(text)),
            Value::Number(number) => Some(Some(number.to_string())),
            _ => {
                self.error(key, "STRING_TYPE_CONVERT", "Could not interpret string.");
                None
            }
        }
    }

    /// Takes an integer, or its digits in a string. `1.0` is one too, which discord.py writes; null
    /// counts as not there.
    pub(crate) fn integer(&mut self, key: &str) -> Option<i64> {
        let value = self.take(key)?;
        let number = match &value {
            Value::Null => return None,
            Value::Number(number) => number.as_i64().or_else(|| whole(number)),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        if number.is_none() {
            self.error(
                key,
                "NUMBER_TYPE_COERCE",
                format!("Value \"{}\" is not int.", plain(&value)),
            );
        }
        number
    }

    /// Takes an integer of 0 to `most`.
    pub(crate) fn up_to(&mut self, key: &str, most: u64) -> Option<u64> {
        let number = self.integer(key)?;
        match u64::try_from(number) {
            Ok(number) if number <= most => Some(number),
            Ok(_) => {
                let message = format!("int value should be less than or equal to {most}.");
                self.error(key, "NUMBER_TYPE_MAX", message);
                None
            }
            Err(_) => {
                let message = "int value should be greater than or equal to 0.";
                self.error(key, "NUMBER_TYPE_MIN", message);
                None
            }
        }
    }

    /// Takes a truth value. Null counts as not there.
    pub(crate) fn boolean(&mut self, key: &str) -> Option<bool> {
        match self.take(key)? {
            Value::Null => None,
            Value::Bool(value) => Some(value),
            _ => {
                self.error(key, "BOOLEAN_TYPE_CONVERT", "Must be either true or false.");
                None
            }
        }
    }

    /// Takes an id. Null counts as not there.
    pub(crate) fn id<M>(&mut self, key: &str) -> Option<Id<M>> {
        self.nullable_id(key).flatten()
    }

    /// Takes an id that may be null.
    pub(crate) fn nullable_id<M>(&mut self, key: &str) -> Option<Option<Id<M>>> {
        let value = self.take(key)?;
        if value.is_null() {
            return Some(None);
        }
        let id = id_of(&value);
        if id.is_none() {
            let message = format!("Value \"{}\" is not snowflake.", plain(&value));
            self.error(key, "NUMBER_TYPE_COERCE", message);
        }
        id.map(Some)
    }

    /// Takes a list of ids. Null counts as not there.
    pub(crate) fn ids<M>(&mut self, key: &str) -> Option<Vec<Id<M>>> {
        let list = self.list(key)?;
        let mut ids = Vec::with_capacity(list.len());
        for (index, value) in list.iter().enumerate() {
            match id_of(value) {
                Some(id) => ids.push(id),
                None if value.is_null() => {}
                None => {
                    let message = format!("Value \"{}\" is not snowflake.", plain(value));
                    self.error(&format!("{key}/{index}"), "NUMBER_TYPE_COERCE", message);
                }
            }
        }
        Some(ids)
    }

    /// Takes a list. Null counts as not there.
    pub(crate) fn list(&mut self, key: &str) -> Option<Vec<Value>> {
        match self.take(key)? {
            Value::Null => None,
            Value::Array(list) => Some(list),
            _ => {
                let message = "Only iterables may be used in a ListType";
                self.error(key, "LIST_TYPE_CONVERT", message);
                None
            }
        }
    }

    /// Takes a field if it is null, and tells whether it was.
    pub(crate) fn takes_null(&mut self, key: &str) -> bool {
        let is_null = self.fields.get(key).is_some_and(Value::is_null);
        if is_null {
            self.fields.remove(key);
        }
        is_null
    }

    /// Takes a list of objects and reads each with `read`. Null counts as not there.
    pub(crate) fn objects<T>(
        &mut self,
        key: &str,
        mut read: impl FnMut(&mut Form) -> T,
    ) -> Option<Vec<T>> {
        let list = self.list(key)?;
        let mut results = Vec::with_capacity(list.len());
        for (index, value) in list.into_iter().enumerate() {
            let Value::Object(fields) = value else {
                let message = "Only dictionaries may be used in a DictType";
                self.error(&format!("{key}/{index}"), "DICT_TYPE_CONVERT", message);
                continue;
            };
            let mut path = self.path.clone();
            path.extend([key.to_owned(), index.to_string()]);
            let mut form = Form { fields, path, errors: Vec::new() };
            results.push(read(&mut form));
            self.errors.append(&mut form.errors);
        }
        Some(results)
    }

    /// Reads each object of a list that is a whole body, and reports everything that is wrong.
    pub(crate) fn read_all<T>(
        list: Vec<Value>,
        mut read: impl FnMut(&mut Form) -> T,
    ) -> Result<Vec<T>, Refusal> {
        let mut all = Form::new(Map::new());
        let mut results = Vec::with_capacity(list.len());
        for (index, value) in list.into_iter().enumerate() {
            let Value::Object(fields) = value else {
                let message = "Only dictionaries may be used in a DictType";
                all.error(&index.to_string(), "DICT_TYPE_CONVERT", message);
                continue;
            };
            let mut form = Form { fields, path: vec![index.to_string()], errors: Vec::new() };
            results.push(read(&mut form));
            all.errors.append(&mut form.errors);
        }
        all.finish().map(|()| results)
    }

    /// Takes an object and reads it with `read`. Null counts as not there.
    pub(crate) fn object<T>(&mut self, key: &str, read: impl FnOnce(&mut Form) -> T) -> Option<T> {
        match self.take(key)? {
            Value::Null => None,
            Value::Object(fields) => {
                let mut path = self.path.clone();
                path.push(key.to_owned());
                let mut form = Form { fields, path, errors: Vec::new() };
                let result = read(&mut form);
                self.errors.append(&mut form.errors);
                Some(result)
            }
            _ => {
                let message = "Only dictionaries may be used in a DictType";
                self.error(key, "DICT_TYPE_CONVERT", message);
                None
            }
        }
    }

    /// Takes a list of at most `most` objects and reads each with `read`. Null counts as not there.
    pub(crate) fn object_list<T>(
        &mut self,
        key: &str,
        most: usize,
        read: impl FnMut(&mut Form) -> T,
    ) -> Option<Vec<T>> {
        let list = self.list(key)?;
        if list.len() > most {
            let message = format!("Must be {most} or fewer in length.");
            self.error(key, "BASE_TYPE_MAX_LENGTH", message);
        }
        let mut path = self.path.clone();
        path.push(key.to_owned());
        Some(read_each(list, &path, &mut self.errors, read))
    }

    /// Takes a text that has to be there and be so many characters long.
    pub(crate) fn text_within(&mut self, key: &str, bounds: RangeInclusive<usize>) -> String {
        let broken = self.errors.len();
        let text = self.text(key);
        if text.is_none() && self.errors.len() == broken {
            self.require(key);
        }
        let text = text.unwrap_or_default();
        if self.errors.len() == broken {
            self.check_length(key, &text, bounds);
        }
        text
    }

    /// Says so if a text is not so many characters long.
    pub(crate) fn check_length(&mut self, key: &str, text: &str, bounds: RangeInclusive<usize>) {
        let (least, most) = (*bounds.start(), *bounds.end());
        if bounds.contains(&text.chars().count()) {
            return;
        }
        if least == 0 {
            let message = format!("Must be {most} or fewer in length.");
            self.error(key, "BASE_TYPE_MAX_LENGTH", message);
        } else {
            let message = format!("Must be between {least} and {most} in length.");
            self.error(key, "BASE_TYPE_BAD_LENGTH", message);
        }
    }

    /// Takes an integer that is one of `choices`. Null counts as not there.
    pub(crate) fn choice(&mut self, key: &str, choices: &[i64]) -> Option<i64> {
        let number = self.integer(key)?;
        if !choices.contains(&number) {
            self.not_one_of(key, choices);
            return None;
        }
        Some(number)
    }

    /// Says that a field is none of `choices`.
    pub(crate) fn not_one_of(&mut self, key: &str, choices: &[i64]) {
        let choices: Vec<String> = choices.iter().map(i64::to_string).collect();
        let message = format!("Value must be one of {{{}}}.", choices.join(", "));
        self.error(key, "BASE_TYPE_CHOICES", message);
    }

    /// Takes a number, whole or not. Null counts as not there.
    pub(crate) fn number(&mut self, key: &str) -> Option<serde_json::Number> {
        match self.take(key)? {
            Value::Null => None,
            Value::Number(number) => Some(number),
            other => {
                let message = format!("Value \"{}\" is not float.", plain(&other));
                self.error(key, "NUMBER_TYPE_COERCE", message);
                None
            }
        }
    }

    /// Tells whether nothing was wrong so far.
    pub(crate) fn is_sound(&self) -> bool {
        self.errors.is_empty()
    }

    /// Says that a field had to be there.
    pub(crate) fn require(&mut self, key: &str) {
        self.error(key, "BASE_TYPE_REQUIRED", "This field is required");
    }
}

/// Returns a number that was written with a point, and is whole all the same.
fn whole(number: &serde_json::Number) -> Option<i64> {
    number.to_string().strip_suffix(".0")?.parse().ok()
}

/// Reads each of a list's objects with `read`, below `path`; what is no object is an error.
fn read_each<T>(
    list: Vec<Value>,
    path: &[String],
    errors: &mut Vec<FieldError>,
    mut read: impl FnMut(&mut Form) -> T,
) -> Vec<T> {
    let mut results = Vec::with_capacity(list.len());
    for (index, value) in list.into_iter().enumerate() {
        let mut path = path.to_vec();
        path.push(index.to_string());
        if let Value::Object(fields) = value {
            let mut form = Form { fields, path, errors: Vec::new() };
            results.push(read(&mut form));
            errors.append(&mut form.errors);
        } else {
            let message = "Only dictionaries may be used in a DictType".to_owned();
            errors.push(FieldError { path, code: "DICT_TYPE_CONVERT", message });
        }
    }
    results
}

/// Reads a body that is a list of objects.
pub(crate) fn read_list<T>(
    list: Vec<Value>,
    read: impl FnMut(&mut Form) -> T,
) -> Result<Vec<T>, Refusal> {
    let mut errors = Vec::new();
    let results = read_each(list, &[], &mut errors, read);
    if errors.is_empty() { Ok(results) } else { Err(Refusal::InvalidForm(errors)) }
}

fn id_of<M>(value: &Value) -> Option<Id<M>> {
    match value {
        Value::String(text) => text.parse().ok().and_then(Id::new_checked),
        Value::Number(number) => number.as_u64().and_then(Id::new_checked),
        _ => None,
    }
}

/// Writes a value as Discord quotes it.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use twilight_model::id::marker::UserMarker;

    use super::*;

    fn form(value: Value) -> Form {
        let Value::Object(fields) = value else { panic!("{value}") };
        Form::new(fields)
    }

    #[test]
    fn numbers_and_ids_may_be_written_as_strings_or_numbers() {
        let mut form =
            form(json!({ "a": "5", "b": 6, "c": "7", "d": 8, "e": null, "f": 9.0, "g": 9.5 }));
        assert_eq!((form.integer("a"), form.integer("b")), (Some(5), Some(6)));
        assert_eq!(form.id::<UserMarker>("c").map(Id::get), Some(7));
        assert_eq!(form.id::<UserMarker>("d").map(Id::get), Some(8));
        assert_eq!(form.nullable_id::<UserMarker>("e"), Some(None));
        assert_eq!(form.integer("f"), Some(9));
        assert!(form.is_sound());
        assert_eq!(form.integer("g"), None);
        assert!(form.finish().is_err());
    }

    #[test]
    fn everything_wrong_is_reported_at_once_with_its_path() {
        let mut form = form(json!({ "n": "x", "o": { "ids": ["1", "y"] }, "b": 1 }));
        assert_eq!(form.integer("n"), None);
        assert_eq!(form.boolean("b"), None);
        form.object("o", |inner| inner.ids::<UserMarker>("ids"));
        let body = json!(form.finish().unwrap_err().body());
        assert_eq!(body["errors"]["n"]["_errors"][0]["message"], "Value \"x\" is not int.");
        assert_eq!(body["errors"]["o"]["ids"]["1"]["_errors"][0]["code"], "NUMBER_TYPE_COERCE");
        assert_eq!(body["errors"]["b"]["_errors"][0]["code"], "BOOLEAN_TYPE_CONVERT");
    }
}
