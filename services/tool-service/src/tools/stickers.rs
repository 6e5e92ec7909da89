//! Stickers beside a message: those of the server itself, which are all that a bot can send.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use twilight_model::id::{Id, marker::StickerMarker};

use ery_enclosures::RawSticker;

use crate::{
    adapters::discord::{Method, Request, wire::RawGuildSticker},
    domain::{reference, text},
    error::StateError,
    resolve::{Problem, Scene},
};

/// How many stickers are named where one is not found.
const MAX_NAMED: usize = 10;

/// A sticker, with the name by which people know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sticker {
    id: Id<StickerMarker>,
    name: String,
}

impl Sticker {
    /// Whether Discord shows this one.
    pub(super) fn is(&self, shown: &RawSticker) -> bool {
        shown.id == Some(self.id)
    }
}

/// Returns what Discord is told of them.
pub(super) fn ids(stickers: &[Sticker]) -> Value {
    stickers.iter().map(|sticker| json!(sticker.id)).collect()
}

/// Finds the stickers of this server that are named, by one look at them.
pub(super) async fn resolved(
    wanted: &[String],
    scene: &Scene<'_>,
) -> Result<Vec<Sticker>, Problem> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let Some(guild) = scene.guild else {
        return Err(Problem::unclear(
            "In a direct message I can send no sticker: I have those of servers alone, and only there.",
        ));
    };
    let path = format!("guilds/{guild}/stickers");
    let send_by = scene.discord.send_by();
    let request = Request::new(Method::Get, path.clone(), path, guild.get(), send_by);
    let answer = scene.discord.repeatedly(&request).await;
    let answer = answer.map_err(|error| Problem::Unknown(error.into()))?;
    let known: Vec<RawGuildSticker> =
        answer.json().map_err(|error| Problem::Unknown(StateError::from(error)))?;
    let mut found: Vec<Sticker> = Vec::with_capacity(wanted.len());
    for named in wanted {
        let sticker = one(named, &known)?;
        if found.contains(&sticker) {
            return Err(Problem::unclear("A message shows each sticker once."));
        }
        found.push(sticker);
    }
    Ok(found)
}

fn one(named: &str, known: &[RawGuildSticker]) -> Result<Sticker, Problem> {
    let named = named.trim();
    let id = reference::id(named);
    let is_it = |sticker: &&RawGuildSticker| match id {
        Some(id) => sticker.id.get() == id,
        None => sticker.name.to_lowercase() == named.to_lowercase(),
    };
    let found: Vec<_> = known.iter().filter(is_it).collect();
    match found.as_slice() {
        [] => Err(Problem::unclear(format!(
            "This server has no sticker “{}”, and I can send none from elsewhere; it has: {}.",
            text::name(named),
            listed(known)
        ))),
        [sticker] if !sticker.available => Err(Problem::unclear(format!(
            "The sticker “{}” cannot be used at the moment: the server lost the boosts for it.",
            text::name(&sticker.name)
        ))),
        [sticker] => Ok(Sticker { id: sticker.id, name: sticker.name.clone() }),
        several => {
            let ids: Vec<_> = several.iter().map(|sticker| sticker.id.to_string()).collect();
            Err(Problem::Ambiguous(format!(
                "Several stickers have the name “{}”: {}. Say which one by its id.",
                text::name(named),
                ids.join(", ")
            )))
        }
    }
}

fn listed(known: &[RawGuildSticker]) -> String {
    let usable = known.iter().filter(|sticker| sticker.available);
    let names: Vec<_> = usable.take(MAX_NAMED).map(|sticker| text::name(&sticker.name)).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
