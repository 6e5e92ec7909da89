//! `ery ctl dead`: what was given up after its last try, and another try for it.

use serde::Serialize;
use serde_json::Value;

use ery_proto::store::v1::{
    DeadLetter, DeadLetterKind, DeadLetterRetry, GetDeadLetterRequest, ListDeadLettersRequest,
    RetryDeadLettersRequest,
};
use ery_rpc::{Transport, within};

use super::{Output, Row, TIMEOUT, answered, client, refused, view::moment};
use crate::{
    cli::{Dead, Place},
    failure::Failure,
};

/// How many dead letters are tried again in one call.
const AT_ONCE: usize = 200;

/// How a payload's values are shown that may open a door.
const LEFT_OUT: &str = "(left out)";

pub(super) async fn run(
    command: &Dead,
    stores: &[Transport],
    output: &Output,
) -> Result<(), Failure> {
    match command {
        Dead::List { place, limit } => {
            let letters = list(stores, place, *limit, false).await?;
            output.list(&letters.iter().map(DeadLetterView::from).collect::<Vec<_>>())
        }
        Dead::Show { id } => show(stores, id, output).await,
        Dead::Retry { ids, all: false, by, .. } => retry(stores, ids, by, output).await,
        Dead::Retry { place, by, .. } => {
            if place.guild.is_none() && place.channel.is_none() {
                return Err(Failure::settings(
                    "say of which guild or channel all dead letters are to be tried again: \
                     --guild ID or --channel ID",
                ));
            }
            retry_all(stores, place, by, output).await
        }
    }
}

async fn list(
    stores: &[Transport],
    place: &Place,
    limit: u32,
    is_retryable_only: bool,
) -> Result<Vec<DeadLetter>, Failure> {
    let request = ListDeadLettersRequest {
        guild_id: place.guild.unwrap_or(0),
        channel_id: place.channel.unwrap_or(0),
        limit,
        is_retryable_only,
    };
    let mut letters = Vec::new();
    for store in stores {
        let answer = client(store).list_dead_letters(within(TIMEOUT, request)).await;
        letters.extend(answered(answer)?.dead_letters);
    }
    letters.sort_by_key(|letter| std::cmp::Reverse(letter.at_ms));
    letters.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(letters)
}

async fn show(stores: &[Transport], id: &str, output: &Output) -> Result<(), Failure> {
    for store in stores {
        let request = GetDeadLetterRequest { id: id.to_owned() };
        match client(store).get_dead_letter(within(TIMEOUT, request)).await {
            Ok(answer) => {
                if let Some(letter) = answer.into_inner().dead_letter {
                    return output.dead_letter(&letter);
                }
            }
            Err(status) if status.code() == tonic::Code::NotFound => {}
            Err(status) if ery_rpc::Elsewhere::is_in(&status) => {}
            Err(status) if status.code() == tonic::Code::InvalidArgument => break,
            Err(status) => return Err(refused(&status)),
        }
    }
    Err(unknown(&[id.to_owned()]))
}

/// Tries dead letters again, and says of each what became of it.
async fn retry(
    stores: &[Transport],
    ids: &[String],
    by: &str,
    output: &Output,
) -> Result<(), Failure> {
    let retries = send(stores, ids, by).await?;
    output.list(&retries)?;
    let unknown_ids: Vec<String> =
        retries.iter().filter(|retry| retry.is_unknown).map(|retry| retry.id.clone()).collect();
    if !unknown_ids.is_empty() {
        return Err(unknown(&unknown_ids));
    }
    let left = retries.iter().filter(|retry| !retry.is_begun).count();
    if left > 0 {
        return Err(Failure::internal(format!(
            "{left} of {} dead letters are not tried again",
            retries.len()
        )));
    }
    Ok(())
}

async fn retry_all(
    stores: &[Transport],
    place: &Place,
    by: &str,
    output: &Output,
) -> Result<(), Failure> {
    let mut all = Vec::new();
    loop {
        let limit = u32::try_from(AT_ONCE).unwrap_or(u32::MAX);
        let letters = list(stores, place, limit, true).await?;
        let ids: Vec<String> = letters.into_iter().rev().map(|letter| letter.id).collect();
        let retries = send(stores, &ids, by).await?;
        // What others did meanwhile is left to them; where nothing can be done, nothing is repeated.
        let is_over = retries.iter().all(|retry| !retry.is_begun);
        all.extend(retries);
        if is_over {
            return output.list(&all);
        }
    }
}

async fn send(stores: &[Transport], ids: &[String], by: &str) -> Result<Vec<RetryView>, Failure> {
    let mut views: Vec<RetryView> = Vec::with_capacity(ids.len());
    for ids in ids.chunks(AT_ONCE) {
        let mut answers: Vec<Option<DeadLetterRetry>> = vec![None; ids.len()];
        for store in stores {
            let request = RetryDeadLettersRequest { ids: ids.to_vec(), by: by.to_owned() };
            let answer = match client(store).retry_dead_letters(within(TIMEOUT, request)).await {
                Ok(answer) => answer.into_inner(),
                Err(status) if status.code() == tonic::Code::InvalidArgument => {
                    return Err(Failure::internal(format!(
                        "{}; see `ery ctl dead list`",
                        status.message()
                    )));
                }
                Err(status) => return Err(refused(&status)),
            };
            for (known, retry) in answers.iter_mut().zip(answer.retries) {
                if !retry.is_unknown {
                    *known = Some(retry);
                }
            }
        }
        views.extend(ids.iter().zip(answers).map(|(id, answer)| RetryView::new(id, answer)));
    }
    Ok(views)
}

fn unknown(ids: &[String]) -> Failure {
    let ids: Vec<String> = ids.iter().map(|id| format!("`{id}`")).collect();
    Failure::internal(format!(
        "there is no dead letter {}; see `ery ctl dead list`",
        ids.join(", ")
    ))
}

/// What became of one that was to be tried again.
#[derive(Debug, Serialize)]
struct RetryView {
    id: String,
    is_begun: bool,
    #[serde(skip)]
    is_unknown: bool,
    /// Why it was left as it is.
    refusal: Option<String>,
}

impl RetryView {
    fn new(id: &str, answer: Option<DeadLetterRetry>) -> Self {
        let id = id.to_owned();
        match answer {
            Some(retry) if retry.refusal.is_empty() => {
                Self { id, is_begun: true, is_unknown: false, refusal: None }
            }
            Some(retry) => {
                Self { id, is_begun: false, is_unknown: false, refusal: Some(retry.refusal) }
            }
            None => {
                let refusal = Some("there is no such dead letter".to_owned());
                Self { id, is_begun: false, is_unknown: true, refusal }
            }
        }
    }
}

impl Row for RetryView {
    const HEADERS: &'static [&'static str] = &["ID", "TRIED AGAIN", "WHY NOT"];

    fn cells(&self) -> Vec<String> {
        let begun = if self.is_begun { "yes" } else { "no" };
        vec![self.id.clone(), begun.to_owned(), self.refusal.clone().unwrap_or_default()]
    }
}

/// A dead letter, as a list shows it.
#[derive(Debug, Serialize)]
pub(super) struct DeadLetterView {
    id: String,
    kind: &'static str,
    guild_id: Option<String>,
    channel_id: Option<String>,
    trigger_id: Option<String>,
    event_id: Option<String>,
    event_kind: Option<String>,
    handler: Option<String>,
    thread_id: Option<String>,
    reason: String,
    attempts: u32,
    received_at_ms: i64,
    at_ms: i64,
    retried_at_ms: Option<i64>,
    retried_by: Option<String>,
    published_at_ms: Option<i64>,
    payload_bytes: u64,
    refusal: Option<String>,
}

impl From<&DeadLetter> for DeadLetterView {
    fn from(letter: &DeadLetter) -> Self {
        let text = |text: &String| (!text.is_empty()).then(|| text.clone());
        let id = |id: u64| (id != 0).then(|| id.to_string());
        let moment = |at: i64| (at != 0).then_some(at);
        Self {
            id: letter.id.clone(),
            kind: match letter.kind() {
                DeadLetterKind::Task => "task",
                DeadLetterKind::Event => "event",
                DeadLetterKind::Unspecified => "unknown",
            },
            guild_id: id(letter.guild_id),
            channel_id: id(letter.channel_id),
            trigger_id: text(&letter.trigger_id),
            event_id: text(&letter.event_id),
            event_kind: text(&letter.event_kind),
            handler: text(&letter.handler),
            thread_id: text(&letter.thread_id),
            reason: letter.reason.clone(),
            attempts: letter.attempts,
            received_at_ms: letter.received_at_ms,
            at_ms: letter.at_ms,
            retried_at_ms: moment(letter.retried_at_ms),
            retried_by: text(&letter.retried_by),
            published_at_ms: moment(letter.published_at_ms),
            payload_bytes: letter.payload_bytes,
            refusal: text(&letter.refusal),
        }
    }
}

impl DeadLetterView {
    fn retried(&self) -> String {
        self.retried_at_ms.map_or_else(|| "-".to_owned(), moment)
    }
}

impl Row for DeadLetterView {
    const HEADERS: &'static [&'static str] =
        &["ID", "CHANNEL", "TRIGGER", "ATTEMPTS", "WHEN", "RETRIED", "REASON"];

    fn cells(&self) -> Vec<String> {
        let trigger = self.trigger_id.clone().or_else(|| {
            let (event, kind) = (self.event_id.as_ref()?, self.event_kind.as_ref()?);
            Some(format!("{kind} {event}"))
        });
        vec![
            self.id.clone(),
            self.channel_id.clone().unwrap_or_else(|| "-".to_owned()),
            trigger.unwrap_or_default(),
            self.attempts.to_string(),
            moment(self.at_ms),
            self.retried(),
            self.reason.clone(),
        ]
    }
}

/// A dead letter with all that is known of it.
#[derive(Debug, Serialize)]
struct WholeView {
    #[serde(flatten)]
    letter: DeadLetterView,
    /// As it came from Discord; null where it was not kept.
    payload: Option<Value>,
}

/// One line of what is shown to people.
#[derive(Debug, Serialize)]
struct Field(&'static str, String);

impl Row for Field {
    const HEADERS: &'static [&'static str] = &["FIELD", "VALUE"];

    fn cells(&self) -> Vec<String> {
        vec![self.0.to_owned(), self.1.clone()]
    }
}

impl Output {
    fn dead_letter(&self, letter: &DeadLetter) -> Result<(), Failure> {
        let payload = letter.payload.as_deref().map(readable);
        let view = DeadLetterView::from(letter);
        if self.json {
            return Self::json(&WholeView { letter: view, payload });
        }
        let retried = view.retried_at_ms.map(|at| {
            let by = view.retried_by.as_deref().unwrap_or_default();
            let stands = view.published_at_ms.map_or_else(
                || "its task is not in the queue yet".to_owned(),
                |at| format!("its task is in the queue since {}", moment(at)),
            );
            format!("{} by {by}; {stands}", moment(at))
        });
        let shown = match &payload {
            Some(payload) => payload.to_string(),
            None if view.payload_bytes > 0 => {
                format!("{} bytes, which were not kept", view.payload_bytes)
            }
            None => "not kept".to_owned(),
        };
        let journal =
            view.thread_id.as_ref().map(|id| format!("{id} (`ery ctl threads show {id}`)"));
        let fields = [
            ("id", Some(view.id)),
            ("kind", Some(view.kind.to_owned())),
            ("guild", view.guild_id),
            ("channel", view.channel_id),
            ("trigger", view.trigger_id),
            ("event", view.event_id),
            ("event kind", view.event_kind),
            ("handler", view.handler),
            ("thread", journal),
            ("reason", Some(view.reason)),
            ("attempts", Some(view.attempts.to_string())),
            ("received", Some(moment(view.received_at_ms))),
            ("given up", Some(moment(view.at_ms))),
            ("tried again", Some(retried.unwrap_or_else(|| "no".to_owned()))),
            (
                "can be tried again",
                Some(view.refusal.map_or_else(|| "yes".to_owned(), |why| format!("no: {why}"))),
            ),
            ("payload", Some(shown)),
        ];
        let fields: Vec<Field> =
            fields.into_iter().filter_map(|(name, value)| Some(Field(name, value?))).collect();
        Self::write(&super::table(&fields))
    }
}

/// Reads a payload, without what may open a door: interactions and webhooks carry tokens.
fn readable(payload: &[u8]) -> Value {
    match serde_json::from_slice(payload) {
        Ok(mut value) => {
            leave_out_secrets(&mut value);
            value
        }
        Err(_) => Value::String(String::from_utf8_lossy(payload).into_owned()),
    }
}

fn leave_out_secrets(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if name.to_ascii_lowercase().contains("token") {
                    *value = Value::String(LEFT_OUT.to_owned());
                } else {
                    leave_out_secrets(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(leave_out_secrets),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tokens_are_left_out_of_what_is_shown() {
        let payload = json!({
            "id": "5", "token": "secret",
            "interaction": {"followups": [{"webhook_token": "secret", "name": "kept"}]},
        });
        let shown = readable(payload.to_string().as_bytes());
        assert!(!shown.to_string().contains("secret"), "{shown}");
        assert_eq!(shown["interaction"]["followups"][0]["name"], "kept");
        assert_eq!(readable(b"{ no JSON"), json!("{ no JSON"));
    }

    #[test]
    fn an_event_is_listed_by_its_kind_and_id() {
        let letter = DeadLetter {
            id: "1.2".into(),
            kind: DeadLetterKind::Event.into(),
            event_id: "s.7".into(),
            event_kind: "message_create".into(),
            ..DeadLetter::default()
        };
        let cells = DeadLetterView::from(&letter).cells();
        assert_eq!(cells[1..4], ["-", "message_create s.7", "0"]);
    }
}
