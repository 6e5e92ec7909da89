//! How people read Discord's rights, whose constants nobody sees in Discord itself.

use super::Language;

/// By Discord's constants. Source: Discord Docs, Permissions, and the words of Discord's settings.
const RIGHTS: &[(&str, &str)] = &[
    ("VIEW_CHANNEL", "right-view-channel"),
    ("SEND_MESSAGES", "right-send-messages"),
    ("SEND_MESSAGES_IN_THREADS", "right-send-messages-in-threads"),
    ("READ_MESSAGE_HISTORY", "right-read-message-history"),
    ("ADD_REACTIONS", "right-add-reactions"),
    ("USE_EXTERNAL_EMOJIS", "right-use-external-emojis"),
    ("USE_EXTERNAL_STICKERS", "right-use-external-stickers"),
    ("MODERATE_MEMBERS", "right-moderate-members"),
    ("KICK_MEMBERS", "right-kick-members"),
    ("BAN_MEMBERS", "right-ban-members"),
    ("MANAGE_MESSAGES", "right-manage-messages"),
    ("MANAGE_CHANNELS", "right-manage-channels"),
    ("MANAGE_ROLES", "right-manage-roles"),
    ("MANAGE_GUILD", "right-manage-guild"),
    ("MANAGE_THREADS", "right-manage-threads"),
    ("MANAGE_NICKNAMES", "right-manage-nicknames"),
    ("MANAGE_WEBHOOKS", "right-manage-webhooks"),
    ("MANAGE_EVENTS", "right-manage-events"),
    ("CREATE_EVENTS", "right-create-events"),
    ("VIEW_AUDIT_LOG", "right-view-audit-log"),
    ("CREATE_INSTANT_INVITE", "right-create-instant-invite"),
    ("CREATE_PUBLIC_THREADS", "right-create-public-threads"),
    ("CREATE_PRIVATE_THREADS", "right-create-private-threads"),
    ("EMBED_LINKS", "right-embed-links"),
    ("ATTACH_FILES", "right-attach-files"),
    ("MENTION_EVERYONE", "right-mention-everyone"),
    ("SEND_POLLS", "right-send-polls"),
    ("PIN_MESSAGES", "right-pin-messages"),
    ("BYPASS_SLOWMODE", "right-bypass-slowmode"),
    ("USE_APPLICATION_COMMANDS", "right-use-application-commands"),
    ("CHANGE_NICKNAME", "right-change-nickname"),
    ("MANAGE_GUILD_EXPRESSIONS", "right-manage-guild-expressions"),
    ("CREATE_GUILD_EXPRESSIONS", "right-create-guild-expressions"),
    ("MUTE_MEMBERS", "right-mute-members"),
    ("DEAFEN_MEMBERS", "right-deafen-members"),
    ("MOVE_MEMBERS", "right-move-members"),
    ("CONNECT", "right-connect"),
    ("SPEAK", "right-speak"),
    ("ADMINISTRATOR", "right-administrator"),
    ("PRIORITY_SPEAKER", "right-priority-speaker"),
    ("STREAM", "right-stream"),
    ("SEND_TTS_MESSAGES", "right-send-tts-messages"),
    ("VIEW_GUILD_INSIGHTS", "right-view-guild-insights"),
    ("USE_VAD", "right-use-vad"),
    ("REQUEST_TO_SPEAK", "right-request-to-speak"),
    ("USE_EMBEDDED_ACTIVITIES", "right-use-embedded-activities"),
    ("VIEW_CREATOR_MONETIZATION_ANALYTICS", "right-view-creator-monetization-analytics"),
    ("USE_SOUNDBOARD", "right-use-soundboard"),
    ("USE_EXTERNAL_SOUNDS", "right-use-external-sounds"),
    ("SEND_VOICE_MESSAGES", "right-send-voice-messages"),
    ("USE_EXTERNAL_APPS", "right-use-external-apps"),
    // As the tool-service calls those that Discord has invented since.
    ("UNKNOWN", "right-unknown"),
];

/// Says a right as people read it; one that has no words here is called as Discord's API does.
pub fn right(language: Language, constant: &str) -> String {
    let known = RIGHTS.iter().find(|(of, _)| *of == constant);
    known.map_or_else(|| constant.to_owned(), |(_, key)| language.word(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_is_said_in_each_language_and_an_unknown_one_by_its_constant() {
        assert_eq!(right(Language::English, "MODERATE_MEMBERS"), "Time out members");
        assert_eq!(right(Language::German, "BAN_MEMBERS"), "Mitglieder bannen");
        assert_eq!(right(Language::German, "FLY"), "FLY");
        for (constant, key) in RIGHTS {
            for language in Language::ALL {
                assert_ne!(right(language, constant), **key, "{language:?} says it");
            }
        }
    }
}
