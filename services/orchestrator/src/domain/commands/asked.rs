//! What an interaction asks for, typed.

use std::collections::BTreeMap;

use twilight_model::id::{
    Id,
    marker::{ChannelMarker, GuildMarker, MessageMarker, UserMarker},
};

use ery_community_config::keys;

use super::{
    OURS,
    choosing::{self, Chosen},
    config::{self, ConfigDeed, Place},
    interaction::{Interaction, Invoked, Kind, Target},
    list,
    pages::Turn,
    privacy::{self, PrivacyDeed},
};

/// What the ids of the buttons begin with that decide what Ery proposed; the tool-service made them.
const PROPOSALS: &str = "ery.ap.";

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// To decide what Ery proposed: which button.
    Decide {
        custom_id: String,
    },
    /// What a command could be given, so far as it is typed.
    Complete {
        of: Completed,
        typed: String,
    },
    /// To be asked for more, in a form.
    Open(Opened),
    Do(Deed),
    /// To do what was chosen on a message, which shows it then.
    Change(Deed),
    /// To see another page of what was shown.
    Turn(Turn),
    /// A command or a form that there is, without something that it takes.
    Lacking(Lacking),
    /// A command, a button or a form that is no more, or not yet.
    Unknown,
}

/// What is missing of what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lacking {
    /// A reason that says something.
    Reason,
    /// A value that the command takes.
    Value,
}

/// What is completed while it is typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Completed {
    /// One of the acts that are planned.
    Plan,
    /// A key of the config.
    ConfigKey(KeyFor),
    /// What that key may be set to.
    ConfigValue { key: String, place: Place },
}

/// For what a key is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyFor {
    Reading,
    Setting(Place),
    /// One that is set there.
    Resetting(Place),
}

/// A form that is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Opened {
    /// For what a member is warned.
    Warning { member: Id<UserMarker> },
    /// Why the staff is to look at a message.
    Report { message: Id<MessageMarker> },
    /// What a key of the config is to be.
    Value { key: String, place: Place },
}

impl Opened {
    /// Returns the id by which the form is known again when it is sent off.
    pub(crate) fn custom_id(&self) -> String {
        match self {
            Self::Warning { member } => format!("{OURS}warn.{member}"),
            Self::Report { message } => format!("{OURS}report.{message}"),
            Self::Value { key, place } => format!("{OURS}value.{}.{key}", place.letter()),
        }
    }
}

/// The field of a form that says why.
pub(crate) const FORM_REASON: &str = "reason";

/// The field of a form that says to what.
pub(crate) const FORM_VALUE: &str = "value";

/// How a member is told of a warning, as the tool takes it.
pub(crate) const NOTICES: [&str; 3] = ["channel", "dm", "none"];

/// A warning to be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Warning {
    pub(crate) member: Id<UserMarker>,
    pub(crate) reason: Option<String>,
    pub(crate) notice: &'static str,
}

/// A command with all that it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    ListPlans,
    CancelPlan {
        id: String,
    },
    Warn(Warning),
    Report {
        message: Id<MessageMarker>,
        reason: String,
    },
    ListCases {
        member: Option<Id<UserMarker>>,
        /// The newest that is shown; none for all.
        until: Option<u64>,
    },
    ShowCase {
        number: u64,
    },
    Why(Meant),
    Config(ConfigDeed),
    Privacy(PrivacyDeed),
}

/// Which message is to be explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Meant {
    /// The one by which whoever asks last had Ery at work here.
    Last,
    Message {
        /// As a link says it.
        guild: Option<Id<GuildMarker>>,
        channel: Option<Id<ChannelMarker>>,
        message: Id<MessageMarker>,
    },
    /// Neither an id nor a link.
    Unclear,
}

impl Meant {
    /// Reads a message's id, or a link to it.
    fn read(text: &str) -> Self {
        let id = |text: &str| text.parse::<u64>().ok();
        let Some((_, place)) = text.split_once("/channels/") else {
            let message = id(text).and_then(Id::new_checked);
            return message.map_or(Self::Unclear, |message| Self::Message {
                guild: None,
                channel: None,
                message,
            });
        };
        let parts: Vec<&str> = place.trim_end_matches(['/', '>']).split('/').collect();
        let [guild, channel, message] = parts.as_slice() else { return Self::Unclear };
        let channel = id(channel).and_then(Id::new_checked);
        let guild = if *guild == "@me" { Some(0) } else { id(guild) };
        match (guild, channel, id(message).and_then(Id::new_checked)) {
            (Some(guild), Some(channel), Some(message)) => {
                Self::Message { guild: Id::new_checked(guild), channel: Some(channel), message }
            }
            _ => Self::Unclear,
        }
    }
}

impl Deed {
    /// Returns a word for metrics and for the keys of executions.
    pub(crate) fn as_word(&self) -> &'static str {
        match self {
            Self::ListPlans => "schedule-list",
            Self::CancelPlan { .. } => "schedule-cancel",
            Self::Warn(_) => "warn",
            Self::Report { .. } => "report",
            Self::ListCases { .. } => "case-list",
            Self::ShowCase { .. } => "case-show",
            Self::Why(_) => "why",
            Self::Config(deed) => deed.as_word(),
            Self::Privacy(deed) => deed.as_word(),
        }
    }
}

/// Reads what an interaction asks for.
pub(crate) fn asked(interaction: &Interaction) -> Asked {
    match &interaction.kind {
        Kind::Command(invoked) => command(invoked).unwrap_or_else(|| {
            if list::has(&named(invoked)) { Asked::Lacking(Lacking::Value) } else { Asked::Unknown }
        }),
        Kind::Completion { invoked, focused } => {
            let typed = invoked.text(focused).unwrap_or_default().to_owned();
            match (named(invoked).as_slice(), focused.as_str()) {
                (["schedule", "cancel"], "what") => Asked::Complete { of: Completed::Plan, typed },
                (["ery", "config", "get"], "key") => {
                    Asked::Complete { of: Completed::ConfigKey(KeyFor::Reading), typed }
                }
                (["ery", "config", does], "key") => {
                    let place = config::place(invoked).unwrap_or(Place::Server);
                    let key_for = match *does {
                        "reset" => KeyFor::Resetting(place),
                        _ => KeyFor::Setting(place),
                    };
                    Asked::Complete { of: Completed::ConfigKey(key_for), typed }
                }
                (["ery", "config", "set"], "value") => {
                    let key = invoked.text("key").unwrap_or_default().trim();
                    let key = keys().plain_path(key).into_owned();
                    let place = config::place(invoked).unwrap_or(Place::Server);
                    Asked::Complete { of: Completed::ConfigValue { key, place }, typed }
                }
                _ => Asked::Unknown,
            }
        }
        Kind::Component { custom_id, .. } if custom_id.starts_with(PROPOSALS) => {
            Asked::Decide { custom_id: custom_id.clone() }
        }
        Kind::Component { custom_id, values } => component(custom_id, values),
        Kind::Form { custom_id, fields } => form(custom_id, fields).unwrap_or(Asked::Unknown),
        Kind::Unknown => Asked::Unknown,
    }
}

fn command(invoked: &Invoked) -> Option<Asked> {
    match (named(invoked).as_slice(), invoked.target) {
        (["schedule", "list"], _) => Some(Asked::Do(Deed::ListPlans)),
        (["schedule", "cancel"], _) => {
            let id = said(invoked.text("what"))?;
            Some(Asked::Do(Deed::CancelPlan { id }))
        }
        (["why"], _) => {
            let meant =
                invoked.text("message").map_or(Meant::Last, |text| Meant::read(text.trim()));
            Some(Asked::Do(Deed::Why(meant)))
        }
        (["explain-message"], Some(Target::Message(message))) => {
            let meant = Meant::Message { guild: None, channel: None, message };
            Some(Asked::Do(Deed::Why(meant)))
        }
        (["case", "list"], _) => {
            let member = invoked.person("member");
            Some(Asked::Do(Deed::ListCases { member, until: None }))
        }
        (["case", "show"], _) => {
            let number = u64::try_from(invoked.integer("number")?).ok()?;
            Some(Asked::Do(Deed::ShowCase { number }))
        }
        (["warn"], _) => {
            let notice = invoked.text("notice").unwrap_or(NOTICES[0]);
            Some(Asked::Do(Deed::Warn(Warning {
                member: invoked.person("member")?,
                reason: said(invoked.text("reason")),
                notice: NOTICES.into_iter().find(|known| *known == notice)?,
            })))
        }
        (["privacy", path @ ..], _) => {
            privacy::read(path, invoked).map(|deed| Asked::Do(Deed::Privacy(deed)))
        }
        (["ery", "config", "set"], _) if invoked.text("value").is_none() => {
            let (key, place) = config::key_and_place(invoked)?;
            // What is not chosen is written, and what there is not is said to be so.
            let is_written = keys().find(&key).is_ok_and(|found| !choosing::is_chosen(found));
            Some(if is_written {
                Asked::Open(Opened::Value { key, place })
            } else {
                Asked::Do(Deed::Config(ConfigDeed::Offer { key, place }))
            })
        }
        (["ery", path @ ..], _) => {
            config::read(path, invoked).map(|deed| Asked::Do(Deed::Config(deed)))
        }
        (["report-message"], Some(Target::Message(message))) => {
            Some(Asked::Open(Opened::Report { message }))
        }
        (["warn-person"], Some(Target::Person(member))) => {
            Some(Asked::Open(Opened::Warning { member }))
        }
        _ => None,
    }
}

fn form(custom_id: &str, fields: &BTreeMap<String, String>) -> Option<Asked> {
    let reason = said(fields.get(FORM_REASON).map(String::as_str));
    match custom_id.strip_prefix(OURS)?.split_once('.')? {
        ("warn", member) => {
            let member = member.parse().ok().and_then(Id::new_checked)?;
            Some(Asked::Do(Deed::Warn(Warning { member, reason, notice: NOTICES[0] })))
        }
        ("report", message) => {
            let message = message.parse().ok().and_then(Id::new_checked)?;
            let report = |reason| Asked::Do(Deed::Report { message, reason });
            Some(reason.map_or(Asked::Lacking(Lacking::Reason), report))
        }
        ("value", rest) => {
            let (place, key) = rest.split_once('.')?;
            let place = place.chars().next().and_then(Place::of_letter)?;
            let Some(value) = fields.get(FORM_VALUE).cloned() else {
                return Some(Asked::Lacking(Lacking::Value));
            };
            let key = key.to_owned();
            Some(Asked::Do(Deed::Config(ConfigDeed::Set { key, value, place })))
        }
        _ => None,
    }
}

/// Returns a text that says something.
fn said(text: Option<&str>) -> Option<String> {
    text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn component(custom_id: &str, values: &[String]) -> Asked {
    let rest = custom_id.strip_prefix(OURS).unwrap_or_default();
    match rest.split_once('.') {
        Some(("cancel", id)) if !id.is_empty() => Asked::Do(Deed::CancelPlan { id: id.to_owned() }),
        Some(("set", rest)) => {
            let chosen = Chosen::read(rest, values).map(ConfigDeed::Choose).map(Deed::Config);
            chosen.map_or(Asked::Unknown, Asked::Change)
        }
        Some(("preset", CHOOSE)) => {
            let name = values.first().and_then(|name| ery_community_config::preset(name));
            let deed = name.map(|preset| ConfigDeed::Consider { name: preset.name });
            deed.map_or(Asked::Unknown, |deed| Asked::Change(Deed::Config(deed)))
        }
        Some(("setup", MORE)) => Asked::Do(Deed::Config(ConfigDeed::SetUp)),
        Some(("setup", STATUS)) => Asked::Do(Deed::Config(ConfigDeed::Status)),
        Some(("setup", name)) => {
            let deed = ery_community_config::preset(name)
                .map(|preset| Deed::Config(ConfigDeed::Preset { name: preset.name }));
            deed.map_or(Asked::Unknown, Asked::Do)
        }
        Some(("page", rest)) => Turn::read(rest).map_or(Asked::Unknown, Asked::Turn),
        Some(("forget", scope)) => {
            let deed = privacy::pressed(scope).map(Deed::Privacy);
            deed.map_or(Asked::Unknown, Asked::Do)
        }
        _ => Asked::Unknown,
    }
}

/// What the button of a greeting asks for that shows how things stand.
pub(crate) const STATUS: &str = "status";

/// What the button of a greeting asks for that shows the menus of the set-up.
pub(crate) const MORE: &str = "more";

const CHOOSE: &str = "choose";

/// Returns the id of the menu of presets.
pub(crate) fn preset_menu() -> String {
    format!("{OURS}preset.{CHOOSE}")
}

/// Returns the id of a button that has Ery begin as a preset says, or shows how things stand.
pub(crate) fn set_up_button(what: &str) -> String {
    format!("{OURS}setup.{what}")
}

/// Returns the id of a button that cancels what is planned.
pub(crate) fn cancel_button(plan: &str) -> String {
    format!("{OURS}cancel.{plan}")
}

/// Returns a command's path, by its name in the code.
fn named(invoked: &Invoked) -> Vec<&str> {
    let mut path: Vec<&str> = invoked.path.iter().map(String::as_str).collect();
    // Entries of menus are called as people read them.
    if invoked.target.is_some()
        && let Some(command) = list::called(path.first().copied().unwrap_or_default())
    {
        path[0] = command.name;
    }
    path
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(kind: u8, data: &Value) -> Asked {
        let payload = json!({
            "id": "900", "application_id": "7", "type": kind, "token": "t", "guild_id": "1",
            "channel_id": "2", "member": { "user": { "id": "5" }, "permissions": "0" },
            "data": data,
        });
        asked(&Interaction::read(payload.to_string().as_bytes()).unwrap())
    }

    fn below(name: &str, below: &str, options: &Value) -> Asked {
        let options = json!([{ "name": below, "type": 1, "options": options }]);
        read(2, &json!({ "name": name, "type": 1, "options": options }))
    }

    #[test]
    fn what_is_not_typed_is_chosen_or_written() {
        let given = |key: &str| {
            let options = json!([{ "name": "set", "type": 1, "options": [
                { "name": "key", "type": 3, "value": key },
            ]}]);
            read(
                2,
                &json!({ "name": "ery", "type": 1, "options": [
                    { "name": "config", "type": 2, "options": options },
                ]}),
            )
        };
        let (key, place) = ("gate.engage".to_owned(), Place::Server);
        assert_eq!(given("gate.engage"), Asked::Do(Deed::Config(ConfigDeed::Offer { key, place })));
        let key = "answers.instructions".to_owned();
        let opened = Opened::Value { key: key.clone(), place };
        assert_eq!(given(&key), Asked::Open(opened.clone()));
        let sent = read(
            5,
            &json!({ "custom_id": opened.custom_id(), "components": [
                { "type": 18, "component": { "type": 4, "custom_id": "value", "value": "Be\nkind." } },
            ]}),
        );
        let value = "Be\nkind.".to_owned();
        assert_eq!(sent, Asked::Do(Deed::Config(ConfigDeed::Set { key, value, place })));
    }

    #[test]
    fn what_is_chosen_changes_the_message_and_buttons_of_a_greeting_do_not() {
        let chosen = |id: &str, values: &[&str]| {
            read(3, &json!({ "custom_id": id, "component_type": 3, "values": values }))
        };
        let considered = ConfigDeed::Consider { name: "quiet-helper" };
        let menu = preset_menu();
        assert_eq!(chosen(&menu, &["quiet-helper"]), Asked::Change(Deed::Config(considered)));
        assert_eq!(chosen(&menu, &["loud"]), Asked::Unknown);
        let id = choosing::menu(choosing::Panel::One, Place::Server, "gate.engage", None);
        let Asked::Change(Deed::Config(ConfigDeed::Choose(it))) = chosen(&id, &["off"]) else {
            panic!("{id}")
        };
        assert_eq!((it.key.as_str(), it.values), ("gate.engage", vec!["off".to_owned()]));
        let pressed = |what: &str| chosen(&set_up_button(what), &[]);
        assert_eq!(pressed(MORE), Asked::Do(Deed::Config(ConfigDeed::SetUp)));
        assert_eq!(pressed(STATUS), Asked::Do(Deed::Config(ConfigDeed::Status)));
    }

    #[test]
    fn plans_are_listed_and_cancelled() {
        assert_eq!(below("schedule", "list", &json!([])), Asked::Do(Deed::ListPlans));
        let what = |id: &str| json!([{ "name": "what", "type": 3, "value": id }]);
        let cancelled = Asked::Do(Deed::CancelPlan { id: "abc".into() });
        assert_eq!(below("schedule", "cancel", &what(" abc ")), cancelled);
        let unusable = Asked::Lacking(Lacking::Value);
        assert_eq!(below("schedule", "cancel", &what("  ")), unusable);
        let pressed = read(3, &json!({ "custom_id": cancel_button("abc"), "component_type": 2 }));
        assert_eq!(pressed, cancelled);
    }

    #[test]
    fn a_member_is_warned_by_a_command_or_in_a_form() {
        let options = json!([
            { "name": "member", "type": 6, "value": "42" },
            { "name": "reason", "type": 3, "value": "spam" },
            { "name": "notice", "type": 3, "value": "dm" },
        ]);
        let warned = read(2, &json!({ "name": "warn", "type": 1, "options": options }));
        let member = Id::new(42);
        let warning = Warning { member, reason: Some("spam".into()), notice: "dm" };
        assert_eq!(warned, Asked::Do(Deed::Warn(warning)));

        let entry = list::find("warn-person").called(crate::domain::texts::Language::English);
        let chosen = read(2, &json!({ "name": entry, "type": 2, "target_id": "42" }));
        assert_eq!(chosen, Asked::Open(Opened::Warning { member }));

        let sent = |id: &str, reason: &str| {
            read(
                5,
                &json!({ "custom_id": id, "components": [
                    { "type": 18, "component": { "type": 4, "custom_id": "reason", "value": reason } },
                ]}),
            )
        };
        let warning = |reason: Option<&str>| Warning {
            member,
            reason: reason.map(str::to_owned),
            notice: "channel",
        };
        let form = Opened::Warning { member }.custom_id();
        assert_eq!(sent(&form, "spam"), Asked::Do(Deed::Warn(warning(Some("spam")))));
        assert_eq!(sent(&form, " "), Asked::Do(Deed::Warn(warning(None))));
        assert_eq!(sent("ery.warn.0", "x"), Asked::Unknown);
        assert_eq!(sent("other.warn.42", "x"), Asked::Unknown);
    }

    #[test]
    fn what_is_to_be_explained_is_a_message_by_its_id_its_link_or_its_menu() {
        let why = |text: &str| {
            let options = json!([{ "name": "message", "type": 3, "value": text }]);
            read(2, &json!({ "name": "why", "type": 1, "options": options }))
        };
        let meant = |guild: Option<u64>, channel: Option<u64>, message: u64| {
            Asked::Do(Deed::Why(Meant::Message {
                guild: guild.and_then(Id::new_checked),
                channel: channel.and_then(Id::new_checked),
                message: Id::new(message),
            }))
        };
        assert_eq!(why("42"), meant(None, None, 42));
        assert_eq!(why("https://discord.com/channels/1/2/3"), meant(Some(1), Some(2), 3));
        assert_eq!(why("<https://discord.com/channels/@me/2/3>"), meant(None, Some(2), 3));
        for unclear in ["", "hello", "https://discord.com/channels/1/2", "0", "/channels/x/2/3"] {
            assert_eq!(why(unclear), Asked::Do(Deed::Why(Meant::Unclear)), "{unclear}");
        }
        let bare = read(2, &json!({ "name": "why", "type": 1 }));
        assert_eq!(bare, Asked::Do(Deed::Why(Meant::Last)));
        let entry = list::find("explain-message").called(crate::domain::texts::Language::English);
        let chosen = read(2, &json!({ "name": entry, "type": 3, "target_id": "42" }));
        assert_eq!(chosen, meant(None, None, 42));
    }

    #[test]
    fn a_message_is_reported_in_a_form_that_says_why() {
        let message = Id::new(42);
        let entry = list::find("report-message").called(crate::domain::texts::Language::English);
        let chosen = read(2, &json!({ "name": entry, "type": 3, "target_id": "42" }));
        let opened = Opened::Report { message };
        assert_eq!(chosen, Asked::Open(opened.clone()));
        let sent = |reason: &str| {
            read(
                5,
                &json!({ "custom_id": opened.custom_id(), "components": [
                    { "type": 18, "component": { "type": 4, "custom_id": "reason", "value": reason } },
                ]}),
            )
        };
        let reason = "spam".to_owned();
        assert_eq!(sent("spam"), Asked::Do(Deed::Report { message, reason }));
        assert_eq!(sent(" "), Asked::Lacking(Lacking::Reason));
    }

    #[test]
    fn cases_are_listed_and_shown() {
        assert_eq!(
            below("case", "list", &json!([])),
            Asked::Do(Deed::ListCases { member: None, until: None })
        );
        let options = json!([{ "name": "member", "type": 6, "value": "42" }]);
        let member = Some(Id::new(42));
        assert_eq!(
            below("case", "list", &options),
            Asked::Do(Deed::ListCases { member, until: None })
        );
        let number = |number: i64| json!([{ "name": "number", "type": 4, "value": number }]);
        assert_eq!(below("case", "show", &number(7)), Asked::Do(Deed::ShowCase { number: 7 }));
        assert_eq!(below("case", "show", &number(-7)), Asked::Lacking(Lacking::Value));
    }

    #[test]
    fn what_is_typed_is_completed_and_proposals_are_decided() {
        let typed = read(
            4,
            &json!({ "name": "schedule", "type": 1, "options": [
                { "name": "cancel", "type": 1, "options": [
                    { "name": "what", "type": 3, "value": "wa", "focused": true },
                ]},
            ]}),
        );
        assert_eq!(typed, Asked::Complete { of: Completed::Plan, typed: "wa".into() });
        let custom_id = "ery.ap.abc.y";
        let pressed = read(3, &json!({ "custom_id": custom_id, "component_type": 2 }));
        assert_eq!(pressed, Asked::Decide { custom_id: custom_id.into() });
    }

    #[test]
    fn what_is_no_more_is_unknown() {
        for (kind, data) in [
            (2, json!({ "name": "gone", "type": 1 })),
            (2, json!({ "name": "schedule", "type": 1 })),
            (
                2,
                json!({ "name": "schedule", "type": 1, "options": [{ "name": "gone", "type": 1 }] }),
            ),
            (3, json!({ "custom_id": "ery.gone.1", "component_type": 2 })),
            (3, json!({ "custom_id": "ery.cancel.", "component_type": 2 })),
            (3, json!({ "custom_id": "others", "component_type": 2 })),
            (5, json!({ "custom_id": "ery.gone.1", "components": [] })),
            (9, json!({})),
        ] {
            assert_eq!(read(kind, &data), Asked::Unknown, "{data}");
        }
    }
}
