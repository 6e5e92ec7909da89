//! Summaries of channels: made beside the answers, and read as data by the threads that follow.

use ery_community_config::Subject;
use ery_proto::{
    ai::v1::{DescribeModelsResponse, Model, RunModelTurnRequest, turn::Kind},
    store::v1::{ChannelSummary, ThreadOutcome},
};
use serde_json::{Value, json};
use tonic::Status;

use crate::support::{
    ANN, BEN, CHANNEL, GUILD,
    ai::{Reply, context, notes},
    stand::{Stand, Written},
    until,
};

fn earlier() -> ChannelSummary {
    ChannelSummary {
        text: "ben wants a party".into(),
        first_message_id: 5,
        last_message_id: 9,
        messages: 30,
        ..ChannelSummary::default()
    }
}

/// A stand with a model, whose server wants summaries.
async fn stand() -> Stand {
    let stand = Stand::new().await;
    models(&stand, "openai");
    stand.config.set(GUILD, Subject::SERVER, "context.summaries", json!(true));
    stand
}

fn models(stand: &Stand, provider: &str) {
    let model = Model { provider: provider.into(), name: "m".into(), ..Model::default() };
    *stand.ai.models.lock().unwrap() =
        DescribeModelsResponse { models: vec![model], ..DescribeModelsResponse::default() };
}

/// Returns the summaries in a request.
fn summaries(request: &RunModelTurnRequest) -> Vec<String> {
    let of = |turn: &ery_proto::ai::v1::Turn| match &turn.kind {
        Some(Kind::Summary(summary)) => Some(summary.text.clone()),
        _ => None,
    };
    request.turns.iter().filter_map(of).collect()
}

/// Returns what the first step of the last thread says of its context.
fn loaded(stand: &Stand) -> Value {
    let threads = stand.store.threads();
    serde_json::from_str(&threads.last().unwrap().steps[0].payload).unwrap()
}

#[tokio::test]
async fn a_thread_that_has_ended_has_its_channel_summed_up() {
    let stand = stand().await;
    stand.store.is_due(Some(earlier()), vec![stand.kept(ANN, "one"), stand.kept(BEN, "two")]);
    stand.ai.replies([Reply::Text("hi"), Reply::Text(" ben still wants a party.\n")]);
    let _process = stand.start();
    stand.write(Written::by(ANN, "ery, hello")).await;
    until("a summary is kept", || stand.store.kept_summaries().len() == 1).await;
    let [_, asked] = &stand.ai.requests()[..] else { panic!("{:?}", stand.ai.requests()) };
    assert_eq!((asked.prompt.as_str(), asked.tools.len()), ("summary", 0));
    assert_eq!(summaries(asked), ["ben wants a party"]);
    assert_eq!(context(asked), ["one", "two"]);
    assert_eq!(notes(asked).len(), 1);
    assert!(matches!(asked.turns[0].kind, Some(Kind::Summary(_))), "what was before stands first");
    let (claims, kept) = (stand.store.claims(), stand.store.kept_summaries());
    assert_eq!((claims[0].guild_id, claims[0].channel_id), (GUILD, CHANNEL));
    assert_eq!(claims[0].newest_messages, 30, "what threads read is not summed up");
    assert_eq!(kept[0].claim_id, claims[0].claim_id);
    assert_eq!(kept[0].text, "ben still wants a party.");
    assert_eq!((kept[0].messages, kept[0].model.as_str()), (32, "echo"));
    assert_eq!(kept[0].spent.len(), 1, "what it cost is told with it");
}

#[tokio::test]
async fn nobody_waits_for_a_summary() {
    let stand = stand().await;
    stand.store.is_due(None, vec![stand.kept(ANN, "one")]);
    stand.ai.replies([Reply::Text("hi"), Reply::Never]);
    let _process = stand.start();
    stand.write(Written::by(ANN, "ery, hello")).await;
    until("the summary is written", || stand.ai.running() == 1 && stand.store.finished() == 1)
        .await;
    stand.write(Written::by(ANN, "ery, and now?")).await;
    until("the next one is answered", || stand.store.finished() == 2).await;
    assert_eq!(stand.ai.running(), 1);
    assert_eq!(stand.store.claims().len(), 1, "the channel is at it");
}

#[tokio::test]
async fn a_summary_is_read_as_data_and_taints_whoever_reads_it() {
    let stand = stand().await;
    stand.store.sum_up(earlier());
    let _process = stand.start();
    stand.write(Written::by(ANN, "ery, hello")).await;
    until("it is answered", || stand.store.finished() == 1).await;
    let request = stand.ai.requests().remove(0);
    assert_eq!(summaries(&request), ["ben wants a party"]);
    assert!(!request.instructions.contains("party"));
    let loaded = loaded(&stand);
    assert_eq!(loaded["is_tainted"], true);
    assert_eq!(
        (&loaded["summary"]["first"], &loaded["summary"]["last"]),
        (&json!("5"), &json!("9"))
    );
    assert_eq!(loaded["summary"]["messages"], 30);
    assert!(!loaded.to_string().contains("party"), "the journal has no text of it");
}

#[tokio::test]
async fn whoever_may_not_read_history_gets_no_summary() {
    let stand = stand().await;
    stand.store.sum_up(earlier());
    stand.tools.without_history.lock().unwrap().push(ANN);
    let _process = stand.start();
    stand.write(Written::by(ANN, "ery, hello")).await;
    until("it is answered", || stand.store.finished() == 1).await;
    assert_eq!(summaries(&stand.ai.requests()[0]), [""; 0]);
    assert_eq!(loaded(&stand)["is_tainted"], false);
}

/// What was tainted by nothing may do what it was ordered; a summary that came since must not be read.
#[tokio::test]
async fn a_thread_that_is_taken_over_reads_no_summary_that_did_not_taint_it() {
    let stand = stand().await;
    stand.ai.replies([Reply::Never]);
    let first = stand.start();
    stand.write(Written::by(ANN, "ery, hello")).await;
    until("the step stands", || stand.store.calls("AppendSteps") == 1).await;
    first.kill();
    stand.store.sum_up(earlier());
    let stand = stand.with_nobody_registered();
    let _second = stand.start();
    until("it is answered", || stand.store.finished() == 1).await;
    assert_eq!(stand.ai.requests().len(), 2);
    assert_eq!(summaries(&stand.ai.requests()[1]), [""; 0]);
}

#[tokio::test]
async fn what_nobody_switched_on_costs_nothing() {
    for (what, set, provider) in [
        ("by default", None, "openai"),
        ("switched off in the channel", Some(false), "openai"),
        ("the built-in commands", Some(true), "builtin"),
    ] {
        let stand = Stand::new().await;
        models(&stand, provider);
        if let Some(is_on) = set {
            stand.config.set(GUILD, Subject::SERVER, "context.summaries", json!(true));
            let channel = Subject::channel(CHANNEL);
            stand.config.set(GUILD, channel, "context.summaries", json!(is_on));
        }
        stand.store.is_due(None, vec![stand.kept(ANN, "one")]);
        let process = stand.start();
        stand.write(Written::by(ANN, "ery, hello")).await;
        until("it is answered", || stand.store.finished() == 1).await;
        // Whatever is under way is done by then.
        process.drain().await;
        assert!(stand.store.claims().is_empty(), "{what}");
        assert_eq!(stand.ai.requests().len(), 1, "{what}");
    }
}

#[tokio::test]
async fn where_a_budget_is_nearly_used_up_no_summary_is_made() {
    let stand = stand().await;
    stand.config.set(GUILD, Subject::SERVER, "budgets.server.day_tokens", json!(10_000));
    stand.store.spent(crate::spending::spending(0, 8_000));
    stand.store.is_due(None, vec![stand.kept(ANN, "one")]);
    let process = stand.start();
    stand.write(Written::by(BEN, "ery, hello")).await;
    until("it is answered", || stand.store.finished() == 1).await;
    assert_eq!(stand.store.outcomes(), [ThreadOutcome::Done], "people are answered still");
    process.drain().await;
    assert!(stand.store.claims().is_empty());
}

#[tokio::test]
async fn a_summary_that_no_model_wrote_is_not_kept_and_what_it_cost_counts() {
    let calls = Reply::Calls(vec![("ban_member", "{}")]);
    let fails = Reply::Fail(Status::failed_precondition("no key"));
    for (reply, cost) in [(calls, 1), (fails, 0)] {
        let stand = stand().await;
        stand.store.is_due(None, vec![stand.kept(ANN, "one")]);
        stand.ai.replies([Reply::Text("hi"), reply]);
        let _process = stand.start();
        stand.write(Written::by(ANN, "ery, hello")).await;
        until("it is given up", || stand.store.kept_summaries().len() == 1).await;
        let kept = stand.store.kept_summaries().remove(0);
        assert_eq!((kept.text.as_str(), kept.spent.len()), ("", cost));
        assert_eq!(stand.tools.said(), ["hi"], "and nothing is done");
    }
}
