use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, params};
use twilight_model::id::{Id, marker::UserMarker};

use ery_clock::UnixMillis;
use ery_ids::{ChannelKey, Epoch, Fence, OwnerToken, Principal, TaskThreadId, TriggerId};

use crate::{
    adapters::{
        columns::{PrincipalColumns, id, json_list},
        contexts::{self, Context, ContextQuery},
        dead_letters::{self, DeadTask, NewLetter},
        scheduled_actions, usage,
        write_channels::{check_fence, finished_by, key, running, set_state},
        write_messages,
    },
    domain::{
        Attempt, ChannelState, Execution, MessageChange, Outcome, Step, Trigger, TriggerChange,
        Usage,
        thread::{LastAttempt, may_follow},
        usage::{InWindows, Spending},
    },
    error::StoreError,
    ledger::Ledger,
};

/// A thread to be begun.
#[derive(Debug)]
pub(crate) struct Begin {
    pub(crate) fence: Fence,
    pub(crate) thread: TaskThreadId,
    pub(crate) triggers: Vec<Trigger>,
    pub(crate) principal: Principal,
    pub(crate) askers: Vec<Id<UserMarker>>,
    pub(crate) started_at: UnixMillis,
    pub(crate) context: ContextQuery,
    /// Ingestion is known to have reached the newest trigger.
    pub(crate) is_current: bool,
    pub(crate) ledger: Arc<Ledger>,
}

/// What a thread begins with.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) context: Context,
    pub(crate) changes: Vec<TriggerChange>,
    pub(crate) is_current: bool,
}

/// Begins a thread and inserts its triggers as messages; a repeat writes nothing.
pub(crate) fn begin(connection: &Connection, begin: &Begin) -> Result<Begun, StoreError> {
    let Begin { fence, thread, triggers, .. } = begin;
    check_fence(connection, fence)?;
    match outcome(connection, *thread, &fence.channel)? {
        Standing::Unknown => {
            for trigger in triggers {
                refuse_finished(connection, &fence.channel, &trigger.id)?;
            }
            insert(connection, &NewThread::from(begin))?;
            for (position, trigger) in (0_u32..).zip(triggers) {
                insert_trigger(connection, *thread, position, trigger)?;
                if let TriggerId::ScheduledAction { action, .. } = &trigger.id {
                    // From here on it cannot be cancelled.
                    scheduled_actions::fired(connection, action, begin.started_at)?;
                }
                if let Some(message) = &trigger.message {
                    let message = Box::new(message.clone());
                    let change = MessageChange::Seen { message, by_ingestion: false };
                    write_messages::apply(
                        connection,
                        &fence.channel,
                        &change,
                        &begin.ledger,
                        begin.started_at,
                    )?;
                }
            }
        }
        Standing::Stands(Outcome::Running) => {}
        Standing::Stands(outcome) => {
            return Err(StoreError::ThreadEnded { thread: *thread, outcome: outcome.as_str() });
        }
    }
    let newest = newest_message(triggers);
    let is_current = begin.is_current || write_messages::is_ingested(connection, newest)?;
    let replies = triggers.iter().filter_map(|trigger| trigger.message.as_ref()?.reply_to);
    let context = contexts::read(connection, &fence.channel, begin.context, replies)?;
    let changes = changes(connection, *thread)?;
    Ok(Begun { context, changes, is_current })
}

/// Returns the newest message among triggers.
pub(crate) fn newest_message(
    triggers: &[Trigger],
) -> Option<Id<twilight_model::id::marker::MessageMarker>> {
    triggers.iter().filter_map(|trigger| trigger.id.message()).max()
}

/// What journaling steps came to.
#[derive(Debug)]
pub(crate) struct Appended {
    pub(crate) changes: Vec<TriggerChange>,
    /// Where a step told of something that was spent.
    pub(crate) spending: Option<Spending>,
    /// The sum of the whole file.
    pub(crate) in_file: InWindows,
}

/// Journals steps; those that stand already are left as they are.
pub(crate) fn append_steps(
    connection: &Connection,
    fence: &Fence,
    thread: TaskThreadId,
    steps: &[Step],
    now: UnixMillis,
) -> Result<Appended, StoreError> {
    check_fence(connection, fence)?;
    let outcome = known(connection, thread, &fence.channel)?;
    let is_new = insert_steps(connection, &fence.channel, thread, steps)?;
    if is_new && outcome != Outcome::Running {
        return Err(StoreError::ThreadEnded { thread, outcome: outcome.as_str() });
    }
    let bill = steps.iter().map(|step| &step.bill).find(|bill| !bill.is_empty());
    let spending = match bill {
        Some(bill) => Some(usage::spending(connection, &fence.channel, &bill.spenders, now)?),
        None => None,
    };
    let in_file = match &spending {
        Some(spending) => usage::of_file(connection, spending.windows)?,
        None => InWindows::default(),
    };
    Ok(Appended { changes: changes(connection, thread)?, spending, in_file })
}

/// Counts an attempt, unless it is a repeat, and returns how many count.
pub(crate) fn record_attempt(
    connection: &Connection,
    fence: &Fence,
    thread: TaskThreadId,
    attempt: &Attempt,
    error: &str,
) -> Result<u32, StoreError> {
    check_fence(connection, fence)?;
    let outcome = known(connection, thread, &fence.channel)?;
    let (attempts, last) = connection
        .prepare_cached(
            "SELECT attempts, attempted_at_step, attempted_at_ms FROM task_threads
             WHERE thread_id = ?1",
        )?
        .query_row([thread.0.as_bytes().as_slice()], |row| {
            let (at_step, at): (Option<u32>, Option<i64>) = (row.get(1)?, row.get(2)?);
            let last = at_step.zip(at);
            let last = last.map(|(at_step, at)| LastAttempt { at_step, at: UnixMillis(at) });
            Ok((row.get::<_, u32>(0)?, last))
        })?;
    if attempt.is_repeat_of(last) {
        return Ok(attempts);
    }
    if outcome != Outcome::Running {
        return Err(StoreError::ThreadEnded { thread, outcome: outcome.as_str() });
    }
    let attempts = attempts.saturating_add(u32::from(attempt.counts_after(last)));
    connection
        .prepare_cached(
            "UPDATE task_threads SET attempts = ?2, attempted_at_step = ?3, attempted_at_ms = ?4,
                 attempt_error = ?5
             WHERE thread_id = ?1",
        )?
        .execute(params![
            thread.0.as_bytes().as_slice(),
            attempts,
            attempt.at_step,
            attempt.at.0,
            error
        ])?;
    Ok(attempts)
}

/// How a thread ends.
#[derive(Debug)]
pub(crate) struct Finish {
    pub(crate) fence: Fence,
    pub(crate) thread: TaskThreadId,
    pub(crate) outcome: Outcome,
    pub(crate) detail: String,
    pub(crate) finished: Vec<TriggerId>,
    pub(crate) state: Option<ChannelState>,
    pub(crate) usage: Usage,
    pub(crate) at: UnixMillis,
    pub(crate) step: Option<Step>,
    /// What the triggers came with, as far as it is known, where they become dead letters.
    pub(crate) tasks: Vec<DeadTask>,
}

/// Writes a thread's outcome and the triggers that it finishes; a repeat writes nothing.
///
/// A thread that was never begun (its triggers were skipped) gets its row here.
pub(crate) fn finish(connection: &Connection, finish: &Finish) -> Result<(), StoreError> {
    let Finish { fence, thread, .. } = finish;
    let channel = &fence.channel;
    check_fence(connection, fence)?;
    match outcome(connection, *thread, channel)? {
        Standing::Unknown if finish.finished.is_empty() => {
            return Err(StoreError::ThreadUnknown { thread: *thread, channel: *channel });
        }
        Standing::Unknown => {
            insert(connection, &NewThread::from(finish))?;
            for (position, trigger) in (0_u32..).zip(&finish.finished) {
                let trigger =
                    Trigger { id: trigger.clone(), message: None, received_at: finish.at };
                insert_trigger(connection, *thread, position, &trigger)?;
            }
        }
        Standing::Stands(Outcome::Running) => {
            connection
                .prepare_cached(
                    "UPDATE task_threads SET outcome = ?2, detail = ?3, finished_at_ms = ?4,
                         prompt_tokens = ?5, completion_tokens = ?6, cached_tokens = ?7
                     WHERE thread_id = ?1",
                )?
                .execute(params![
                    thread.0.as_bytes().as_slice(),
                    finish.outcome.as_str(),
                    finish.detail,
                    finish.at.0,
                    finish.usage.prompt.cast_signed(),
                    finish.usage.completion.cast_signed(),
                    finish.usage.cached.cast_signed(),
                ])?;
        }
        Standing::Stands(outcome) => return repeat_finish(connection, finish, outcome),
    }
    for trigger in &finish.finished {
        finish_trigger(connection, finish, trigger)?;
    }
    if let Some(step) = &finish.step {
        insert_steps(connection, channel, *thread, std::slice::from_ref(step))?;
    }
    if let Some(state) = &finish.state {
        set_state(connection, channel, state)?;
    }
    Ok(())
}

/// Begins a thread that waits from the start: for the click on what an MCP client asked for.
///
/// No channel is held for that, so its epoch is 0; it runs under the one that reopens it.
pub(crate) fn begin_suspended(
    connection: &Connection,
    execution: &Execution,
) -> Result<(), StoreError> {
    let Some(thread) = execution.thread else {
        return Err(StoreError::Row { table: "task_threads" });
    };
    let owner = OwnerToken(String::new());
    let fence = Fence { channel: execution.channel, epoch: Epoch(0), owner };
    insert(
        connection,
        &NewThread {
            fence: &fence,
            thread,
            principal: execution.principal.as_ref(),
            askers: &[],
            started_at: execution.opened_at,
            finished_at: Some(execution.opened_at),
            outcome: Outcome::Suspended,
            detail: "asked for by an MCP client",
            usage: Usage::default(),
        },
    )
}

/// Lets a suspended thread run again, for one trigger more.
pub(crate) fn reopen(
    connection: &Connection,
    thread: TaskThreadId,
    trigger: &TriggerId,
    now: UnixMillis,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE task_threads SET outcome = 'running', finished_at_ms = NULL, detail = ''
             WHERE thread_id = ?1 AND outcome = 'suspended'",
        )?
        .execute([thread.0.as_bytes().as_slice()])?;
    let position: u32 = connection
        .prepare_cached("SELECT count(*) FROM task_thread_triggers WHERE thread_id = ?1")?
        .query_row([thread.0.as_bytes().as_slice()], |row| row.get(0))?;
    let trigger = Trigger { id: trigger.clone(), message: None, received_at: now };
    insert_trigger(connection, thread, position, &trigger)
}

/// Returns how a thread stands, and refuses one that is not the channel's.
pub(crate) fn known(
    connection: &Connection,
    thread: TaskThreadId,
    channel: &ChannelKey,
) -> Result<Outcome, StoreError> {
    match outcome(connection, thread, channel)? {
        Standing::Stands(outcome) => Ok(outcome),
        Standing::Unknown => Err(StoreError::ThreadUnknown { thread, channel: *channel }),
    }
}

/// Returns the thread's triggers that were deleted or edited since they were sent.
pub(crate) fn changes(
    connection: &Connection,
    thread: TaskThreadId,
) -> Result<Vec<TriggerChange>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT t.trigger_id, m.deleted_at_ms IS NOT NULL, m.content, m.edited_at_ms
         FROM task_thread_triggers AS t JOIN messages AS m ON m.message_id = t.message_id
         WHERE t.thread_id = ?1
             AND (m.deleted_at_ms IS NOT NULL OR m.edited_at_ms > t.sent_edited_at_ms)
         ORDER BY t.position",
    )?;
    let rows = statement.query_map([thread.0.as_bytes().as_slice()], |row| {
        Ok(TriggerChange {
            id: row.get(0)?,
            is_deleted: row.get(1)?,
            content: row.get(2)?,
            edited_at: UnixMillis(row.get(3)?),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

enum Standing {
    Unknown,
    Stands(Outcome),
}

fn outcome(
    connection: &Connection,
    thread: TaskThreadId,
    channel: &ChannelKey,
) -> Result<Standing, StoreError> {
    let row = connection
        .prepare_cached(
            "SELECT guild_id, channel_id, outcome FROM task_threads WHERE thread_id = ?1",
        )?
        .query_row([thread.0.as_bytes().as_slice()], |row| {
            let outcome = Outcome::parse(row.get_ref(2)?.as_str()?);
            Ok(((row.get(0)?, row.get(1)?), outcome))
        })
        .optional()?;
    match row {
        None => Ok(Standing::Unknown),
        Some((of, _)) if of != key(channel) => {
            Err(StoreError::ThreadUnknown { thread, channel: *channel })
        }
        Some((_, outcome)) => {
            outcome.map(Standing::Stands).ok_or(StoreError::Row { table: "task_threads" })
        }
    }
}

struct NewThread<'a> {
    fence: &'a Fence,
    thread: TaskThreadId,
    principal: Option<&'a Principal>,
    askers: &'a [Id<UserMarker>],
    started_at: UnixMillis,
    finished_at: Option<UnixMillis>,
    outcome: Outcome,
    detail: &'a str,
    usage: Usage,
}

impl<'a> From<&'a Begin> for NewThread<'a> {
    fn from(begin: &'a Begin) -> Self {
        Self {
            fence: &begin.fence,
            thread: begin.thread,
            principal: Some(&begin.principal),
            askers: &begin.askers,
            started_at: begin.started_at,
            finished_at: None,
            outcome: Outcome::Running,
            detail: "",
            usage: Usage::default(),
        }
    }
}

impl<'a> From<&'a Finish> for NewThread<'a> {
    fn from(finish: &'a Finish) -> Self {
        Self {
            fence: &finish.fence,
            thread: finish.thread,
            principal: None,
            askers: &[],
            started_at: finish.at,
            finished_at: Some(finish.at),
            outcome: finish.outcome,
            detail: &finish.detail,
            usage: finish.usage,
        }
    }
}

fn insert(connection: &Connection, new: &NewThread<'_>) -> Result<(), StoreError> {
    let channel = &new.fence.channel;
    let (guild, channel_id) = key(channel);
    let principal = PrincipalColumns::from(new.principal);
    let inserted = connection
        .prepare_cached(
            "INSERT INTO task_threads (thread_id, guild_id, channel_id, epoch, principal_kind,
                 principal_id, principal_version, askers, started_at_ms, finished_at_ms, outcome,
                 detail, prompt_tokens, completion_tokens, cached_tokens)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            new.thread.0.as_bytes().as_slice(),
            guild,
            channel_id,
            new.fence.epoch.0.cast_signed(),
            principal.kind,
            principal.id,
            principal.version,
            json_list(new.askers),
            new.started_at.0,
            new.finished_at.map(|at| at.0),
            new.outcome.as_str(),
            new.detail,
            new.usage.prompt.cast_signed(),
            new.usage.completion.cast_signed(),
            new.usage.cached.cast_signed(),
        ])?;
    if inserted == 1 {
        return Ok(());
    }
    // Invariant ONE-THREAD: only the index of running threads can be in the way.
    match running(connection, channel)? {
        Some(running) => Err(StoreError::AnotherThreadRuns { running, channel: *channel }),
        None => Err(StoreError::Row { table: "task_threads" }),
    }
}

fn insert_trigger(
    connection: &Connection,
    thread: TaskThreadId,
    position: u32,
    trigger: &Trigger,
) -> Result<(), StoreError> {
    let sent_edited_at = trigger.message.as_ref().map_or(0, |message| message.edited_at.0);
    connection
        .prepare_cached(
            "INSERT INTO task_thread_triggers (thread_id, position, trigger_id, message_id,
                 received_at_ms, sent_edited_at_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            thread.0.as_bytes().as_slice(),
            position,
            trigger.id.to_string(),
            trigger.id.message().map(id),
            trigger.received_at.0,
            sent_edited_at,
        ])?;
    Ok(())
}

/// Returns whether any of the steps is new.
///
/// What a step tells of having been spent is counted where the step is new: so it is counted once,
/// under the epoch that writes it.
fn insert_steps(
    connection: &Connection,
    channel: &ChannelKey,
    thread: TaskThreadId,
    steps: &[Step],
) -> Result<bool, StoreError> {
    let mut last: Option<u32> = connection
        .prepare_cached("SELECT max(step) FROM task_thread_steps WHERE thread_id = ?1")?
        .query_row([thread.0.as_bytes().as_slice()], |row| row.get(0))?;
    let mut is_new = false;
    for step in steps {
        if !may_follow(last, step.index) {
            return Err(StoreError::StepGap { thread, index: step.index });
        }
        let inserted = connection
            .prepare_cached(
                "INSERT INTO task_thread_steps (thread_id, step, kind, payload, at_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
            )?
            .execute(params![
                thread.0.as_bytes().as_slice(),
                step.index,
                step.kind.as_str(),
                step.payload,
                step.at.0,
            ])?;
        is_new |= inserted == 1;
        if inserted == 1 && !step.bill.is_empty() {
            usage::count(connection, channel, &step.bill, step.at)?;
        }
        last = last.max(Some(step.index));
    }
    Ok(is_new)
}

fn refuse_finished(
    connection: &Connection,
    channel: &ChannelKey,
    trigger: &TriggerId,
) -> Result<(), StoreError> {
    match finished_by(connection, channel, trigger)? {
        Some(thread) => Err(StoreError::TriggerFinished { trigger: trigger.clone(), thread }),
        None => Ok(()),
    }
}

/// Takes the same end again, and refuses another one.
fn repeat_finish(
    connection: &Connection,
    finish: &Finish,
    stands: Outcome,
) -> Result<(), StoreError> {
    let thread = finish.thread;
    let ended = || StoreError::ThreadEnded { thread, outcome: stands.as_str() };
    if stands != finish.outcome {
        return Err(ended());
    }
    let channel = &finish.fence.channel;
    for trigger in &finish.finished {
        let by = finished_by(connection, channel, trigger)?;
        // Where it was put back since, this end stands all the same.
        if by == Some(thread) || dead_letters::was_retried(connection, thread, channel, trigger)? {
            continue;
        }
        return Err(match by {
            Some(by) => StoreError::TriggerFinished { trigger: trigger.clone(), thread: by },
            None => ended(),
        });
    }
    Ok(())
}

/// Records a trigger as finished by its thread, once.
fn finish_trigger(
    connection: &Connection,
    finish: &Finish,
    trigger: &TriggerId,
) -> Result<(), StoreError> {
    let channel = &finish.fence.channel;
    let (guild, channel_id) = key(channel);
    let thread = finish.thread.0.as_bytes().as_slice();
    let inserted = connection
        .prepare_cached(
            "INSERT INTO finished_triggers (guild_id, channel_id, trigger_id, thread_id,
                 finished_at_ms)
             VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
        )?
        .execute(params![guild, channel_id, trigger.to_string(), thread, finish.at.0])?;
    if inserted == 0 {
        // The same id twice in one request is no conflict.
        return match finished_by(connection, channel, trigger)? {
            Some(by) if by == finish.thread => Ok(()),
            Some(by) => Err(StoreError::TriggerFinished { trigger: trigger.clone(), thread: by }),
            None => Err(StoreError::Row { table: "finished_triggers" }),
        };
    }
    if let TriggerId::ScheduledAction { action, .. } = trigger {
        scheduled_actions::fired(connection, action, finish.at)?;
    }
    if finish.outcome == Outcome::Failed {
        let new = NewLetter {
            channel,
            trigger,
            thread: finish.thread,
            reason: &finish.detail,
            at: finish.at,
            task: finish.tasks.iter().find(|task| task.trigger == *trigger),
        };
        dead_letters::insert(connection, &new)?;
    }
    Ok(())
}
