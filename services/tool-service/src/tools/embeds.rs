//! Embeds: framed text beside a message's content.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use ery_enclosures::RawEmbed;

use crate::{
    domain::output::{Filter, Filtered},
    resolve::Problem,
};

/// How many characters all embeds of a message may have together.
const MAX_CHARACTERS: usize = 6_000;

/// A framed text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Embed {
    /// Its heading.
    #[schemars(length(min = 1, max = 256))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    /// Its text, in Discord's Markdown.
    #[schemars(length(min = 1, max = 4096))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// The colour of its edge, as the number of its RGB value.
    #[schemars(range(min = 0, max = 16_777_215))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    color: Option<u32>,
    /// Named values below the text.
    #[schemars(length(max = 25))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    fields: Vec<Field>,
    /// Small text at the end.
    #[schemars(length(min = 1, max = 2048))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    footer: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Field {
    /// What the value is.
    #[schemars(length(min = 1, max = 256))]
    name: String,
    /// The value.
    #[schemars(length(min = 1, max = 1024))]
    value: String,
    /// Whether it stands beside its neighbours.
    #[serde(default)]
    inline: bool,
}

impl Embed {
    pub(super) fn as_discord_has_it(&self) -> Value {
        let mut embed = json!(self);
        if let Some(footer) = &self.footer {
            embed["footer"] = json!({ "text": footer });
        }
        embed
    }

    /// Whether Discord shows this one.
    pub(super) fn is(&self, shown: &RawEmbed) -> bool {
        (&self.title, &self.description) == (&shown.title, &shown.description)
    }

    fn texts(&mut self) -> impl Iterator<Item = (&mut String, usize)> {
        let own =
            [(&mut self.title, 256), (&mut self.description, 4_096), (&mut self.footer, 2_048)];
        let own = own.into_iter().filter_map(|(text, most)| Some((text.as_mut()?, most)));
        let of_fields = self
            .fields
            .iter_mut()
            .flat_map(|field| [(&mut field.name, 256), (&mut field.value, 1_024)]);
        own.chain(of_fields)
    }
}

/// Refuses content beside embeds of which Discord would fetch a preview: the flag that forbids it
/// would hide the embeds, too.
pub(super) fn fit(embeds: &[Embed], content: &Filtered) -> Result<(), Problem> {
    if content.without_previews && !embeds.is_empty() {
        return Err(Problem::unclear(
            "Beside an embed the content can hold no link to a host that is not known: put the \
             link into the embed.",
        ));
    }
    Ok(())
}

/// Makes embeds harmless, and holds them to Discord's bounds.
pub(super) fn filtered(mut embeds: Vec<Embed>, filter: &Filter) -> Result<Vec<Embed>, Problem> {
    let mut characters = 0;
    for embed in &mut embeds {
        let mut count = 0;
        for (text, most) in embed.texts() {
            let harmless = filter.filtered(text).content;
            harmless.trim().clone_into(text);
            let length = text.chars().count();
            if length == 0 || length > most {
                return Err(Problem::unclear(format!(
                    "A text of an embed has {length} characters; it takes 1 to {most}."
                )));
            }
            count += length;
        }
        if count == 0 {
            return Err(Problem::unclear("An embed needs a title, a description or a field."));
        }
        characters += count;
    }
    if characters > MAX_CHARACTERS {
        return Err(Problem::unclear(format!(
            "The embeds have {characters} characters together; Discord takes {MAX_CHARACTERS}."
        )));
    }
    Ok(embeds)
}
