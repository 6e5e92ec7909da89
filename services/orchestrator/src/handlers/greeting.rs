//! Ery introduces herself once in a server that she joins: what she lacks there, and how to begin.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use twilight_model::{id::Id, util::Timestamp};

use ery_clock::UnixMillis;
use ery_community_config::PRESETS;
use ery_event_bus::Event;
use ery_ids::Home;

use crate::{
    adapters::interactions::Checked,
    domain::{
        commands::{asked, reply::quoted},
        texts::{Language, right},
    },
    error::CallError,
    handlers::{events::EventHandler, holder::Holder, registration::unless_refused},
};

/// How long ago she may have joined: whoever comes later is no newcomer, and a session that begins
/// anew tells of every server.
const NEW_FOR: Duration = Duration::from_mins(15);

/// How much of a server's name is said.
const LONGEST_NAME: usize = 100;

/// Discord's kinds of components, and of buttons.
const ROW: u8 = 1;
const BUTTON: u8 = 2;
const SECONDARY: u8 = 2;

/// Introduces Ery in servers that she joins.
pub(crate) struct Greeting {
    pub(crate) holder: Arc<Holder>,
}

#[derive(Deserialize)]
struct NewGuild {
    id: Id<twilight_model::id::marker::GuildMarker>,
    joined_at: Option<Timestamp>,
    preferred_locale: Option<String>,
    #[serde(default)]
    name: String,
    #[serde(default)]
    unavailable: bool,
}

#[async_trait]
impl EventHandler for Greeting {
    fn name(&self) -> &'static str {
        "orchestrator-greeting"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["guild_create"]
    }

    async fn handle(&self, home: Home, events: &[Event]) -> Result<(), CallError> {
        let Home::Guild(_) = home else { return Ok(()) };
        for event in events {
            // One that cannot be read is a dead letter already, of those who need it.
            let Ok(joined) = serde_json::from_slice::<NewGuild>(&event.payload) else { continue };
            if let Some(joined_at) = newly(&joined, self.holder.now()) {
                unless_refused(self.greet(&joined, joined_at).await)?;
            }
        }
        Ok(())
    }
}

/// Returns when she joined, if that was just now.
fn newly(joined: &NewGuild, now: UnixMillis) -> Option<UnixMillis> {
    let at = joined.joined_at.filter(|_| !joined.unavailable)?;
    let at = UnixMillis(at.as_micros() / 1_000);
    (now < at + NEW_FOR).then_some(at)
}

impl Greeting {
    async fn greet(&self, joined: &NewGuild, joined_at: UnixMillis) -> Result<(), CallError> {
        let guild = joined.id;
        let checked = self.holder.tools.check_guild(guild).await?;
        // What the operator has set for all servers holds in a new one.
        let config = self.holder.config.get(Home::Guild(guild)).await.ok();
        let config = config.map(|snapshot| snapshot.effective(0, 0));
        let set = config.as_ref().map(|effective| effective.config.answers.language.as_str());
        let language = Language::of(set, joined.preferred_locale.as_deref());
        // Named by when she joined: the event comes again with each session.
        let name = format!("gj.{guild}.{}", joined_at.0);
        let tools = &self.holder.tools;
        let lacks = checked.missing.len();
        match (checked.channel, checked.owner) {
            (Some(channel), _) => {
                let (content, buttons) = (content(&checked, language), buttons(language));
                let greeted = tools.greet(guild, channel, &name, &content, &buttons).await?;
                let outcome = greeted.outcome.as_word();
                tracing::info!(guild.id = %guild, outcome, lacks, "Ery has joined a server");
            }
            (None, Some(owner)) => {
                let content = to_owner(&checked, &joined.name, language);
                // One who takes no direct messages is not asked again.
                let told = tools.greet_owner(guild, owner, &name, &content).await?;
                let outcome = told.outcome.as_word();
                tracing::info!(guild.id = %guild, outcome, lacks,
                    "Ery has joined a server in which she may write nowhere, and tells its owner");
            }
            (None, None) => {
                tracing::info!(guild.id = %guild, lacks,
                    "Ery has joined a server in which she may write nowhere");
            }
        }
        Ok(())
    }
}

/// Says to whose server it is that there is no place to say it.
fn to_owner(checked: &Checked, server: &str, language: Language) -> String {
    let server = quoted(server, LONGEST_NAME);
    let rights = ["VIEW_CHANNEL", "SEND_MESSAGES"].map(|it| right(language, it));
    let [view, send] = &rights;
    let values = [("server", (&server).into()), ("view", view.into()), ("send", send.into())];
    let mut lines = vec![language.say("greeting-nowhere", &values)];
    lines.extend(lacking(checked, language));
    lines.join("\n")
}

/// Says what she lacks.
fn lacking(checked: &Checked, language: Language) -> Vec<String> {
    let mut lines = Vec::new();
    if !checked.missing.is_empty() {
        let missing: Vec<String> =
            checked.missing.iter().map(|missing| right(language, missing)).collect();
        let missing = missing.join(", ");
        lines.push(language.say("greeting-missing", &[("missing", (&missing).into())]));
    }
    if checked.is_lowest {
        lines.push(language.word("greeting-low-role"));
    }
    lines
}

fn content(checked: &Checked, language: Language) -> String {
    let mut lines = vec![language.word("greeting-hello")];
    if checked.missing.is_empty() {
        lines.push(language.word("greeting-all-there"));
    }
    lines.extend(lacking(checked, language));
    lines.push(language.word("greeting-begin"));
    lines.join("\n")
}

/// One button for each preset, one that shows how things stand, and one for all else that is chosen. They
/// stay: whoever presses one is asked for their rights then.
fn buttons(language: Language) -> Value {
    let button = |id: String, label: String| json!({ "type": BUTTON, "style": SECONDARY, "custom_id": id, "label": label });
    let mut buttons: Vec<Value> = PRESETS
        .iter()
        .map(|preset| {
            let key = format!("command-ery-config-preset-name-{}", preset.name);
            button(asked::set_up_button(preset.name), language.word(&key))
        })
        .collect();
    buttons.push(button(asked::set_up_button(asked::STATUS), language.word("greeting-status")));
    buttons.push(button(asked::set_up_button(asked::MORE), language.word("greeting-more")));
    json!([{ "type": ROW, "components": buttons }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_joined_just_now_is_greeted() {
        let read = |value: Value| serde_json::from_value::<NewGuild>(value).unwrap();
        let joined = read(json!({ "id": "5", "joined_at": "2026-11-29T10:00:00.250000+00:00" }));
        let at = UnixMillis(1_795_946_400_250);
        assert_eq!(newly(&joined, at), Some(at));
        assert_eq!(newly(&joined, at + NEW_FOR), None);
        let away = json!({ "id": "5", "unavailable": true });
        assert_eq!(newly(&read(away), at), None);
        assert_eq!(newly(&read(json!({ "id": "5" })), at), None);
    }

    #[test]
    fn what_is_missing_is_named_and_every_preset_offered_in_each_language() {
        for language in Language::ALL {
            let whole =
                Checked { channel: None, missing: Vec::new(), is_lowest: false, owner: None };
            let lacking = Checked {
                missing: vec!["BAN_MEMBERS".into(), "MANAGE_ROLES".into()],
                is_lowest: true,
                ..whole.clone()
            };
            let told = content(&lacking, language);
            let (bans, roles) = (right(language, "BAN_MEMBERS"), right(language, "MANAGE_ROLES"));
            assert!(!content(&whole, language).contains(&bans));
            assert!(told.contains(&format!("{bans}, {roles}")), "{told}");
            assert_eq!(told.lines().count(), content(&whole, language).lines().count() + 1);
            let to_owner = to_owner(&lacking, "`Odd` @everyone", language);
            assert!(to_owner.contains("`ˋOddˋ @everyone`"), "{to_owner}");
            assert!(to_owner.contains(&bans) && to_owner.contains("/ery "), "{to_owner}");
            let row = &buttons(language)[0]["components"];
            assert_eq!(row.as_array().unwrap().len(), PRESETS.len() + 2);
        }
    }
}
