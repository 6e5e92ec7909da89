//! What holds in one place for one person, and where each value comes from.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value;

use crate::{
    config::{Config, Span},
    document::{self, Document, Layered, Subject},
    keys::{Combine, keys},
    layer::Layer,
};

/// Of how many channels and people a snapshot remembers what holds; past it all are made anew.
const REMEMBERED: usize = 1_024;

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nothing sets it.
    Default,
    /// The settings of the process: `ery.toml` and the environment.
    Settings,
    Layer(Layer),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::Settings => "settings",
            Self::Layer(layer) => layer.as_str(),
        })
    }
}

/// What holds in one place for one person.
#[derive(Clone, Debug, Default)]
pub struct Effective {
    pub config: Config,
    /// Every value with where it comes from; of what is joined, the last.
    pub values: BTreeMap<String, (Value, Origin)>,
}

impl Effective {
    /// Returns what holds in place of a value that was set, and by whom, if something narrower does.
    ///
    /// Of texts that are joined, each holds.
    pub fn in_place_of(&self, path: &str, set: &Value) -> Option<&(Value, Origin)> {
        let key = keys().find(path).ok()?;
        let held = self.values.get(path)?;
        let is_same =
            held.0 == *set || held.0.as_f64().is_some_and(|number| Some(number) == set.as_f64());
        (key.combine != Combine::Joined && !is_same).then_some(held)
    }
}

/// A channel, and if it is a thread the channel that it hangs on: what is set there holds in its
/// threads, too, below what is set in a thread itself. 0 stands for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub channel: u64,
    pub parent: u64,
}

/// No thread.
impl From<u64> for Place {
    fn from(channel: u64) -> Self {
        Self { channel, parent: 0 }
    }
}

/// All that is set for one home at one moment, the installation's own included.
#[derive(Debug)]
pub struct Snapshot {
    /// By what the process is set to, in this home.
    base: Document,
    global: Document,
    own: Layered,
    /// By parent, channel and user.
    made: Mutex<HashMap<(u64, u64, u64), Arc<Effective>>>,
}

impl Snapshot {
    pub fn new(base: Document, global: Document, own: Layered) -> Self {
        Self { base, global, own, made: Mutex::default() }
    }

    /// Returns whether anything is set for some channel.
    pub fn is_set_by_channel(&self) -> bool {
        // They stand in order, and those of channels together.
        let first = self.own.range(Subject::channel(0)..).next();
        first.is_some_and(|(subject, _)| subject.layer == Layer::Channel)
    }

    /// Returns what holds in a place for a user; 0 for no user.
    pub fn effective(&self, place: impl Into<Place>, user: u64) -> Arc<Effective> {
        let Place { channel, parent } = place.into();
        let own = |subject: Subject| if self.own.contains_key(&subject) { subject.id } else { 0 };
        let place = (
            own(Subject::channel(parent)),
            own(Subject::channel(channel)),
            own(Subject::user(user)),
        );
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(effective) = made.get(&place) {
            return Arc::clone(effective);
        }
        let effective = Arc::new(self.make(place));
        if made.len() >= REMEMBERED {
            made.clear();
        }
        made.insert(place, Arc::clone(&effective));
        effective
    }

    fn make(&self, (parent, channel, user): (u64, u64, u64)) -> Effective {
        let mut values = BTreeMap::new();
        let defaults = serde_json::to_value(Config::default()).unwrap_or_default();
        if let Value::Object(defaults) = &defaults {
            add_defaults(defaults, "", &mut values);
        }
        let defaults = values.clone();
        let layers = [
            (Origin::Settings, Some(&self.base)),
            (Origin::Layer(Layer::Global), Some(&self.global)),
            (Origin::Layer(Layer::Server), self.own.get(&Subject::SERVER)),
            (Origin::Layer(Layer::Channel), self.own.get(&Subject::channel(parent))),
            (Origin::Layer(Layer::Channel), self.own.get(&Subject::channel(channel))),
            (Origin::Layer(Layer::User), self.own.get(&Subject::user(user))),
        ];
        for (origin, document) in layers {
            for (path, value) in document.into_iter().flatten() {
                add(&mut values, path, value, origin);
            }
        }
        // The process says all that it goes by, and bounds what is set below: but what is as it is
        // without any settings, nobody has set.
        for (path, (value, origin)) in &mut values {
            if *origin == Origin::Settings
                && defaults.get(path).is_some_and(|(default, _)| default == value)
            {
                *origin = Origin::Default;
            }
        }
        let document =
            values.iter().map(|(path, (value, _))| (path.clone(), value.clone())).collect();
        let nested = Value::Object(document::nested(&document));
        let config = serde_json::from_value(nested).unwrap_or_else(|error| {
            // Each value was checked by itself. What allows nothing is safe.
            tracing::error!(%error, "a config cannot be read; Ery is paused where it holds");
            Config { paused: true, ..Config::default() }
        });
        Effective { config, values }
    }
}

/// Puts the defaults where they are set; tables have no entries by default.
fn add_defaults(
    table: &serde_json::Map<String, Value>,
    above: &str,
    values: &mut BTreeMap<String, (Value, Origin)>,
) {
    for (name, value) in table {
        let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        match value {
            Value::Object(below) => add_defaults(below, &path, values),
            value => {
                values.insert(path, (value.clone(), Origin::Default));
            }
        }
    }
}

/// Adds what a layer sets; what this version does not know, a newer one wrote, and it is left out.
fn add(values: &mut BTreeMap<String, (Value, Origin)>, path: &str, value: &Value, origin: Origin) {
    let checked = match (keys().find(path), origin) {
        (Ok(key), Origin::Layer(layer)) if !key.layers.contains(&layer) => None,
        (Ok(key), _) => Some(key),
        (Err(_), _) => None,
    };
    let Some(key) = checked else {
        tracing::warn!(path, "something is set that this version does not know; it is left out");
        return;
    };
    // A newer version may know more words: what is not understood is not done.
    let understood = match origin {
        Origin::Layer(_) => key.check_value(path, value).ok(),
        Origin::Default | Origin::Settings => Some(value.clone()),
    };
    let off: Value = if key.words().contains(&"off") { "off".into() } else { false.into() };
    let value = match (&understood, key.combine) {
        (Some(value), _) => value,
        (None, Combine::OffStays) => &off,
        (None, _) => {
            tracing::warn!(path, "a value is set that this version does not know; it is left out");
            return;
        }
    };
    let above = values.get(path);
    // The process's own settings take the place of the defaults.
    let is_bound = above.is_some_and(|(_, of)| *of != Origin::Default);
    let combined = match (key.combine, above) {
        (Combine::Strictest, Some((above, _))) if is_bound => {
            if is_stricter(value, above) {
                Some(value.clone())
            } else {
                None
            }
        }
        (Combine::Ceiling, Some((above, _))) if is_below_operator(origin) => {
            is_stricter(value, above).then(|| value.clone())
        }
        (Combine::OffStays, Some((above, _))) if is_bound && *above == off => None,
        (Combine::Joined, Some((Value::String(above), _))) if !above.is_empty() => {
            let below = value.as_str().unwrap_or_default();
            (!below.is_empty()).then(|| format!("{above}\n{below}").into())
        }
        _ => Some(value.clone()),
    };
    if let Some(combined) = combined {
        values.insert(path.to_owned(), (combined, origin));
    }
}

/// Returns whether a layer is set by a community, not by the installation's operator.
fn is_below_operator(origin: Origin) -> bool {
    match origin {
        Origin::Default | Origin::Settings | Origin::Layer(Layer::Global) => false,
        Origin::Layer(Layer::Server | Layer::Channel | Layer::User) => true,
    }
}

fn is_stricter(value: &Value, above: &Value) -> bool {
    match (value, above) {
        (Value::Bool(value), Value::Bool(above)) => *value && !above,
        (Value::String(value), Value::String(above)) => {
            Span::parse(value).zip(Span::parse(above)).is_some_and(|(value, above)| value < above)
        }
        (value, above) => {
            value.as_f64().zip(above.as_f64()).is_some_and(|(value, above)| value < above)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::{Engage, ToolRule, Usd};

    fn document(values: &[(&str, Value)]) -> Document {
        values.iter().map(|(path, value)| ((*path).to_owned(), value.clone())).collect()
    }

    #[test]
    fn nothing_set_is_the_defaults() {
        let snapshot = Snapshot::new(Document::new(), Document::new(), Layered::new());
        let effective = snapshot.effective(1, 2);
        assert_eq!(effective.config, Config::default());
        assert!(effective.values.values().all(|(_, origin)| *origin == Origin::Default));
    }

    #[test]
    fn what_is_set_below_stands_before_what_is_set_above_and_says_so() {
        let base = document(&[("gate.engage", json!("listen")), ("context.messages", json!(10))]);
        let global = document(&[("gate.engage", json!("off"))]);
        let own = Layered::from([
            (Subject::SERVER, document(&[("gate.engage", json!("addressed"))])),
            (Subject::channel(7), document(&[("gate.engage", json!("every_message"))])),
            (Subject::user(5), document(&[("answers.language", json!("de"))])),
        ]);
        let snapshot = Snapshot::new(base, global, own);
        let here = snapshot.effective(7, 5);
        assert_eq!(here.config.gate.engage, Engage::EveryMessage);
        assert_eq!(here.values["gate.engage"].1, Origin::Layer(Layer::Channel));
        assert_eq!(here.config.answers.language, "de");
        assert_eq!(here.config.context.messages, 10);
        assert_eq!(here.values["context.messages"].1, Origin::Settings);
        let elsewhere = snapshot.effective(8, 6);
        assert_eq!(elsewhere.config.gate.engage, Engage::Addressed);
        assert_eq!(elsewhere.config.answers.language, "");
    }

    #[test]
    fn what_is_set_in_a_channel_holds_in_its_threads_below_their_own() {
        let own = Layered::from([
            (
                Subject::channel(7),
                document(&[("gate.engage", json!("off")), ("limits.steps", json!(4))]),
            ),
            (
                Subject::channel(70),
                document(&[("gate.engage", json!("listen")), ("limits.steps", json!(9))]),
            ),
        ]);
        let snapshot = Snapshot::new(Document::new(), Document::new(), own);
        assert!(snapshot.is_set_by_channel());
        let held = |channel, parent| {
            let effective = snapshot.effective(Place { channel, parent }, 0);
            (effective.config.gate.engage, effective.config.limits.steps)
        };
        assert_eq!(held(71, 7), (Engage::Off, 4));
        assert_eq!(held(70, 7), (Engage::Listen, 4), "what narrows stays narrow");
        assert_eq!(held(70, 0), (Engage::Listen, 9));
        assert_eq!(held(71, 8), (Config::default().gate.engage, Config::default().limits.steps));
        let users = Layered::from([(Subject::user(7), Document::new())]);
        let of_users = Snapshot::new(Document::new(), Document::new(), users);
        assert!(!of_users.is_set_by_channel());
    }

    #[test]
    fn what_narrows_is_never_widened_below() {
        let base = document(&[("limits.steps", json!(8)), ("limits.time", json!("2m"))]);
        let global =
            document(&[("paused", json!(true)), ("tools.policy.ban_member", json!("off"))]);
        let own = Layered::from([
            (
                Subject::SERVER,
                document(&[
                    ("paused", json!(false)),
                    ("limits.steps", json!(20)),
                    ("limits.time", json!("90s")),
                    ("tools.policy.ban_member", json!("allow")),
                    ("tools.policy.kick_member", json!("ask")),
                ]),
            ),
            (Subject::channel(7), document(&[("limits.time", json!("10m"))])),
        ]);
        let config = &Snapshot::new(base, global, own).effective(7, 0).config;
        assert!(config.paused);
        assert_eq!(config.limits.steps, 8);
        assert_eq!(config.limits.time.to_string(), "1m 30s");
        assert_eq!(config.tools.policy["ban_member"], ToolRule::Off);
        assert_eq!(config.tools.policy["kick_member"], ToolRule::Ask);
    }

    #[test]
    fn what_is_as_it_is_without_settings_is_nobodys_and_bounds_all_the_same() {
        let base = document(&[("limits.steps", json!(8)), ("context.messages", json!(31))]);
        let own = Layered::from([(Subject::SERVER, document(&[("limits.steps", json!(20))]))]);
        let effective = Snapshot::new(base, Document::new(), own).effective(0, 0);
        assert_eq!(effective.values["limits.steps"], (json!(8), Origin::Default));
        assert_eq!(effective.values["context.messages"].1, Origin::Settings);
    }

    #[test]
    fn what_holds_in_place_of_a_value_says_who_set_it() {
        let base = document(&[("budgets.server.day_usd", json!(2.0))]);
        let global = document(&[("tools.policy.ban_member", json!("off"))]);
        let own = Layered::from([(
            Subject::SERVER,
            document(&[
                ("budgets.server.day_usd", json!(9)),
                ("tools.policy.ban_member", json!("allow")),
                ("answers.instructions", json!("Be kind.")),
                ("context.messages", json!(9)),
            ]),
        )]);
        let effective = Snapshot::new(base, global, own).effective(0, 0);
        let held = |path: &str, value: Value| effective.in_place_of(path, &value).cloned();
        let day = "budgets.server.day_usd";
        assert_eq!(held(day, json!(9)), Some((json!(2.0), Origin::Settings)));
        assert_eq!(held(day, json!(2)), None);
        let off = Some((json!("off"), Origin::Layer(Layer::Global)));
        assert_eq!(held("tools.policy.ban_member", json!("allow")), off);
        assert_eq!(held("answers.instructions", json!("Be kind.")), None);
        assert_eq!(held("context.messages", json!(9)), None);
    }

    #[test]
    fn what_the_operator_sets_is_a_ceiling_which_communities_only_lower() {
        const DAY: &str = "budgets.server.day_usd";
        let set = |usd: f64| document(&[(DAY, json!(usd))]);
        let day = |base: Document, global: Document, server: f64, channel: f64| {
            let own = Layered::from([
                (Subject::SERVER, set(server)),
                (Subject::channel(7), document(&[("budgets.channel.day_usd", json!(channel))])),
            ]);
            let effective = Snapshot::new(base, global, own).effective(7, 0);
            let (_, origin) = effective.values[DAY];
            let budgets = &effective.config.budgets;
            let of = |usd: Option<Usd>| usd.map(|usd| usd.to_string()).unwrap_or_default();
            (of(budgets.server.day_usd), of(budgets.channel.day_usd), origin)
        };
        let nothing = Document::new;
        let by_server = Origin::Layer(Layer::Server);
        // Where the operator says nothing, the server sets its own.
        assert_eq!(day(nothing(), nothing(), 9.0, 3.0), ("9.00".into(), "3.00".into(), by_server));
        let by_settings = ("2.00".into(), "3.00".into(), Origin::Settings);
        assert_eq!(day(set(2.0), nothing(), 9.0, 3.0), by_settings);
        assert_eq!(day(set(2.0), nothing(), 0.5, 3.0).0, "0.50");
        // The operator changes what the settings say without a restart, upwards too.
        let by_operator = ("5.00".into(), "3.00".into(), Origin::Layer(Layer::Global));
        assert_eq!(day(set(2.0), set(5.0), 9.0, 3.0), by_operator);
        assert_eq!(day(set(2.0), set(1.0), 1.5, 3.0).0, "1.00");
    }

    #[test]
    fn what_the_operator_switched_off_stays_off_and_what_nobody_did_may_be_switched_on() {
        const KEY: &str = "context.summaries";
        let set = |is_on: bool| document(&[(KEY, json!(is_on))]);
        let held = |base: Document, global: Document, server: Document| {
            let own = Layered::from([(Subject::SERVER, server)]);
            Snapshot::new(base, global, own).effective(7, 0).config.context.summaries
        };
        let nothing = Document::new;
        assert!(!held(nothing(), nothing(), nothing()));
        assert!(held(nothing(), nothing(), set(true)));
        assert!(held(set(true), nothing(), nothing()));
        assert!(!held(set(true), nothing(), set(false)));
        assert!(!held(set(false), nothing(), set(true)));
        assert!(!held(nothing(), set(false), set(true)));
    }

    #[test]
    fn instructions_of_all_layers_are_told() {
        let says = |text: &str| document(&[("answers.instructions", json!(text))]);
        let own = Layered::from([
            (Subject::SERVER, says("We love trains.")),
            (Subject::channel(7), says("Here in verse.")),
            (Subject::channel(8), says("")),
        ]);
        let snapshot = Snapshot::new(Document::new(), says("Be kind."), own);
        let told = |channel| snapshot.effective(channel, 0).config.answers.instructions.clone();
        assert_eq!(told(7), "Be kind.\nWe love trains.\nHere in verse.");
        assert_eq!(told(8), "Be kind.\nWe love trains.");
    }

    #[test]
    fn a_whole_number_that_was_kept_with_a_point_pauses_nothing() {
        let own = Layered::from([(Subject::SERVER, document(&[("limits.steps", json!(3.0))]))]);
        let snapshot = Snapshot::new(Document::new(), Document::new(), own);
        let config = &snapshot.effective(0, 0).config;
        assert!(!config.paused);
        assert_eq!(config.limits.steps, 3);
    }

    #[test]
    fn what_a_newer_version_set_is_left_out() {
        let own = Layered::from([(
            Subject::SERVER,
            document(&[
                ("gate.from_the_future", json!(1)),
                ("gate.engage", json!("off")),
                ("context.messages", json!("as many as fit")),
                ("tools.policy.ban_member", json!("by_vote")),
            ]),
        )]);
        let snapshot = Snapshot::new(Document::new(), Document::new(), own);
        let config = &snapshot.effective(0, 0).config;
        assert_eq!(config.gate.engage, Engage::Off);
        assert_eq!(config.context, Config::default().context);
        assert_eq!(config.tools.policy["ban_member"], ToolRule::Off);
    }
}
