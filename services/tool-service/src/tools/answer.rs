//! What came of a call, as the model, the people and the store are told.

use std::time::Duration;

use serde_json::{Map, Value, json};

use ery_clock::UnixMillis;
use ery_proto::common::v1::Message;

use crate::adapters::discord::RestError;

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    Done,
    Failed,
    /// Nothing could tell whether it happened.
    InDoubt,
}

/// What came of a call.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    pub(crate) settled: Settled,
    /// For the model.
    pub(crate) content: Value,
    /// HTTP status of Discord's answer, 0 if none came.
    pub(crate) rest_status: u16,
    pub(crate) sent: Option<Message>,
    /// What is to happen later because of it.
    pub(crate) then: Option<Later>,
    /// Whether this is no end: Discord could not be reached, and the same call may be made again.
    pub(crate) is_unsettled: bool,
}

/// An act that is to be done at its time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Later {
    pub(crate) at: UnixMillis,
    pub(crate) tool: &'static str,
    /// The exact form.
    pub(crate) act: Value,
    pub(crate) authority: Authority,
}

/// On whose authority an act is done later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Authority {
    /// It ends what the execution did, as a ban for three days ends
    /// ([`ery_ids::Principal::Expiry`]).
    Expiry,
    /// Whoever had it planned; judged again then.
    Asker,
}

/// What people and the model are told when nobody knows.
const IN_DOUBT: &str =
    "Discord did not answer clearly, so I do not know whether it happened; please look.";

impl Done {
    pub(crate) fn ok(status: u16, summary: impl Into<String>, fields: Map<String, Value>) -> Self {
        let mut content = Map::new();
        content.insert("ok".into(), Value::Bool(true));
        content.insert("summary".into(), Value::String(summary.into()));
        content.extend(fields);
        Self {
            settled: Settled::Done,
            content: Value::Object(content),
            rest_status: status,
            sent: None,
            then: None,
            is_unsettled: false,
        }
    }

    pub(crate) fn failed(status: u16, reason: impl Into<String>) -> Self {
        Self {
            settled: Settled::Failed,
            content: failure("failed", &reason.into()),
            rest_status: status,
            sent: None,
            then: None,
            is_unsettled: false,
        }
    }

    pub(crate) fn in_doubt(status: u16) -> Self {
        Self {
            settled: Settled::InDoubt,
            content: failure("in_doubt", IN_DOUBT),
            rest_status: status,
            sent: None,
            then: None,
            is_unsettled: false,
        }
    }

    /// Says that this is no end, since what is in the way passes.
    pub(crate) fn unsettled(self) -> Self {
        Self { is_unsettled: true, ..self }
    }

    /// Says how a request failed that would have changed something.
    pub(crate) fn of_write(error: &RestError) -> Self {
        let done = if error.is_in_doubt() {
            tracing::warn!(error = %error, "the outcome of a request is not known");
            Self::in_doubt(error.status())
        } else {
            Self::failed(error.status(), sentence(error))
        };
        if error.is_in_doubt() || error.passes() { done.unsettled() } else { done }
    }

    /// Says how a look failed without which nothing could be done: no end, while that may pass.
    pub(crate) fn of_look(error: &RestError) -> Self {
        let done = Self::of_read(error);
        if error.is_in_doubt() || error.passes() { done.unsettled() } else { done }
    }

    /// Says how a request failed that would only have read: that it may have happened is nothing.
    pub(crate) fn of_read(error: &RestError) -> Self {
        Self::failed(error.status(), sentence(error))
    }
}

/// Returns what the model is told of a call that did not succeed.
pub(crate) fn failure(error: &'static str, reason: &str) -> Value {
    json!({ "ok": false, "error": error, "reason": reason })
}

/// Says how a request failed.
pub(crate) fn sentence(error: &RestError) -> String {
    match error {
        RestError::Refused { status, code } => refused(*status, *code),
        RestError::RefusedBefore { code } => refused(403, *code),
        RestError::RateLimited { retry_after } => {
            format!("Discord's rate limit is reached; try again in {}.", seconds(*retry_after))
        }
        RestError::TooLate => {
            "It took too long until Discord could be asked, so nothing was done.".into()
        }
        RestError::Unauthorized => {
            "Discord does not accept my token, so I can do nothing until my operator renews it."
                .into()
        }
        RestError::TooManyInvalid => {
            "Too many of my requests were refused lately, so I only answer for now.".into()
        }
        RestError::BreakerOpen | RestError::NotConnected(_) => {
            "Discord cannot be reached at the moment; nothing was done.".into()
        }
        RestError::ServerError { .. }
        | RestError::ConnectionLost(_)
        | RestError::TimedOut
        | RestError::Unreadable { .. } => "Discord does not answer properly at the moment.".into(),
    }
}

/// Source: Discord Docs, JSON error codes.
fn refused(status: u16, code: u64) -> String {
    match code {
        10_003 => "That channel does not exist any more.".into(),
        10_004 => "That server does not exist, or I am not in it.".into(),
        10_007 => "That person is not a member of this server.".into(),
        10_011 => "That role does not exist any more.".into(),
        10_013 => "Discord knows nobody with that id.".into(),
        10_026 => "That person is not banned.".into(),
        10_006 => "That invite does not exist any more.".into(),
        10_008 => "That message does not exist in this channel.".into(),
        10_014 => "Discord does not know that emoji.".into(),
        10_060 => "That sticker does not exist any more.".into(),
        20_016 | 20_028 | 20_029 => "Discord limits how much is written here; wait a while.".into(),
        30_003 => "That channel has as many pinned messages as Discord allows.".into(),
        30_005 => "This server has as many roles as Discord allows: 250.".into(),
        30_010 => "That message has 20 different reactions already, Discord's maximum.".into(),
        30_013 => "This server has as many channels as Discord allows: 500.".into(),
        30_016 => "This server has as many invites as Discord allows: 1,000.".into(),
        40_003 => "I open direct messages too fast; wait a while.".into(),
        40_004 => "Discord does not let messages be sent there at the moment.".into(),
        40_067 => "That forum wants every post to have a tag; name one.".into(),
        50_001 => "Discord says that I have no access there.".into(),
        50_005 => "I can only change messages of my own.".into(),
        50_006 => "Discord takes no empty message.".into(),
        50_007 => "I cannot write to that person: they take no direct messages from me.".into(),
        50_008 => "Nobody writes in a channel of that kind.".into(),
        50_013 => {
            "Discord says that I lack a permission for that, or that my role is too low.".into()
        }
        50_016 => "Discord deletes 2 to 100 messages at once.".into(),
        50_019 => "Only messages of the same channel can be pinned.".into(),
        50_021 => "That is a message of the system; it cannot be changed so.".into(),
        50_024 => "That does not work in a channel of that kind.".into(),
        50_028 => "Discord does not let anybody have that role by hand.".into(),
        50_034 => "Messages older than 14 days cannot be deleted many at once.".into(),
        50_035 => "Discord does not take what was asked for: some part of it is not valid.".into(),
        50_074 => "A community server needs that channel, so it cannot be deleted.".into(),
        50_081 => "Discord does not take that sticker: this server cannot use it.".into(),
        50_083 => "That thread is archived.".into(),
        50_278 => "I cannot write to that person: we share no server.".into(),
        90_001 => "The author of that message has blocked me, so I cannot react to it.".into(),
        160_002 => "I need the permission “Read message history” (READ_MESSAGE_HISTORY) to \
                    reply there."
            .into(),
        160_004 => "That message has a thread already.".into(),
        160_005 => "That thread is locked.".into(),
        160_006 => "This server has as many active threads as Discord allows.".into(),
        200_000 | 200_001 => "Discord's AutoMod blocked it.".into(),
        500_000 => "Discord could ban none of them.".into(),
        40_005 | 50_045 => "Discord takes no files as large as that.".into(),
        520_002 => "There can be no poll in a channel of that kind.".into(),
        520_003 => "A poll cannot be edited.".into(),
        _ => match status {
            403 => "Discord does not allow me that.".into(),
            404 => "Discord does not know that.".into(),
            _ => format!("Discord refused it (status {status}, code {code})."),
        },
    }
}

fn seconds(wait: Duration) -> String {
    match wait.as_secs() + u64::from(wait.subsec_nanos() > 0) {
        1 => "a second".into(),
        seconds => format!("{seconds} seconds"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn discords_codes_are_said_in_plain_words() {
        for (status, code, told) in [
            (404, 10_003, "channel does not exist"),
            (404, 10_008, "message does not exist"),
            (400, 30_003, "pinned"),
            (400, 30_013, "500"),
            (400, 40_003, "too fast"),
            (400, 40_067, "tag"),
            (403, 50_005, "my own"),
            (403, 50_007, "no direct messages"),
            (403, 50_278, "share no server"),
            (400, 50_034, "14 days"),
            (400, 50_074, "community"),
            (400, 50_081, "sticker"),
            (404, 10_060, "sticker"),
            (400, 50_083, "archived"),
            (400, 160_004, "thread already"),
            (400, 160_005, "locked"),
            (400, 200_000, "AutoMod"),
            (400, 520_003, "poll"),
            (403, 1, "does not allow"),
            (404, 1, "does not know"),
            (400, 1, "code 1"),
        ] {
            let sentence = refused(status, code);
            assert!(sentence.contains(told) && sentence.ends_with('.'), "{code}: {sentence}");
        }
    }
}
