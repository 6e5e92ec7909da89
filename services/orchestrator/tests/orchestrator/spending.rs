//! What model turns cost is told to the store with the journal, and budgets are kept by what it tells.

use std::time::Duration;

use ery_clock::{Clock as _, SystemClock};
use ery_community_config::Subject;
use ery_proto::{
    common::v1::{Spent, Usage},
    store::v1::{
        MemberSpending, Spending, SpentInWindows, SpentSum, Step, StepKind, ThreadOutcome,
    },
};
use serde_json::json;
use tonic::{Code, Status};

use crate::{
    changes::tell,
    support::{
        ANN, BEN, GUILD, MODERATORS,
        ai::Reply,
        stand::{Stand, Written},
        until,
    },
};

/// Returns the steps that tell of something that was spent.
fn billed(stand: &Stand) -> Vec<Step> {
    let threads = stand.store.threads();
    let steps = threads.into_iter().flat_map(|thread| thread.steps);
    steps.filter(|step| !step.spent.is_empty() || step.lost_turns > 0).collect()
}

#[tokio::test]
async fn a_turn_is_billed_with_its_answer_to_whoever_asked() {
    let stand = Stand::new().await;
    stand.write(Written::by(ANN, "ery, one")).await;
    stand.write(Written::by(BEN, "ery, two")).await;
    let _process = stand.start();
    until("both are answered", || stand.store.finished() == 2).await;
    let billed = billed(&stand);
    let [step] = &billed[..] else { panic!("{billed:?}") };
    assert_eq!(step.kind(), StepKind::ModelAnswered);
    assert_eq!(step.spender_ids, [BEN, ANN]);
    let usage = step.spent[0].usage.unwrap();
    assert_eq!((usage.prompt_tokens, usage.completion_tokens), (10, 2));
}

#[tokio::test]
async fn a_turn_that_is_cut_off_by_a_deletion_is_billed_by_its_bound() {
    let stand = Stand::new().await;
    stand.ai.replies([Reply::Never]);
    let _process = stand.start();
    let id = stand.write(Written::by(ANN, "ery, oops")).await;
    until("the model works", || stand.ai.running() == 1).await;
    until("the step stands", || stand.store.calls("AppendSteps") == 1).await;
    stand.store.delete(id);
    tell(&stand, id).await;
    until("it is finished", || stand.store.finished() == 1).await;
    let billed = billed(&stand);
    let [step] = &billed[..] else { panic!("{billed:?}") };
    assert_eq!((step.kind(), &step.spender_ids[..]), (StepKind::Finished, &[ANN][..]));
    let spent = &step.spent[0];
    assert!(spent.is_estimate && spent.is_in_vain && spent.usage.unwrap().prompt_tokens > 100);
    assert_eq!(step.lost_turns, 0);
}

#[tokio::test]
async fn a_turn_that_was_lost_with_its_process_is_told_of_and_billed_to_nobody() {
    let stand = Stand::new().await;
    stand.ai.replies([Reply::Never]);
    let process = stand.start();
    stand.write(Written::by(ANN, "ery, hello")).await;
    until("the step stands", || stand.store.calls("AppendSteps") == 1).await;
    process.kill();
    let stand = stand.with_nobody_registered();
    let _next = stand.start();
    until("it is answered", || stand.store.finished() == 1).await;
    let lost: Vec<_> =
        billed(&stand).iter().map(|step| (step.lost_turns, step.spent.len())).collect();
    assert_eq!(lost, [(1, 0), (0, 1)]);
}

#[tokio::test]
async fn where_no_provider_answers_what_it_cost_is_billed_all_the_same() {
    use ery_proto::ai::v1::SpentInVain;
    use prost::Message as _;

    let stand = Stand::new().await;
    let usage = Some(Usage { prompt_tokens: 100, ..Usage::default() });
    let spent = vec![Spent { usage, cost_micros: 300, is_in_vain: true, ..Spent::default() }];
    let details = SpentInVain { spent: spent.clone(), ..SpentInVain::default() };
    let details = details.encode_to_vec();
    let refused = Status::with_details(Code::ResourceExhausted, "no", details.into());
    stand.ai.replies([Reply::Fail(refused)]);
    let _process = stand.start();
    stand.write(Written::by(ANN, "ery, hello")).await;
    until("it is finished", || stand.store.finished() == 1).await;
    let billed = billed(&stand);
    assert_eq!(billed.len(), 1);
    assert_eq!(billed[0].spent, spent);
}

fn cost(cost_micros: u64) -> Spent {
    Spent { cost_micros, is_in_vain: true, usage: Some(Usage::default()), ..Spent::default() }
}

#[tokio::test]
async fn what_attempts_cost_counts_although_their_turn_is_cut_off() {
    let stand = Stand::new().await;
    stand.ai.replies([Reply::Spends(cost(700))]);
    let _process = stand.start();
    let id = stand.write(Written::by(ANN, "ery, oops")).await;
    until("the model works", || stand.ai.running() == 1).await;
    until("the step stands", || stand.store.calls("AppendSteps") == 1).await;
    stand.store.delete(id);
    tell(&stand, id).await;
    until("it is finished", || stand.store.finished() == 1).await;
    let billed = billed(&stand);
    let [step] = &billed[..] else { panic!("{billed:?}") };
    let of = |spent: &Spent| (spent.cost_micros, spent.is_estimate);
    let spent: Vec<_> = step.spent.iter().map(of).collect();
    // What the attempt cost that was cut off, nobody told; here no model has a price.
    assert_eq!(spent, [(700, false), (0, true)]);
}

#[tokio::test]
async fn a_call_that_dies_in_the_midst_of_a_turn_is_lost_and_asked_again() {
    let stand = Stand::new().await;
    stand.ai.replies([Reply::Cut]);
    let _process = stand.start();
    stand.write(Written::by(ANN, "ery, hello")).await;
    until("it is finished", || stand.store.finished() == 1).await;
    assert_eq!(stand.tools.said(), ["echo: ery, hello"]);
    let billed = billed(&stand);
    let [step] = &billed[..] else { panic!("{billed:?}") };
    assert_eq!((step.lost_turns, step.spent.len()), (1, 1));
}

#[tokio::test]
async fn a_thread_that_is_left_tells_what_it_spent_before() {
    let stand = Stand::with(|settings| settings.patience = Duration::from_millis(30)).await;
    *stand.ai.orders_cost.lock().unwrap() = vec![cost(900)];
    // Who is meant cannot be found out now: the channel is left, and the next time all goes well.
    stand.tools.faults.add("ResolveCall", Status::unavailable("away"), 6);
    let _process = stand.start();
    stand.write(Written::by(MODERATORS, "ery, timeout @ben")).await;
    until("it is finished", || stand.store.finished() == 1).await;
    let billed = billed(&stand);
    let passes = stand.ai.order_requests().len();
    assert!(passes > 1, "its orders were read again");
    let of_passes = billed.iter().flat_map(|step| &step.spent).filter(|it| it.cost_micros == 900);
    assert_eq!(of_passes.count(), passes, "each counts");
    assert_eq!(billed[0].kind(), StepKind::Spent);
    assert_eq!(stand.store.threads().len(), 1, "one thread");
}

/// What was spent today: so much for Ann, and so much in the server.
pub(crate) fn spending(for_ann: u64, in_server: u64) -> Spending {
    const DAY: i64 = 86_400_000;

    let both = |tokens| {
        let sum = Some(SpentSum { tokens, cost_micros: 0 });
        Some(SpentInWindows { day: sum, month: sum })
    };
    let day = SystemClock.now().0.div_euclid(DAY) * DAY;
    Spending {
        day_began_ms: day,
        month_began_ms: day,
        // Whenever the test runs, its day does not end in its midst.
        day_ends_ms: day + 2 * DAY,
        month_ends_ms: day + 2 * DAY,
        home: both(in_server),
        channel: both(0),
        members: vec![MemberSpending { user_id: ANN, spent: both(for_ann) }],
    }
}

#[tokio::test]
async fn a_member_past_their_budget_costs_nothing_more_and_others_are_answered() {
    let stand = Stand::new().await;
    stand.config.set(GUILD, Subject::SERVER, "budgets.member.day_tokens", json!(1_000));
    stand.config.set(GUILD, Subject::SERVER, "answers.language", json!("de"));
    stand.store.spent(spending(1_000, 5_000));
    stand.write(Written::by(ANN, "ery, one")).await;
    stand.write(Written::by(ANN, "ery, two")).await;
    stand.write(Written::by(BEN, "ery, three")).await;
    let _process = stand.start();
    until("all are finished", || stand.store.finished() == 3).await;
    let asked = stand.ai.requests();
    assert_eq!(asked.len(), 1, "only for the other");
    let out = stand.store.outcomes();
    assert_eq!(out, [ThreadOutcome::OutOfBudget, ThreadOutcome::OutOfBudget, ThreadOutcome::Done]);
    assert_eq!(stand.store.threads()[0].detail, "budget.member.day");
    let said = stand.tools.said();
    assert!(said[0].contains("für dich ausgeben darf, ist leider verbraucht"), "{said:?}");
    assert!(said.iter().any(|text| text == "echo: ery, three"), "{said:?}");
}

#[tokio::test]
async fn a_server_past_its_budget_is_not_answered_until_it_is_raised() {
    let stand = Stand::new().await;
    stand.config.set(GUILD, Subject::SERVER, "budgets.server.day_tokens", json!(5_000));
    stand.store.spent(spending(0, 5_000));
    let _process = stand.start();
    stand.write(Written::by(BEN, "ery, hello")).await;
    until("it is finished", || stand.store.finished() == 1).await;
    assert_eq!(stand.store.outcomes(), [ThreadOutcome::OutOfBudget]);
    assert!(stand.ai.requests().is_empty());
    stand.set(GUILD, Subject::SERVER, "budgets.server.day_tokens", json!(50_000)).await;
    // It takes a moment until that is heard.
    while stand.ai.requests().is_empty() {
        stand.write(Written::by(BEN, "ery, hello")).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_thread_that_is_gone_on_with_costs_nothing_past_a_budget_that_was_used_up_meanwhile() {
    let stand = Stand::new().await;
    stand.config.set(GUILD, Subject::SERVER, "budgets.member.day_tokens", json!(1_000));
    stand.ai.replies([Reply::Calls(vec![("add_reaction", "{}")])]);
    stand.tools.faults.add("CallTool", Status::unavailable("away"), 1_000);
    let first = stand.start();
    stand.write(Written::by(ANN, "ery, react")).await;
    until("its call is journaled", || stand.store.calls("AppendSteps") == 2).await;
    first.kill();
    stand.store.spent(spending(1_000, 1_000));
    stand.tools.faults.clear();
    let _second = stand.start();
    until("it is finished", || stand.store.finished() == 1).await;
    assert_eq!(stand.ai.requests().len(), 1, "what was begun is done, and nothing more is asked");
    assert_eq!(stand.store.outcomes(), [ThreadOutcome::OutOfBudget]);
    assert_eq!(stand.tools.said().len(), 1, "whoever waits for it is told");
}
