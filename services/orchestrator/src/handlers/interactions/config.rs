//! `/ery`: what a community is set to, read and changed by those who may.

mod choosing;
pub(super) mod completing;
mod showing;
mod takes;
pub(super) mod writing;

use std::sync::Arc;

use serde_json::{Value, json};
use tonic::{Code, Status};
use twilight_model::id::{Id, marker::RoleMarker};

use ery_community_config::{
    Change, Changed, Difference, Document, Effective, InvalidConfig, Layer, Made, Must, Named,
    Origin, Present, Subject, Wanted, keys, preset,
};

use crate::{
    domain::{
        commands::{
            config::{CAPABILITIES, ConfigDeed, Place},
            interaction::Interaction,
            reply::{Message, quoted},
        },
        texts::{self, Language, right},
    },
    error::CallError,
    handlers::{holder::Holder, interactions::usage},
};

use showing::{get, history, shown, status, version};
use takes::Takes;

/// The table that says who may do what.
const ACCESS: &str = "access.";

/// Where reports go, which others are not to read.
const REPORTS: &str = "moderation.reports_channel";

/// How often a change of who may is tried anew that somebody else's came before.
const TRIES: u32 = 3;

/// Carries out what is asked for, if whoever asks may.
pub(super) async fn carry_out(
    holder: &Holder,
    it: &Interaction,
    deed: &ConfigDeed,
    page: usize,
) -> Result<Message, CallError> {
    let effective = holder.config(it.channel, Some(it.user)).await?;
    let config = &effective.config;
    let takes = Takes::of(deed);
    if !takes.is_met(it, config) {
        return Ok(Message::of(takes.said(it.language)));
    }
    match deed {
        ConfigDeed::Get { key } => Ok(get(holder, it, key.as_deref(), &effective, page).await),
        ConfigDeed::Set { key, value, place } => {
            let value = keys().find(key).and_then(|found| found.parse(key, value));
            set(holder, it, key, value.map(Some), *place).await
        }
        ConfigDeed::Offer { key, place } => choosing::offer(holder, it, key, *place).await,
        ConfigDeed::Choose(chosen) => choosing::choose(holder, it, chosen).await,
        ConfigDeed::Reset { key, place } => set(holder, it, key, Ok(None), *place).await,
        ConfigDeed::Preset { name } => begin_as(holder, it, name).await,
        ConfigDeed::OfferPresets => {
            let above = it.language.word("ery-choose");
            Ok(choosing::presets(it.language, above, None))
        }
        ConfigDeed::Consider { name } => choosing::consider(holder, it, name).await,
        ConfigDeed::SetUp => choosing::set_up(holder, it).await,
        ConfigDeed::History { version: Some(number), .. } => {
            version(holder, it, *number, page).await
        }
        ConfigDeed::History { version: None, until } => history(holder, it, *until, page).await,
        ConfigDeed::RollBack { version } => roll_back(holder, it, *version).await,
        ConfigDeed::Status => Ok(status(it.language, &effective)),
        ConfigDeed::Usage => {
            let configures = Takes::Configuring.is_met(it, config);
            usage::usage(holder, it, &effective, configures, page).await
        }
        ConfigDeed::Pause { place } => pause(holder, it, *place, true).await,
        ConfigDeed::Resume { place } => pause(holder, it, *place, false).await,
        ConfigDeed::ShowAccess => choosing::access(holder, it, config, page).await,
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
    let value = match checked.and(value) {
        Ok(Some(value)) => check_named(holder, it, key, &value).await?.map(|()| Some(value)),
        other => other,
    };
    match value {
        Ok(value) => change(holder, it, vec![(key.to_owned(), value)], place, "").await,
        Err(error) => Ok(invalid(it.language, &error)),
    }
}

/// Checks that roles and channels which are to be set are there, and of a kind that fits.
async fn check_named(
    holder: &Holder,
    it: &Interaction,
    path: &str,
    value: &Value,
) -> Result<Result<(), InvalidConfig>, CallError> {
    if let Err(error) = keys().check_roles(it.channel.home.key(), path, value) {
        return Ok(Err(error));
    }
    // Where it is set is where it is asked, or the whole server.
    let ids = keys().ids(Subject::SERVER, path, value);
    if ids.is_empty() {
        return Ok(Ok(()));
    }
    let present = present(holder, it, &ids).await?;
    match keys().check_present(Subject::SERVER, path, value, &present) {
        Ok(true) => Ok(Ok(())),
        Ok(false) => {
            let status = Box::new(Status::unavailable("Discord does not tell of a channel now"));
            Err(CallError::Unavailable { call: "DescribeGuild", status })
        }
        Err(error) => Ok(Err(error)),
    }
}

/// Returns which roles and channels the server has, as far as these are concerned.
async fn present(
    holder: &Holder,
    it: &Interaction,
    ids: &[(Named, u64)],
) -> Result<Present, CallError> {
    let Some(guild) = it.channel.guild() else { return Ok(Present::default()) };
    let channels = ids.iter().filter(|(named, _)| *named == Named::Channel).map(|(_, id)| *id);
    let told = holder.tools.describe_guild(guild, it.user, channels.collect()).await?;
    Ok(Present::from(&told))
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
    if is_given && let Err(error) = check_named(holder, it, &path, &json!([role])).await? {
        return Ok(invalid(it.language, &error));
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
        Ok(Some(vec![(path.clone(), value)]))
    };
    let answer = match on_top(holder, it, Subject::SERVER, "", values).await {
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
    let values = |server: &Document| Ok(Some(preset.changes(server)));
    match on_top(holder, it, Subject::SERVER, &note, values).await {
        Ok(answer) => made(holder, it, answer).await,
        Err(error) => Ok(invalid(it.language, &error)),
    }
}

/// What the store says of a change.
type Answer = Result<Made, Status>;

/// What is to be changed; none where something else stands than whoever asks has seen.
type Values = Option<Vec<(String, Option<Value>)>>;

/// Changes what is set in a place, on top of what stands at that moment.
async fn on_top(
    holder: &Holder,
    it: &Interaction,
    subject: Subject,
    note: &str,
    values: impl Fn(&Document) -> Result<Values, InvalidConfig>,
) -> Result<Answer, InvalidConfig> {
    for _ in 0..TRIES {
        let loaded = match holder.stored_config.get(it.channel.home.key(), None).await {
            Ok(loaded) => loaded.unwrap_or_default(),
            Err(status) => return Ok(Err(status)),
        };
        let nothing = Document::new();
        let Some(values) = values(loaded.layered.get(&subject).unwrap_or(&nothing))? else {
            return Ok(Err(Status::aborted("somebody else's change came before")));
        };
        let wanted = values.into_iter().map(|(path, value)| (subject, path, value));
        let change = Change { expected: Some(loaded.version), ..change_of(it).noting(note) };
        let answer = holder.stored_config.change(&change, wanted.collect()).await;
        if !matches!(&answer, Err(status) if status.code() == Code::FailedPrecondition) {
            return Ok(answer);
        }
    }
    Ok(Err(Status::aborted("each time somebody else's change came before")))
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
    let Made { version, changed, is_untold } = match made {
        Ok(made) => made,
        Err(status) => return refused(language, status),
    };
    // Here it holds at once; the others hear of it.
    holder.config.told(Changed { home: it.channel.home.key(), version });
    if changed.is_empty() {
        return Ok(Message::of(language.word("ery-unchanged")));
    }
    let number = version.to_string();
    let mut heading = language.say("ery-changed", &[("version", (&number).into())]);
    if is_untold {
        heading = format!("{heading} {}", language.word("ery-untold"));
    }
    Ok(showing::change(holder, it, heading, version, &changed, 0).await)
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
    Some(said_of_held(it.language, &difference.path, &must, held))
}

fn said_of_held(
    language: Language,
    path: &str,
    must: &Must,
    (value, origin): &(Value, Origin),
) -> String {
    let value = shown(language, path, value);
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
            // The store's own words are English.
            let problem = match language {
                Language::English => status.message().to_owned(),
                Language::German => quoted(status.message(), 400),
            };
            Ok(Message::of(language.say("ery-invalid", &[("problem", (&problem).into())])))
        }
        _ => Err(CallError::Unavailable { call: "ChangeConfig", status: Box::new(status) }),
    }
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
        Ok(made) => made.version,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_in_place_of_a_value_is_said_with_who_set_it() {
        let said = |language, path: &str, value: Value, origin| {
            said_of_held(language, path, &keys().find(path).unwrap().must(), &(value, origin))
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
