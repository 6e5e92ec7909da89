//! Summaries of channels: one maker at a time, made on from where the last one ended, and gone with
//! any word that they were made of.

use std::time::Duration;

use ery_ids::TaskThreadId;
use ery_proto::{
    common::v1::{Spent, Usage},
    store::v1::{
        ChannelSummary, ClaimSummaryRequest, ClaimSummaryResponse, ContextQuery, DeletionState,
        IngestEvent, KeepSummaryRequest, KeepSummaryResponse, ListUsageRequest, Step, StepKind,
        ThreadOutcome, UsageSum, usage_service_client::UsageServiceClient,
    },
};

use crate::{
    privacy::{Running, request, rows, until},
    support::{
        AUTHOR, CHANNEL, GUILD, NOW, Store, begin, created, deleted, edited, fence, finish,
        message, step,
    },
};

const OTHER: u64 = AUTHOR + 1;

/// Of all that lies before the newest two messages, once there are three of them.
fn wanted(claim: &str) -> ClaimSummaryRequest {
    ClaimSummaryRequest {
        guild_id: GUILD,
        channel_id: CHANNEL,
        claim_id: claim.to_owned(),
        newest_messages: 2,
        since_ms: 0,
        least_messages: 3,
        most_messages: 100,
        rest_ms: 10_000,
        lasts_ms: 60_000,
    }
}

fn made(claim: &str, text: &str) -> KeepSummaryRequest {
    KeepSummaryRequest {
        guild_id: GUILD,
        channel_id: CHANNEL,
        claim_id: claim.to_owned(),
        text: text.to_owned(),
        messages: 3,
        model: "m".to_owned(),
        prompt_version: "summary-1".to_owned(),
        spent: vec![Spent {
            provider: "openai".into(),
            model: "m".into(),
            usage: Some(Usage { prompt_tokens: 100, completion_tokens: 20, cached_tokens: 0 }),
            cost_micros: 7,
            ..Spent::default()
        }],
        lost_turns: 0,
    }
}

async fn claim(store: &Store, request: ClaimSummaryRequest) -> ClaimSummaryResponse {
    store.client.clone().claim_summary(request).await.unwrap().into_inner()
}

async fn keep(store: &Store, request: KeepSummaryRequest) -> KeepSummaryResponse {
    store.client.clone().keep_summary(request).await.unwrap().into_inner()
}

async fn say(store: &mut Store, messages: impl IntoIterator<Item = u64>) {
    let events: Vec<IngestEvent> = messages
        .into_iter()
        .map(|id| created(&format!("mc.{id}"), message(id, &format!("word {id}"))))
        .collect();
    store.ingest(events).await;
}

/// A store whose channel has messages 1 to 5, of which the first three are summed up.
async fn summed_up() -> Store {
    let mut store = Store::new().await;
    say(&mut store, 1..=5).await;
    assert!(claim(&store, wanted("a")).await.is_granted);
    assert!(keep(&store, made("a", "they counted to three")).await.is_kept);
    store
}

/// Returns the summary that a thread is told, if it wants one.
async fn told(store: &mut Store, wants_summary: bool) -> Option<ChannelSummary> {
    let holder = fence(5, "holder");
    let thread = TaskThreadId::random();
    store.open_channel(&holder).await;
    let mut request = begin(&holder, thread, &[message(900, "ery?")]);
    request.context = Some(ContextQuery { max_messages: 2, wants_summary, ..Default::default() });
    let begun = store.begin(request).await.unwrap();
    store.finish(finish(&holder, thread, ThreadOutcome::Done, &[])).await.unwrap();
    begun.summary
}

async fn counted(store: &Store) -> UsageSum {
    let mut client = UsageServiceClient::new(ery_rpc::local(store.service.routes()));
    let request = ListUsageRequest { guild_id: GUILD, ..ListUsageRequest::default() };
    client.list_usage(request).await.unwrap().into_inner().total.unwrap()
}

fn ids(claimed: &ClaimSummaryResponse) -> Vec<u64> {
    claimed.messages.iter().map(|message| message.message_id).collect()
}

#[tokio::test]
async fn a_summary_is_made_of_what_threads_do_not_read_and_told_to_those_that_want_it() {
    let mut store = Store::new().await;
    say(&mut store, 1..=4).await;
    assert!(!claim(&store, wanted("a")).await.is_granted, "two are not enough");
    say(&mut store, [5]).await;
    let claimed = claim(&store, wanted("a")).await;
    assert_eq!((claimed.is_granted, ids(&claimed)), (true, vec![1, 2, 3]));
    assert_eq!(claimed.earlier, None);
    assert!(keep(&store, made("a", "they counted to three")).await.is_kept);
    assert_eq!(told(&mut store, false).await, None);
    let summary = told(&mut store, true).await.unwrap();
    assert_eq!(summary.text, "they counted to three");
    assert_eq!((summary.first_message_id, summary.last_message_id), (1, 3));
    assert_eq!((summary.messages, summary.made_at_ms), (3, NOW));
    assert_eq!((summary.model.as_str(), summary.prompt_version.as_str()), ("m", "summary-1"));
}

#[tokio::test]
async fn the_next_summary_is_made_of_the_last_one_and_of_what_came_since() {
    let mut store = summed_up().await;
    say(&mut store, 6..=8).await;
    assert!(!claim(&store, wanted("b")).await.is_granted, "one was made a short while ago");
    store.clock.advance(Duration::from_secs(10));
    let claimed = claim(&store, wanted("b")).await;
    assert_eq!(claimed.earlier.as_ref().unwrap().text, "they counted to three");
    assert_eq!(ids(&claimed), [4, 5, 6]);
    assert!(keep(&store, made("b", "they counted to six")).await.is_kept);
    let summary = told(&mut store, true).await.unwrap();
    assert_eq!((summary.first_message_id, summary.last_message_id), (1, 6));
    assert_eq!(rows(&store, "SELECT count(*) FROM channel_summaries"), ["1"]);
}

#[tokio::test]
async fn of_many_messages_the_newest_are_read() {
    let mut store = Store::new().await;
    say(&mut store, 1..=20).await;
    let claimed = claim(&store, ClaimSummaryRequest { most_messages: 4, ..wanted("a") }).await;
    assert_eq!(ids(&claimed), [15, 16, 17, 18]);
}

#[tokio::test]
async fn two_makers_never_make_the_same_summary() {
    let mut store = Store::new().await;
    say(&mut store, 1..=5).await;
    assert!(claim(&store, wanted("a")).await.is_granted);
    store.clock.advance(Duration::from_secs(59));
    assert!(!claim(&store, wanted("b")).await.is_granted, "it is held");
    let again = claim(&store, wanted("a")).await;
    assert_eq!((again.is_granted, ids(&again)), (true, vec![1, 2, 3]), "a repeat has it still");
    assert!(!keep(&store, made("b", "not mine")).await.is_kept);
    assert_eq!(counted(&store).await, UsageSum::default());
    assert!(keep(&store, made("a", "mine")).await.is_kept);
    let repeated = keep(&store, made("a", "mine")).await;
    assert!(!repeated.is_kept);
    let spent = counted(&store).await;
    assert_eq!((spent.turns, spent.cost_micros), (1, 7), "it is counted once");
}

#[tokio::test]
async fn what_a_lost_maker_spent_is_known_as_lost_and_it_keeps_nothing() {
    let mut store = Store::new().await;
    say(&mut store, 1..=5).await;
    assert!(claim(&store, wanted("a")).await.is_granted);
    store.clock.advance(Duration::from_mins(1));
    assert!(claim(&store, wanted("b")).await.is_granted);
    assert_eq!(counted(&store).await.lost_turns, 1);
    assert!(!keep(&store, made("a", "late")).await.is_kept);
    assert!(keep(&store, made("b", "in time")).await.is_kept);
    assert_eq!(told(&mut store, true).await.unwrap().text, "in time");
}

#[tokio::test]
async fn a_claim_of_which_nothing_is_due_any_more_is_no_lost_turn() {
    let mut store = Store::new().await;
    say(&mut store, 1..=5).await;
    assert!(claim(&store, wanted("a")).await.is_granted);
    // Its response was lost, and what it was to be made of went meanwhile.
    store.ingest(vec![deleted("md.1", &[1, 2], NOW + 50)]).await;
    assert!(!claim(&store, wanted("a")).await.is_granted);
    say(&mut store, 6..=8).await;
    store.clock.advance(Duration::from_mins(1));
    assert!(claim(&store, wanted("b")).await.is_granted);
    assert_eq!(counted(&store).await.lost_turns, 0);
}

#[tokio::test]
async fn a_lost_maker_counts_once_also_where_nothing_is_due_after_it() {
    let mut store = Store::new().await;
    say(&mut store, 1..=5).await;
    assert!(claim(&store, wanted("a")).await.is_granted);
    store.ingest(vec![deleted("md.1", &[1, 2], NOW + 50)]).await;
    for other in ["b", "c", "d"] {
        store.clock.advance(Duration::from_mins(1));
        assert!(!claim(&store, wanted(other)).await.is_granted);
    }
    assert_eq!(counted(&store).await.lost_turns, 1);
}

#[tokio::test]
async fn nothing_is_kept_of_a_summary_that_failed_but_what_it_cost() {
    let mut store = Store::new().await;
    say(&mut store, 1..=5).await;
    assert!(claim(&store, wanted("a")).await.is_granted);
    let kept = keep(&store, made("a", "")).await;
    assert!(!kept.is_kept);
    assert_eq!(kept.spending.unwrap().channel.unwrap().day.unwrap().tokens, 120);
    assert_eq!(told(&mut store, true).await, None);
    assert!(!claim(&store, wanted("b")).await.is_granted, "not before a while");
}

#[tokio::test]
async fn what_it_costs_counts_for_channel_and_home_under_its_own_name_and_for_no_member() {
    let store = summed_up().await;
    let spent = counted(&store).await;
    assert_eq!((spent.turns, spent.summary_turns), (1, 1));
    assert_eq!((spent.summary_tokens, spent.summary_micros), (120, 7));
    let mut client = UsageServiceClient::new(ery_rpc::local(store.service.routes()));
    let request = ListUsageRequest { guild_id: GUILD, ..ListUsageRequest::default() };
    let listed = client.list_usage(request).await.unwrap().into_inner();
    assert_eq!(listed.by_member.iter().map(|of| of.id).collect::<Vec<_>>(), [0]);
    assert_eq!(listed.by_channel[0].sum.unwrap().summary_turns, 1);
}

#[tokio::test]
async fn an_edit_or_a_deletion_of_what_it_was_made_of_drops_it() {
    let whole = |id, content: &str| {
        let mut event = edited(&format!("mu.{id}"), id, content, NOW + 50);
        if let Some(ery_proto::store::v1::ingest_event::Change::Edited(edit)) = &mut event.change {
            let now = ery_proto::common::v1::Message {
                edited_at_ms: NOW + 50,
                mentions: Vec::new(),
                ..message(id, content)
            };
            edit.message = Some(now);
        }
        event
    };
    for (what, event) in [
        ("an edited text", edited("mu.2", 2, "another word", NOW + 50)),
        ("an edit that takes a mention away", whole(2, "word 2")),
        ("the first", deleted("md.1", &[1], NOW + 50)),
        ("the last", deleted("md.3", &[3], NOW + 50)),
        ("many at once", deleted("md.9", &[3, 4, 5], NOW + 50)),
    ] {
        let mut store = summed_up().await;
        store.ingest(vec![event]).await;
        assert_eq!(told(&mut store, true).await, None, "{what}");
        assert_eq!(rows(&store, "SELECT * FROM channel_summaries"), [""; 0], "{what}");
    }
}

#[tokio::test]
async fn what_it_was_not_made_of_does_not_touch_it() {
    let mut store = summed_up().await;
    store
        .ingest(vec![
            edited("mu.4", 4, "another word", NOW + 50),
            deleted("md.5", &[5], NOW + 50),
            // Nothing that is new.
            edited("mu.2", 2, "word 2", 0),
            created("mc.2", message(2, "word 2")),
        ])
        .await;
    assert!(told(&mut store, true).await.is_some());
}

#[tokio::test]
async fn an_edit_that_takes_an_embed_away_drops_it() {
    use ery_proto::{
        common::v1::{Enclosure, Message, enclosure::Kind},
        store::v1::ingest_event::Change,
    };

    let mut store = Store::new().await;
    let embed = Enclosure { kind: Kind::Embed.into(), text: "menu".to_owned() };
    let shown = Message { enclosures: vec![embed], ..message(2, "word 2") };
    store.ingest(vec![created("mc.2", shown)]).await;
    say(&mut store, [1, 3, 4, 5]).await;
    assert!(claim(&store, wanted("a")).await.is_granted);
    assert!(keep(&store, made("a", "there was a menu")).await.is_kept);
    let mut event = edited("mu.2", 2, "word 2", NOW + 50);
    if let Some(Change::Edited(edit)) = &mut event.change {
        edit.message = Some(Message { edited_at_ms: NOW + 50, ..message(2, "word 2") });
    }
    store.ingest(vec![event]).await;
    assert_eq!(rows(&store, "SELECT * FROM channel_summaries"), [""; 0]);
}

#[tokio::test]
async fn what_changes_while_it_is_made_voids_it_and_its_cost_counts() {
    for event in [
        edited("mu.2", 2, "another word", NOW + 50),
        deleted("md.3", &[3], NOW + 50),
        deleted("md.1", &[1, 2, 3], NOW + 50),
    ] {
        let mut store = Store::new().await;
        say(&mut store, 1..=5).await;
        assert!(claim(&store, wanted("a")).await.is_granted);
        store.ingest(vec![event]).await;
        assert!(!keep(&store, made("a", "they counted to three")).await.is_kept);
        assert_eq!(told(&mut store, true).await, None);
        assert_eq!(counted(&store).await.summary_turns, 1);
    }
}

#[tokio::test]
async fn a_summary_whose_earlier_one_fell_meanwhile_is_not_kept() {
    let mut store = summed_up().await;
    say(&mut store, 6..=8).await;
    store.clock.advance(Duration::from_secs(10));
    assert!(claim(&store, wanted("b")).await.is_granted);
    // The new one would repeat what the earlier one says of it.
    store.ingest(vec![deleted("md.1", &[1], NOW + 50)]).await;
    assert!(!keep(&store, made("b", "they counted to six")).await.is_kept);
    assert_eq!(told(&mut store, true).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_forgotten_takes_summaries_along_and_the_journals_that_read_them() {
    let mut store = Store::new().await;
    let by_other = |id| ery_proto::common::v1::Message {
        author_id: OTHER,
        author_name: "olive".to_owned(),
        ..message(id, &format!("word {id}"))
    };
    say(&mut store, [1]).await;
    store.ingest((2..=5).map(|id| created(&format!("mc.{id}"), by_other(id))).collect()).await;
    assert!(claim(&store, wanted("a")).await.is_granted);
    assert!(keep(&store, made("a", "somebody said word 1")).await.is_kept);
    // Others' threads, one of which had read it.
    let holder = fence(5, "holder");
    let mut threads = Vec::new();
    for (id, first, last) in [(900, 1, 3), (901, 2, 3)] {
        let thread = TaskThreadId::random();
        store.open_channel(&holder).await;
        let mut begun = begin(&holder, thread, &[by_other(id)]);
        begun.principal = Some(crate::support::person(OTHER));
        store.begin(begun).await.unwrap();
        let summary = serde_json::json!({ "first": format!("{first}"), "last": format!("{last}") });
        let context = Step {
            kind: StepKind::ContextLoaded.into(),
            payload: serde_json::json!({ "v": 1, "messages": [], "summary": summary }).to_string(),
            ..step(0)
        };
        store.append(&holder, thread, vec![context, step(1)]).await.unwrap();
        store.finish(finish(&holder, thread, ThreadOutcome::Done, &[id])).await.unwrap();
        threads.push(thread);
    }
    store.clock.advance(Duration::from_hours(1));
    let running = Running::start(&store);
    let id = request(&store, AUTHOR, 0).await.deletion_id;
    until(&store, &id, DeletionState::Confirmed).await;
    running.stop().await;
    assert_eq!(rows(&store, "SELECT * FROM channel_summaries"), [""; 0]);
    let kept =
        rows(&store, "SELECT count(nullif(payload, '')) FROM task_thread_steps WHERE step = 1");
    assert_eq!(kept, ["1"], "the one that had not read it keeps its text");
    assert_eq!(threads.len(), 2);
}
