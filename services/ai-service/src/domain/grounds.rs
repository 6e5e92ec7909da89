//! Whether an order that a model read stands in the message that it was read from.
//!
//! The model may err, or be somebody else's: what it calls an order counts only if the text has the verb
//! of the act, and names all that is acted upon. Everything else waits for a click.

use serde_json::Value;
use twilight_model::id::Id;

use crate::domain::conversation::{MemberMessage, Mention, Order};

/// Arguments that name who and what is acted upon.
const TARGETS: &[&str] = &[
    "member",
    "members",
    "by",
    "mention_users",
    "role",
    "channel",
    "category",
    "above",
    "below",
    "message",
    "messages",
    "reply_to",
    "id",
    "latest",
];

/// Arguments that are said or set as they are.
const WORDS: &[&str] = &["content", "name", "topic", "stickers"];

/// Permissions, which are called as Discord calls them.
const PERMISSIONS: &[&str] = &["allow", "deny", "clear", "permissions"];

/// What is never taken from a model's reading.
const NEVER: &[&str] = &["embeds", "poll", "files", "tags", "reset"];

/// The verbs of each tool and action; `*` stands for any ending.
const VERBS: &[(&str, &str)] = &[
    (
        "ban_member",
        "ban|bann|banne|bannen|bannt|banning|permaban|perma-ban|tempban|temp-ban|verbann*|sperr*|\
         aussperr*|expuls*|banea|banear|banir|banni|bannir|bannis|bannissez|забань|забаньте|бан",
    ),
    ("ban_member/unban", UNDO),
    (
        "timeout_member",
        "timeout|timeouts|time-out|mute|mutes|silence|shush|gag|stumm*|mundtot|pause|auszeit|\
         zwangspause|silenci*|sourdine|calla|callar|замуть*|мут|タイムアウト*|ミュート*",
    ),
    ("timeout_member/lift", UNDO),
    (
        "kick_member",
        "kick|kicke|kicken|kickt|rauswerf*|rauswirf|wirf|werft|schmeiß*|schmeiss*|boot|throw|remove|\
         expuls*|echa|vire|virer|кикни*",
    ),
    ("warn_member", "warn|warne|warnt|verwarn*|ermahn*|caution|avertis*|advierte*"),
    ("manage_roles/give", "give|grant|add|assign|hand|gib|geb*|verleih*|vergib|zuweis*|donne*|da"),
    ("manage_roles/take", "take|remove|revoke|strip|unassign|nimm|nehm*|entzieh*|entfern*|retire*"),
    ("manage_roles/create", CREATE),
    ("manage_roles/change", CHANGE),
    ("manage_roles/delete", DELETE),
    ("manage_roles/move", MOVE),
    (
        "manage_permissions",
        "lock|unlock|lockdown|permission*|allow|deny|forbid|let|open|close|sperr*|entsperr*|erlaub*|\
         verbiet*|schließ*|öffne*|berechtig*",
    ),
    ("manage_channels/create", CREATE),
    ("manage_channels/modify", CHANGE),
    ("manage_channels/delete", DELETE),
    ("manage_channels/move", MOVE),
    ("delete_message", DELETE),
    ("edit_message", CHANGE),
    ("pin_message", "pin|pinn*|anpinn*|anheft*|hefte*|épingl*|fija*"),
    ("pin_message/unpin", "unpin|un-pin|abpinn*|loslös*|lös*|entfern*|remove|désépingl*"),
    ("remove_reaction", "remove|clear|delete|take|entfern*|lösch*|nimm|supprim*|quita*"),
    ("create_invite", "invite|einlad*|lad|lade|invit*"),
    ("create_thread", "thread*|open|start|begin|create|make|eröffne*|öffne*|erstell*|starte*"),
    (
        "send_message",
        "send|post|say|announce|tell|write|schick*|send*|schreib*|sag*|poste*|verkünd*|kündig*",
    ),
    ("send_dm", "dm|pm|message|tell|write|send|schreib*|schick*|send*|sag*"),
    ("schedule_action/cancel", "cancel|drop|stop|abbrech*|brich|streich*|lösch*"),
];

const CREATE: &str = "create|make|add|erstell*|anleg*|leg|lege|mach*|crée*|crea*";
const CHANGE: &str = "change|edit|rename|set|make|turn|update|correct|fix|call|color|colour|änder*|\
     bearbeit*|umbenenn*|nenn*|benenn*|setz*|stell*|mach*|korrigier*|färb*|archiv*|lock|unlock|close|open|schließ*|\
     öffne*";
const DELETE: &str = "delete|remove|purge|clear|wipe|clean|nuke|lösch*|entfern*|supprim*|efface*|\
     borra*|удали*|削除*";
const MOVE: &str = "move|put|place|drag|verschieb*|setz*|schieb*|pack*|déplace*|mueve*";
const UNDO: &str = "unban|un-ban|pardon|lift|revoke|cancel|remove|end|undo|free|release|unmute|\
     un-mute|untimeout|un-timeout|unsilence|let|entbann*|entsperr*|entmut*|aufheb*|heb|hebe|beend*|\
     befrei*|débanni*|разбань*";

/// Returns whether the act, and all that it is done to, stand in `own_words`, the message's text without
/// what it quotes.
pub(crate) fn stands_in(order: &Order, message: &MemberMessage, own_words: &str) -> bool {
    let Ok(Value::Object(arguments)) = serde_json::from_str::<Value>(&order.arguments) else {
        return false;
    };
    let said = Said { message, text: plain(own_words) };
    let mut tool = order.tool.as_str();
    let mut of_act = &arguments;
    // What is planned is judged as what it will be.
    if let Some((planned, inner)) =
        arguments.get("tool").and_then(Value::as_str).zip(arguments.get("arguments"))
    {
        let Value::Object(inner) = inner else { return false };
        (tool, of_act) = (planned, inner);
    }
    let mut targets = 0;
    for (name, value) in of_act {
        let name = name.as_str();
        let is_named = |value: &Value| said.names(name, value);
        let is_told = if TARGETS.contains(&name) {
            let is_empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
            targets += usize::from(!is_empty);
            each(value, &is_named)
        } else if WORDS.contains(&name) {
            each(value, &|value| value.as_str().is_some_and(|words| said.has(&plain(words))))
        } else if PERMISSIONS.contains(&name) {
            let called = |value: &Value| value.as_str().map(|name| plain(&name.replace('_', " ")));
            each(value, &|value| called(value).is_some_and(|name| said.has(&name)))
        } else if name == "delete_message_seconds" {
            value.as_u64() == Some(0) || said.has_any(DELETE)
        } else {
            !NEVER.contains(&name) || is_nothing(value)
        };
        if !is_told {
            return false;
        }
    }
    let action = of_act.get("action").and_then(Value::as_str);
    let lifts = tool == "timeout_member" && of_act.get("duration_seconds") == Some(&0.into());
    let action = if lifts { Some("lift") } else { action };
    let creates = action == Some("create") && of_act.contains_key("name");
    (targets > 0 || creates) && said.has_any(verbs(tool, action))
}

/// Returns the verbs of an act. None: no text orders it through a model.
fn verbs(tool: &str, action: Option<&str>) -> &'static str {
    let find = |name: &str| VERBS.iter().find(|(of, _)| *of == name).map(|(_, verbs)| *verbs);
    let of_action = action.and_then(|action| find(&format!("{tool}/{action}")));
    of_action.or_else(|| find(tool)).unwrap_or_default()
}

/// A message, as far as it can order something.
struct Said<'a> {
    message: &'a MemberMessage,
    text: String,
}

impl Said<'_> {
    /// Returns whether the text names what an argument names, or the message replies to it.
    fn names(&self, argument: &str, value: &Value) -> bool {
        let text = match value {
            Value::String(text) => plain(text),
            Value::Number(number) => number.to_string(),
            _ => return false,
        };
        let is_member = matches!(argument, "member" | "members" | "by" | "mention_users");
        let is_message = matches!(argument, "message" | "messages" | "reply_to");
        if argument == "channel" && text == "here" {
            return ["here", "this channel", "this chat", "hier", "diesen kanal", "diesem kanal"]
                .iter()
                .any(|words| self.has(words));
        }
        if let Some(id) = id_of(&text) {
            let message = self.message;
            let is_me = ["me", "myself", "mich", "mir"].iter().any(|word| self.has(word));
            let is_it = |it: Option<u64>| it.is_some_and(|it| it.to_string() == id);
            return self.has_id(id, is_member)
                || is_member && is_it(message.reply_to_author.map(Id::get))
                || is_member && is_me && is_it(Some(message.author.get()))
                || is_message && is_it(message.reply_to.map(Id::get));
        }
        let name = text.trim_start_matches(['@', '#']).trim();
        let is_mentioned = |mention: &Mention| {
            plain(&mention.name) == name && self.has_id(&mention.user.to_string(), true)
        };
        self.has(name) || is_member && self.message.mentions.iter().any(is_mentioned)
    }

    /// Returns whether an id stands there, in a mention or by itself. A short number is not an id but in
    /// a mention.
    fn has_id(&self, id: &str, is_member: bool) -> bool {
        let signs: &[&str] = if is_member { &["<@", "<@!"] } else { &["<#", "<@&"] };
        let is_mentioned = signs.iter().any(|sign| self.text.contains(&format!("{sign}{id}>")));
        is_mentioned || (!is_member || id.len() >= 15) && self.has(id)
    }

    /// Returns whether words stand there, whole.
    fn has(&self, words: &str) -> bool {
        let is_part = |character: char| character.is_alphanumeric() || character == '_';
        !words.is_empty()
            && self.text.match_indices(words).any(|(at, _)| {
                let before = self.text[..at].chars().next_back();
                let after = self.text[at + words.len()..].chars().next();
                !before.is_some_and(is_part) && !after.is_some_and(is_part)
            })
    }

    /// Returns whether one of `verbs` stands there.
    fn has_any(&self, verbs: &str) -> bool {
        let is_part = |character: char| character.is_alphanumeric() || character == '-';
        let words = || self.text.split(|character| !is_part(character));
        verbs.split('|').filter(|verb| !verb.is_empty()).any(|verb| match verb.strip_suffix('*') {
            // Some scripts write words without a space between them.
            Some(stem) if !stem.starts_with(char::is_lowercase) => self.text.contains(stem),
            Some(stem) => words().any(|word| word.starts_with(stem)),
            None => words().any(|word| word == verb),
        })
    }
}

fn each(value: &Value, holds: &dyn Fn(&Value) -> bool) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.iter().all(holds),
        value => holds(value),
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(values) => values.is_empty(),
        _ => false,
    }
}

/// Returns the digits of an id, a mention, or of a link's message.
fn id_of(text: &str) -> Option<&str> {
    let inner = ["<@!", "<@&", "<@", "<#"]
        .iter()
        .find_map(|sign| text.strip_prefix(sign))
        .and_then(|rest| rest.strip_suffix('>'))
        .or_else(|| text.starts_with("https://").then(|| text.rsplit('/').next())?)
        .unwrap_or(text);
    let is_id = !inner.is_empty() && inner.bytes().all(|byte| byte.is_ascii_digit());
    is_id.then_some(inner)
}

fn plain(text: &str) -> String {
    text.to_lowercase().replace('’', "'").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use ery_clock::UnixMillis;

    use super::*;

    fn message() -> MemberMessage {
        MemberMessage {
            id: Id::new(5_000),
            author: Id::new(100),
            author_name: "asker".into(),
            rights: "moderator".into(),
            text: String::new(),
            at: UnixMillis(0),
            reply_to: Some(Id::new(4_000)),
            reply_to_author: Some(Id::new(40)),
            mentions: vec![Mention { user: Id::new(2), name: "Bob Smith".into() }],
            attachments: Vec::new(),
            enclosures: Vec::new(),
            is_to_be_answered: true,
        }
    }

    fn stands(text: &str, tool: &str, arguments: &Value) -> bool {
        let order = Order { tool: tool.into(), arguments: arguments.to_string() };
        stands_in(&order, &message(), text)
    }

    #[test]
    fn what_the_text_orders_stands_in_it() {
        for (text, tool, arguments) in [
            ("please ban bob, he spams", "ban_member", json!({"member": "bob", "reason": "x"})),
            ("Bitte bann @Bob", "ban_member", json!({"member": "Bob"})),
            ("ban <@2>", "ban_member", json!({"member": "2"})),
            ("ban <@!2>", "ban_member", json!({"member": "<@2>", "duration_seconds": 60})),
            ("ban <@2>", "ban_member", json!({"member": "Bob Smith"})),
            ("ban bob and al", "ban_member", json!({"members": ["bob", "al"]})),
            ("ban 123456789012345678", "ban_member", json!({"member": "123456789012345678"})),
            ("sperr ihn", "ban_member", json!({"member": "40"})),
            ("<@2> braucht Pause", "timeout_member", json!({"member": "2"})),
            (
                "hebe Bobs, bob, auf",
                "timeout_member",
                json!({"member": "bob", "duration_seconds": 0}),
            ),
            ("lösch das", "delete_message", json!({"message": "4000"})),
            ("lösch die letzten 20", "delete_message", json!({"latest": 20})),
            (
                "nimm bob Helper weg",
                "manage_roles",
                json!({"action": "take", "member": "bob", "role": "Helper"}),
            ),
            (
                "sag hallo alle in <#7>",
                "send_message",
                json!({"channel": "7", "content": "Hallo alle"}),
            ),
            (
                "later ban bob",
                "schedule_action",
                json!({"action": "schedule", "tool": "ban_member", "arguments": {"member": "bob"}}),
            ),
            ("mute me", "timeout_member", json!({"member": "100", "duration_seconds": 60})),
            (
                "deny send messages for Helper here",
                "manage_permissions",
                json!({"channel": "here", "role": "Helper", "deny": ["SEND_MESSAGES"]}),
            ),
        ] {
            assert!(stands(text, tool, &arguments), "{text}: {tool} {arguments}");
        }
    }

    #[test]
    fn what_a_model_adds_does_not() {
        let ban = |member: &str| json!({"member": member});
        for (text, tool, arguments) in [
            ("good morning", "ban_member", ban("2")),
            ("good morning", "ban_member", ban("morning")),
            ("good morning <@2>", "ban_member", ban("2")),
            ("good morning", "ban_member", ban("40")),
            ("ban bob", "ban_member", ban("3")),
            ("ban bob", "ban_member", ban("alice")),
            ("ban bobby", "ban_member", ban("bob")),
            ("ban <@23>", "ban_member", ban("2")),
            ("ban <@2> in 5 minutes", "ban_member", ban("5")),
            ("ban bob", "ban_member", json!({"members": ["bob", "alice"]})),
            ("ban bob", "ban_member", json!({})),
            ("ban bob", "ban_member", json!({"member": ""})),
            ("ban bob", "ban_member", json!({"member": {"id": 2}})),
            ("ban bob", "ban_member", json!({"member": "bob", "delete_message_seconds": 600})),
            ("unban <@2>", "ban_member", ban("2")),
            ("bananas, bob", "ban_member", ban("bob")),
            ("warn bob", "ban_member", ban("bob")),
            ("good morning", "delete_message", json!({"latest": 100})),
            ("delete it", "delete_message", json!({"latest": 100})),
            ("delete this", "delete_message", json!({"messages": ["4000", "4001"]})),
            ("good morning", "delete_message", json!({"message": "4000"})),
            ("rename <#7> to chat", "manage_channels", json!({"action": "delete", "channel": "7"})),
            (
                "rename <#7> to chat",
                "manage_channels",
                json!({"action": "modify", "channel": "7", "name": "evil"}),
            ),
            (
                "give bob Helper",
                "manage_roles",
                json!({"action": "give", "member": "bob", "role": "Admin"}),
            ),
            (
                "change the color of Helper",
                "manage_roles",
                json!({"action": "change", "role": "Helper", "permissions": ["ADMINISTRATOR"]}),
            ),
            ("say hi in <#7>", "send_message", json!({"channel": "7", "content": "hi, evil"})),
            ("say hi in <#7>", "send_message", json!({"channel": "7", "embeds": [{"title": "x"}]})),
            (
                "later ban bob",
                "schedule_action",
                json!({"tool": "ban_member", "arguments": {"member": "al"}}),
            ),
            ("lock it", "manage_permissions", json!({"channel": "here", "role": "@everyone"})),
            ("invite people", "create_invite", json!({})),
            ("do anything with bob", "brand_new_tool", ban("bob")),
        ] {
            assert!(!stands(text, tool, &arguments), "{text}: {tool} {arguments}");
        }
        let order = Order { tool: "ban_member".into(), arguments: "[]".into() };
        assert!(!stands_in(&order, &message(), "ban bob"));
    }
}
