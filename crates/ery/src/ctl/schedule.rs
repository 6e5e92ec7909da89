//! `ery ctl schedule`: acts that are to be done at a time, and taking them back.

use serde::Serialize;
use serde_json::Value;

use ery_proto::{
    common::v1::principal::Kind,
    store::v1::{
        CancelScheduledActionRequest, ListScheduledActionsRequest, ScheduledAction,
        ScheduledActionState,
    },
};
use ery_rpc::{Transport, within};

use super::{Output, Row, TIMEOUT, answered, client, view::moment};
use crate::{cli::Schedule, failure::Failure};

/// The tool whose own plans are prompts.
const PROMPTS: &str = "schedule_action";

pub(super) async fn run(
    command: &Schedule,
    stores: &[Transport],
    output: &Output,
) -> Result<(), Failure> {
    match command {
        Schedule::List { guild, limit, all } => {
            let actions = list(stores, guild.unwrap_or(0), *limit, !all).await?;
            output.list(&actions.iter().map(ActionView::from).collect::<Vec<_>>())
        }
        Schedule::Cancel { id } => cancel(stores, id, output).await,
    }
}

async fn list(
    stores: &[Transport],
    guild_id: u64,
    limit: u32,
    is_waiting_only: bool,
) -> Result<Vec<ScheduledAction>, Failure> {
    let request = ListScheduledActionsRequest { guild_id, is_waiting_only, limit };
    let mut actions = Vec::new();
    for store in stores {
        let answer = client(store).list_scheduled_actions(within(TIMEOUT, request)).await;
        actions.extend(answered(answer)?.actions);
    }
    actions.sort_by_key(|action| action.due_at_ms);
    if limit > 0 {
        actions.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    Ok(actions)
}

async fn cancel(stores: &[Transport], id: &str, output: &Output) -> Result<(), Failure> {
    let unknown =
        || Failure::internal(format!("nothing waits as {id}; see `ery ctl schedule list`"));
    let waiting = list(stores, 0, 0, true).await?;
    let action = waiting.into_iter().find(|action| action.scheduled_action_id == id);
    let guild_id = action.ok_or_else(unknown)?.guild_id;
    for store in stores {
        let request =
            CancelScheduledActionRequest { guild_id, scheduled_action_id: id.to_owned(), by: 0 };
        let answer = client(store).cancel_scheduled_action(within(TIMEOUT, request)).await;
        let action = answered(answer)?.action;
        if let Some(action) = action {
            if action.state() != ScheduledActionState::Cancelled {
                return Err(unknown());
            }
            return output.list(&[ActionView::from(&action)]);
        }
    }
    Err(unknown())
}

/// A planned act, as a list shows it.
#[derive(Debug, Serialize)]
struct ActionView {
    id: String,
    guild_id: String,
    channel_id: String,
    tool: String,
    arguments: Value,
    /// What is to be answered, where a prompt is planned.
    prompt: Option<String>,
    planned_by: String,
    state: &'static str,
    created_at_ms: i64,
    due_at_ms: i64,
    ended_at_ms: Option<i64>,
    cancelled_by: Option<String>,
}

impl From<&ScheduledAction> for ActionView {
    fn from(action: &ScheduledAction) -> Self {
        let kind = action.principal.as_ref().and_then(|principal| principal.kind.as_ref());
        let arguments: Value = serde_json::from_str(&action.arguments).unwrap_or_default();
        let prompt = arguments["prompt"].as_str().filter(|_| action.tool == PROMPTS);
        Self {
            id: action.scheduled_action_id.clone(),
            guild_id: action.guild_id.to_string(),
            channel_id: action.channel_id.to_string(),
            tool: action.tool.clone(),
            prompt: prompt.map(str::to_owned),
            arguments,
            planned_by: match kind {
                Some(Kind::Person(person)) => format!("person {person}"),
                Some(Kind::Rule(rule)) => format!("rule {} v{}", rule.id, rule.version),
                Some(Kind::Expiry(execution)) => format!("end of {execution}"),
                None => "nobody".to_owned(),
            },
            state: match action.state() {
                ScheduledActionState::Waiting => "waiting",
                ScheduledActionState::Fired => "fired",
                ScheduledActionState::Cancelled => "cancelled",
                ScheduledActionState::Unspecified => "unknown",
            },
            created_at_ms: action.created_at_ms,
            due_at_ms: action.due_at_ms,
            ended_at_ms: (action.ended_at_ms != 0).then_some(action.ended_at_ms),
            cancelled_by: (action.ended_by != 0).then(|| action.ended_by.to_string()),
        }
    }
}

impl Row for ActionView {
    const HEADERS: &'static [&'static str] =
        &["ID", "CHANNEL", "TOOL", "DUE", "STATE", "PLANNED BY", "PROMPT"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.channel_id.clone(),
            self.tool.clone(),
            moment(self.due_at_ms),
            self.state.to_owned(),
            self.planned_by.clone(),
            self.prompt.clone().unwrap_or_default(),
        ]
    }
}
