//! What is set by choosing: menus for single keys, for who may do what, and for the set-up.

use serde_json::Value;

use ery_community_config::{
    Config, Document, Effective, Key, Named, PRESETS, Present, Subject, keys, preset,
};

use super::{
    ACCESS, REPORTS, check_named, invalid, made, on_top, refused,
    showing::{self, gone, item, path_in_words, present_soon, shown},
    subject,
    takes::Takes,
};
use crate::{
    domain::{
        commands::{
            asked::{preset_menu, set_up_button},
            choosing::{self, Chosen, NOTHING, Panel, mark},
            config::{CAPABILITIES, Place},
            interaction::Interaction,
            reply::{Button, MAX_CHOICES, Menu, Message, Offered, Offers},
        },
        texts::{self, Language},
    },
    error::CallError,
    handlers::holder::Holder,
};

/// By which key a server says first of all what she answers.
const ENGAGE: &str = "gate.engage";

/// Shows what a key may be set to.
pub(super) async fn offer(
    holder: &Holder,
    it: &Interaction,
    key: &str,
    place: Place,
) -> Result<Message, CallError> {
    let found = keys().find(key);
    let layer = subject(it, place).layer;
    match found.and_then(|found| found.check_layer(layer, key)) {
        Ok(()) => panel(holder, it, Panel::One, (key, place), None).await,
        Err(error) => Ok(invalid(it.language, &error)),
    }
}

/// Sets what was chosen, and shows the menus again, as they are then.
pub(super) async fn choose(
    holder: &Holder,
    it: &Interaction,
    chosen: &Chosen,
) -> Result<Message, CallError> {
    let Chosen { panel: of, place, seen, key, .. } = chosen;
    let subject = subject(it, *place);
    let checked = keys().find(key).and_then(|found| {
        found.check_layer(subject.layer, key)?;
        chosen.value(found)
    });
    let value = match checked {
        Ok(Some(value)) => check_named(holder, it, key, &value).await?.map(|()| Some(value)),
        other => other,
    };
    let value = match value {
        Ok(value) => value,
        Err(error) => return Ok(invalid(it.language, &error)),
    };
    let answer = on_top(holder, it, subject, "", |document: &Document| {
        let now = document.get(key);
        // A repeat finds what it has set itself.
        let is_as_seen = mark(now) == *seen || now == value.as_ref();
        Ok(is_as_seen.then(|| vec![(key.clone(), value.clone())]))
    });
    let said = match answer.await {
        Ok(answer) => made(holder, it, answer).await?.content,
        Err(error) => return Ok(invalid(it.language, &error)),
    };
    panel(holder, it, *of, (key, *place), Some(said)).await
}

/// Shows the menus by which a server begins.
pub(super) async fn set_up(holder: &Holder, it: &Interaction) -> Result<Message, CallError> {
    panel(holder, it, Panel::SetUp, (ENGAGE, Place::Server), None).await
}

/// Shows which roles may do what, with menus for those who may change it.
pub(super) async fn access(
    holder: &Holder,
    it: &Interaction,
    config: &Config,
    page: usize,
) -> Result<Message, CallError> {
    let shown = showing::access(holder, it, config, page).await;
    let menus = panel(holder, it, Panel::Access, (ENGAGE, Place::Server), None).await?.menus;
    let mut lines = vec![shown.content];
    for capability in CAPABILITIES {
        let key = format!("{ACCESS}{capability}");
        let roles = showing::roles_of(config, capability).len();
        if roles > MAX_CHOICES && Takes::to_set(&key, Place::Server).is_met(it, config) {
            let (label, how) = (label(it.language, &key), it.language.word("ery-choose-too-many"));
            lines.push(format!("- {label}: {how}"));
        }
    }
    if !menus.is_empty() {
        lines.push(it.language.word("ery-choose-in-order"));
    }
    Ok(Message { content: lines.join("\n"), menus, ..shown })
}

/// Shows the presets to choose from.
pub(super) fn presets(language: Language, above: String, chosen: Option<&str>) -> Message {
    let offered = |preset: &ery_community_config::Preset| Offered {
        value: preset.name.to_owned(),
        label: called(language, preset.name),
        about: about(language, preset.name),
        is_chosen: chosen == Some(preset.name),
    };
    let menu = Menu {
        custom_id: preset_menu(),
        placeholder: language.word("ery-choose-preset"),
        offers: Offers::Words(PRESETS.iter().map(offered).collect()),
    };
    Message { menus: vec![menu], ..Message::of(above) }
}

/// Shows what a preset would change, with a button that does it.
pub(super) async fn consider(
    holder: &Holder,
    it: &Interaction,
    name: &'static str,
) -> Result<Message, CallError> {
    let language = it.language;
    let Some(preset) = preset(name) else {
        return Ok(Message::of(language.word("unknown-command")));
    };
    let loaded = match holder.stored_config.get(it.channel.home.key(), None).await {
        Ok(loaded) => loaded.unwrap_or_default(),
        Err(status) => return refused(language, status),
    };
    let nothing = Document::new();
    let server = loaded.layered.get(&Subject::SERVER).unwrap_or(&nothing);
    let called = called(language, name);
    let mut lines = vec![language.say("ery-preset-would", &[("name", (&called).into())])];
    for (path, after) in preset.changes(server) {
        let before = server.get(&path).cloned();
        if before != after {
            let subject = Subject::SERVER;
            let difference = ery_community_config::Difference { subject, path, before, after };
            lines.push(item(language, &difference));
        }
    }
    if lines.len() == 1 {
        let said = language.say("ery-preset-is-so", &[("name", (&called).into())]);
        return Ok(presets(language, said, Some(name)));
    }
    let do_it = Button { custom_id: set_up_button(name), label: language.word("ery-preset-do") };
    let message = presets(language, lines.join("\n"), Some(name));
    Ok(Message { buttons: vec![do_it], ..message })
}

fn called(language: Language, preset: &str) -> String {
    language.word(&format!("command-ery-config-preset-name-{preset}"))
}

fn about(language: Language, preset: &str) -> String {
    match preset {
        "quiet-helper" => language.word("preset-about-quiet-helper"),
        "strict-moderation" => language.word("preset-about-strict-moderation"),
        "busy-community" => language.word("preset-about-busy-community"),
        _ => String::new(),
    }
}

/// Puts menus together with what they are about and what holds; those that whoever asks may use.
async fn panel(
    holder: &Holder,
    it: &Interaction,
    panel: Panel,
    (key, place): (&str, Place),
    said: Option<String>,
) -> Result<Message, CallError> {
    let language = it.language;
    let loaded = match holder.stored_config.get(it.channel.home.key(), None).await {
        Ok(loaded) => loaded.unwrap_or_default(),
        Err(status) => return refused(language, status),
    };
    let effective = holder.config(it.channel, Some(it.user)).await?;
    let access = CAPABILITIES.map(|capability| format!("{ACCESS}{capability}"));
    let (shown, place): (Vec<String>, _) = match panel {
        Panel::One => (vec![key.to_owned()], place),
        Panel::Access => (access.into(), Place::Server),
        Panel::SetUp => {
            let begin = [ENGAGE, REPORTS].map(str::to_owned);
            (begin.into_iter().chain(access).collect(), Place::Server)
        }
    };
    let nothing = Document::new();
    let set = loaded.layered.get(&subject(it, place)).unwrap_or(&nothing);
    let values = shown.iter().filter_map(|key| Some((key.as_str(), set.get(key)?)));
    let present = present_soon(holder, it, values).await;
    let mut lines = Vec::new();
    let mut menus = Vec::new();
    let may_set = |key: &&String| Takes::to_set(key, place).is_met(it, &effective.config);
    for key in shown.iter().filter(may_set) {
        let Ok(found) = keys().find(key) else { continue };
        let number = menus.len() + 1;
        let line = line(language, key, &effective, present.as_ref());
        let Some(offers) = offers(language, found, set.get(key), present.as_ref()) else {
            lines.push(format!("- {line} ({})", language.word("ery-choose-too-many")));
            continue;
        };
        lines.push(format!("{number}. {line}"));
        if panel == Panel::One {
            lines.push(texts::config::about(language, found));
        }
        let custom_id = choosing::menu(panel, place, key, set.get(key));
        menus.push(Menu { custom_id, placeholder: label(language, key), offers });
    }
    let choose = (!menus.is_empty()).then(|| {
        language.word(match panel {
            Panel::One => "ery-choose",
            Panel::Access | Panel::SetUp => "ery-choose-in-order",
        })
    });
    let lines: Vec<String> = said.into_iter().chain(choose).chain(lines).collect();
    Ok(Message { menus, ..Message::of(lines.join("\n")) })
}

/// Says what is chosen, and what holds.
fn line(language: Language, key: &str, effective: &Effective, present: Option<&Present>) -> String {
    let value = effective.values.get(key).map(|(value, _)| value);
    let shown = value.map_or_else(|| language.word("ery-nothing"), |it| shown(language, key, it));
    let gone = value.map(|value| gone(language, key, value, present)).unwrap_or_default();
    let label = match label(language, key) {
        label if label == key => path_in_words(key),
        label => label,
    };
    format!("{label}: {shown}{gone}")
}

/// Says in a few words what a key is about; the key itself where there are none.
fn label(language: Language, key: &str) -> String {
    match key {
        ENGAGE => language.word("ery-setup-engage"),
        REPORTS => language.word("ery-setup-reports"),
        _ => match key.strip_prefix(ACCESS) {
            Some(capability) => {
                language.word(&format!("command-ery-access-give-what-{capability}"))
            }
            None => key.to_owned(),
        },
    }
}

/// Returns what is chosen from; none if more is set than a menu can show.
fn offers(
    language: Language,
    key: &Key,
    set: Option<&Value>,
    present: Option<&Present>,
) -> Option<Offers> {
    let is_there = |named: Named, id: u64| !present.is_some_and(|it| it.lacks(named, id));
    let ids = |named: Named| -> Vec<u64> {
        let ids = set.map(|set| keys().ids(Subject::SERVER, &key.path, set)).unwrap_or_default();
        let ids = ids.into_iter().filter(|(of, id)| *of == named && is_there(*of, *id));
        ids.map(|(_, id)| id).collect()
    };
    match key.names() {
        Some(Named::Role) => {
            let roles = ids(Named::Role);
            (roles.len() <= MAX_CHOICES).then_some(Offers::Roles(roles))
        }
        Some(Named::Channel) => Some(Offers::Channel(ids(Named::Channel).first().copied())),
        None => {
            let is_set = |word: &str| match set {
                Some(Value::String(set)) => set == word,
                // Words of what is true or false.
                Some(Value::Bool(set)) => word == if *set { "true" } else { "false" },
                _ => false,
            };
            let word = |word: &str| Offered {
                value: word.to_owned(),
                label: word.to_owned(),
                about: String::new(),
                is_chosen: is_set(word),
            };
            let nothing = Offered {
                value: NOTHING.to_owned(),
                label: language.word("ery-choose-nothing"),
                about: String::new(),
                is_chosen: set.is_none(),
            };
            Some(Offers::Words(
                std::iter::once(nothing).chain(key.words().into_iter().map(word)).collect(),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn offered(path: &str, set: Option<&Value>, present: Option<&Present>) -> Option<Offers> {
        offers(Language::English, keys().find(path).unwrap(), set, present)
    }

    #[test]
    fn a_menu_shows_what_is_set_and_leaves_out_what_is_gone() {
        let present = Present { roles: [7].into(), ..Present::default() };
        let roles = json!(["7", "8"]);
        let of = |present| offered("access.moderator", Some(&roles), present);
        assert_eq!(of(None), Some(Offers::Roles(vec![7, 8])));
        assert_eq!(of(Some(&present)), Some(Offers::Roles(vec![7])));
        let many: Vec<String> = (1..=26).map(|id| id.to_string()).collect();
        assert_eq!(offered("access.moderator", Some(&json!(many)), None), None);
        let channel = json!("9");
        let found = offered("moderation.reports_channel", Some(&channel), None);
        assert_eq!(found, Some(Offers::Channel(Some(9))));

        let words = |set: Option<&Value>, path: &str| match offered(path, set, None) {
            Some(Offers::Words(words)) => {
                words.into_iter().filter(|it| it.is_chosen).map(|it| it.value).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(words(None, "gate.engage"), [NOTHING]);
        assert_eq!(words(Some(&json!("listen")), "gate.engage"), ["listen"]);
        assert_eq!(words(Some(&json!(true)), "paused"), ["true"]);
    }

    #[test]
    fn every_preset_is_offered_with_what_it_is_for() {
        for language in Language::ALL {
            let message = presets(language, String::new(), Some("busy-community"));
            let [Menu { offers: Offers::Words(words), .. }] = message.menus.as_slice() else {
                panic!("{message:?}")
            };
            assert_eq!(words.len(), PRESETS.len());
            assert!(words.iter().all(|it| !it.about.is_empty()), "{words:?}");
            assert_eq!(words.iter().filter(|it| it.is_chosen).count(), 1);
        }
        for preset in &PRESETS {
            assert_eq!(about(Language::English, preset.name), preset.about());
        }
    }
}
