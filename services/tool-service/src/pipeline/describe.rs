//! An act in words for those who are to approve it: who and what is meant, as it stands.

use serde_json::Value;
use twilight_model::{guild::Permissions, id::Id};

use crate::domain::{
    guild::{GuildState, Member},
    permissions, text,
    tool::Spec,
};

/// How long the description of an act may be; with what stands around it Discord takes it.
const MAX_ACT: usize = 1_700;

/// Names a tool where its act cannot be described.
pub(super) fn tool(name: &str) -> String {
    format!("`{}`", text::name(name))
}

/// Describes an act for people: who and what is meant, as it stands, not as the model put it.
///
/// # Errors
///
/// With what there is room for, if that is not all: what cannot be seen cannot be approved.
pub(super) fn act(spec: &Spec, act: &Value, state: Option<&GuildState>) -> Result<String, String> {
    let mut lines = vec![format!("> **{}**", spec.name.replace('_', " "))];
    fields(act, state, "> ", &mut lines);
    let text = lines.join("\n");
    let shown = text::shortened(&text, MAX_ACT);
    if shown.len() == text.len() { Ok(text) } else { Err(shown) }
}

fn fields(act: &Value, state: Option<&GuildState>, indent: &str, lines: &mut Vec<String>) {
    let Value::Object(values) = act else { return };
    for (field, value) in values {
        let label = field.replace('_', " ");
        let value = match value {
            Value::Null | Value::Bool(false) => continue,
            Value::Number(at) if field == "due_at_ms" => {
                let at = at.as_i64().unwrap_or_default().div_euclid(1_000);
                lines.push(format!("{indent}due: <t:{at}:f>"));
                continue;
            }
            Value::String(text) => named(field, text, state),
            Value::Array(items) if items.is_empty() => continue,
            Value::Array(items) if field == "members" => {
                lines.push(format!("{indent}{} {label}:", items.len()));
                lines.extend(items.iter().map(|item| format!("{indent}• {}", each(item, state))));
                continue;
            }
            Value::Array(items) => {
                let items = items.iter().map(|item| match item {
                    Value::String(text) => quoted(text),
                    other => quoted(&other.to_string()),
                });
                items.collect::<Vec<_>>().join(", ")
            }
            Value::Object(_) => {
                lines.push(format!("{indent}{label}:"));
                fields(value, state, &format!("{indent}\u{2003}"), lines);
                continue;
            }
            other => quoted(&other.to_string()),
        };
        lines.push(format!("{indent}{label}: {value}"));
    }
}

fn named(field: &str, value: &str, state: Option<&GuildState>) -> String {
    let Ok(id) = value.parse::<u64>() else { return quoted(value) };
    match field {
        "member" | "user" | "author" => match Id::new_checked(id) {
            Some(user) => match state.and_then(|state| state.member(user).zip(Some(state))) {
                Some((member, state)) => person(member, state),
                None => format!("<@{user}> (id {user})"),
            },
            None => quoted(value),
        },
        "channel" | "category" | "thread" | "above_channel" | "below_channel" => format!("<#{id}>"),
        "role" | "above_role" | "below_role" => format!("<@&{id}>"),
        "permissions" | "allow" | "deny" | "add" | "remove" => {
            let names: Vec<_> = Permissions::from_bits_retain(id)
                .iter()
                .map(|permission| permissions::words(permission).1)
                .collect();
            if names.is_empty() { "none".to_owned() } else { names.join(", ") }
        }
        _ => quoted(value),
    }
}

/// Describes one of several, in few words so that many can be seen.
fn each(item: &Value, state: Option<&GuildState>) -> String {
    let id = item.as_str().and_then(|id| id.parse().ok()).and_then(Id::new_checked);
    let Some(user) = id else { return quoted(&item.to_string()) };
    match state.and_then(|state| state.member(user)) {
        Some(member) => {
            format!("<@{user}> (@{}{})", text::name(&member.username), joined(member))
        }
        None => format!("<@{user}> (id {user})"),
    }
}

fn person(member: &Member, state: &GuildState) -> String {
    let highest = member
        .roles
        .iter()
        .filter_map(|role| state.guild.roles.get(role))
        .max_by(|one, other| one.rank(other))
        .map_or_else(|| "no role".to_owned(), |role| format!("role {}", text::name(&role.name)));
    // What they chose themselves comes last: before it stands what nobody can put on.
    let chosen: String = text::name(member.name()).replace(['“', '”'], "");
    format!(
        "<@{0}> (@{1}, id {0}, {highest}{2}; calls themselves “{chosen}”)",
        member.user,
        text::name(&member.username),
        joined(member),
    )
}

fn joined(member: &Member) -> String {
    let joined = member.joined_at.as_deref().and_then(crate::adapters::discord::wire::moment);
    joined.map(|at| format!(", joined <t:{}:D>", at.as_secs())).unwrap_or_default()
}

/// Quotes what somebody may have written, so that it is seen as it is.
fn quoted(value: &str) -> String {
    let line: String = text::visible(value)
        .chars()
        .map(|character| match character {
            '`' => 'ˋ',
            character if character.is_whitespace() => ' ',
            character => character,
        })
        .collect();
    format!("`{line}`")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tools;

    #[test]
    fn an_act_is_shown_whole_with_names_or_not_at_all() {
        let spec = tools::find("schedule_action").unwrap().spec;
        let nested = json!({
            "tool": "manage_roles",
            "act": {"action": "create", "permissions": "8", "name": "x`y"},
        });
        let shown = act(spec, &nested, None).unwrap();
        assert!(shown.contains("permissions: ADMINISTRATOR"), "{shown}");
        assert!(shown.contains("name: `xˋy`"), "{shown}");
        let ban = json!({"act": {"member": "7"}});
        assert!(act(spec, &ban, None).unwrap().contains("<@7> (id 7"));
        assert!(act(spec, &json!({"content": "x".repeat(1_800)}), None).is_err());
    }

    #[test]
    fn what_somebody_wrote_is_shown_as_it_is() {
        assert_eq!(quoted("a`b\n@everyone"), "`aˋb @everyone`");
    }
}
