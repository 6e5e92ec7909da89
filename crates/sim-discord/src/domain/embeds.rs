//! The limits of embeds, and the form in which Discord gives them back.

use serde_json::{Map, Value, json};

use super::{FieldError, Refusal};

const MAX_EMBEDS: usize = 10;
const MAX_FIELDS: usize = 25;
/// The characters of all embeds of a message together.
const MAX_CHARACTERS: usize = 6_000;

/// Checks `embeds` and puts them into the form in which Discord gives them back.
///
/// Source: Discord Docs, Message, "Embed Limits".
pub(super) fn accept(embeds: Vec<Value>) -> Result<Vec<Value>, Refusal> {
    let mut errors = Vec::new();
    let mut characters = 0;
    if embeds.len() > MAX_EMBEDS {
        errors.push(FieldError::new(
            &["embeds"],
            "BASE_TYPE_MAX_LENGTH",
            "Must be 10 or fewer in length.",
        ));
    }
    let mut accepted = Vec::with_capacity(embeds.len());
    for (index, embed) in embeds.into_iter().enumerate() {
        let index = index.to_string();
        if let Value::Object(embed) = embed {
            let mut check =
                Check { index: &index, errors: &mut errors, characters: &mut characters };
            accepted.push(check.embed(embed));
        } else {
            let message = "Only dictionaries may be used in a DictType";
            errors.push(FieldError::new(&["embeds", &index], "DICT_TYPE_CONVERT", message));
        }
    }
    if characters > MAX_CHARACTERS {
        let message = "Embed size exceeds maximum size of 6000";
        errors.push(FieldError::new(&["embeds"], "MAX_EMBED_SIZE_EXCEEDED", message));
    }
    if errors.is_empty() { Ok(accepted) } else { Err(Refusal::InvalidForm(errors)) }
}

struct Check<'a> {
    index: &'a str,
    errors: &'a mut Vec<FieldError>,
    characters: &'a mut usize,
}

impl Check<'_> {
    fn embed(&mut self, mut embed: Map<String, Value>) -> Value {
        embed.retain(|_, value| !value.is_null());
        embed.insert("type".to_owned(), json!("rich"));
        self.text(embed.get("title"), &["title"], 256);
        self.text(embed.get("description"), &["description"], 4_096);
        self.text(
            embed.get("footer").and_then(|footer| footer.get("text")),
            &["footer", "text"],
            2_048,
        );
        self.text(
            embed.get("author").and_then(|author| author.get("name")),
            &["author", "name"],
            256,
        );
        if let Some(Value::Array(fields)) = embed.get_mut("fields") {
            if fields.len() > MAX_FIELDS {
                self.error(&["fields"], "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.");
            }
            for (at, field) in fields.iter_mut().enumerate() {
                let at = at.to_string();
                self.required(field.get("name"), &["fields", &at, "name"], 256);
                self.required(field.get("value"), &["fields", &at, "value"], 1_024);
                if let Value::Object(field) = field {
                    field.entry("inline").or_insert(json!(false));
                }
            }
        }
        for part in ["image", "thumbnail"] {
            if let Some(Value::Object(image)) = embed.get_mut(part) {
                let url = image.get("url").cloned().unwrap_or_default();
                image.insert("proxy_url".to_owned(), url);
                image.insert("width".to_owned(), json!(0));
                image.insert("height".to_owned(), json!(0));
            }
        }
        Value::Object(embed)
    }

    fn required(&mut self, value: Option<&Value>, path: &[&str], most: usize) {
        if value.and_then(Value::as_str).is_none_or(str::is_empty) {
            self.error(path, "BASE_TYPE_REQUIRED", "This field is required");
        }
        self.text(value, path, most);
    }

    fn text(&mut self, value: Option<&Value>, path: &[&str], most: usize) {
        let length = value.and_then(Value::as_str).map_or(0, |text| text.chars().count());
        *self.characters += length;
        if length > most {
            let message = format!("Must be {most} or fewer in length.");
            self.error(path, "BASE_TYPE_MAX_LENGTH", &message);
        }
    }

    fn error(&mut self, path: &[&str], code: &'static str, message: &str) {
        let path: Vec<&str> = ["embeds", self.index].iter().chain(path).copied().collect();
        self.errors.push(FieldError::new(&path, code, message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_embed_comes_back_complete() {
        let accepted = accept(vec![json!({
            "title": "Menu", "description": null, "fields": [{ "name": "Tea", "value": "2" }]
        })])
        .unwrap();
        assert_eq!(accepted[0]["type"], "rich");
        assert_eq!(accepted[0]["fields"][0]["inline"], false);
        assert!(accepted[0].get("description").is_none());
    }

    #[test]
    fn limits_are_named_where_they_are_broken() {
        let long = "x".repeat(257);
        let refusal =
            accept(vec![json!({ "title": long, "fields": [{ "name": "n" }] })]).unwrap_err();
        let errors = json!(refusal.body())["errors"]["embeds"]["0"].clone();
        assert_eq!(errors["title"]["_errors"][0]["code"], "BASE_TYPE_MAX_LENGTH");
        assert_eq!(errors["fields"]["0"]["value"]["_errors"][0]["code"], "BASE_TYPE_REQUIRED");
        let many = vec![json!({ "description": "y".repeat(3_001) }); 2];
        let refusal = accept(many).unwrap_err();
        assert_eq!(
            json!(refusal.body())["errors"]["embeds"]["_errors"][0]["code"],
            "MAX_EMBED_SIZE_EXCEEDED"
        );
    }
}
