//! Why Discord does not do what it was asked, with its own codes and words.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};

/// A field that is wrong, and how; the path's parts are names and indices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FieldError {
    pub(crate) path: Vec<String>,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl FieldError {
    pub(crate) fn new(path: &[&str], code: &'static str, message: impl Into<String>) -> Self {
        Self {
            path: path.iter().map(|&part| part.to_owned()).collect(),
            code,
            message: message.into(),
        }
    }
}

/// An answer that is not the one hoped for.
///
/// Source: Discord Docs, Opcodes and Status Codes, JSON.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("401: Unauthorized")]
    Unauthorized,
    #[error("404: Not Found")]
    NoSuchRoute,
    #[error("405: Method Not Allowed")]
    MethodNotAllowed,
    #[error("Request entity too large")]
    TooLarge,
    #[error("Unknown Channel")]
    UnknownChannel,
    #[error("Unknown Guild")]
    UnknownGuild,
    #[error("Unknown Member")]
    UnknownMember,
    #[error("Unknown Message")]
    UnknownMessage,
    #[error("Unknown Permission Overwrite")]
    UnknownOverwrite,
    #[error("Unknown Role")]
    UnknownRole,
    #[error("Unknown User")]
    UnknownUser,
    #[error("Unknown Emoji")]
    UnknownEmoji,
    #[error("Unknown Ban")]
    UnknownBan,
    #[error("Unknown application command")]
    UnknownCommand,
    #[error("Unknown application command permissions")]
    UnknownCommandPermissions,
    #[error("Unknown Webhook")]
    UnknownWebhook,
    #[error("Unknown interaction")]
    UnknownInteraction,
    #[error("Interaction has already been acknowledged.")]
    InteractionAnswered,
    #[error("Invalid Webhook Token")]
    InvalidWebhookToken,
    #[error("Bots cannot use this endpoint")]
    NotForBots,
    #[error("You are not authorized to perform this action on this application")]
    NotYourApplication,
    #[error("Maximum number of application commands reached ({most})")]
    TooManyCommands { most: usize },
    #[error("Max number of daily application command creates has been reached (200)")]
    TooManyCommandCreates { retry_after_ms: u64 },
    #[error("This action cannot be performed due to slowmode rate limit")]
    Slowmode { retry_after_ms: u64 },
    #[error("Maximum number of pins reached for the channel (250)")]
    TooManyPins,
    #[error("Maximum number of guild roles reached (250)")]
    TooManyRoles,
    #[error("Maximum number of reactions reached (20)")]
    TooManyReactions,
    #[error("Maximum number of guild channels reached (500)")]
    TooManyChannels,
    #[error("Missing Access")]
    MissingAccess,
    #[error("Cannot execute action on a DM channel")]
    DmChannel,
    #[error("Cannot edit a message authored by another user")]
    NotOwnMessage,
    #[error("Cannot send an empty message")]
    EmptyMessage,
    #[error("Cannot send messages to this user")]
    CannotMessageUser,
    #[error("Cannot send messages to this user due to having no mutual guilds")]
    NoMutualGuilds,
    #[error("Cannot send messages in a non-text channel")]
    NonTextChannel,
    #[error("Missing Permissions")]
    MissingPermissions,
    #[error(
        "Provided too few or too many messages to delete. Must provide at least 2 and at most 100 messages."
    )]
    BulkDeleteCount,
    #[error("Cannot execute action on a system message")]
    SystemMessage,
    #[error("Invalid Role")]
    InvalidRole,
    #[error("Invalid Recipient(s)")]
    InvalidRecipient,
    #[error("A message provided was too old to bulk delete")]
    TooOldToBulkDelete,
    #[error("Invalid Form Body")]
    InvalidForm(Vec<FieldError>),
    #[error("The request body contains invalid JSON.")]
    InvalidJson,
    #[error("Cannot reply without permission to read message history")]
    CannotReply,
    #[error("Unknown tag")]
    UnknownTag,
    #[error("Maximum number of thread participants has been reached (1000)")]
    TooManyThreadMembers,
    #[error("Tag names must be unique")]
    DuplicateTags,
    #[error("A tag is required to create a forum post in this channel")]
    TagRequired,
    #[error("Cannot execute action on this channel type")]
    WrongChannelType,
    #[error("Thread is archived")]
    ThreadArchived,
    #[error("A thread has already been created for this message")]
    ThreadExists,
    #[error("Thread is locked")]
    ThreadLocked,
    #[error("Maximum number of active threads reached")]
    TooManyThreads,
    #[error("Unknown Invite")]
    UnknownInvite,
    #[error("Maximum number of invites reached (1000)")]
    TooManyInvites,
    #[error("The user is banned from this guild.")]
    BannedFromGuild,
    #[error("Unknown sticker")]
    UnknownSticker,
    #[error("An invalid sticker was sent")]
    InvalidSticker,
    #[error("Maximum number of stickers reached (5)")]
    TooManyStickers,
    #[error("Cannot reference a message without permission to read message history")]
    CannotReference,
    #[error("You cannot forward a message whose content you cannot read")]
    CannotForward,
    #[error("Poll expired")]
    PollExpired,
    #[error("Cannot edit a poll message")]
    PollEdited,
    #[error("Cannot use an emoji included with the poll")]
    PollEmoji,
    #[error("Cannot expire a non-poll message")]
    NotAPoll,
    #[error("Unknown Guild Scheduled Event")]
    UnknownEvent,
    #[error("Maximum number of emojis reached (50)")]
    TooManyEmojis,
    #[error("Maximum number of animated emojis reached (50)")]
    TooManyAnimatedEmojis,
    #[error("Maximum number of uncompleted guild scheduled events reached (100)")]
    TooManyEvents,
    #[error("Failed to resize asset below the maximum size: 262144 bytes")]
    ImageTooLarge,
    #[error("Cannot update a finished event")]
    EventIsOver,
    #[error("This message has already been crossposted.")]
    AlreadyCrossposted,
    #[error("Cannot delete a channel required for Community guilds")]
    NeededByCommunity,
    #[error("Maximum number of webhooks reached (15)")]
    TooManyWebhooks,
    #[error("Webhooks posted to forum channels must have a thread_name or thread_id")]
    WebhookNeedsThread,
    #[error("Webhooks posted to forum channels cannot have both a thread_name and thread_id")]
    WebhookThreadTwice,
    #[error("Webhooks can only create threads in forum channels")]
    WebhookThreadElsewhere,
    #[error("Failed to ban users")]
    BulkBanFailed,
    #[error("Index not yet available. Try again later")]
    SearchNotReady { retry_after: u64 },
}

impl Refusal {
    /// Says that one field is wrong.
    pub(crate) fn field(path: &[&str], code: &'static str, message: impl Into<String>) -> Self {
        Self::InvalidForm(vec![FieldError::new(path, code, message)])
    }

    /// Returns the HTTP status.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::SearchNotReady { .. } => 202,
            Self::UnknownEmoji
            | Self::TooManyPins
            | Self::TooManyRoles
            | Self::TooManyReactions
            | Self::TooManyChannels
            | Self::TooManyCommands { .. }
            | Self::InteractionAnswered
            | Self::DmChannel
            | Self::EmptyMessage
            | Self::NonTextChannel
            | Self::BulkDeleteCount
            | Self::InvalidRole
            | Self::InvalidRecipient
            | Self::TooOldToBulkDelete
            | Self::InvalidForm(_)
            | Self::InvalidJson
            | Self::TooManyThreadMembers
            | Self::DuplicateTags
            | Self::TagRequired
            | Self::WrongChannelType
            | Self::ThreadArchived
            | Self::ThreadExists
            | Self::ThreadLocked
            | Self::TooManyThreads
            | Self::TooManyInvites
            | Self::TooManyEmojis
            | Self::TooManyStickers
            | Self::InvalidSticker
            | Self::TooManyAnimatedEmojis
            | Self::TooManyEvents
            | Self::ImageTooLarge
            | Self::EventIsOver
            | Self::AlreadyCrossposted
            | Self::NeededByCommunity
            | Self::PollExpired
            | Self::PollEdited
            | Self::PollEmoji
            | Self::NotAPoll
            | Self::TooManyWebhooks
            | Self::WebhookNeedsThread
            | Self::WebhookThreadTwice
            | Self::WebhookThreadElsewhere
            | Self::BulkBanFailed
            | Self::CannotReference
            | Self::CannotReply => 400,
            Self::Unauthorized | Self::InvalidWebhookToken => 401,
            Self::NotForBots
            | Self::NotYourApplication
            | Self::MissingAccess
            | Self::NotOwnMessage
            | Self::CannotMessageUser
            | Self::NoMutualGuilds
            | Self::MissingPermissions
            | Self::BannedFromGuild
            | Self::CannotForward
            | Self::SystemMessage => 403,
            Self::NoSuchRoute
            | Self::UnknownChannel
            | Self::UnknownGuild
            | Self::UnknownMember
            | Self::UnknownMessage
            | Self::UnknownOverwrite
            | Self::UnknownRole
            | Self::UnknownUser
            | Self::UnknownTag
            | Self::UnknownSticker
            | Self::UnknownInvite
            | Self::UnknownEvent
            | Self::UnknownBan
            | Self::UnknownCommand
            | Self::UnknownWebhook
            | Self::UnknownInteraction
            | Self::UnknownCommandPermissions => 404,
            Self::MethodNotAllowed => 405,
            Self::TooLarge => 413,
            Self::Slowmode { .. } | Self::TooManyCommandCreates { .. } => 429,
        }
    }

    /// Returns Discord's own code.
    pub(crate) fn code(&self) -> u32 {
        match self {
            Self::Unauthorized | Self::NoSuchRoute | Self::MethodNotAllowed => 0,
            Self::UnknownChannel => 10_003,
            Self::UnknownGuild => 10_004,
            Self::UnknownMember => 10_007,
            Self::UnknownMessage => 10_008,
            Self::UnknownOverwrite => 10_009,
            Self::UnknownRole => 10_011,
            Self::UnknownUser => 10_013,
            Self::UnknownEmoji => 10_014,
            Self::UnknownBan => 10_026,
            Self::UnknownWebhook => 10_015,
            Self::UnknownInteraction => 10_062,
            Self::UnknownCommand => 10_063,
            Self::UnknownCommandPermissions => 10_066,
            Self::NotForBots => 20_001,
            Self::NotYourApplication => 20_012,
            Self::Slowmode { .. } => 20_016,
            Self::TooManyPins => 30_003,
            Self::TooManyRoles => 30_005,
            Self::TooManyReactions => 30_010,
            Self::TooManyChannels => 30_013,
            Self::TooManyCommands { .. } => 30_032,
            Self::TooManyCommandCreates { .. } => 30_034,
            Self::TooLarge => 40_005,
            Self::InteractionAnswered => 40_060,
            Self::MissingAccess => 50_001,
            Self::DmChannel => 50_003,
            Self::NotOwnMessage => 50_005,
            Self::EmptyMessage => 50_006,
            Self::CannotMessageUser => 50_007,
            Self::NonTextChannel => 50_008,
            Self::MissingPermissions => 50_013,
            Self::BulkDeleteCount => 50_016,
            Self::SystemMessage => 50_021,
            Self::InvalidWebhookToken => 50_027,
            Self::InvalidRole => 50_028,
            Self::InvalidRecipient => 50_033,
            Self::TooOldToBulkDelete => 50_034,
            Self::InvalidForm(_) => 50_035,
            Self::InvalidJson => 50_109,
            Self::NoMutualGuilds => 50_278,
            Self::SearchNotReady { .. } => 110_000,
            Self::UnknownTag => 10_087,
            Self::TooManyThreadMembers => 30_033,
            Self::DuplicateTags => 40_061,
            Self::TagRequired => 40_067,
            Self::WrongChannelType => 50_024,
            Self::ThreadArchived => 50_083,
            Self::ThreadExists => 160_004,
            Self::ThreadLocked => 160_005,
            Self::TooManyThreads => 160_006,
            Self::UnknownInvite => 10_006,
            Self::TooManyInvites => 30_016,
            Self::BannedFromGuild => 40_007,
            Self::UnknownEvent => 10_070,
            Self::TooManyEmojis => 30_008,
            Self::TooManyAnimatedEmojis => 30_018,
            Self::TooManyEvents => 30_038,
            Self::ImageTooLarge => 50_138,
            Self::EventIsOver => 180_000,
            Self::AlreadyCrossposted => 40_033,
            Self::NeededByCommunity => 50_074,
            Self::TooManyWebhooks => 30_007,
            Self::WebhookNeedsThread => 220_001,
            Self::WebhookThreadTwice => 220_002,
            Self::WebhookThreadElsewhere => 220_003,
            Self::BulkBanFailed => 500_000,
            Self::UnknownSticker => 10_060,
            Self::InvalidSticker => 50_081,
            Self::TooManyStickers => 30_039,
            Self::CannotReference => 160_009,
            Self::CannotForward => 160_014,
            Self::PollExpired => 520_001,
            Self::PollEdited => 520_003,
            Self::PollEmoji => 520_004,
            Self::NotAPoll => 520_006,
            Self::CannotReply => 160_002,
        }
    }

    /// Returns how long to wait, where waiting helps.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Slowmode { retry_after_ms } | Self::TooManyCommandCreates { retry_after_ms } => {
                Some(Duration::from_millis(*retry_after_ms))
            }
            _ => None,
        }
    }

    /// Returns the body as Discord writes it.
    pub(crate) fn body(&self) -> RefusalBody {
        let mut body = RefusalBody {
            message: self.to_string(),
            code: self.code(),
            errors: None,
            documents_indexed: None,
            retry_after: None,
        };
        match self {
            Self::InvalidForm(errors) => body.errors = Some(nested(errors)),
            Self::Slowmode { .. } | Self::TooManyCommandCreates { .. } => {
                body.retry_after = self.retry_after().map(|wait| json!(wait.as_secs_f64()));
            }
            Self::SearchNotReady { retry_after } => {
                body.documents_indexed = Some(0);
                body.retry_after = Some(json!(retry_after));
            }
            _ => {}
        }
        body
    }
}

/// The body of a refusal; its fields stand in Discord's own order.
#[derive(Debug, Serialize)]
pub(crate) struct RefusalBody {
    message: String,
    code: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    documents_indexed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<Value>,
}

/// Nests the errors by their paths; the last level is a list called `_errors`.
fn nested(errors: &[FieldError]) -> Value {
    let mut root = Value::Object(Map::new());
    for error in errors {
        let mut level = &mut root;
        for part in &error.path {
            // An index that is not there yet is made, as an object.
            level = &mut level[part.as_str()];
        }
        let entry = json!({ "code": error.code, "message": error.message });
        match &mut level["_errors"] {
            Value::Array(list) => list.push(entry),
            other => *other = Value::Array(vec![entry]),
        }
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_errors_are_nested_by_their_path() {
        let refusal = Refusal::InvalidForm(vec![
            FieldError::new(&["embeds", "0", "title"], "BASE_TYPE_MAX_LENGTH", "too long"),
            FieldError::new(&["content"], "BASE_TYPE_MAX_LENGTH", "too long"),
        ]);
        let body = json!(refusal.body());
        assert_eq!(body["code"], 50_035);
        assert_eq!(body["message"], "Invalid Form Body");
        assert_eq!(
            body["errors"]["embeds"]["0"]["title"]["_errors"][0]["code"],
            "BASE_TYPE_MAX_LENGTH"
        );
        assert_eq!(body["errors"]["content"]["_errors"][0]["message"], "too long");
    }

    #[test]
    fn a_dead_token_has_discords_very_words() {
        let body = serde_json::to_string(&Refusal::Unauthorized.body()).unwrap();
        assert_eq!(body, r#"{"message":"401: Unauthorized","code":0}"#);
        assert_eq!(Refusal::Unauthorized.status(), 401);
    }
}
