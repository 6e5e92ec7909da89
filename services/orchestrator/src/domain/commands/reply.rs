//! What is answered to an interaction, and how Discord is told.

use serde_json::{Value, json};

/// Discord's flag for a message that only one person sees.
const EPHEMERAL: u64 = 1 << 6;

/// Discord's look of a button that is one of several.
const SECONDARY: u8 = 2;

/// How many choices Discord shows, and how long they may be.
pub(crate) const MAX_CHOICES: usize = 25;
pub(crate) const MAX_CHOICE: usize = 100;

/// Discord's kinds of channels in which messages are written: text, voice, announcements, threads of
/// each kind, stages.
const WRITTEN_IN: [u8; 7] = [0, 2, 5, 10, 11, 12, 13];

/// How long a message may be; what is longer is cut where it is made.
pub(crate) const MAX_CONTENT: usize = 2_000;

/// The first answer to an interaction.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum First {
    /// Only whoever asked sees it.
    Whisper(Message),
    /// It takes longer: whoever asked sees that Ery is at it, and nobody else.
    Later,
    /// What somebody pressed or chose from is to be changed; until then it stays as it is.
    Change,
    /// What may be meant by what is being typed.
    Choices(Vec<Choice>),
    Form(Form),
}

/// A message in answer; its lines are Ery's, what people wrote stands in it as data.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Message {
    pub(crate) content: String,
    /// In rows of five at most.
    pub(crate) buttons: Vec<Button>,
    /// Above the buttons, each in a row of its own.
    pub(crate) menus: Vec<Menu>,
    /// Those that turn pages, in the last row.
    pub(crate) turns: Vec<Button>,
    /// Only where a first answer is edited.
    pub(crate) files: Vec<Attached>,
}

/// A file that is sent along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attached {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Button {
    pub(crate) custom_id: String,
    pub(crate) label: String,
}

/// A menu to choose from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Menu {
    pub(crate) custom_id: String,
    /// What it says where nothing is chosen.
    pub(crate) placeholder: String,
    pub(crate) offers: Offers,
}

/// What a menu offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Offers {
    /// One of these.
    Words(Vec<Offered>),
    /// Any of the server's roles, or none; these are chosen.
    Roles(Vec<u64>),
    /// One of the server's channels in which messages are written, or none; this one is chosen.
    Channel(Option<u64>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offered {
    pub(crate) value: String,
    pub(crate) label: String,
    /// A second line, or nothing.
    pub(crate) about: String,
    pub(crate) is_chosen: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) name: String,
    pub(crate) value: String,
}

/// A form with fields of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) custom_id: String,
    pub(crate) title: String,
    pub(crate) fields: Vec<Field>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) custom_id: &'static str,
    pub(crate) label: String,
    /// What stands in it at first, if that is not too long.
    pub(crate) value: String,
    pub(crate) longest: u16,
    pub(crate) is_required: bool,
}

impl First {
    /// Returns the body of Discord's interaction response.
    pub(crate) fn body(&self) -> Value {
        match self {
            Self::Whisper(message) => {
                let mut data = message.body();
                data["flags"] = EPHEMERAL.into();
                json!({ "type": 4, "data": data })
            }
            Self::Later => json!({ "type": 5, "data": { "flags": EPHEMERAL } }),
            Self::Change => json!({ "type": 6 }),
            Self::Choices(choices) => {
                let choices = choices.iter().take(MAX_CHOICES).map(|choice| {
                    json!({ "name": shortened(&choice.name, MAX_CHOICE), "value": choice.value })
                });
                json!({ "type": 8, "data": { "choices": choices.collect::<Vec<_>>() } })
            }
            Self::Form(form) => json!({ "type": 9, "data": form.body() }),
        }
    }
}

impl Message {
    pub(crate) fn of(content: String) -> Self {
        Self { content, ..Self::default() }
    }

    /// Returns the body of Discord's message.
    pub(crate) fn body(&self) -> Value {
        let menus = self.menus.iter().map(|menu| vec![menu.body()]);
        let buttons = self.buttons.chunks(5).chain(self.turns.chunks(5));
        let buttons = buttons.map(|row| row.iter().map(Button::body).collect());
        let rows: Vec<Value> =
            menus.chain(buttons).map(|row| json!({ "type": 1, "components": row })).collect();
        json!({ "content": shortened(&self.content, MAX_CONTENT), "components": rows })
    }
}

impl Button {
    fn body(&self) -> Value {
        json!({ "type": 2, "style": SECONDARY, "label": self.label, "custom_id": self.custom_id })
    }
}

impl Menu {
    fn body(&self) -> Value {
        let mut body = json!({
            "custom_id": self.custom_id,
            "placeholder": shortened(&self.placeholder, 150),
            "min_values": 0,
        });
        let chosen = |kind: &str, ids: &[u64]| -> Value {
            ids.iter().map(|id| json!({ "id": id.to_string(), "type": kind })).collect()
        };
        match &self.offers {
            Offers::Words(words) => {
                body["type"] = 3.into();
                body["min_values"] = 1.into();
                body["options"] = words.iter().take(MAX_CHOICES).map(Offered::body).collect();
            }
            Offers::Roles(roles) => {
                body["type"] = 6.into();
                body["max_values"] = MAX_CHOICES.into();
                body["default_values"] = chosen("role", roles);
            }
            Offers::Channel(channel) => {
                body["type"] = 8.into();
                body["channel_types"] = json!(WRITTEN_IN);
                body["default_values"] = chosen("channel", channel.as_slice());
            }
        }
        body
    }
}

impl Offered {
    fn body(&self) -> Value {
        let mut body = json!({
            "value": self.value, "label": shortened(&self.label, MAX_CHOICE), "default": self.is_chosen,
        });
        if !self.about.is_empty() {
            body["description"] = shortened(&self.about, MAX_CHOICE).into();
        }
        body
    }
}

impl Form {
    fn body(&self) -> Value {
        let rows: Vec<Value> = self.fields.iter().map(Field::body).collect();
        json!({
            "custom_id": self.custom_id, "title": shortened(&self.title, 45), "components": rows,
        })
    }
}

impl Field {
    fn body(&self) -> Value {
        let mut input = json!({
            "type": 4,
            "style": 2,
            "custom_id": self.custom_id,
            "max_length": self.longest,
            "required": self.is_required,
        });
        let length = self.value.encode_utf16().count();
        // What is too long would be cut, and kept so by whoever sends it off.
        if (1..=usize::from(self.longest)).contains(&length) {
            input["value"] = self.value.as_str().into();
        }
        json!({ "type": 18, "label": shortened(&self.label, 45), "component": input })
    }
}

/// Cuts a text to so many characters, and shows that it was cut.
pub(crate) fn shortened(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(longest.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// Quotes what somebody may have written, so that it is seen as it is and does nothing.
pub(crate) fn quoted(text: &str, longest: usize) -> String {
    let line: String = text
        .chars()
        .map(|character| match character {
            '`' => 'ˋ',
            character if character.is_whitespace() || character.is_control() => ' ',
            character => character,
        })
        .collect();
    format!("`{}`", shortened(line.trim(), longest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_one_who_asked_sees_an_answer() {
        let body = First::Whisper(Message::of("hello".into())).body();
        assert_eq!(body["type"], 4);
        assert_eq!(body["data"]["flags"], 64);
        assert_eq!(body["data"]["content"], "hello");
        assert_eq!(First::Later.body(), json!({ "type": 5, "data": { "flags": 64 } }));
    }

    #[test]
    fn choices_are_as_many_and_as_long_as_discord_shows() {
        let one = Choice { name: "n".repeat(200), value: "v".into() };
        let body = First::Choices(vec![one; 40]).body();
        let choices = body["data"]["choices"].as_array().unwrap();
        assert_eq!(choices.len(), 25);
        assert_eq!(choices[0]["name"].as_str().unwrap().chars().count(), 100);
    }

    #[test]
    fn buttons_stand_in_rows_of_five() {
        let button = Button { custom_id: "ery.x".into(), label: "X".into() };
        let message = Message { buttons: vec![button; 7], ..Message::default() };
        let rows = message.body()["components"].as_array().unwrap().clone();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[1]["components"].as_array().unwrap().len(), 2);
        assert_eq!(rows[0]["components"][0]["style"], 2);
    }

    #[test]
    fn what_turns_pages_stands_below_all_else() {
        let button = |id: &str| Button { custom_id: id.into(), label: "X".into() };
        let message = Message {
            buttons: vec![button("a"), button("b")],
            turns: vec![button("c")],
            ..Message::default()
        };
        let rows = message.body()["components"].clone();
        assert_eq!(rows[1]["components"], json!([button("c").body()]));
        assert_eq!(First::Change.body(), json!({ "type": 6 }));
    }

    #[test]
    fn a_menu_fills_a_row_and_shows_what_is_chosen() {
        let menu = |offers| Menu { custom_id: "ery.m".into(), placeholder: "p".into(), offers };
        let word = |value: &str, about: &str| Offered {
            value: value.into(),
            label: "l".repeat(120),
            about: about.into(),
            is_chosen: value == "b",
        };
        let message = Message {
            menus: vec![
                menu(Offers::Words(vec![word("a", ""), word("b", "more")])),
                menu(Offers::Roles(vec![7, 8])),
                menu(Offers::Channel(None)),
            ],
            buttons: vec![Button { custom_id: "ery.x".into(), label: "X".into() }],
            ..Message::default()
        };
        let rows = message.body()["components"].clone();
        let kinds: Vec<_> =
            (0..4).map(|row| rows[row]["components"][0]["type"].as_u64().unwrap()).collect();
        assert_eq!(kinds, [3, 6, 8, 2]);
        let words = &rows[0]["components"][0]["options"];
        assert_eq!((&words[0]["default"], &words[1]["default"]), (&json!(false), &json!(true)));
        assert_eq!(
            (&words[0]["description"], &words[1]["description"]),
            (&Value::Null, &json!("more"))
        );
        assert_eq!(words[0]["label"].as_str().unwrap().chars().count(), 100);
        let roles = &rows[1]["components"][0];
        assert_eq!(roles["default_values"][1], json!({ "id": "8", "type": "role" }));
        assert_eq!((&roles["min_values"], &roles["max_values"]), (&json!(0), &json!(25)));
        assert_eq!(rows[2]["components"][0]["default_values"], json!([]));
        // Those in which messages are written, and no categories or forums.
        let kinds = &rows[2]["components"][0]["channel_types"];
        assert_eq!(*kinds, json!([0, 2, 5, 10, 11, 12, 13]));
    }

    #[test]
    fn a_form_has_fields_with_bounds() {
        let field = Field {
            custom_id: "reason",
            label: "Why".into(),
            value: String::new(),
            longest: 400,
            is_required: true,
        };
        let form = Form { custom_id: "ery.f".into(), title: "t".repeat(60), fields: vec![field] };
        let body = First::Form(form).body();
        assert_eq!(body["type"], 9);
        assert_eq!(body["data"]["title"].as_str().unwrap().chars().count(), 45);
        let input = &body["data"]["components"][0]["component"];
        assert_eq!((&input["custom_id"], &input["max_length"]), (&json!("reason"), &json!(400)));
    }

    #[test]
    fn a_field_begins_with_what_fits_whole_into_it() {
        let begun = |value: String| {
            let (label, longest) = (String::new(), 400);
            let field = Field { custom_id: "value", label, value, longest, is_required: true };
            field.body()["component"]["value"].clone()
        };
        assert_eq!(begun("Be\nkind.".into()), "Be\nkind.");
        assert_eq!(begun("x".repeat(400)), "x".repeat(400));
        for none in [String::new(), "x".repeat(401), "\u{1f600}".repeat(201)] {
            assert_eq!(begun(none), Value::Null);
        }
    }

    #[test]
    fn what_somebody_wrote_cannot_leave_its_quotes() {
        assert_eq!(quoted("a `b`\n@everyone", 50), "`a ˋbˋ @everyone`");
        assert_eq!(quoted("abcdef", 4), "`abc…`");
    }
}
