//! What acts and their parts are called where people read them.

use serde_json::Value;

use ery_texts::Language;

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
    /// Each on a line, below how many they are, by this text.
    People(&'static str),
    Channel,
    Role,
    Message,
    /// Where each can be read, if they are few.
    Messages,
    /// A number of units, each of so many seconds, and the text for none; nothing where that is empty.
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
    /// The text for none.
    Count {
        none: &'static str,
    },
    /// One of a few words of ours, and the text of each.
    Word(&'static [(&'static str, &'static str)]),
    /// What somebody wrote.
    Text,
}

/// Names what is to be done.
pub(super) fn heading(language: Language, tool: &str, act: &Value) -> String {
    let of = |field: &str| act[field].as_str().unwrap_or_default();
    let deleted = act["messages"].as_array().map_or(0, Vec::len);
    let key = match (tool, of("action")) {
        ("ban_member", "ban") => "act-ban",
        ("ban_member", "ban_many") => "act-ban-many",
        ("ban_member", "unban") => "act-unban",
        ("kick_member", _) => "act-kick",
        ("timeout_member", _) if act["duration_seconds"] == 0 => "act-lift-timeout",
        ("timeout_member", _) => "act-timeout",
        ("warn_member", _) => "act-warn",
        ("manage_roles", "give") => "act-give-role",
        ("manage_roles", "take") => "act-take-role",
        ("manage_roles", "create") => "act-create-role",
        ("manage_roles", "change") => "act-change-role",
        ("manage_roles", "delete") => "act-delete-role",
        ("manage_roles", "move") => "act-move-role",
        ("manage_permissions", _) if of("on") == "reset" => "act-reset-permissions",
        ("manage_permissions", _) if of("on") == "server" => "act-server-permissions",
        ("manage_permissions", _) => "act-channel-permissions",
        ("manage_channels", "create") => "act-create-channel",
        ("manage_channels", "modify") => "act-change-channel",
        ("manage_channels", "move") => "act-move-channel",
        ("manage_channels", "delete") => "act-delete-channel",
        ("send_message", _) => "act-send-message",
        ("edit_message", _) => "act-edit-message",
        ("delete_message", _) if deleted > 1 => {
            return language.say("act-delete-messages", &[("count", deleted.into())]);
        }
        ("delete_message", _) => "act-delete-message",
        ("pin_message", "unpin") => "act-unpin",
        ("pin_message", _) => "act-pin",
        ("add_reaction", _) => "act-react",
        ("remove_reaction", _) => match act["which"]["of"].as_str() {
            Some("all") => "act-take-all-reactions",
            Some("emoji") => "act-take-emoji-reactions",
            _ => "act-take-reaction",
        },
        ("send_dm", _) => "act-send-dm",
        ("create_invite", _) => "act-create-invite",
        ("create_thread", _) => "act-create-thread",
        ("schedule_action", "cancel") => "act-cancel-plan",
        ("schedule_action", "answer") => "act-answer",
        ("schedule_action", _) => "act-plan",
        (tool, _) => return tool.replace('_', " "),
    };
    language.word(key)
}

const SECONDS: Shown = Shown::Span { unit: 1, none: "" };

/// Returns what a part of an act is called, and how it is shown.
pub(super) fn shown(language: Language, tool: &str, field: &str) -> (String, Shown) {
    match known(tool, field) {
        Some(("", shown)) => (String::new(), shown),
        Some((key, shown)) => (language.word(key), shown),
        // What nobody has found words for is seen all the same.
        None => (field.to_owned(), Shown::Text),
    }
}

/// Returns the text of a part, and how it is shown; nothing of it is said where the text is empty.
#[expect(clippy::too_many_lines, reason = "a list")]
fn known(tool: &str, field: &str) -> Option<(&'static str, Shown)> {
    Some(match (tool, field) {
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
        (_, "embeds") => ("part-with-a-frame", Shown::Below),
        (_, "poll") => ("part-with-a-poll", Shown::Below),
        (_, "files") => ("part-with-a-file", Shown::Below),
        (_, "stickers") => ("part-with-a-sticker", Shown::Below),
        (_, "fields") => ("part-with-a-value", Shown::Below),
        (_, "member") => ("part-member", Shown::Person),
        ("delete_message" | "edit_message", "author") => ("part-written-by", Shown::Person),
        (_, "written_for") => ("part-it-answers", Shown::Person),
        (_, "planner") => ("part-planned-by", Shown::Person),
        (_, "members") => ("", Shown::People("part-members")),
        (_, "mention_users") => ("", Shown::People("part-notified")),
        ("warn_member", "channel") => ("part-asked-for-in", Shown::Channel),
        (_, "channel") => ("part-channel", Shown::Channel),
        (_, "category") => ("part-in-the-category", Shown::Channel),
        (_, "above_channel") => ("part-right-above", Shown::Channel),
        (_, "below_channel") => ("part-right-below", Shown::Channel),
        (_, "role") => ("part-role", Shown::Role),
        (_, "above_role") => ("part-right-above", Shown::Role),
        (_, "below_role") => ("part-right-below", Shown::Role),
        (_, "message") => ("part-message", Shown::Message),
        (_, "messages") => ("part-which", Shown::Messages),
        (_, "reply_to") => ("part-in-reply-to", Shown::Message),
        ("ban_member", "duration_seconds") => {
            ("part-for", Shown::Span { unit: 1, none: "part-none-good" })
        }
        (_, "duration_seconds") => ("part-for", SECONDS),
        (_, "delete_message_seconds") => ("part-with-what-they-wrote-in-the-last", SECONDS),
        (_, "in_seconds") => ("part-in", SECONDS),
        (_, "max_age_seconds") => {
            ("part-valid-for", Shown::Span { unit: 1, none: "part-none-for-ever" })
        }
        (_, "rate_limit_per_user") => {
            ("part-slow-mode", Shown::Span { unit: 1, none: "part-none-off" })
        }
        (_, "auto_archive_minutes") => {
            ("part-put-away-without-messages-for", Shown::Span { unit: 60, none: "" })
        }
        (_, "hours") => ("part-open-for", Shown::Span { unit: 3_600, none: "" }),
        (_, "permissions") => ("part-permissions", Shown::Bits),
        (_, "allow") => ("part-allowed", Shown::Bits),
        (_, "deny") => ("part-denied", Shown::Bits),
        (_, "clear") => ("part-left-to-the-roles", Shown::Bits),
        (_, "color") => ("part-colour", Shown::Colour),
        (_, "lift_at_ms" | "until") => ("part-until", Shown::Moment),
        (_, "due_at_ms") => ("part-at", Shown::Moment),
        (_, "joined_at") => ("part-who-came", Shown::Moment),
        (_, "hoist") => ("part-shown-apart-from-others", Shown::YesNo),
        (_, "mentionable") => ("part-may-be-notified-by-everybody", Shown::YesNo),
        (_, "nsfw") => ("part-only-for-adults", Shown::YesNo),
        (_, "archived") => ("part-put-away", Shown::YesNo),
        (_, "locked") => ("part-locked", Shown::YesNo),
        (_, "several") => ("part-several-answers-may-be-chosen", Shown::Flag),
        (_, "out_of_category") => ("part-out-of-its-category", Shown::Flag),
        (_, "temporary") => ("part-only-for-as-long-as-they-stay-online", Shown::Flag),
        (_, "unique") => ("part-another-one-than-there-is", Shown::Flag),
        (_, "max_uses") => {
            ("part-can-be-used", Shown::Count { none: "part-none-any-number-of-times" })
        }
        (_, "notice") => (
            "part-told-by",
            Shown::Word(&[
                ("channel", "part-is-channel"),
                ("dm", "part-is-dm"),
                ("none", "part-is-none"),
            ]),
        ),
        (_, "visibility") => (
            "part-to-be-seen-by",
            Shown::Word(&[("public", "part-is-public"), ("private", "part-is-private")]),
        ),
        (_, "kind") => (
            "part-kind",
            Shown::Word(&[
                ("text", "part-is-text"),
                ("voice", "part-is-voice"),
                ("category", "part-is-category"),
                ("announcement", "part-is-announcement"),
                ("stage", "part-is-stage"),
                ("forum", "part-is-forum"),
            ]),
        ),
        (_, "reason") => ("part-reason", Shown::Text),
        (_, "prompt") => ("part-prompt", Shown::Text),
        (_, "name") => ("part-name", Shown::Text),
        (_, "id") => ("part-id", Shown::Text),
        (_, "topic") => ("part-topic", Shown::Text),
        (_, "position") => ("part-position", Shown::Text),
        (_, "emoji") => ("part-emoji", Shown::Text),
        (_, "tags") => ("part-tags", Shown::Text),
        (_, "question") => ("part-question", Shown::Text),
        (_, "answers") => ("part-answers", Shown::Text),
        (_, "value") => ("part-value", Shown::Text),
        (_, "content" | "text" | "description") => ("part-text", Shown::Text),
        (_, "title") => ("part-heading", Shown::Text),
        (_, "footer") => ("part-small-text", Shown::Text),
        (_, _) => return None,
    })
}
