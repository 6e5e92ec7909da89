//! Discord's JSON, as far as it is shown.

use serde::{Deserialize, Deserializer, de::IgnoredAny};
use twilight_model::id::{Id, marker::StickerMarker};

/// A framed text.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RawEmbed {
    #[serde(rename = "type")]
    kind: Option<String>,
    author: Option<Named>,
    pub title: Option<String>,
    pub description: Option<String>,
    #[serde(deserialize_with = "readable")]
    pub fields: Vec<RawEmbedField>,
    footer: Option<Footer>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RawEmbedField {
    pub name: Option<String>,
    pub value: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Named {
    name: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Footer {
    text: Option<String>,
}

/// A question that members answer by a click.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RawPoll {
    question: Option<Media>,
    #[serde(deserialize_with = "readable")]
    answers: Vec<Answer>,
    results: Option<Results>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Media {
    text: Option<String>,
    emoji: Option<Named>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Answer {
    answer_id: Option<u64>,
    poll_media: Option<Media>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Results {
    is_finalized: Option<bool>,
    #[serde(deserialize_with = "readable")]
    answer_counts: Vec<Count>,
}

#[derive(Clone, Debug, Deserialize)]
struct Count {
    id: u64,
    count: u64,
}

/// A message as it was when it was forwarded.
#[derive(Clone, Debug, Deserialize)]
pub struct RawSnapshot {
    pub message: RawForwarded,
}

/// What a forward shows. Whose words they are Discord does not tell; polls cannot be forwarded.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RawForwarded {
    content: Option<String>,
    #[serde(deserialize_with = "readable")]
    pub attachments: Vec<RawFile>,
    #[serde(deserialize_with = "readable")]
    pub embeds: Vec<RawEmbed>,
    #[serde(deserialize_with = "readable")]
    sticker_items: Vec<RawSticker>,
}

/// A file that a forward shows.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RawFile {
    filename: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct RawSticker {
    pub id: Option<Id<StickerMarker>>,
    name: Option<String>,
}

impl RawEmbed {
    /// Whether somebody wrote it; Discord says so of every embed, others who speak its API may not.
    pub(crate) fn is_rich(&self) -> bool {
        self.kind.as_deref().is_none_or(|kind| kind == "rich")
    }

    pub(crate) fn is_poll_result(&self) -> bool {
        self.kind.as_deref() == Some("poll_result")
    }

    /// Returns its words, from above.
    pub fn text(&self) -> String {
        let author = self.author.as_ref().and_then(|author| author.name.as_deref());
        let heads = [author, self.title.as_deref(), self.description.as_deref()];
        let fields = self.fields.iter().map(|field| {
            let name = field.name.as_deref().unwrap_or_default().trim();
            let value = field.value.as_deref().unwrap_or_default().trim();
            if name.is_empty() { value.to_owned() } else { format!("{name}: {value}") }
        });
        let footer = self.footer.as_ref().and_then(|footer| footer.text.clone());
        lines(heads.into_iter().flatten().map(str::to_owned).chain(fields).chain(footer))
    }

    /// Tells how a poll ended.
    ///
    /// Source: Discord Docs, Message, "Embed Fields by Embed Type: Poll Result Embed Fields".
    pub(crate) fn poll_result(&self) -> String {
        let field = |name: &str| {
            let field = self.fields.iter().find(|field| field.name.as_deref() == Some(name));
            field.and_then(|field| field.value.as_deref())
        };
        let question = field("poll_question_text").unwrap_or_default();
        let total = field("total_votes").unwrap_or("0");
        match (field("victor_answer_text"), field("victor_answer_votes")) {
            (Some(answer), Some(votes)) => format!(
                "Result of the poll “{question}”: “{answer}” won, with {votes} of {total} votes."
            ),
            _ => {
                format!("Result of the poll “{question}”: no answer won; votes in all: {total}.")
            }
        }
    }
}

impl RawPoll {
    pub fn question(&self) -> &str {
        self.question.as_ref().and_then(|media| media.text.as_deref()).unwrap_or_default()
    }

    pub fn answers(&self) -> impl Iterator<Item = &str> {
        self.answers.iter().map(|answer| {
            let media = answer.poll_media.as_ref();
            media.and_then(|media| media.text.as_deref()).unwrap_or_default()
        })
    }

    pub(crate) fn text(&self, with_running_votes: bool) -> String {
        let is_over = self.results.as_ref().is_some_and(|it| it.is_finalized == Some(true));
        let results = self.results.as_ref().filter(|_| is_over || with_running_votes);
        let answers = self.answers.iter().zip(1..).map(|(answer, place)| {
            let emoji = answer.poll_media.as_ref().and_then(|media| media.emoji.as_ref());
            let emoji = emoji.and_then(|emoji| emoji.name.as_deref()).unwrap_or_default();
            let media = answer.poll_media.as_ref().and_then(|media| media.text.as_deref());
            let words = format!("{emoji} {}", media.unwrap_or_default());
            let words = words.trim();
            match results.map(|results| results.votes(answer.answer_id.unwrap_or(place))) {
                None => format!("- {words}"),
                Some(1) => format!("- {words} (1 vote)"),
                Some(votes) => format!("- {words} ({votes} votes)"),
            }
        });
        let question = self.question().to_owned();
        let end = is_over.then(|| "The voting is over.".to_owned());
        lines([question].into_iter().chain(answers).chain(end))
    }
}

impl Results {
    /// Returns the votes for an answer; one for which nobody voted is not counted.
    fn votes(&self, answer: u64) -> u64 {
        let counted = self.answer_counts.iter().find(|counted| counted.id == answer);
        counted.map_or(0, |counted| counted.count)
    }
}

impl RawSticker {
    pub(crate) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default().trim()
    }
}

impl RawForwarded {
    pub fn content(&self) -> &str {
        self.content.as_deref().unwrap_or_default()
    }

    /// Returns all that it shows. Whether a person or a bot sent it is not known, so an embed that may be
    /// a bot's counts.
    pub(crate) fn text(&self) -> String {
        let files = self.attachments.iter().filter_map(|file| file.filename.as_deref());
        let files = files.map(|name| format!("[file: {}]", name.trim()));
        let embeds = self.embeds.iter().filter(|embed| embed.is_rich()).map(RawEmbed::text);
        let stickers = self.sticker_items.iter().map(|it| format!("[sticker: {}]", it.name()));
        let content = self.content().to_owned();
        lines([content].into_iter().chain(files).chain(embeds).chain(stickers))
    }
}

fn lines(parts: impl Iterator<Item = String>) -> String {
    let mut text = String::new();
    for part in parts {
        let part = part.trim();
        if !part.is_empty() {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(part);
        }
    }
    text
}

/// What was looked for, or anything else in its place.
#[derive(Deserialize)]
#[serde(untagged)]
enum Odd<T> {
    Not(T),
    Is(IgnoredAny),
}

/// Reads a list as far as it is what it should be: no message is lost for something odd beside it.
///
/// # Errors
///
/// Where it is no JSON.
pub fn readable<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let list = readable_or_none::<D, Vec<Odd<T>>>(deserializer)?.unwrap_or_default();
    let read = list.into_iter().filter_map(|item| match item {
        Odd::Not(item) => Some(item),
        Odd::Is(IgnoredAny) => None,
    });
    Ok(read.collect())
}

/// Reads something, if it is what it should be.
///
/// # Errors
///
/// Where it is no JSON.
pub fn readable_or_none<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(match Odd::deserialize(deserializer)? {
        Odd::Not(read) => Some(read),
        Odd::Is(IgnoredAny) => None,
    })
}
