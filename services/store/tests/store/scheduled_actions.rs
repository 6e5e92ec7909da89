//! Acts that are to be done at a time: written with what leaves them, woken once, cancelled.

use ery_lifecycle::Tasks;
use ery_proto::{
    common::v1::{Fence, principal::Kind},
    store::v1::{
        ApprovalDecision, CancelScheduledActionRequest, DecideApprovalRequest, Decision,
        EndExecutionRequest, Execution, ExecutionState, GetScheduledActionRequest, Later,
        ListScheduledActionsRequest, ScheduledAction, ScheduledActionState, ThreadOutcome,
    },
};

use crate::support::{
    AUTHOR, CHANNEL, GUILD, NOW, Store, begin_execution, end_execution, execution, fence, finish,
};

const DUE: i64 = NOW + 60_000;

pub(crate) fn later(id: &str, is_expiry: bool) -> Later {
    Later {
        scheduled_action_id: id.to_owned(),
        tool: "ban_member".to_owned(),
        arguments: r#"{"action":"unban","member":"7"}"#.to_owned(),
        due_at_ms: DUE,
        is_expiry,
        bot_id: 77,
    }
}

impl Store {
    /// Carries out a ban as the thread's `call`th act, and leaves something for later.
    async fn ban(&mut self, fence: &Fence, call: u32, later: Option<Later>) -> Execution {
        let thread = match self.open_channel(fence).await.unfinished {
            Some(thread) => thread.thread_id.parse().unwrap(),
            None => self.running_thread(fence, 1).await,
        };
        let ban = Execution {
            tool: "ban_member".to_owned(),
            arguments: r#"{"action":"ban","member":"7"}"#.to_owned(),
            tier: "destructive".to_owned(),
            decision: Decision::Allow.into(),
            ..execution(thread, call)
        };
        self.client.begin_execution(begin_execution(fence, &ban)).await.unwrap();
        let mut end = end_execution(fence, &ban, ExecutionState::Done);
        end.later = later;
        self.client.end_execution(end.clone()).await.unwrap();
        // A repeat plans nothing anew.
        self.client.end_execution(end).await.unwrap();
        ban
    }

    async fn planned(&mut self, guild_id: u64) -> Vec<ScheduledAction> {
        let request = ListScheduledActionsRequest { guild_id, is_waiting_only: true, limit: 0 };
        self.client.list_scheduled_actions(request).await.unwrap().into_inner().actions
    }

    pub(crate) async fn action(&mut self, id: &str) -> ScheduledAction {
        let request =
            GetScheduledActionRequest { guild_id: GUILD, scheduled_action_id: id.to_owned() };
        self.client.get_scheduled_action(request).await.unwrap().into_inner().action.unwrap()
    }

    async fn cancel(&mut self, guild_id: u64, id: &str) -> Option<ScheduledAction> {
        let request = CancelScheduledActionRequest {
            guild_id,
            scheduled_action_id: id.to_owned(),
            by: AUTHOR,
        };
        self.client.cancel_scheduled_action(request).await.unwrap().into_inner().action
    }

    fn runs(&self) -> Tasks {
        let tasks = Tasks::new();
        let (service, own) = (self.service.clone(), tasks.clone());
        tasks.spawn("store", async move { service.run(own).await });
        tasks
    }
}

#[tokio::test]
async fn what_is_due_wakes_its_channel_once_and_is_fired_with_its_thread() {
    let mut store = Store::new().await;
    let fence = fence(1, "a");
    let ban = store.ban(&fence, 0, Some(later("a1", true))).await;
    let planned = store.planned(GUILD).await;
    assert_eq!(planned.len(), 1);
    assert_eq!(planned[0].key, ban.key);
    let kind = planned[0].principal.clone().unwrap().kind;
    assert_eq!(kind, Some(Kind::Expiry(ban.key.clone())), "it ends what was done");
    assert_eq!(store.planned(0).await, planned, "of all guilds");

    let tasks = store.runs();
    store.clock.set(ery_clock::UnixMillis(DUE - 1));
    assert!(store.queue.published().is_empty());
    store.clock.set(ery_clock::UnixMillis(DUE));
    let published = store.queue.until_published(1).await;
    assert_eq!(published[0].trigger.to_string(), format!("sa.a1.{DUE}"));
    assert_eq!(published[0].channel.channel.get(), CHANNEL);
    assert_eq!(store.action("a1").await.state(), ScheduledActionState::Waiting);

    let thread = store.open_channel(&fence).await.unfinished.unwrap().thread_id.parse().unwrap();
    let mut end = finish(&fence, thread, ThreadOutcome::Done, &[1]);
    end.finished_trigger_ids.push(format!("sa.a1.{DUE}"));
    store.finish(end).await.unwrap();
    assert_eq!(store.action("a1").await.state(), ScheduledActionState::Fired);
    assert_eq!(store.planned(GUILD).await, []);
    tasks.finish(std::time::Duration::from_secs(20)).await;
}

#[tokio::test]
async fn what_has_begun_cannot_be_cancelled() {
    let mut store = Store::new().await;
    let fence = fence(1, "a");
    store.ban(&fence, 0, Some(later("a1", true))).await;
    let thread = store.open_channel(&fence).await.unfinished.unwrap().thread_id.parse().unwrap();
    store.finish(finish(&fence, thread, ThreadOutcome::Done, &[1])).await.unwrap();
    let begun = ery_proto::store::v1::BeginThreadRequest {
        fence: Some(fence.clone()),
        thread_id: ery_ids::TaskThreadId::random().to_string(),
        triggers: vec![ery_proto::store::v1::Trigger {
            id: format!("sa.a1.{DUE}"),
            received_at_ms: DUE,
            message: None,
        }],
        principal: store.action("a1").await.principal,
        started_at_ms: DUE,
        ..Default::default()
    };
    store.client.begin_thread(begun).await.unwrap();
    assert_eq!(store.action("a1").await.state(), ScheduledActionState::Fired);
    let cancelled = store.cancel(GUILD, "a1").await.unwrap();
    assert_eq!(cancelled.state(), ScheduledActionState::Fired);
}

#[tokio::test]
async fn what_somebody_planned_is_done_for_them() {
    let mut store = Store::new().await;
    store.ban(&fence(1, "a"), 0, Some(later("a1", false))).await;
    let principal = store.action("a1").await.principal.unwrap();
    assert_eq!(principal.kind, Some(Kind::Person(AUTHOR)));
}

#[tokio::test]
async fn what_is_cancelled_wakes_nobody() {
    let mut store = Store::new().await;
    store.ban(&fence(1, "a"), 0, Some(later("a1", false))).await;
    assert_eq!(store.cancel(GUILD + (64 << 22), "a1").await, None, "of another guild");
    assert_eq!(store.cancel(GUILD, "nothing").await, None);
    let cancelled = store.cancel(GUILD, "a1").await.unwrap();
    assert_eq!(cancelled.state(), ScheduledActionState::Cancelled);
    assert_eq!(cancelled.ended_by, AUTHOR);
    assert_eq!(store.cancel(GUILD, "a1").await, Some(cancelled), "once");
    let tasks = store.runs();
    store.clock.set(ery_clock::UnixMillis(DUE));
    // Something else comes due behind it, and wakes its channel alone.
    let mut other = later("a2", false);
    other.due_at_ms = DUE;
    store.ban(&fence(1, "a"), 1, Some(other)).await;
    let published = store.queue.until_published(1).await;
    assert_eq!(published[0].trigger.to_string(), format!("sa.a2.{DUE}"));
    tasks.finish(std::time::Duration::from_secs(20)).await;
}

#[tokio::test]
async fn a_sanction_given_anew_takes_back_the_end_of_the_one_before() {
    let mut store = Store::new().await;
    let fence = fence(1, "a");
    store.ban(&fence, 0, Some(later("a1", true))).await;
    // For ever, this time.
    store.ban(&fence, 1, None).await;
    assert_eq!(store.action("a1").await.state(), ScheduledActionState::Cancelled);
    store.ban(&fence, 2, Some(later("a3", true))).await;
    assert_eq!(store.action("a3").await.state(), ScheduledActionState::Waiting);
}

#[tokio::test]
async fn of_several_who_are_banned_at_once_each_ones_earlier_end_is_taken_back() {
    let mut store = Store::new().await;
    let fence = fence(1, "a");
    store.ban(&fence, 0, Some(later("a1", true))).await;
    for (call, banned, state) in [
        (1, r#"["8"]"#, ScheduledActionState::Waiting),
        (2, r#"["7","8"]"#, ScheduledActionState::Cancelled),
    ] {
        let thread = store.open_channel(&fence).await.unfinished.unwrap().thread_id;
        let ban = Execution {
            tool: "ban_member".to_owned(),
            arguments: r#"{"action":"ban_many","members":["7","8"]}"#.to_owned(),
            tier: "destructive".to_owned(),
            decision: Decision::Allow.into(),
            ..execution(thread.parse().unwrap(), call)
        };
        store.client.begin_execution(begin_execution(&fence, &ban)).await.unwrap();
        let end = EndExecutionRequest {
            result: format!(r#"{{"ok":true,"banned":{banned}}}"#),
            ..end_execution(&fence, &ban, ExecutionState::Done)
        };
        store.client.end_execution(end).await.unwrap();
        // Whoever Discord did not ban keeps the end that they had.
        assert_eq!(store.action("a1").await.state(), state, "{banned}");
    }
}

/// Asks for something, and goes away after the request was looked after so often.
async fn asked_and_gone<T>(call: impl Future<Output = T>, looks: usize) {
    let mut call = std::pin::pin!(call);
    for _ in 0..looks {
        if futures::poll!(call.as_mut()).is_ready() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_is_planned_comes_also_if_whoever_planned_it_is_killed_before_the_answer() {
    let mut written = 0;
    for looks in 0..40 {
        // Each in a store of its own: anything else that is due of a shard has it looked at.
        let mut store = Store::new().await;
        let tasks = store.runs();
        let fence = fence(1, "a");
        let thread = store.running_thread(&fence, 1).await;
        let ban = Execution {
            tool: "ban_member".to_owned(),
            tier: "destructive".to_owned(),
            decision: Decision::Allow.into(),
            ..execution(thread, 0)
        };
        store.client.begin_execution(begin_execution(&fence, &ban)).await.unwrap();
        let mut end = end_execution(&fence, &ban, ExecutionState::Done);
        end.later = Some(later("a1", true));
        let mut client = store.client.clone();
        asked_and_gone(client.end_execution(end), looks).await;
        // What is behind it in the shard is committed after it.
        store
            .client
            .end_execution(end_execution(&fence, &ban, ExecutionState::Done))
            .await
            .unwrap();
        let planned = store.planned(GUILD).await.len();
        store.clock.advance(std::time::Duration::from_mins(2));
        // The clock of tests wakes nobody: something of another shard does.
        let elsewhere = DecideApprovalRequest {
            guild_id: GUILD + (1 << 22),
            approval_id: "none".to_owned(),
            decision: ApprovalDecision::Approved.into(),
            by: AUTHOR,
        };
        store.client.decide_approval(elsewhere).await.unwrap();
        store.queue.until_published(planned).await;
        tasks.finish(std::time::Duration::from_secs(20)).await;
        written += planned;
    }
    assert!(written > 0, "some got through");
}

#[tokio::test]
async fn what_may_have_happened_ends_as_well_and_once() {
    let mut store = Store::new().await;
    let fence = fence(1, "a");
    let thread = store.running_thread(&fence, 1).await;
    let ban = Execution {
        tool: "ban_member".to_owned(),
        tier: "destructive".to_owned(),
        decision: Decision::Allow.into(),
        ..execution(thread, 0)
    };
    store.client.begin_execution(begin_execution(&fence, &ban)).await.unwrap();
    for state in [ExecutionState::InDoubt, ExecutionState::Done] {
        let mut end = end_execution(&fence, &ban, state);
        end.later = Some(later("a1", true));
        store.client.end_execution(end).await.unwrap();
        assert_eq!(store.planned(GUILD).await.len(), 1, "{state:?}");
    }
}
