//! What is completed while somebody types what to set: what they may set there, by names.

use ery_community_config::{Config, Key, Named, TOOLS, keys};
use ery_proto::tool::v1::DescribeGuildResponse;

use super::{
    subject,
    takes::{Takes, is_for_members},
};
use crate::{
    domain::commands::{
        asked::KeyFor,
        config::Place,
        interaction::Interaction,
        reply::{Choice, MAX_CHOICE},
    },
    error::CallError,
    handlers::holder::Holder,
};

/// Returns the keys that fit what is being typed, of those that whoever types may see or set there.
pub(crate) async fn key_choices(
    holder: &Holder,
    it: &Interaction,
    key_for: KeyFor,
    typed: &str,
) -> Result<Vec<Choice>, CallError> {
    let effective = holder.config(it.channel, None).await?;
    let is_offered = |key: &Key| is_offered(it, key_for, key, &effective.config);
    let typed = typed.trim();
    if let KeyFor::Resetting(place) = key_for {
        let set = set_there(holder, it, place).await;
        let set = set.into_iter().filter(|path| keys().find(path).is_ok_and(is_offered));
        return set_choices(holder, it, set.collect(), typed).await;
    }
    let of_roles = keys().all().filter(|key| key.is_of_a_role() && is_offered(key));
    for key in of_roles {
        let stem = key.path.trim_end_matches('*');
        if let (Some(name), Some(guild)) = (typed.strip_prefix(stem), it.channel.guild()) {
            let told = holder.tools.describe_guild(guild, it.user, Vec::new()).await?;
            let roles = fitting(named(&told, Named::Role), plain_name(name));
            let choice = |(name, id): (String, u64)| Choice {
                name: format!("{stem}{name}"),
                value: format!("{stem}{id}"),
            };
            return Ok(roles.map(choice).collect());
        }
    }
    let offered: Vec<&Key> = keys().all().filter(|key| is_offered(key)).collect();
    Ok(fixed_choices(&offered, typed))
}

/// Returns what is set in a place; nothing where that cannot be told now.
async fn set_there(holder: &Holder, it: &Interaction, place: Place) -> Vec<String> {
    let loaded = holder.stored_config.get(it.channel.home.key(), None).await;
    let mut loaded = loaded.ok().flatten().unwrap_or_default();
    let document = loaded.layered.remove(&subject(it, place)).unwrap_or_default();
    document.into_keys().collect()
}

/// Returns those that fit what is being typed, of what is set; roles by their names.
async fn set_choices(
    holder: &Holder,
    it: &Interaction,
    set: Vec<String>,
    typed: &str,
) -> Result<Vec<Choice>, CallError> {
    let is_of_a_role = |path: &String| keys().find(path).is_ok_and(Key::is_of_a_role);
    let roles: Vec<(String, u64)> = match it.channel.guild() {
        Some(guild) if set.iter().any(is_of_a_role) => {
            let told = holder.tools.describe_guild(guild, it.user, Vec::new()).await?;
            named(&told, Named::Role).collect()
        }
        _ => Vec::new(),
    };
    Ok(fitting_of(set, &roles, typed))
}

fn fitting_of(set: Vec<String>, roles: &[(String, u64)], typed: &str) -> Vec<Choice> {
    let typed = typed.to_lowercase();
    let choice = |path: String| {
        let name = path.rsplit_once('.').and_then(|(table, id)| {
            keys().find(&path).ok().filter(|key| key.is_of_a_role())?;
            let role = roles.iter().find(|(_, role)| role.to_string() == id)?;
            Some(format!("{table}.{}", role.0))
        });
        Choice { name: name.unwrap_or_else(|| path.clone()), value: path }
    };
    let fits = |choice: &Choice| {
        choice.value.contains(&typed) || choice.name.to_lowercase().contains(&typed)
    };
    set.into_iter().map(choice).filter(fits).collect()
}

/// Returns the keys that fit, as far as they are known beforehand.
fn fixed_choices(offered: &[&Key], typed: &str) -> Vec<Choice> {
    let typed = typed.to_lowercase();
    let paths = offered.iter().flat_map(|key| match key.entries.as_deref() {
        Some("tool") => {
            let stem = key.path.trim_end_matches('*').to_owned();
            TOOLS.iter().map(|tool| format!("{stem}{tool}")).collect()
        }
        // Whoever types goes on with the name of a role.
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
    let plain = keys().plain_path(&typed).into_owned();
    let is_offered = |key: &Key| offered.iter().any(|offered| offered.path == key.path);
    if choices.is_empty() && keys().find(&plain).is_ok_and(is_offered) {
        choices.push(Choice { name: plain.clone(), value: plain });
    }
    choices
}

fn is_offered(it: &Interaction, key_for: KeyFor, key: &Key, config: &Config) -> bool {
    match key_for {
        KeyFor::Reading => Takes::Configuring.is_met(it, config) || is_for_members(&key.path),
        KeyFor::Setting(place) | KeyFor::Resetting(place) => {
            key.layers.contains(&subject(it, place).layer)
                && Takes::to_set(&key.path, place).is_met(it, config)
        }
    }
}

/// Returns what a key may be set to, where that is one of a few words, or roles or channels.
pub(crate) async fn value_choices(
    holder: &Holder,
    it: &Interaction,
    (key, place): (&str, Place),
    typed: &str,
) -> Result<Vec<Choice>, CallError> {
    let Ok(found) = keys().find(key.trim()) else { return Ok(Vec::new()) };
    let effective = holder.config(it.channel, None).await?;
    if !is_offered(it, KeyFor::Setting(place), found, &effective.config) {
        return Ok(Vec::new());
    }
    let (Some(kind), Some(guild)) = (found.names(), it.channel.guild()) else {
        let typed = typed.trim().to_lowercase();
        let words = found.words().into_iter().filter(|word| word.contains(&typed));
        let choice = |word: &str| Choice { name: word.to_owned(), value: word.to_owned() };
        return Ok(words.map(choice).collect());
    };
    let told = holder.tools.describe_guild(guild, it.user, Vec::new()).await?;
    Ok(named_choices(kind, named(&told, kind), typed))
}

/// Returns the roles or channels that fit what is being typed; of several roles the last is completed.
fn named_choices(
    kind: Named,
    named: impl Iterator<Item = (String, u64)>,
    typed: &str,
) -> Vec<Choice> {
    let (before, last) = match kind {
        Named::Role => typed.rsplit_once(',').map_or(("", typed), |(before, last)| (before, last)),
        Named::Channel => ("", typed),
    };
    let before: Vec<&str> = before.split(',').map(str::trim).filter(|it| !it.is_empty()).collect();
    let choices = fitting(named, plain_name(last)).filter_map(|(name, id)| {
        let id = id.to_string();
        if before.contains(&id.as_str()) {
            return None;
        }
        let chosen = before.iter().copied().chain([id.as_str()]).collect::<Vec<_>>().join(", ");
        let more = if before.is_empty() { "" } else { "…, " };
        Some(Choice { name: format!("{more}{name}"), value: chosen })
    });
    choices.filter(|choice| choice.value.chars().count() <= MAX_CHOICE).collect()
}

fn named(
    told: &DescribeGuildResponse,
    kind: Named,
) -> Box<dyn Iterator<Item = (String, u64)> + '_> {
    match kind {
        Named::Role => Box::new(told.roles.iter().map(|it| (format!("@{}", it.name), it.id))),
        Named::Channel => {
            let seen = told.channels.iter().filter(|it| it.holds_messages && it.is_seen);
            Box::new(seen.map(|it| (format!("#{}", it.name), it.id)))
        }
    }
}

/// Returns those whose name, or id, has what is being typed.
fn fitting(
    named: impl Iterator<Item = (String, u64)>,
    typed: String,
) -> impl Iterator<Item = (String, u64)> {
    named.filter(move |(name, id)| {
        name.to_lowercase().contains(&typed) || id.to_string().starts_with(&typed)
    })
}

/// Returns a name as it is compared: without what marks it as one.
fn plain_name(typed: &str) -> String {
    typed.trim().trim_start_matches(['@', '#', '<', '&']).trim_end_matches('>').to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles() -> impl Iterator<Item = (String, u64)> {
        [("@Helpers", 7), ("@Moderators", 8)].map(|(name, id)| (name.to_owned(), id)).into_iter()
    }

    #[test]
    fn roles_and_channels_are_found_by_their_names() {
        let found = |kind, typed: &str| {
            let choices = named_choices(kind, roles(), typed);
            choices.into_iter().map(|it| (it.name, it.value)).collect::<Vec<_>>()
        };
        let one = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        assert_eq!(found(Named::Role, "@HELP"), one("@Helpers", "7"));
        assert_eq!(found(Named::Role, "").len(), 2);
        assert_eq!(found(Named::Role, "<@&8>"), one("@Moderators", "8"));
        assert_eq!(found(Named::Role, "7, mod"), one("…, @Moderators", "7, 8"));
        assert_eq!(found(Named::Role, "7,"), one("…, @Moderators", "7, 8"));
        assert!(found(Named::Role, "nobody").is_empty());
        let many = ["11111111111111111111"; 5].join(", ");
        assert!(found(Named::Role, &format!("{many}, mod")).is_empty(), "no choice is that long");
        assert!(found(Named::Channel, "7, mod").is_empty());
    }

    #[test]
    fn of_what_is_set_roles_are_found_by_their_names() {
        let roles: Vec<_> = roles().collect();
        let set = ["gate.engage", "gate.roles.7", "gate.roles.9"].map(str::to_owned);
        let found = |typed: &str| {
            let choices = fitting_of(set.to_vec(), &roles, typed);
            choices.into_iter().map(|it| (it.name, it.value)).collect::<Vec<_>>()
        };
        assert_eq!(found("").len(), 3);
        for typed in ["@HELP", "roles.7"] {
            let helpers = ("gate.roles.@Helpers".to_owned(), "gate.roles.7".to_owned());
            assert_eq!(found(typed), [helpers]);
        }
        // A role that is gone is called by its id.
        assert_eq!(found("roles.9"), [("gate.roles.9".to_owned(), "gate.roles.9".to_owned())]);
        assert!(found("messages").is_empty());
    }

    #[test]
    fn keys_are_found_by_any_part_of_them_and_those_alone_that_are_offered() {
        let offered: Vec<&Key> = keys().all().filter(|key| key.path != "paused").collect();
        let found = |typed: &str| {
            let choices = fixed_choices(&offered, typed);
            choices.into_iter().map(|it| it.value).collect::<Vec<_>>()
        };
        assert_eq!(found("Engage"), ["gate.engage"]);
        assert!(found("policy.ban").contains(&"tools.policy.ban_member".to_owned()));
        assert!(found("roles").contains(&"gate.roles.".to_owned()));
        assert_eq!(found("gate.roles.<@&20>"), ["gate.roles.20"]);
        assert_eq!(found("paused"), Vec::<String>::new());
    }
}
