//! `/ery`: what a community is set to, read and changed by those who may.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Value, json};
use tonic::{Code, Status};
use twilight_model::{
    guild::Permissions,
    id::{Id, marker::RoleMarker},
};

use ery_community_config::{
    Change, Changed, Config, Difference, Document, Effective, InvalidConfig, Layer, Must, Origin,
    Subject, Version, Wanted, keys, preset,
};

use crate::{
    domain::{
        commands::{
            config::{CAPABILITIES, ConfigDeed, Place, plain_key},
            interaction::Interaction,
            reply::{Choice, Message, quoted},
        },
        texts::{self, Language, right},
    },
    error::CallError,
    handlers::{holder::Holder, interactions::usage},
};

/// How many changes the history shows.
const SHOWN: u32 = 10;

/// How much of a value is shown.
const EXCERPT: usize = 60;

/// Any of these makes somebody a moderator, who may pause Ery. No channel's overwrites give them.
const MODERATES: Permissions =
    Permissions::MODERATE_MEMBERS.union(Permissions::KICK_MEMBERS).union(Permissions::BAN_MEMBERS);

/// The table that says who may do what.
const ACCESS: &str = "access.";

/// Where reports go, which others are not to read.
const REPORTS: &str = "moderation.reports_channel";

/// What bounds Ery's acts: whoever could raise it could do more through her.
const HARD_LIMITS: [&str; 2] = ["tools.destructive_per_hour", "tools.acts_per_person_per_hour"];

/// How often a change of who may is tried anew that somebody else's came before.
const TRIES: u32 = 3;

/// Returns whether only those set it who may manage the server by Discord's own rights.
fn is_guarded(key: &str) -> bool {
    key.starts_with(ACCESS) || key == REPORTS || HARD_LIMITS.contains(&key)
}

/// Carries out what is asked for, if whoever asks may.
pub(super) async fn carry_out(
    holder: &Holder,
    it: &Interaction,
    deed: &ConfigDeed,
) -> Result<Message, CallError> {
    let effective = holder.config(it.channel, Some(it.user)).await?;
    let config = &effective.config;
    if !is_allowed(it, deed, config) {
        return Ok(Message::of(it.language.word("ery-not-allowed")));
    }
    match deed {
        ConfigDeed::Get { key } => Ok(get(it.language, key.as_deref(), &effective)),
        ConfigDeed::Set { key, value, place } => {
            let value = keys().find(key).and_then(|found| found.parse(key, value));
            set(holder, it, key, value.map(Some), *place).await
        }
        ConfigDeed::Reset { key, place } => set(holder, it, key, Ok(None), *place).await,
        ConfigDeed::Preset { name } => begin_as(holder, it, name).await,
        ConfigDeed::History => history(holder, it).await,
        ConfigDeed::RollBack { version } => roll_back(holder, it, *version).await,
        ConfigDeed::Status => Ok(status(it.language, &effective)),
        ConfigDeed::Usage => usage::usage(holder, it, &effective, configures(it, config)).await,
        ConfigDeed::Pause { place } => pause(holder, it, *place, true).await,
        ConfigDeed::Resume { place } => pause(holder, it, *place, false).await,
        ConfigDeed::ShowAccess => Ok(access(it.language, config)),
        ConfigDeed::Access { capability, role, is_given } => {
            set_access(holder, it, capability, *role, *is_given).await
        }
    }
}

/// Sets a key, or takes back what was set; what is wrong is said before the store is asked, in the language
/// of whoever asks.
async fn set(
    holder: &Holder,
    it: &Interaction,
    key: &str,
    value: Result<Option<Value>, InvalidConfig>,
    place: Place,
) -> Result<Message, CallError> {
    let layer = subject(it, place).layer;
    let checked = keys().find(key).and_then(|found| found.check_layer(layer, key));
    let value = checked.and(value).and_then(|value| {
        let home = it.channel.home.key();
        value.as_ref().map_or(Ok(()), |value| keys().check_roles(home, key, value))?;
        Ok(value)
    });
    match value {
        Ok(value) => change(holder, it, vec![(key.to_owned(), value)], place, "").await,
        Err(error) => Ok(invalid(it.language, &error)),
    }
}

/// Gives or takes a capability, on top of what stands at that moment.
async fn set_access(
    holder: &Holder,
    it: &Interaction,
    capability: &str,
    role: Id<RoleMarker>,
    is_given: bool,
) -> Result<Message, CallError> {
    let path = format!("{ACCESS}{capability}");
    let role = Value::String(role.to_string());
    if is_given {
        let checked = keys().check_roles(it.channel.home.key(), &path, &json!([role]));
        if let Err(error) = checked {
            return Ok(invalid(it.language, &error));
        }
    }
    let values = |server: &Document| {
        let stands = server.get(&path).and_then(|roles| roles.as_array().cloned());
        let mut roles = stands.unwrap_or_default();
        roles.retain(|of| *of != role);
        if is_given {
            roles.push(role.clone());
        }
        let value = (!roles.is_empty()).then_some(Value::Array(roles));
        if let Some(value) = &value {
            keys().check(Layer::Server, &path, value)?;
        }
        Ok(vec![(path.clone(), value)])
    };
    let answer = match on_top(holder, it, "", values).await {
        Ok(answer) => answer,
        Err(error) => return Ok(invalid(it.language, &error)),
    };
    let is_noted = is_given && capability == CAPABILITIES[0] && answer.is_ok();
    let mut message = made(holder, it, answer).await?;
    if is_noted {
        let right = right(it.language, "MODERATE_MEMBERS");
        let note = it.language.say("ery-access-shown", &[("right", (&right).into())]);
        message.content = format!("{}\n{note}", message.content);
    }
    Ok(message)
}

/// Has Ery begin as a preset says; what another preset set goes.
async fn begin_as(
    holder: &Holder,
    it: &Interaction,
    name: &'static str,
) -> Result<Message, CallError> {
    let Some(preset) = preset(name) else {
        return Ok(Message::of(it.language.word("unknown-command")));
    };
    let note = format!("preset {name}");
    match on_top(holder, it, &note, |server| Ok(preset.changes(server))).await {
        Ok(answer) => made(holder, it, answer).await,
        Err(error) => Ok(invalid(it.language, &error)),
    }
}

/// What the store says of a change.
type Answer = Result<(u64, Vec<Difference>), Status>;

/// Changes what the server sets, on top of what stands at that moment.
async fn on_top(
    holder: &Holder,
    it: &Interaction,
    note: &str,
    values: impl Fn(&Document) -> Result<Vec<(String, Option<Value>)>, InvalidConfig>,
) -> Result<Answer, InvalidConfig> {
    for _ in 0..TRIES {
        let loaded = match holder.stored_config.get(it.channel.home.key(), None).await {
            Ok(loaded) => loaded.unwrap_or_default(),
            Err(status) => return Ok(Err(status)),
        };
        let nothing = Document::new();
        let values = values(loaded.layered.get(&Subject::SERVER).unwrap_or(&nothing))?;
        let wanted = values.into_iter().map(|(path, value)| (Subject::SERVER, path, value));
        let change = Change { expected: Some(loaded.version), ..change_of(it).noting(note) };
        let answer = holder.stored_config.change(&change, wanted.collect()).await;
        if !matches!(&answer, Err(status) if status.code() == Code::FailedPrecondition) {
            return Ok(answer);
        }
    }
    Ok(Err(Status::aborted("each time somebody else's change came before")))
}

/// Returns whether whoever asks may do that: everybody for themselves, else by Discord's Manage server,
/// or by a role that is let, which lets nobody else in.
fn is_allowed(it: &Interaction, deed: &ConfigDeed, config: &Config) -> bool {
    let manages = it.permissions.intersects(Permissions::MANAGE_GUILD | Permissions::ADMINISTRATOR);
    let configures = configures(it, config);
    let moderates = has_any(it, &config.access.moderator) || it.permissions.intersects(MODERATES);
    // What a channel's overwrites can give reaches no further than that channel.
    let keeps_channel = it.permissions.contains(Permissions::MANAGE_MESSAGES);
    match deed {
        ConfigDeed::Set { place: Place::Me, .. }
        | ConfigDeed::Reset { place: Place::Me, .. }
        // Of others, and of the server, those alone are told who configure.
        | ConfigDeed::Status
        | ConfigDeed::Usage => true,
        ConfigDeed::Set { key, .. } | ConfigDeed::Reset { key, .. } if is_guarded(key) => manages,
        // What was set before may be about access, too.
        ConfigDeed::Access { .. } | ConfigDeed::RollBack { .. } => manages,
        ConfigDeed::Pause { place: Place::Channel }
        | ConfigDeed::Resume { place: Place::Channel } => configures || moderates || keeps_channel,
        ConfigDeed::Pause { .. } => configures || moderates,
        // What stops everything is not lifted by more than may set it for good.
        ConfigDeed::Resume { .. }
        | ConfigDeed::Get { .. }
        | ConfigDeed::Set { .. }
        | ConfigDeed::Reset { .. }
        | ConfigDeed::History
        | ConfigDeed::Preset { .. }
        | ConfigDeed::ShowAccess => configures,
    }
}

/// Returns whether whoever asks may read and change what is set here.
fn configures(it: &Interaction, config: &Config) -> bool {
    it.permissions.intersects(Permissions::MANAGE_GUILD | Permissions::ADMINISTRATOR)
        || has_any(it, &config.access.config_admin)
}

fn has_any(it: &Interaction, roles: &BTreeSet<Id<RoleMarker>>) -> bool {
    it.roles.iter().any(|role| roles.contains(role))
}

fn invalid(language: Language, error: &InvalidConfig) -> Message {
    Message::of(texts::config::problem(language, error))
}

fn subject(it: &Interaction, place: Place) -> Subject {
    match place {
        Place::Server => Subject::SERVER,
        Place::Channel => Subject::channel(it.channel.channel.get()),
        Place::Me => Subject::user(it.user.get()),
    }
}

/// Makes a change, once for an interaction, and tells what it came to; the store checks it.
async fn change(
    holder: &Holder,
    it: &Interaction,
    values: Vec<(String, Option<Value>)>,
    place: Place,
    note: &str,
) -> Result<Message, CallError> {
    let subject = subject(it, place);
    let wanted: Wanted = values.into_iter().map(|(path, value)| (subject, path, value)).collect();
    let of = change_of(it).noting(note);
    made(holder, it, holder.stored_config.change(&of, wanted).await).await
}

fn change_of(it: &Interaction) -> Change {
    Change::new(it.channel.home.key(), format!("in.{}", it.id), Some(it.user.get()))
}

async fn roll_back(holder: &Holder, it: &Interaction, version: u64) -> Result<Message, CallError> {
    let answer = holder.stored_config.roll_back(&change_of(it), version).await;
    if matches!(&answer, Err(status) if status.code() == Code::NotFound) {
        let version = version.to_string();
        let said = it.language.say("ery-version-unknown", &[("version", (&version).into())]);
        return Ok(Message::of(said));
    }
    made(holder, it, answer).await
}

async fn made(holder: &Holder, it: &Interaction, made: Answer) -> Result<Message, CallError> {
    let language = it.language;
    let (version, differences) = match made {
        Ok(made) => made,
        Err(status) => return refused(language, status),
    };
    // Here it holds at once; the others hear of it.
    holder.config.told(Changed { home: it.channel.home.key(), version });
    if differences.is_empty() {
        return Ok(Message::of(language.word("ery-unchanged")));
    }
    let number = version.to_string();
    let mut lines = vec![language.say("ery-changed", &[("version", (&number).into())])];
    for difference in &differences {
        lines.push(item(language, difference));
        lines.extend(held(holder, it, difference).await.map(|held| format!("  {held}")));
    }
    Ok(Message::of(lines.join("\n")))
}

/// Says what holds in place of what was set, where something narrower does.
async fn held(holder: &Holder, it: &Interaction, difference: &Difference) -> Option<String> {
    let after = difference.after.as_ref()?;
    let Subject { layer, id } = difference.subject;
    // It is made: that this cannot be looked up is no failure of it.
    let effective = match layer {
        Layer::Global | Layer::Server => {
            holder.config.get(it.channel.home).await.ok()?.effective(0, 0)
        }
        Layer::Channel if id == it.channel.channel.get() => {
            holder.config(it.channel, None).await.ok()?
        }
        Layer::Channel | Layer::User => return None,
    };
    let held = effective.in_place_of(&difference.path, after)?;
    let must = keys().find(&difference.path).ok()?.must();
    Some(said_of_held(it.language, &must, held))
}

fn said_of_held(language: Language, must: &Must, (value, origin): &(Value, Origin)) -> String {
    let value = shown(language, value);
    let above = match origin {
        // What the settings do not say, they leave as it is.
        Origin::Default | Origin::Settings => "settings",
        Origin::Layer(layer) => layer.as_str(),
    };
    let kind = match must {
        Must::WholeNumber(_) | Must::Dollars(_) | Must::Time(_) => "amount",
        _ => "choice",
    };
    let values = [("value", (&value).into()), ("above", above.into()), ("kind", kind.into())];
    language.say("ery-held", &values)
}

fn refused(language: Language, status: Status) -> Result<Message, CallError> {
    match status.code() {
        Code::Aborted => Ok(Message::of(language.word("ery-moved"))),
        Code::InvalidArgument | Code::FailedPrecondition | Code::NotFound => {
            let problem = status.message().to_owned();
            Ok(Message::of(language.say("ery-invalid", &[("problem", (&problem).into())])))
        }
        _ => Err(CallError::Unavailable { call: "ChangeConfig", status: Box::new(status) }),
    }
}

/// Writes one change in a line.
fn item(language: Language, difference: &Difference) -> String {
    let value = |value: &Option<Value>| {
        let shown = |value| shown(language, value);
        value.as_ref().map_or_else(|| language.word("ery-nothing-set"), shown)
    };
    let place = match difference.subject.layer {
        Layer::Global => language.word("ery-layer-global"),
        Layer::Server => language.word("ery-layer-server"),
        Layer::Channel => format!("<#{}>", difference.subject.id),
        Layer::User => format!("<@{}>", difference.subject.id),
    };
    let (before, after) = (value(&difference.before), value(&difference.after));
    let path = quoted(&difference.path, 64);
    format!("- {place} {path}: {before} → {after}")
}

fn shown(language: Language, value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items = items.iter().map(|item| match item {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            });
            items.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    };
    if text.is_empty() { language.word("ery-nothing") } else { quoted(&text, EXCERPT) }
}

fn layer_word(language: Language, origin: Origin) -> String {
    language.word(match origin {
        Origin::Default => "ery-layer-default",
        Origin::Settings => "ery-layer-settings",
        Origin::Layer(Layer::Global) => "ery-layer-global",
        Origin::Layer(Layer::Server) => "ery-layer-server",
        Origin::Layer(Layer::Channel) => "ery-layer-channel",
        Origin::Layer(Layer::User) => "ery-layer-user",
    })
}

/// Shows what holds here for whoever asks: one key with what it means, or all.
fn get(language: Language, key: Option<&str>, effective: &Effective) -> Message {
    let line = |path: &str, (value, origin): &(Value, Origin)| {
        let origin = layer_word(language, *origin);
        format!("- {} = {} ({origin})", quoted(path, 64), shown(language, value))
    };
    let Some(key) = key else {
        let mut lines = vec![language.word("ery-config-heading")];
        lines.extend(effective.values.iter().map(|(path, value)| line(path, value)));
        return Message::of(lines.join("\n"));
    };
    let found = match keys().find(key) {
        Ok(found) => found,
        Err(error) => return invalid(language, &error),
    };
    let nothing = (json!(""), Origin::Default);
    let value = effective.values.get(key).unwrap_or(&nothing);
    let layers = texts::config::layers(language, &found.layers);
    let must = texts::config::must(language, &found.must());
    let values = [("must", (&must).into()), ("layers", (&layers).into())];
    let bounds = language.say("ery-config-bounds", &values);
    let about = texts::config::about(language, found);
    Message::of(format!("{}\n{about}\n{bounds}", line(key, value)))
}

async fn history(holder: &Holder, it: &Interaction) -> Result<Message, CallError> {
    let language = it.language;
    let versions = match holder.stored_config.history(it.channel.home.key(), SHOWN).await {
        Ok(versions) => versions,
        Err(status) => return refused(language, status),
    };
    if versions.is_empty() {
        return Ok(Message::of(language.word("ery-history-none")));
    }
    let mut lines = Vec::new();
    for version in &versions {
        lines.push(entry(language, version));
        lines.extend(version.changed.iter().map(|difference| item(language, difference)));
    }
    Ok(Message::of(lines.join("\n")))
}

fn entry(language: Language, version: &Version) -> String {
    let number = version.version.to_string();
    let who = version
        .author
        .map_or_else(|| language.word("ery-operator"), |author| format!("<@{author}>"));
    let when = format!("<t:{}:R>", version.at_ms.div_euclid(1_000));
    let values = [("version", (&number).into()), ("who", (&who).into()), ("when", (&when).into())];
    let line = language.say("ery-history-entry", &values);
    if version.note.is_empty() {
        line
    } else {
        format!("{line} ({})", quoted(&version.note, EXCERPT))
    }
}

/// Says how Ery stands here.
fn status(language: Language, effective: &Effective) -> Message {
    let config = &effective.config;
    let mut lines = Vec::new();
    lines.push(if config.paused {
        let origin = effective.values.get("paused").map_or(Origin::Default, |(_, origin)| *origin);
        let origin = layer_word(language, origin);
        language.say("ery-status-paused", &[("origin", (&origin).into())])
    } else {
        language.word(match config.gate.engage {
            ery_community_config::Engage::Off => "ery-status-off",
            ery_community_config::Engage::Listen => "ery-status-listen",
            ery_community_config::Engage::Addressed => "ery-status-addressed",
            ery_community_config::Engage::EveryMessage => "ery-status-every-message",
        })
    });
    if config.gate.ignore_me {
        lines.push(language.word("ery-status-ignored"));
    }
    if config.tools.dry_run {
        lines.push(language.word("ery-status-dry-run"));
    }
    for (rule, key) in [
        (ery_community_config::ToolRule::Off, "ery-status-tools-off"),
        (ery_community_config::ToolRule::Ask, "ery-status-tools-ask"),
    ] {
        let tools = config.tools.policy.iter().filter(|(_, of)| **of == rule);
        let tools: Vec<_> = tools.map(|(tool, _)| format!("`{tool}`")).collect();
        if !tools.is_empty() {
            let tools = tools.join(", ");
            lines.push(language.say(key, &[("tools", (&tools).into())]));
        }
    }
    Message::of(lines.join("\n"))
}

/// Pauses Ery, or lets her go on; and says so where something above keeps her paused.
async fn pause(
    holder: &Holder,
    it: &Interaction,
    place: Place,
    is_paused: bool,
) -> Result<Message, CallError> {
    let place = if place == Place::Me { Place::Server } else { place };
    let wanted =
        vec![(subject(it, place), "paused".to_owned(), is_paused.then_some(Value::Bool(true)))];
    let of = change_of(it);
    let version = match holder.stored_config.change(&of, wanted).await {
        Ok((version, _)) => version,
        Err(status) => return refused(it.language, status),
    };
    holder.config.told(Changed { home: it.channel.home.key(), version });
    let effective: Arc<Effective> = holder.config(it.channel, Some(it.user)).await?;
    let key = match (is_paused, effective.config.paused, place) {
        (true, _, Place::Channel) => "ery-paused-here",
        (true, _, _) => "ery-paused",
        (false, true, _) => "ery-still-paused",
        (false, false, _) => "ery-resumed",
    };
    Ok(Message::of(it.language.word(key)))
}

fn roles_of(config: &Config, capability: &str) -> Vec<Id<RoleMarker>> {
    let roles = match capability {
        "moderator" => &config.access.moderator,
        "event_manager" => &config.access.event_manager,
        _ => &config.access.config_admin,
    };
    roles.iter().copied().collect()
}

fn access(language: Language, config: &Config) -> Message {
    let lines = CAPABILITIES.map(|capability| {
        let roles: Vec<_> =
            roles_of(config, capability).iter().map(|role| format!("<@&{role}>")).collect();
        let roles =
            if roles.is_empty() { language.word("ery-access-none") } else { roles.join(", ") };
        format!(
            "- {}: {roles}",
            language.word(&format!("command-ery-access-give-what-{capability}"))
        )
    });
    Message::of(format!("{}\n{}", language.word("ery-access-heading"), lines.join("\n")))
}

/// Returns the keys that fit what is being typed.
pub(super) fn key_choices(typed: &str) -> Vec<Choice> {
    let typed = typed.trim().to_lowercase();
    let paths = keys().all().flat_map(|key| match key.entries.as_deref() {
        Some("tool") => {
            let stem = key.path.trim_end_matches('*').to_owned();
            ery_community_config::TOOLS.iter().map(|tool| format!("{stem}{tool}")).collect()
        }
        // Whoever types goes on with the mention of a role.
        Some(_) => vec![key.path.trim_end_matches('*').to_owned()],
        None => vec![key.path.clone()],
    });
    let fitting = paths.filter(|path| path.contains(&typed));
    let mut choices: Vec<_> = fitting
        .map(|path| {
            let ending = if path.ends_with('.') { "@…" } else { "" };
            Choice { name: format!("{path}{ending}"), value: path }
        })
        .collect();
    let plain = plain_key(&typed);
    if choices.is_empty() && keys().find(&plain).is_ok() {
        choices.push(Choice { name: plain.clone(), value: plain });
    }
    choices
}

/// Returns what a key may be set to, where that is one of a few words.
pub(super) fn value_choices(key: &str, typed: &str) -> Vec<Choice> {
    let Ok(key) = keys().find(key.trim()) else { return Vec::new() };
    let words = key.words().into_iter().filter(|word| word.contains(typed.trim()));
    words.map(|word| Choice { name: word.to_owned(), value: word.to_owned() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_set_is_shown_as_nothing() {
        for value in [json!(""), json!([])] {
            assert_eq!(shown(Language::English, &value), "nothing");
            assert_eq!(shown(Language::German, &value), "nichts");
        }
        assert_eq!(shown(Language::German, &json!(["7", "8"])), "`7, 8`");
    }

    #[test]
    fn what_holds_in_place_of_a_value_is_said_with_who_set_it() {
        let said = |language, path: &str, value: Value, origin| {
            said_of_held(language, &keys().find(path).unwrap().must(), &(value, origin))
        };
        let day = "budgets.server.day_usd";
        assert_eq!(
            said(Language::English, day, json!(1.0), Origin::Settings),
            "It counts as `1.0`: the operator's settings allow no more."
        );
        assert_eq!(
            said(Language::German, "limits.steps", json!(4), Origin::Layer(Layer::Server)),
            "Es zählt als `4`: was für den Server eingestellt ist, erlaubt nicht mehr."
        );
        let off = said(
            Language::English,
            "tools.policy.ban_member",
            json!("off"),
            Origin::Layer(Layer::Global),
        );
        assert_eq!(
            off,
            "It counts as `off`: what is set for the whole installation allows nothing else."
        );
    }
}
