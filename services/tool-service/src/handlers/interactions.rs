use std::time::Duration;

use serde_json::{Value, json};

use ery_proto::tool::v1::{
    AnswerFile, AnswerInteractionRequest, AnswerInteractionResponse, EditInteractionAnswerRequest,
    EditInteractionAnswerResponse, InteractionOutcome,
};

use super::channel_key;
use crate::{
    adapters::discord::{Answer, File, Method, Request, RestError},
    domain::{output::MAX_CONTENT, text},
    error::CallError,
    service::Shared,
};

/// How long Discord waits for the first answer; what is written later is refused.
const FIRST_ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// Discord's kinds of answers that carry a message.
const MESSAGES: [u64; 2] = [4, 7];

/// Discord's kinds of answers: messages, deferrals, choices of an autocompletion, and modals.
const KINDS: [u64; 6] = [4, 5, 6, 7, 8, 9];

/// The interaction is answered already.
const ACKNOWLEDGED: u64 = 40_060;

/// Discord's flag for a message without previews of its links.
const SUPPRESS_EMBEDS: u64 = 1 << 2;

/// What Discord takes with one message.
const MAX_FILES: usize = 10;
pub(crate) const MAX_FILE_BYTES: usize = 10 << 20;

/// The codes by which Discord says that an interaction, its token or its answer is gone.
const GONE: [u64; 4] = [10_062, 10_015, 10_008, 50_027];

/// Answers an interaction for the first time.
pub(super) async fn answer(
    shared: &Shared,
    request: &AnswerInteractionRequest,
) -> Result<AnswerInteractionResponse, CallError> {
    let channel = channel_key(request.guild_id, request.channel_id)?;
    let mut response = object(&request.response)?;
    let kind = response["type"].as_u64().filter(|kind| KINDS.contains(kind));
    let kind = kind.ok_or_else(|| invalid("the answer has no type that Discord knows"))?;
    if MESSAGES.contains(&kind) {
        harmless(shared, &mut response["data"]);
    }
    let token = token(&request.interaction_token)?;
    let path = format!("interactions/{}/{token}/callback", request.interaction_id);
    let send_by = shared.clock.now() + FIRST_ANSWER_WITHIN;
    // As of a webhook: each has a limit of its own, and none waits for another.
    let route = format!("webhooks/{}/callback", request.interaction_id);
    let rest = Request::new(Method::Post, route, path, channel.home.key(), send_by)
        .json(&response)
        // A repeat learns by this that the first one came through.
        .done_if(&[ACKNOWLEDGED], false)
        .about(request.interaction_id)
        .send();
    let outcome = outcome(shared.discord.repeatedly(&rest).await)?;
    Ok(AnswerInteractionResponse { outcome: outcome.into() })
}

/// Puts a message in the place of the first answer.
pub(super) async fn edit(
    shared: &Shared,
    request: &EditInteractionAnswerRequest,
) -> Result<EditInteractionAnswerResponse, CallError> {
    let channel = channel_key(request.guild_id, request.channel_id)?;
    let mut message = object(&request.message)?;
    harmless(shared, &mut message);
    let token = token(&request.interaction_token)?;
    let webhook = format!("webhooks/{}/{token}", request.application_id);
    let send_by = shared.discord.send_by();
    let path = format!("{webhook}/messages/@original");
    let rest = Request::new(Method::Patch, webhook, path, channel.home.key(), send_by);
    let files = files(&request.files)?;
    let rest =
        if files.is_empty() { rest.json(&message) } else { rest.with_files(&message, &files) };
    let rest = rest.send();
    let outcome = outcome(shared.discord.repeatedly(&rest).await)?;
    Ok(EditInteractionAnswerResponse { outcome: outcome.into() })
}

/// Reads what became of an answer.
///
/// # Errors
///
/// If it may or may not have come through, and may be tried again.
fn outcome(sent: Result<Answer, RestError>) -> Result<InteractionOutcome, CallError> {
    Ok(match sent {
        Ok(_) => InteractionOutcome::Done,
        Err(RestError::Refused { code: ACKNOWLEDGED, .. }) => InteractionOutcome::AnsweredBefore,
        Err(RestError::Refused { code, .. }) if GONE.contains(&code) => {
            tracing::debug!(code, "an interaction's time is over");
            InteractionOutcome::Expired
        }
        // There is nobody any more who waits.
        Err(RestError::TooLate | RestError::RateLimited { .. }) => InteractionOutcome::Expired,
        Err(error @ (RestError::Refused { .. } | RestError::RefusedBefore { .. })) => {
            tracing::error!(error = %error, "Discord does not take an answer to an interaction");
            InteractionOutcome::Refused
        }
        Err(error) => return Err(error.into()),
    })
}

/// Reads the files that are sent along.
fn files(files: &[AnswerFile]) -> Result<Vec<File<'_>>, CallError> {
    let size: usize = files.iter().map(|file| file.bytes.len()).sum();
    if files.len() > MAX_FILES || size > MAX_FILE_BYTES {
        return Err(invalid("these are more or larger files than Discord takes"));
    }
    let is_plain = |name: &str| {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        (1..=100).contains(&name.len()) && name.bytes().all(is_allowed)
    };
    files
        .iter()
        .map(|file| {
            if !is_plain(&file.name) {
                return Err(invalid("a file's name is not plain"));
            }
            Ok(File { name: &file.name, bytes: &file.bytes })
        })
        .collect()
}

/// Sees to it that a message notifies nobody, carries out nothing, and fits.
fn harmless(shared: &Shared, message: &mut Value) {
    message["allowed_mentions"] = json!({ "parse": [] });
    let Some(content) = message["content"].as_str() else { return };
    let filtered = shared.filter.filtered(content);
    message["content"] = text::shortened(&filtered.content, MAX_CONTENT).into();
    let flags = message["flags"].as_u64().unwrap_or(0);
    message["flags"] = (flags | SUPPRESS_EMBEDS).into();
}

fn object(json: &str) -> Result<Value, CallError> {
    let value: Value = serde_json::from_str(json).map_err(|_| invalid("the answer is no JSON"))?;
    if value.is_object() { Ok(value) } else { Err(invalid("the answer is no JSON object")) }
}

fn token(token: &str) -> Result<String, CallError> {
    if token.is_empty() {
        return Err(invalid("an answer must carry its interaction's token"));
    }
    Ok(text::percent_encoded(token))
}

fn invalid(text: &str) -> CallError {
    CallError::Invalid(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: u64) -> Result<InteractionOutcome, CallError> {
        outcome(Err(RestError::Refused { status: 400, code }))
    }

    #[test]
    fn each_refusal_says_whether_anything_can_still_be_said() {
        assert_eq!(refused(40_060).unwrap(), InteractionOutcome::AnsweredBefore);
        for gone in [10_062, 10_015, 10_008, 50_027] {
            assert_eq!(refused(gone).unwrap(), InteractionOutcome::Expired, "{gone}");
        }
        assert_eq!(refused(50_035).unwrap(), InteractionOutcome::Refused);
        assert_eq!(outcome(Err(RestError::TooLate)).unwrap(), InteractionOutcome::Expired);
        assert!(outcome(Err(RestError::TimedOut)).is_err());
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        assert!(object("[]").is_err() && object("{").is_err() && token("").is_err());
        assert_eq!(token("a/b").unwrap(), "a%2Fb");
    }
}
