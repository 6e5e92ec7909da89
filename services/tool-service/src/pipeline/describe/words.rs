//! What acts and their parts are called where people read them.

use serde_json::Value;

/// How a part of an act is shown.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shown {
    /// It says nothing to people: what it stands for is shown, or follows from the rest.
    Never,
    /// Its own parts are shown in its place.
    Inside,
    /// Its own parts are shown below its name; of several those of each.
    Below,
    Person,
    /// Each on a line, and what one alone is called.
    People {
        one: &'static str,
    },
    Channel,
    Role,
    Message,
    /// Where each can be read, if they are few.
    Messages,
    /// A number of units, each of so many seconds, and what none is called; nothing where that is empty.
    Span {
        unit: u64,
        none: &'static str,
    },
    Bits,
    Colour,
    Moment,
    YesNo,
    /// As before, and not shown where it is not so.
    Flag,
    Count {
        none: &'static str,
    },
    /// One of a few words of ours, and what each is called.
    Word(&'static [(&'static str, &'static str)]),
    /// What somebody wrote.
    Text,
}

/// Names what is to be done.
pub(super) fn heading(tool: &str, act: &Value) -> String {
    let of = |field: &str| act[field].as_str().unwrap_or_default();
    let deleted = act["messages"].as_array().map_or(0, Vec::len);
    let heading = match (tool, of("action")) {
        ("ban_member", "ban") => "Ban a member",
        ("ban_member", "ban_many") => "Ban several people",
        ("ban_member", "unban") => "Lift a ban",
        ("kick_member", _) => "Remove a member from the server",
        ("timeout_member", _) if act["duration_seconds"] == 0 => "Lift a member's timeout",
        ("timeout_member", _) => "Time a member out",
        ("warn_member", _) => "Warn a member",
        ("manage_roles", "give") => "Give a member a role",
        ("manage_roles", "take") => "Take a role from a member",
        ("manage_roles", "create") => "Create a role",
        ("manage_roles", "change") => "Change a role",
        ("manage_roles", "delete") => "Delete a role",
        ("manage_roles", "move") => "Move a role",
        ("manage_permissions", _) if of("on") == "reset" => {
            "Leave to the roles what was set in a channel"
        }
        ("manage_permissions", _) if of("on") == "server" => {
            "Change what a role may do on the whole server"
        }
        ("manage_permissions", _) => "Change who may do what in a channel",
        ("manage_channels", "create") => "Create a channel",
        ("manage_channels", "modify") => "Change a channel",
        ("manage_channels", "move") => "Move a channel",
        ("manage_channels", "delete") => "Delete a channel",
        ("send_message", _) => "Send a message",
        ("edit_message", _) => "Change a message of mine",
        ("delete_message", _) if deleted > 1 => return format!("Delete {deleted} messages"),
        ("delete_message", _) => "Delete a message",
        ("pin_message", "unpin") => "Unpin a message",
        ("pin_message", _) => "Pin a message",
        ("add_reaction", _) => "React to a message",
        ("remove_reaction", _) => match act["which"]["of"].as_str() {
            Some("all") => "Take all reactions to a message away",
            Some("emoji") => "Take everybody's reactions with one emoji away",
            _ => "Take a reaction away",
        },
        ("send_dm", _) => "Send a direct message",
        ("create_invite", _) => "Create an invite",
        ("create_thread", _) => "Begin a thread",
        ("schedule_action", "cancel") => "Take a plan back",
        ("schedule_action", _) => "Do this later",
        (tool, _) => return tool.replace('_', " "),
    };
    heading.to_owned()
}

const SECONDS: Shown = Shown::Span { unit: 1, none: "" };

/// Returns what a part of an act is called, and how it is shown.
pub(super) fn shown<'a>(tool: &str, field: &'a str) -> (&'a str, Shown) {
    match (tool, field) {
        // Each by its tool: what another one calls so may matter.
        ("manage_roles" | "manage_channels" | "pin_message", "action")
        | ("ban_member", "action" | "of_ban")
        | ("manage_permissions", "on")
        | ("schedule_action", "action" | "tool" | "id" | "act")
        | ("create_thread", "with" | "suppress_embeds" | "has_moderated_tag")
        | (
            "send_message",
            "suppress_embeds" | "is_elsewhere" | "inline" | "parts" | "is_growing",
        )
        | ("edit_message", "suppress_embeds" | "inline")
        | ("send_dm", "suppress_embeds")
        | ("add_reaction", "is_there")
        | ("remove_reaction", "of") => ("", Shown::Never),
        (_, "look" | "beside" | "begins" | "which" | "to") | ("manage_permissions", "of") => {
            ("", Shown::Inside)
        }
        (_, "embeds") => ("with a frame", Shown::Below),
        (_, "poll") => ("with a poll", Shown::Below),
        (_, "files") => ("with a file", Shown::Below),
        (_, "stickers") => ("with a sticker", Shown::Below),
        (_, "fields") => ("with a value", Shown::Below),
        (_, "member") => ("member", Shown::Person),
        ("delete_message" | "edit_message", "author") => ("written by", Shown::Person),
        (_, "written_for") => ("it answers", Shown::Person),
        (_, "planner") => ("planned by", Shown::Person),
        (_, "members") => ("members", Shown::People { one: "member" }),
        (_, "mention_users") => {
            ("people are notified", Shown::People { one: "person is notified" })
        }
        ("warn_member", "channel") => ("asked for in", Shown::Channel),
        (_, "channel") => ("channel", Shown::Channel),
        (_, "category") => ("in the category", Shown::Channel),
        (_, "above_channel") => ("right above", Shown::Channel),
        (_, "below_channel") => ("right below", Shown::Channel),
        (_, "role") => ("role", Shown::Role),
        (_, "above_role") => ("right above", Shown::Role),
        (_, "below_role") => ("right below", Shown::Role),
        (_, "message") => ("message", Shown::Message),
        (_, "messages") => ("which", Shown::Messages),
        (_, "reply_to") => ("in reply to", Shown::Message),
        ("ban_member", "duration_seconds") => ("for", Shown::Span { unit: 1, none: "good" }),
        (_, "duration_seconds") => ("for", SECONDS),
        (_, "delete_message_seconds") => ("with what they wrote in the last", SECONDS),
        (_, "in_seconds") => ("in", SECONDS),
        (_, "max_age_seconds") => ("valid for", Shown::Span { unit: 1, none: "for ever" }),
        (_, "rate_limit_per_user") => ("slow mode", Shown::Span { unit: 1, none: "off" }),
        (_, "auto_archive_minutes") => {
            ("put away without messages for", Shown::Span { unit: 60, none: "" })
        }
        (_, "hours") => ("open for", Shown::Span { unit: 3_600, none: "" }),
        (_, "permissions") => ("permissions", Shown::Bits),
        (_, "allow") => ("allowed", Shown::Bits),
        (_, "deny") => ("denied", Shown::Bits),
        (_, "clear") => ("left to the roles", Shown::Bits),
        (_, "color") => ("colour", Shown::Colour),
        (_, "lift_at_ms" | "until") => ("until", Shown::Moment),
        (_, "due_at_ms") => ("at", Shown::Moment),
        (_, "joined_at") => ("who came", Shown::Moment),
        (_, "hoist") => ("shown apart from others", Shown::YesNo),
        (_, "mentionable") => ("may be notified by everybody", Shown::YesNo),
        (_, "nsfw") => ("only for adults", Shown::YesNo),
        (_, "archived") => ("put away", Shown::YesNo),
        (_, "locked") => ("locked", Shown::YesNo),
        (_, "several") => ("several answers may be chosen", Shown::Flag),
        (_, "out_of_category") => ("out of its category", Shown::Flag),
        (_, "temporary") => ("only for as long as they stay online", Shown::Flag),
        (_, "unique") => ("another one than there is", Shown::Flag),
        (_, "max_uses") => ("can be used", Shown::Count { none: "any number of times" }),
        (_, "notice") => (
            "told by",
            Shown::Word(&[
                ("channel", "a message in the channel"),
                ("dm", "a direct message"),
                ("none", "nothing: it is only written down"),
            ]),
        ),
        (_, "visibility") => (
            "to be seen by",
            Shown::Word(&[
                ("public", "everybody who sees the channel"),
                ("private", "those who are added"),
            ]),
        ),
        (_, "kind") => (
            "kind",
            Shown::Word(&[
                ("text", "text"),
                ("voice", "voice"),
                ("category", "category"),
                ("announcement", "announcement"),
                ("stage", "stage"),
                ("forum", "forum"),
            ]),
        ),
        (_, "content" | "text" | "description") => ("text", Shown::Text),
        (_, "title") => ("heading", Shown::Text),
        (_, "footer") => ("small text", Shown::Text),
        (_, field) => (field, Shown::Text),
    }
}
