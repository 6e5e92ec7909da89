//! `ery ctl threads why`: what a message has to do with Ery.

use serde::Serialize;

use ery_proto::store::v1::{Execution, ExplainMessageRequest, KnownMessage, Step, Thread};
use ery_rpc::{Transport, within};

use super::{Output, Row, TIMEOUT, answered, client, table, view};
use crate::failure::Failure;

pub(super) async fn run(
    message: &str,
    stores: &[Transport],
    output: &Output,
) -> Result<(), Failure> {
    let request = read(message).ok_or_else(|| {
        Failure::internal(format!("`{message}` is neither a message's id nor a link to one"))
    })?;
    for store in stores {
        let answer = client(store).explain_message(within(TIMEOUT, request)).await;
        let answer = answered(answer)?;
        let Some(known) = answer.message else { continue };
        let view = WhyView::new(&known, answer.thread.as_ref(), answer.sent_by.as_ref());
        return if output.json { Output::json(&view) } else { Output::write(&view.text()) };
    }
    Err(Failure::internal(format!("the store knows no message {}", request.message_id)))
}

/// Reads a message's id, or a link to it.
fn read(message: &str) -> Option<ExplainMessageRequest> {
    let message = message.trim();
    let number = |text: &str| text.parse::<u64>().ok().filter(|id| *id != 0);
    let Some((_, place)) = message.split_once("/channels/") else {
        let message_id = number(message)?;
        return Some(ExplainMessageRequest { guild_id: 0, channel_id: 0, message_id });
    };
    let parts: Vec<&str> = place.trim_end_matches('/').split('/').collect();
    let [guild, channel, message] = parts.as_slice() else { return None };
    let guild_id = if *guild == "@me" { 0 } else { number(guild)? };
    let (channel_id, message_id) = (number(channel)?, number(message)?);
    Some(ExplainMessageRequest { guild_id, channel_id, message_id })
}

#[derive(Debug, Serialize)]
struct WhyView {
    message_id: String,
    guild_id: Option<String>,
    channel_id: String,
    author_id: Option<String>,
    is_own: bool,
    is_automated: bool,
    is_deleted: bool,
    content_bytes: u64,
    created_at_ms: i64,
    /// What it is: `trigger` of the thread, `sent` by the execution, `turned_away` by the gate, or
    /// `nothing` of Ery's.
    part: &'static str,
    gate_reason: Option<String>,
    sent_by: Option<view::ExecutionView>,
    thread: Option<ThreadWhole>,
}

#[derive(Debug, Serialize)]
struct ThreadWhole {
    #[serde(flatten)]
    thread: view::ThreadView,
    steps: Vec<view::StepView>,
    executions: Vec<view::ExecutionView>,
}

impl WhyView {
    fn new(known: &KnownMessage, thread: Option<&Thread>, sent_by: Option<&Execution>) -> Self {
        let part = match (thread, sent_by) {
            (_, Some(_)) => "sent",
            (Some(_), None) => "trigger",
            (None, None) if !known.gate_reason.is_empty() => "turned_away",
            (None, None) => "nothing",
        };
        let whole = |thread: &Thread| ThreadWhole {
            thread: view::ThreadView::from(thread),
            steps: thread.steps.iter().map(|step: &Step| view::StepView::from(step)).collect(),
            executions: thread.executions.iter().map(view::ExecutionView::from).collect(),
        };
        Self {
            message_id: known.message_id.to_string(),
            guild_id: (known.guild_id != 0).then(|| known.guild_id.to_string()),
            channel_id: known.channel_id.to_string(),
            author_id: (known.author_id != 0).then(|| known.author_id.to_string()),
            is_own: known.is_own,
            is_automated: known.is_automated,
            is_deleted: known.is_deleted,
            content_bytes: known.content_bytes,
            created_at_ms: known.created_at_ms,
            part,
            // What is not addressed may be answered all the same, in an open exchange.
            gate_reason: (part == "turned_away").then(|| known.gate_reason.clone()),
            sent_by: sent_by.map(view::ExecutionView::from),
            thread: thread.map(whole),
        }
    }

    fn text(&self) -> String {
        let mut text = table(std::slice::from_ref(self));
        if let Some(execution) = &self.sent_by {
            text.push('\n');
            text.push_str(&table(std::slice::from_ref(execution)));
        }
        if let Some(whole) = &self.thread {
            for part in [
                table(std::slice::from_ref(&whole.thread)),
                table(&whole.steps),
                table(&whole.executions),
            ] {
                text.push('\n');
                text.push_str(&part);
            }
        }
        text
    }
}

impl Row for WhyView {
    const HEADERS: &'static [&'static str] =
        &["MESSAGE", "CHANNEL", "AT", "AUTHOR", "BYTES", "PART", "GATE"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.message_id.clone(),
            self.channel_id.clone(),
            view::moment(self.created_at_ms),
            self.author_id.clone().unwrap_or_default(),
            self.content_bytes.to_string(),
            self.part.to_owned(),
            self.gate_reason.clone().unwrap_or_default(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_named_by_its_id_or_by_a_link() {
        let read = |text| read(text).map(|it| (it.guild_id, it.channel_id, it.message_id));
        assert_eq!(read("42"), Some((0, 0, 42)));
        assert_eq!(read(" https://discord.com/channels/1/2/3 "), Some((1, 2, 3)));
        assert_eq!(read("https://ptb.discord.com/channels/@me/2/3/"), Some((0, 2, 3)));
        for wrong in ["", "0", "x", "https://discord.com/channels/1/2", "a/channels/1/2/3/4"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
