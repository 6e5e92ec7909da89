//! `ery ctl threads replay`: a thread's journal run once more with another model or prompt.

use std::{fmt::Write as _, path::Path, sync::Arc};

use serde::Serialize;

use ery_ai_service::Settings as AiSettings;
use ery_clock::{Clock, SystemClock};
use ery_community_config::{Effective, Snapshot, StoredConfig, Subject};
use ery_orchestrator::{Beside, Call, Replay, ReplayError, Side};
use ery_proto::{
    common::v1::Message,
    store::v1::{GetThreadRequest, ListMessagesRequest, Thread},
};
use ery_rpc::{Elsewhere, Peers, Transport, within};

use super::{Output, TIMEOUT, client, refused};
use crate::{cli::Replayed, failure::Failure, services, settings::Settings};

/// How many messages are read of a channel in one call, and in how many calls at most.
const MESSAGES_AT_ONCE: u32 = 100;
const MESSAGE_CALLS: usize = 100;

pub(super) async fn run(
    command: &Replayed,
    settings: &Settings,
    peers: Peers,
    output: &Output,
) -> Result<(), Failure> {
    let ai = model(command, settings)?;
    let replicas = peers.each();
    let stored = StoredConfig { peers, timeout: TIMEOUT };
    let tools = ery_tool_service::specs();
    let (mut views, mut failed) = (Vec::new(), 0);
    for id in &command.threads {
        let thread = find(id, &replicas).await?;
        let messages = messages(&thread, &replicas).await?;
        let config = config(&thread, settings, &stored).await?;
        let beside = Beside {
            messages: &messages,
            tools: &tools,
            config: &config,
            settings: &settings.orchestrator,
        };
        let view = match ery_orchestrator::replay(thread, beside, ai.clone()).await {
            Ok(replay) => View { thread_id: id, replay: Some(replay), error: None },
            Err(error @ ReplayError::NoModel(_)) => {
                return Err(Failure::unavailable(error.to_string()));
            }
            // The others are replayed all the same.
            Err(error) => {
                failed += 1;
                View { thread_id: id, replay: None, error: Some(error.to_string()) }
            }
        };
        if !output.json {
            Output::write(&view.text())?;
        }
        views.push(view);
    }
    if output.json {
        Output::json(&views)?;
    } else if views.len() > 1 {
        Output::write(&sum(&views))?;
    }
    if failed == views.len() {
        return Err(Failure::internal("nothing could be replayed"));
    }
    Ok(())
}

/// Returns an ai-service of our own that asks the model that is wanted.
fn model(command: &Replayed, settings: &Settings) -> Result<Peers, Failure> {
    let Replayed { provider, model, prompts, .. } = command;
    let Some(only) = settings.ai.only(provider.as_deref(), model.as_deref()) else {
        return Err(Failure::settings(format!(
            "`ai.providers` names no `{}`, only {}",
            provider.as_deref().unwrap_or_default(),
            settings.ai.provider_names().join(", ")
        )));
    };
    let prompts_dir = prompts.as_deref().map(Path::to_owned).or(only.prompts_dir.clone());
    let own = Settings { ai: AiSettings { prompts_dir, ..only }, ..settings.clone() };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Ok(Peers::local(ery_rpc::local(services::ai(&own, &clock)?.routes())))
}

async fn find(id: &str, stores: &[Transport]) -> Result<Thread, Failure> {
    for store in stores {
        let request = GetThreadRequest { thread_id: id.to_owned(), guild_id: 0, channel_id: 0 };
        match client(store).get_thread(within(TIMEOUT, request)).await {
            Ok(answer) => {
                if let Some(thread) = answer.into_inner().thread {
                    return Ok(thread);
                }
            }
            Err(status) if status.code() == tonic::Code::NotFound => {}
            Err(status) => return Err(refused(&status)),
        }
    }
    Err(Failure::internal(format!("there is no thread `{id}`; see `ery ctl threads list`")))
}

/// Reads what is kept of the messages that stood before.
async fn messages(thread: &Thread, stores: &[Transport]) -> Result<Vec<Message>, Failure> {
    let wanted = ery_orchestrator::context_of(thread);
    let (Some(first), Some(last)) = (wanted.iter().min(), wanted.iter().max()) else {
        return Ok(Vec::new());
    };
    for store in stores {
        let mut found: Vec<Message> = Vec::new();
        let mut before = last.saturating_add(1);
        for _ in 0..MESSAGE_CALLS {
            let request = ListMessagesRequest {
                guild_id: thread.guild_id,
                channel_id: thread.channel_id,
                before,
                limit: MESSAGES_AT_ONCE,
                since_ms: 0,
            };
            let page = match client(store).list_messages(within(TIMEOUT, request)).await {
                Ok(answer) => answer.into_inner().messages,
                Err(status) if Elsewhere::is_in(&status) => break,
                Err(status) => return Err(refused(&status)),
            };
            let Some(oldest) = page.first().map(|message| message.message_id) else { break };
            before = oldest;
            found.extend(page.into_iter().filter(|it| wanted.contains(&it.message_id)));
            if oldest <= *first || found.len() == wanted.len() {
                break;
            }
        }
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}

/// Returns what holds in the thread's channel by now.
async fn config(
    thread: &Thread,
    settings: &Settings,
    stored: &StoredConfig,
) -> Result<Arc<Effective>, Failure> {
    let load = async |home| {
        let loaded = stored.get(home, None).await.map_err(|status| refused(&status))?;
        Ok::<_, Failure>(loaded.unwrap_or_default().layered)
    };
    let global = load(0).await?.remove(&Subject::GLOBAL).unwrap_or_default();
    let home = if thread.guild_id == 0 { thread.channel_id } else { thread.guild_id };
    let own = load(home).await?;
    let snapshot = Snapshot::new(services::config_base(settings).of(home), global, own);
    Ok(snapshot.effective(thread.channel_id, 0))
}

#[derive(Serialize)]
struct View<'a> {
    thread_id: &'a str,
    /// None: it could not be replayed.
    #[serde(flatten)]
    replay: Option<Replay>,
    error: Option<String>,
}

impl View<'_> {
    fn text(&self) -> String {
        let mut text = format!("thread {}\n", self.thread_id);
        match (&self.replay, &self.error) {
            (Some(replay), _) => replayed(&mut text, replay),
            (None, error) => {
                let why = error.as_deref().unwrap_or_default();
                writeln!(text, "  not replayed: {why}").expect(WRITES);
            }
        }
        text.push('\n');
        text
    }
}

const WRITES: &str = "writing to a string cannot fail";

fn replayed(text: &mut String, replay: &Replay) {
    let Replay { original, replay, comparison, gaps } = replay;
    let rows = [
        ("", "ORIGINAL".to_owned(), "REPLAY".to_owned()),
        ("model", original.model.clone(), replay.model.clone()),
        ("prompt", original.prompt_version.clone(), replay.prompt_version.clone()),
        ("outcome", original.outcome.clone(), replay.outcome.clone()),
        ("model turns", original.model_turns.to_string(), replay.model_turns.to_string()),
        ("tool calls", original.tool_calls.len().to_string(), replay.tool_calls.len().to_string()),
        ("tokens read", read(original), read(replay)),
        (
            "tokens written",
            original.completion_tokens.to_string(),
            replay.completion_tokens.to_string(),
        ),
        ("cost", cost(original.cost_micros), cost(replay.cost_micros)),
    ];
    let width = rows.iter().map(|(_, original, _)| original.chars().count()).max().unwrap_or(0);
    for (name, original, replay) in rows {
        writeln!(text, "  {name:<15} {original:<width$}  {replay}").expect(WRITES);
    }
    let same = if comparison.are_same_calls { "the same" } else { "others, or in another order" };
    writeln!(text, "  calls: {same}").expect(WRITES);
    for (side, calls) in [
        ("only in the original", &comparison.only_in_original),
        ("only in the replay", &comparison.only_in_replay),
    ] {
        for Call { tool, arguments, outcome } in calls {
            writeln!(text, "    {side}: {tool} {arguments} ({outcome})").expect(WRITES);
        }
    }
    if comparison.is_same_answer {
        writeln!(text, "  answer: the same").expect(WRITES);
    } else {
        for (side, answer) in [("original", &original.answer), ("replay", &replay.answer)] {
            let answer = answer.as_deref().unwrap_or("(silence)").replace('\n', "\n    ");
            writeln!(text, "  answer of the {side}:\n    {answer}").expect(WRITES);
        }
    }
    for (count, what) in [
        (gaps.messages_missing, "messages of the context are kept no more"),
        (gaps.messages_edited, "messages were edited since; their newest text was read"),
        (gaps.tools_missing.len(), "tools that were offered are there no more"),
        (gaps.calls_not_in_journal, "calls were answered as not recorded"),
    ] {
        if count > 0 {
            writeln!(text, "  note: {count} {what}").expect(WRITES);
        }
    }
    if gaps.is_summary_missing {
        writeln!(text, "  note: the summary that the original had read is kept in no journal")
            .expect(WRITES);
    }
    if gaps.are_rights_unknown {
        writeln!(text, "  note: an older version journaled no rights; all count as strangers")
            .expect(WRITES);
    }
}

/// Sums several replays up.
fn sum(views: &[View<'_>]) -> String {
    let replays: Vec<&Replay> = views.iter().filter_map(|view| view.replay.as_ref()).collect();
    let count = |is_it: fn(&Replay) -> bool| replays.iter().filter(|it| is_it(it)).count();
    let total = |of: fn(&Replay) -> Option<u64>| {
        replays.iter().map(|it| of(it)).try_fold(0_u64, |sum, it| Some(sum.saturating_add(it?)))
    };
    let tokens = |side: &Side| side.prompt_tokens.saturating_add(side.completion_tokens);
    let of_original: u64 = replays.iter().map(|it| tokens(&it.original)).sum();
    let of_replay: u64 = replays.iter().map(|it| tokens(&it.replay)).sum();
    format!(
        "{} of {} replayed: the same answer {}, the same calls {}; tokens {of_original} and {of_replay}, \
         cost {} and {}\n",
        replays.len(),
        views.len(),
        count(|it| it.comparison.is_same_answer),
        count(|it| it.comparison.are_same_calls),
        cost(total(|it| it.original.cost_micros)),
        cost(total(|it| it.replay.cost_micros)),
    )
}

fn read(side: &Side) -> String {
    match side.cached_tokens {
        0 => side.prompt_tokens.to_string(),
        cached => format!("{} ({cached} cached)", side.prompt_tokens),
    }
}

fn cost(micros: Option<u64>) -> String {
    micros.map_or_else(
        || "not known".to_owned(),
        |micros| format!("${}.{:06}", micros / 1_000_000, micros % 1_000_000),
    )
}

#[cfg(test)]
mod tests {
    use ery_orchestrator::{Comparison, Gaps};

    use super::*;

    fn replay(same: bool) -> Replay {
        let side = |answer: &str, cost| Side {
            answer: Some(answer.to_owned()),
            cost_micros: cost,
            prompt_tokens: 10,
            ..Side::default()
        };
        let call =
            Call { tool: "ban_member".into(), arguments: "{}".into(), outcome: "done".into() };
        Replay {
            original: side("one\ntwo", Some(1_500_000)),
            replay: side("three", None),
            comparison: Comparison {
                is_same_answer: same,
                are_same_calls: false,
                only_in_original: vec![call],
                only_in_replay: Vec::new(),
            },
            gaps: Gaps { messages_missing: 2, is_summary_missing: true, ..Gaps::default() },
        }
    }

    #[test]
    fn what_differs_is_told() {
        let view = View { thread_id: "t", replay: Some(replay(false)), error: None };
        let text = view.text();
        for told in [
            "only in the original: ban_member {} (done)",
            "answer of the original:\n    one\n    two",
            "answer of the replay:\n    three",
            "$1.500000",
            "not known",
            "note: 2 messages of the context",
            "note: the summary that the original had read",
        ] {
            assert!(text.contains(told), "{told}: {text}");
        }
        let json = serde_json::to_value(&view).unwrap();
        assert_eq!(json["comparison"]["only_in_original"][0]["tool"], "ban_member");
        assert_eq!(json["replay"]["answer"], "three");
    }

    #[test]
    fn several_are_summed_up_with_those_that_could_not_be_replayed() {
        let failed = View { thread_id: "u", replay: None, error: Some("no messages".into()) };
        assert!(failed.text().contains("not replayed: no messages"));
        let views = [View { thread_id: "t", replay: Some(replay(true)), error: None }, failed];
        let text = sum(&views);
        assert!(text.starts_with("1 of 2 replayed: the same answer 1, the same calls 0"), "{text}");
    }
}
