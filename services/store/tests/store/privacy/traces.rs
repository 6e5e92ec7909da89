//! What a person leaves wherever the store keeps anything.

use ery_ids::TaskThreadId;
use ery_proto::{
    common::v1::{Fence, Mention, Message},
    store::v1::{
        BeginExecutionRequest, BeginThreadRequest, ChannelState, ClaimSummaryRequest,
        CreateMcpCredentialRequest, DeadTask, Decision, Exchange, ExecutionState,
        KeepSummaryRequest, Later, McpCredential, NewApproval, RecordDeadEventRequest, Step,
        StepKind, ThreadOutcome, ingest_event::Change,
    },
};

use crate::support::{
    CHANNEL, GUILD, NOW, Store, begin, begin_execution, created, deleted, edited, end_execution,
    execution, fence, finish, message, person, shard_file, step,
};

/// Whoever is to be forgotten; ids are as long as Discord's.
pub(super) const MARA: u64 = 910_000_000_000_000_001;
pub(super) const OTHER: u64 = 910_000_000_000_000_002;
pub(super) const DM: u64 = 990_000_000_000_000_077;
pub(super) const CANARY: &str = "canary-2718";

/// Puts the person's words and traces everywhere where the store keeps any.
pub(super) async fn fill(store: &mut Store) {
    let holder = fence(5, "holder");
    store.open_channel(&holder).await;
    say(store).await;
    quote(store, &holder).await;
    stay_apart(store, &holder).await;
    let own = moderate(store, &holder).await;
    plan_and_propose(store, &holder, own).await;
    fail(store, &holder, own).await;
    speak_directly(store).await;
    summed_up(store, &canary("summed up")).await;
}

/// Messages: whole, edited, deleted, and others' that name the person.
async fn say(store: &mut Store) {
    store
        .ingest(vec![
            created("mc.1", said_by(MARA, 1, &canary("first"))),
            created("mc.2", said_by(MARA, 2, &canary("before"))),
            edited("mu.2", 2, &canary("after"), NOW + 50),
            created("mc.3", said_by(MARA, 3, &canary("regretted"))),
            created("mc.4", said_by(OTHER, 4, "hello you")),
        ])
        .await;
    let named = Message {
        mentions: vec![Mention { user_id: MARA, name: format!("name-{CANARY}") }],
        reply_to: 1,
        reply_to_author_id: MARA,
        ..said_by(OTHER, 5, &format!("what do you mean, <@{MARA}>?"))
    };
    store.ingest(vec![created("mc.5", named)]).await;
}

/// A thread of another person, whose context held what was deleted since, quotes it.
async fn quote(store: &mut Store, holder: &Fence) {
    let quoting = new_thread();
    let mut begun = begin(holder, quoting, &[said_by(OTHER, 6, "sum it up")]);
    begun.principal = Some(person(OTHER));
    store.begin(begun).await.unwrap();
    let steps = vec![context_step(0, &[3]), text_step(1, &canary("as was said:"))];
    store.append(holder, quoting, steps).await.unwrap();
    let mut sends = execution(quoting, 0);
    sends.arguments = serde_json::json!({ "content": canary("quoted") }).to_string();
    sends.principal = Some(person(OTHER));
    sends.is_tainted = true;
    store.client.begin_execution(begin_execution(holder, &sends)).await.unwrap();
    let mut end = end_execution(holder, &sends, ExecutionState::Done);
    end.result = r#"{"ok":true,"message_id":"7"}"#.into();
    end.sent = Some(Message { is_own: true, ..said_by(8, 7, &canary("quoted")) });
    store.client.end_execution(end).await.unwrap();
    store.finish(finish(holder, quoting, ThreadOutcome::Done, &[6])).await.unwrap();
    store.ingest(vec![deleted("md.3", &[3], NOW + 60)]).await;
}

/// Another one has nothing to do with the person.
async fn stay_apart(store: &mut Store, holder: &Fence) {
    let apart = new_thread();
    let mut begun = begin(holder, apart, &[said_by(OTHER, 8, "what is the time?")]);
    begun.principal = Some(person(OTHER));
    store.begin(begun).await.unwrap();
    let steps = vec![context_step(0, &[4]), text_step(1, "it is late")];
    store.append(holder, apart, steps).await.unwrap();
    let mut done = finish(holder, apart, ThreadOutcome::Done, &[8]);
    done.state = Some(ChannelState {
        exchanges: vec![Exchange { user_id: MARA, until_ms: NOW }],
        ..Default::default()
    });
    store.finish(done).await.unwrap();
}

/// The person's own thread, in which something is done to them, for a while.
async fn moderate(store: &mut Store, holder: &Fence) -> TaskThreadId {
    let own = new_thread();
    store.begin(begin_as_mara(holder, own, 9)).await.unwrap();
    store
        .append(holder, own, vec![context_step(0, &[]), text_step(1, &canary("own"))])
        .await
        .unwrap();
    let mut bans = execution(own, 1);
    bans.tool = "ban_member".into();
    bans.tier = "destructive".into();
    bans.principal = Some(person(OTHER));
    bans.approver_id = MARA;
    bans.is_tainted = true;
    bans.arguments = format!(r#"{{"member":"{MARA}","reason":"{}"}}"#, canary("spam"));
    bans.audit_reason = canary("for spam");
    bans.decision_reason = canary("allowed");
    store.client.begin_execution(begin_execution(holder, &bans)).await.unwrap();
    let mut end = end_execution(holder, &bans, ExecutionState::Done);
    end.later = Some(Later {
        scheduled_action_id: "lifts".to_owned(),
        tool: "ban_member".to_owned(),
        arguments: format!(r#"{{"member":"{MARA}","reason":"{}"}}"#, canary("over")),
        due_at_ms: NOW + 90 * 86_400_000,
        is_expiry: true,
        bot_id: 8,
    });
    store.client.end_execution(end).await.unwrap();
    own
}

async fn plan_and_propose(store: &mut Store, holder: &Fence, own: TaskThreadId) {
    let mut plans = execution(own, 2);
    plans.tool = "schedule_action".into();
    plans.principal = Some(person(MARA));
    store.client.begin_execution(begin_execution(holder, &plans)).await.unwrap();
    let mut end = end_execution(holder, &plans, ExecutionState::Done);
    end.later = Some(Later {
        scheduled_action_id: "planned".to_owned(),
        tool: "send_message".to_owned(),
        arguments: serde_json::json!({ "content": canary("remind me") }).to_string(),
        due_at_ms: NOW + 90 * 86_400_000,
        is_expiry: false,
        bot_id: 8,
    });
    store.client.end_execution(end).await.unwrap();
    let mut proposes = execution(own, 3);
    proposes.decision = Decision::NeedsApproval.into();
    proposes.principal = Some(person(MARA));
    proposes.arguments = serde_json::json!({ "member": "5", "reason": canary("why") }).to_string();
    proposes.approval_id = "proposal".into();
    let proposal = BeginExecutionRequest {
        approval: Some(NewApproval {
            hash: "ab".to_owned(),
            asker_id: MARA,
            bot_id: 8,
            expires_at_ms: NOW + 90 * 86_400_000,
        }),
        ..begin_execution(holder, &proposes)
    };
    store.client.begin_execution(proposal).await.unwrap();
    store
        .client
        .end_execution(end_execution(holder, &proposes, ExecutionState::Done))
        .await
        .unwrap();
}

/// What was given up, as it came.
async fn fail(store: &mut Store, holder: &Fence, own: TaskThreadId) {
    let mut failed = finish(holder, own, ThreadOutcome::Failed, &[9]);
    failed.detail = canary("failed at");
    failed.tasks = vec![DeadTask {
        trigger_id: "m.9".to_owned(),
        bot_id: 8,
        received_at_ms: NOW,
        payload: Some(payload(MARA)),
        payload_bytes: 9,
    }];
    store.finish(failed).await.unwrap();
    let event = RecordDeadEventRequest {
        handler: "members".to_owned(),
        event_id: "s.77".to_owned(),
        event_kind: "guild_member_update".to_owned(),
        guild_id: GUILD,
        bot_id: 8,
        received_at_ms: NOW,
        reason: "odd".to_owned(),
        payload: Some(payload(MARA)),
        payload_bytes: 9,
        ..Default::default()
    };
    store.client.record_dead_event(event).await.unwrap();
}

/// A summary of the channel.
async fn summed_up(store: &mut Store, text: &str) {
    let claim = ClaimSummaryRequest {
        guild_id: GUILD,
        channel_id: CHANNEL,
        claim_id: "claim".to_owned(),
        least_messages: 1,
        most_messages: 100,
        lasts_ms: 60_000,
        ..ClaimSummaryRequest::default()
    };
    assert!(store.client.claim_summary(claim).await.unwrap().into_inner().is_granted);
    let keep = KeepSummaryRequest {
        guild_id: GUILD,
        channel_id: CHANNEL,
        claim_id: "claim".to_owned(),
        text: text.to_owned(),
        messages: 5,
        model: "m".to_owned(),
        prompt_version: "summary-1".to_owned(),
        ..KeepSummaryRequest::default()
    };
    assert!(store.client.keep_summary(keep).await.unwrap().into_inner().is_kept);
}

/// A direct message, with what Ery said there; a credential; and what was learnt.
async fn speak_directly(store: &mut Store) {
    let direct = |message: Message| {
        let mut event = created(&format!("mc.{}", message.message_id), message.clone());
        (event.guild_id, event.channel_id) = (0, DM);
        event.change = Some(Change::Created(Message { guild_id: 0, channel_id: DM, ..message }));
        event
    };
    let own = Message { is_own: true, author_id: 8, ..said_by(8, 11, &canary("you told me")) };
    store.ingest(vec![direct(said_by(MARA, 10, &canary("directly"))), direct(own)]).await;
    let credential = McpCredential {
        credential_id: "c1".to_owned(),
        guild_id: GUILD,
        user_id: MARA,
        channel_id: CHANNEL,
        name: canary("desk"),
        ..Default::default()
    };
    let create =
        CreateMcpCredentialRequest { credential: Some(credential), token_hash: vec![7; 32] };
    store.client.create_mcp_credential(create).await.unwrap();
    let shard = ery_group_commit::open(&shard_file(store.folder.path()), None).unwrap();
    shard
        .execute(
            "INSERT INTO learning_data (learning_data_id, guild_id, channel_id, visibility, author_id,
                 kind, text, status, created_at_ms) VALUES (1, ?1, ?2, 'all', ?3, 'fact', ?4, 'on', ?5)",
            (GUILD.cast_signed(), CHANNEL.cast_signed(), OTHER.cast_signed(), canary("fact"), NOW),
        )
        .unwrap();
    shard.execute("INSERT INTO learning_data_sources VALUES (1, 2)", []).unwrap();
}

pub(super) fn said_by(author_id: u64, message_id: u64, content: &str) -> Message {
    let author_name = if author_id == MARA { format!("name-{CANARY}") } else { "olive".into() };
    Message { author_id, author_name, mentions: Vec::new(), ..message(message_id, content) }
}

/// Returns a thread's id of the moment at which everything here begins.
pub(super) fn new_thread() -> TaskThreadId {
    let seconds = u64::try_from(NOW / 1_000).unwrap();
    TaskThreadId(uuid::Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, 0)))
}

pub(super) fn canary(of: &str) -> String {
    format!("{of} {CANARY} {of}")
}

/// The same, under a name that says nothing.
pub(super) fn by_mara_or(author_id: u64, message_id: u64, content: &str) -> Message {
    Message { author_name: "somebody".to_owned(), ..said_by(author_id, message_id, content) }
}

pub(super) fn text_step(index: u32, text: &str) -> Step {
    let payload = serde_json::json!({ "v": 1, "text": text }).to_string();
    Step { payload, ..step(index) }
}

pub(super) fn context_step(index: u32, messages: &[u64]) -> Step {
    let ids: Vec<String> = messages.iter().map(u64::to_string).collect();
    Step {
        kind: StepKind::ContextLoaded.into(),
        payload: serde_json::json!({ "v": 1, "messages": ids }).to_string(),
        ..step(index)
    }
}

pub(super) fn begin_as_mara(
    fence: &Fence,
    thread: TaskThreadId,
    message_id: u64,
) -> BeginThreadRequest {
    let mut begun = begin(fence, thread, &[said_by(MARA, message_id, &canary("asks"))]);
    begun.principal = Some(person(MARA));
    begun.askers = vec![MARA, OTHER];
    begun
}

pub(super) fn payload(user: u64) -> Vec<u8> {
    serde_json::json!({ "author": { "id": user.to_string() }, "content": canary("raw") })
        .to_string()
        .into_bytes()
}
