//! What model turns cost: counted once with the journal, told with it, and forgotten with a person.

use std::time::Duration;

use ery_clock::{Clock as _, UnixMillis};
use ery_ids::TaskThreadId;
use ery_proto::{
    common::v1::{Spent, Usage},
    store::v1::{
        ClaimNoticesRequest, CountSpentRequest, DeletionState, GetTotalsRequest, ListUsageRequest,
        ListUsageResponse, Notice, SpentInWindows, SpentSum, Step, StepKind, ThreadOutcome,
        UsageSum, usage_service_client::UsageServiceClient,
    },
};
use ery_rpc::Transport;
use ery_store::{Kept, Settings};
use tonic::Code;

use crate::privacy::{self, Running};
use crate::support::{AUTHOR, CHANNEL, GUILD, NOW, Store, fence, finish, step};

const OTHER: u64 = AUTHOR + 1;

fn usage(store: &Store) -> UsageServiceClient<Transport> {
    UsageServiceClient::new(ery_rpc::local(store.service.routes()))
}

fn spent(prompt_tokens: u64, completion_tokens: u64, cost_micros: u64) -> Spent {
    Spent {
        provider: "openai".into(),
        model: "m".into(),
        usage: Some(Usage { prompt_tokens, completion_tokens, cached_tokens: 1 }),
        cost_micros,
        ..Spent::default()
    }
}

/// A step that tells of what was spent for these people.
fn billed(index: u32, spent: Vec<Spent>, spenders: &[u64]) -> Step {
    Step { spent, spender_ids: spenders.to_vec(), ..step(index) }
}

async fn listed(store: &Store, user_id: u64) -> ListUsageResponse {
    let request = ListUsageRequest { guild_id: GUILD, user_id, ..ListUsageRequest::default() };
    usage(store).list_usage(request).await.unwrap().into_inner()
}

async fn total(store: &Store) -> UsageSum {
    listed(store, 0).await.total.unwrap()
}

fn sum(tokens: u64, cost_micros: u64) -> SpentSum {
    SpentSum { tokens, cost_micros }
}

fn both(tokens: u64, cost_micros: u64) -> SpentInWindows {
    let sum = Some(sum(tokens, cost_micros));
    SpentInWindows { day: sum, month: sum }
}

#[tokio::test]
async fn a_turn_is_counted_once_however_often_it_is_journaled() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let thread = store.running_thread(&holder, 1).await;
    let steps = vec![
        step(0),
        billed(
            1,
            vec![spent(100, 20, 30), Spent { is_in_vain: true, ..spent(10, 0, 3) }],
            &[AUTHOR],
        ),
    ];
    for _ in 0..3 {
        let answer = store.append(&holder, thread, steps.clone()).await.unwrap();
        let spending = answer.spending.unwrap();
        assert_eq!(spending.home, Some(both(130, 33)));
        assert_eq!(spending.channel, Some(both(130, 33)));
        assert_eq!(spending.members[0].user_id, AUTHOR);
        assert_eq!(spending.members[0].spent, Some(both(130, 33)));
    }
    // The next holder repeats the last step, and adds one.
    let next = fence(6, "next");
    let opened = store.open_channel(&next).await;
    let told = opened.spending.unwrap();
    assert_eq!((told.home, told.members[0].spent), (Some(both(130, 33)), Some(both(130, 33))));
    store.append(&next, thread, steps).await.unwrap();
    store.append(&next, thread, vec![billed(2, vec![spent(1, 1, 1)], &[AUTHOR])]).await.unwrap();
    let end =
        Step { kind: StepKind::Finished.into(), ..billed(3, vec![spent(5, 0, 2)], &[AUTHOR]) };
    let ending = finish(&next, thread, ThreadOutcome::Done, &[1]);
    for _ in 0..2 {
        store
            .finish(ery_proto::store::v1::FinishThreadRequest {
                step: Some(end.clone()),
                ..ending.clone()
            })
            .await
            .unwrap();
    }
    let counted = total(&store).await;
    assert_eq!((counted.turns, counted.turns_in_vain), (4, 1));
    assert_eq!((counted.prompt_tokens, counted.completion_tokens), (116, 21));
    assert_eq!((counted.cost_micros, counted.cached_tokens), (36, 4));
}

#[tokio::test]
async fn nothing_is_counted_under_an_epoch_that_is_over() {
    let mut store = Store::new().await;
    let old = fence(5, "old");
    let thread = store.running_thread(&old, 1).await;
    store.open_channel(&fence(6, "new")).await;
    let late = vec![billed(0, vec![spent(100, 20, 30)], &[AUTHOR])];
    let refused = store.append(&old, thread, late).await.unwrap_err();
    assert_eq!(refused.code(), Code::Aborted);
    assert_eq!(total(&store).await, UsageSum::default());
    let mut client = usage(&store);
    let claim = ClaimNoticesRequest {
        fence: Some(old),
        thread_id: thread.to_string(),
        notices: vec![notice("server", 0, "warned")],
    };
    assert_eq!(client.claim_notices(claim).await.unwrap_err().code(), Code::Aborted);
}

#[tokio::test]
async fn who_asks_together_shares_what_it_cost_and_nothing_is_lost_in_sharing() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let thread = store.running_thread(&holder, 1).await;
    let steps = vec![billed(0, vec![spent(101, 10, 7)], &[AUTHOR, OTHER])];
    let spending = store.append(&holder, thread, steps).await.unwrap().spending.unwrap();
    let member = |index: usize| spending.members[index].spent.unwrap().day.unwrap();
    assert_eq!((member(0), member(1)), (sum(51 + 5, 4), sum(50 + 5, 3)));
    assert_eq!(spending.home, Some(both(111, 7)));
    let counted = listed(&store, 0).await;
    assert_eq!(counted.total.unwrap().turns, 1);
    let of: Vec<_> = counted.by_member.iter().map(|of| (of.id, of.sum.unwrap().turns)).collect();
    assert_eq!(of, [(AUTHOR, 1), (OTHER, 0)]);
}

#[tokio::test]
async fn what_a_guild_pays_itself_counts_there_and_not_for_the_installation() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let thread = store.running_thread(&holder, 1).await;
    let own = Spent { is_on_guild_key: true, ..spent(100, 20, 30) };
    let steps = vec![billed(0, vec![own, spent(10, 2, 5)], &[AUTHOR, OTHER])];
    let spending = store.append(&holder, thread, steps).await.unwrap().spending.unwrap();
    assert_eq!((spending.home, spending.channel), (Some(both(132, 35)), Some(both(132, 35))));
    let of_members: u64 =
        spending.members.iter().map(|it| it.spent.unwrap().day.unwrap().tokens).sum();
    assert_eq!(of_members, 132);
    for _ in 0..2 {
        let totals = usage(&store).get_totals(GetTotalsRequest {}).await.unwrap().into_inner();
        assert_eq!(totals.spent, Some(both(12, 5)));
        store = store.reopen().await;
    }
    let counted = total(&store).await;
    assert_eq!((counted.cost_micros, counted.on_guild_key_micros), (35, 30));
}

#[tokio::test]
async fn what_has_no_journal_is_counted_once_and_for_nobody_by_name() {
    let mut store = Store::new().await;
    let request = |id: &str, cost| CountSpentRequest {
        guild_id: GUILD,
        channel_id: CHANNEL,
        count_id: id.into(),
        spent: vec![spent(100, 20, cost)],
        lost_turns: 1,
    };
    for _ in 0..3 {
        let told = usage(&store).count_spent(request("one", 30)).await.unwrap().into_inner();
        let spending = told.spending.unwrap();
        assert_eq!((spending.home, spending.channel), (Some(both(120, 30)), Some(both(120, 30))));
        // Also a repeat that comes after a restart.
        store = store.reopen().await;
    }
    usage(&store).count_spent(request("two", 5)).await.unwrap();
    let counted = listed(&store, 0).await;
    let total = counted.total.unwrap();
    assert_eq!((total.turns, total.lost_turns, total.cost_micros), (2, 2, 35));
    assert_eq!(counted.by_member[0].id, 0);
    let totals = usage(&store).get_totals(GetTotalsRequest {}).await.unwrap().into_inner();
    assert_eq!(totals.spent, Some(both(240, 35)));
    for (id, channel_id) in [("", CHANNEL), ("three", 0)] {
        let odd = CountSpentRequest { channel_id, ..request(id, 1) };
        let refused = usage(&store).count_spent(odd).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
}

#[tokio::test]
async fn a_day_and_a_month_begin_anew_and_the_records_stay() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let thread = store.running_thread(&holder, 1).await;
    let at = |index, at: UnixMillis| Step {
        at_ms: at.0,
        ..billed(index, vec![spent(10, 0, 5)], &[AUTHOR])
    };
    store.append(&holder, thread, vec![at(0, store.clock.now())]).await.unwrap();
    store.clock.advance(Duration::from_hours(24));
    let now = store.clock.now();
    let next = store.append(&holder, thread, vec![at(1, now)]).await.unwrap().spending.unwrap();
    let home = next.home.unwrap();
    assert_eq!((home.day.unwrap(), home.month.unwrap()), (sum(10, 5), sum(20, 10)));
    assert!(next.day_began_ms <= now.0 && now.0 < next.day_ends_ms);
    assert!(next.month_began_ms <= next.day_began_ms && next.day_ends_ms <= next.month_ends_ms);

    store.clock.advance(Duration::from_hours(24 * 31));
    let told = store.open_channel(&holder).await.spending.unwrap();
    assert_eq!(told.home, Some(both(0, 0)));
    assert_eq!(total(&store).await.turns, 2);
    let of_then = ListUsageRequest {
        guild_id: GUILD,
        from_ms: next.day_began_ms,
        until_ms: next.day_ends_ms,
        ..ListUsageRequest::default()
    };
    let then = usage(&store).list_usage(of_then).await.unwrap().into_inner();
    assert_eq!(then.total.unwrap().turns, 1);
}

#[tokio::test]
async fn the_store_tells_its_own_total_after_a_restart_too() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let thread = store.running_thread(&holder, 1).await;
    store.append(&holder, thread, vec![billed(0, vec![spent(10, 2, 5)], &[AUTHOR])]).await.unwrap();
    // Of another guild, in another shard.
    let mut elsewhere = fence(5, "holder");
    elsewhere.guild_id += 1 << 22;
    store.open_channel(&elsewhere).await;
    let other = TaskThreadId::random();
    let message = ery_proto::common::v1::Message {
        guild_id: elsewhere.guild_id,
        ..crate::support::message(2, "hello")
    };
    store.begin(crate::support::begin(&elsewhere, other, &[message])).await.unwrap();
    store
        .append(&elsewhere, other, vec![billed(0, vec![spent(1, 1, 1)], &[AUTHOR])])
        .await
        .unwrap();
    for _ in 0..2 {
        let totals = usage(&store).get_totals(GetTotalsRequest {}).await.unwrap().into_inner();
        assert_eq!((totals.spent, totals.unread_shards), (Some(both(14, 6)), 0));
        let of_shards = totals.shards.iter().map(|shard| shard.spent.unwrap().day.unwrap().tokens);
        assert_eq!(of_shards.sum::<u64>(), 14);
        assert!(totals.shards.windows(2).all(|pair| pair[0].shard != pair[1].shard));
    }
    let store = store.reopen().await;
    let totals = usage(&store).get_totals(GetTotalsRequest {}).await.unwrap().into_inner();
    assert_eq!(totals.spent, Some(both(14, 6)));
    store.clock.advance(Duration::from_hours(24));
    let totals = usage(&store).get_totals(GetTotalsRequest {}).await.unwrap().into_inner();
    assert_eq!(totals.spent.unwrap().day, Some(sum(0, 0)));
    assert_eq!(totals.spent.unwrap().month, Some(sum(14, 6)));
}

fn notice(scope: &str, subject_id: u64, stage: &str) -> Notice {
    Notice {
        scope: scope.into(),
        subject_id,
        window: "day".into(),
        window_began_ms: NOW,
        stage: stage.into(),
    }
}

#[tokio::test]
async fn a_notice_belongs_to_the_first_who_claims_it() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let first = store.running_thread(&holder, 1).await;
    let mut client = usage(&store);
    let mut claim = async |thread: TaskThreadId, notices: Vec<Notice>| {
        let request = ClaimNoticesRequest {
            fence: Some(holder.clone()),
            thread_id: thread.to_string(),
            notices,
        };
        client.claim_notices(request).await.map(|answer| answer.into_inner().is_granted)
    };
    let warned = || vec![notice("member", AUTHOR, "warned"), notice("server", 0, "warned")];
    assert_eq!(claim(first, warned()).await.unwrap(), [true, true]);
    let other = TaskThreadId::random();
    let mut more = warned();
    more.push(notice("member", AUTHOR, "stopped"));
    assert_eq!(claim(other, more).await.unwrap(), [false, false, true]);
    // Whoever goes on with the first thread still has it.
    assert_eq!(claim(first, warned()).await.unwrap(), [true, true]);
    let tomorrow = Notice { window_began_ms: NOW + 86_400_000, ..notice("server", 0, "warned") };
    assert_eq!(claim(other, vec![tomorrow]).await.unwrap(), [true]);
    let odd = claim(other, vec![notice("planet", 0, "warned")]).await.unwrap_err();
    assert_eq!(odd.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn counts_that_make_no_sense_break_nothing() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let thread = store.running_thread(&holder, 1).await;
    for index in 0..3 {
        let nonsense = vec![spent(u64::MAX, u64::MAX, u64::MAX)];
        store.append(&holder, thread, vec![billed(index, nonsense, &[])]).await.unwrap();
    }
    let counted = listed(&store, 0).await;
    assert_eq!(counted.total.unwrap().turns, 3);
    assert_eq!(counted.by_member[0].id, 0);
}

/// Has somebody spend something, and be told of it.
async fn spend(store: &mut Store, user: u64) {
    let holder = fence(5, "holder");
    let thread = store.running_thread(&holder, 1).await;
    let steps = vec![billed(0, vec![spent(10, 2, 5)], &[user, OTHER])];
    store.append(&holder, thread, steps).await.unwrap();
    store.finish(finish(&holder, thread, ThreadOutcome::Done, &[1])).await.unwrap();
    let claim = ClaimNoticesRequest {
        fence: Some(holder),
        thread_id: thread.to_string(),
        notices: vec![notice("member", user, "warned"), notice("server", 0, "warned")],
    };
    usage(store).claim_notices(claim).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_persons_spending_stays_in_the_sums_and_tells_of_nobody() {
    const MARA: u64 = 910_000_000_000_000_001;

    let mut store = Store::new().await;
    spend(&mut store, MARA).await;
    let before = listed(&store, 0).await;
    assert!(before.by_member.iter().any(|of| of.id == MARA));
    let running = Running::start(&store);
    let requested = privacy::request(&store, MARA, 0).await;
    let confirmed = DeletionState::Confirmed;
    privacy::until(&store, &requested.deletion_id, confirmed).await;
    running.stop().await;
    let after = listed(&store, 0).await;
    assert_eq!((after.total, after.by_channel), (before.total, before.by_channel));
    let members: Vec<_> =
        after.by_member.iter().map(|of| (of.id, of.sum.unwrap().prompt_tokens)).collect();
    assert_eq!(members, [(0, 5), (OTHER, 5)]);
    for table in
        ["usage WHERE user_id", "usage_sums WHERE subject_id", "usage_notices WHERE subject_id"]
    {
        let left = privacy::rows(&store, &format!("SELECT count(*) FROM {table} = {MARA}"));
        assert_eq!(left, ["0"], "{table}");
    }
    // What was told of the server is told once all the same.
    assert_eq!(privacy::rows(&store, "SELECT count(*) FROM usage_notices"), ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_spent_goes_by_age() {
    const TABLES: [&str; 3] = ["usage", "usage_sums", "usage_notices"];

    let mut settings = Settings::default();
    settings.retention.usage = Kept::For(Duration::from_hours(24 * 61));
    assert_eq!(settings.validate().unwrap_err().key, "store.retention.usage");
    settings.retention.usage = Kept::For(Duration::from_hours(24 * 62));
    settings.retention.sweep_every = Duration::from_secs(1);
    let mut store = Store::with(settings).await;
    spend(&mut store, AUTHOR).await;
    let told = listed(&store, 0).await;
    assert_eq!((told.by_channel[0].id, told.by_guild[0].id), (CHANNEL, GUILD));
    assert_eq!(told.by_model[0].model, "m");
    // The month's sum goes by the day on which the month began.
    store.clock.advance(Duration::from_hours(24 * (62 + 31)));
    let running = Running::start(&store);
    let swept = async {
        let count = |table: &&str| privacy::rows(&store, &format!("SELECT count(*) FROM {table}"));
        while TABLES.iter().any(|table| count(table) != ["0"]) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), swept).await.expect("what is old goes");
    running.stop().await;
}
