use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use twilight_model::{
    guild::Permissions,
    id::{
        Id,
        marker::{ChannelMarker, UserMarker},
    },
};

use ery_clock::UnixMillis;
use ery_proto::{
    common::v1::principal::Kind,
    store::v1::{ScheduledAction, ScheduledActionState},
};

use super::{ANSWER_TOOL, Authority, Done, Entry, Later, Run, Tool};
use crate::{
    adapters::discord::wire::moment,
    domain::{
        execution::later_id,
        flow,
        guild::{Guild, GuildState},
        permissions,
        policy::Policy,
        sight, text,
        tool::{Needs, Owned, RetryClass, Spec, Tier, Writes},
    },
    resolve::{Problem, Scene},
};

const NAME: &str = "schedule_action";

/// How far ahead something can be planned.
const FARTHEST: Duration = Duration::from_hours(24 * 366);

/// How many acts may wait in one server, and for one person.
const MOST_OF_GUILD: usize = 500;
const MOST_OF_PERSON: usize = 50;

/// How many are read at once: as many as may wait.
pub(crate) const MOST_LISTED: u32 = 500;

/// How many are listed at once.
const LISTED: usize = 25;

/// How long a prompt may be: it is always shown whole to whoever would approve it.
const LONGEST_PROMPT: usize = 1_000;

pub(crate) struct ScheduleAction;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    /// `plan` has a tool called or a prompt answered later, `list` shows what waits, `cancel` takes
    /// one back.
    #[serde(default)]
    action: Action,
    /// To plan: the name of the tool that is to be called; or give `prompt`.
    #[schemars(length(min = 1, max = 64))]
    #[serde(default)]
    tool: Option<String>,
    /// To plan: the arguments of that tool, as it takes them.
    #[serde(default)]
    arguments: Option<Map<String, Value>>,
    /// To plan, in the place of a tool: what you are to answer in this channel then, such as “What
    /// happened since yesterday evening?”. You can look things up for it, and do nothing else.
    #[schemars(length(min = 1, max = 1000))]
    #[serde(default)]
    prompt: Option<String>,
    /// To plan: in how many seconds; or give `at`.
    #[schemars(range(min = 1, max = 31_622_400))]
    #[serde(default)]
    in_seconds: Option<u64>,
    /// To plan: when, in ISO 8601 with a time zone, such as 2030-01-31T18:00:00Z.
    #[schemars(length(min = 1, max = 64))]
    #[serde(default)]
    at: Option<String>,
    /// To cancel: the id that planning or listing told.
    #[schemars(length(min = 1, max = 64))]
    #[serde(default)]
    id: Option<String>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Action {
    #[default]
    Plan,
    List,
    Cancel,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Act {
    Plan {
        tool: String,
        /// The exact form of what is to be done.
        act: Value,
        /// Where a time span was given: the moment is fixed when it is planned.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        in_seconds: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due_at_ms: Option<i64>,
    },
    /// A prompt that is to be answered. Only a plan holds it, whose time it is then: no call asks for
    /// it, and a thread answers.
    Answer { prompt: String },
    /// What may be told in this channel.
    List { here: Id<ChannelMarker> },
    Cancel {
        id: String,
        tool: String,
        act: Value,
        /// Whose plan it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        planner: Option<Id<UserMarker>>,
    },
}

static SPEC: Spec = Spec {
    name: NAME,
    description: "Has another tool called, or a prompt answered by you, at a later time; lists what \
                  is planned, or cancels it. Whoever asked must be allowed to do it then, too. To \
                  remind somebody, plan a send_message; to tell then what you can only know then, \
                  plan a prompt.",
    tier: Tier::Destructive,
    retry: RetryClass::Safe,
    works_in_dm: false,
};

#[async_trait]
impl Tool for ScheduleAction {
    type Parameters = Parameters;
    type Act = Act;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn resolve(&self, parameters: Parameters, scene: &Scene<'_>) -> Result<Act, Problem> {
        match parameters.action {
            Action::Plan => plan(parameters, scene).await,
            Action::List => Ok(Act::List { here: scene.here }),
            Action::Cancel => {
                let id = parameters.id.ok_or_else(|| {
                    Problem::unclear("Say by its id what is to be cancelled; list what waits.")
                })?;
                let unknown = || Problem::unclear("Nothing of that id is planned here.");
                let guild = scene.guild.ok_or_else(unknown)?;
                let found = scene.executions.scheduled_action(guild, &id).await;
                let action = found.map_err(|_| {
                    Problem::unclear("What is planned cannot be read at the moment.")
                })?;
                let waits = |it: &ScheduledAction| it.state() == ScheduledActionState::Waiting;
                let action = action.filter(waits).ok_or_else(unknown)?;
                let act = serde_json::from_str(&action.arguments).map_err(|_| unknown())?;
                let planner = person(&action).and_then(Id::new_checked);
                Ok(Act::Cancel { id, tool: action.tool, act, planner })
            }
        }
    }

    fn needs(&self, act: &Act, guild: Option<&Guild>, here: Id<ChannelMarker>) -> Needs {
        let inner = match act {
            Act::Plan { tool, act, .. } | Act::Cancel { tool, act, .. } => {
                super::find(tool).and_then(|entry| entry.tool.needs_of(act, guild, here))
            }
            // Its answer is a message.
            Act::Answer { .. } => {
                let needed = Permissions::VIEW_CHANNEL | Permissions::SEND_MESSAGES;
                let writes = Some(Writes::Message(here));
                let needs = Needs::in_channel(here, needed);
                return Needs { tells: Some(here), writes, ..needs };
            }
            Act::List { .. } => None,
        };
        let needs = inner.unwrap_or_else(|| Needs::in_channel(here, Permissions::VIEW_CHANNEL));
        // Nothing is written until it is due.
        let needs = Needs { writes: None, ..needs };
        match act {
            // Another's plan is for those to take back who moderate.
            Act::Cancel { planner, .. } => Needs {
                owned: Some(Owned {
                    by: *planner,
                    others: Permissions::MODERATE_MEMBERS,
                    bot: Permissions::empty(),
                    own_tier: None,
                    is_plan: true,
                }),
                ..needs
            },
            Act::Plan { .. } | Act::Answer { .. } | Act::List { .. } => needs,
        }
    }

    fn tier(&self, act: &Act) -> Tier {
        match act {
            Act::List { .. } => Tier::Read,
            // As a message here.
            Act::Answer { .. } => Tier::Harmless,
            // What cannot be read any more is not known to be harmless.
            Act::Plan { tool, act, .. } => tier_of(tool, act).unwrap_or(Tier::Destructive),
            Act::Cancel { tool, act, .. } => {
                tier_of(tool, act).unwrap_or(Tier::Destructive).min(Tier::Reversible)
            }
        }
    }

    fn least_tier(&self) -> Tier {
        Tier::Read
    }

    fn inner(&self, act: &Act) -> Option<&'static str> {
        match act {
            Act::Plan { tool, act, .. } if tool == NAME => super::find(tool)?.tool.inner_of(act),
            Act::Plan { tool, .. } => super::find(tool).map(|entry| entry.spec.name),
            // Who may have nothing said for them has no answer planned either.
            Act::Answer { .. } => Some(ANSWER_TOOL),
            Act::List { .. } | Act::Cancel { .. } => None,
        }
    }

    fn fix(&self, act: Act, now: UnixMillis, _: Option<&GuildState>) -> Act {
        match act {
            Act::Plan { tool, act, in_seconds: Some(seconds), .. } => {
                let due = now + Duration::from_secs(seconds);
                Act::Plan { tool, act, in_seconds: Some(seconds), due_at_ms: Some(due.0) }
            }
            act => act,
        }
    }

    async fn perform(&self, act: &Act, run: &Run<'_>) -> Done {
        match act {
            Act::Plan { tool, act, due_at_ms, .. } => planned(tool, act, *due_at_ms, run).await,
            // The thread that was begun for it goes on from here.
            Act::Answer { .. } => Done::ok(0, "It may be answered now.", Map::new()),
            Act::List { here } => list(*here, run).await,
            Act::Cancel { id, .. } => cancel(id, run).await,
        }
    }

    async fn look_up(&self, act: &Act, run: &Run<'_>) -> Done {
        match act {
            Act::Cancel { id, .. } => look_for_cancelled(id, run).await,
            Act::Plan { .. } | Act::Answer { .. } | Act::List { .. } => Done::in_doubt(0),
        }
    }
}

/// Finds out what became of a cancellation that cannot be judged anew, since nothing waits any more.
async fn look_for_cancelled(id: &str, run: &Run<'_>) -> Done {
    let Some(guild) = run.guild() else { return Done::in_doubt(0) };
    match run.executions.scheduled_action(guild, id).await {
        Ok(Some(action)) if action.state() == ScheduledActionState::Cancelled => {
            cancelled(id, &action)
        }
        Ok(_) => Done::failed(0, "It was not cancelled."),
        Err(error) => {
            tracing::warn!(error = %error, "what is planned cannot be read");
            Done::in_doubt(0)
        }
    }
}

fn cancelled(id: &str, action: &ScheduledAction) -> Done {
    let mut fields = Map::new();
    fields.insert("id".into(), json!(id));
    Done::ok(0, format!("{} is not planned any more.", called(&action.tool)), fields)
}

fn tier_of(tool: &str, act: &Value) -> Option<Tier> {
    super::find(tool)?.tool.tier_of(act)
}

/// Puts what is to happen later into its exact form: another tool's act, or a prompt.
async fn planned_act(
    tool: Option<String>,
    arguments: Option<Map<String, Value>>,
    prompt: Option<String>,
    scene: &Scene<'_>,
) -> Result<(&'static str, Value), Problem> {
    let name = match (tool, prompt) {
        (Some(name), None) => name,
        (None, Some(prompt)) if arguments.is_none() => {
            let act = Act::Answer { prompt: words_of(&prompt)? };
            let act = serde_json::to_value(act).expect("words are always JSON");
            return Ok((NAME, act));
        }
        (None, None) => {
            return Err(Problem::unclear(
                "Say which tool is to be called, or by `prompt` what is to be answered.",
            ));
        }
        (Some(_) | None, Some(_)) => {
            return Err(Problem::unclear(
                "Plan either a tool with its arguments or a prompt, not both at once.",
            ));
        }
    };
    let entry: &'static Entry = super::find(&name)
        .filter(|entry| entry.spec.name != NAME)
        .ok_or_else(|| Problem::unclear("There is no such tool that could be planned."))?;
    let arguments = Value::Object(arguments.unwrap_or_default()).to_string();
    let parameters = entry.parse(&arguments, usize::MAX).map_err(Problem::Unclear)?;
    let act = entry.tool.resolve_json(parameters, scene).await?;
    if entry.tool.tier_of(&act).is_none_or(|tier| tier == Tier::Read) {
        return Err(Problem::unclear("What only reads cannot be planned: nobody would see it."));
    }
    Ok((entry.spec.name, act))
}

/// Returns the words of a prompt as everybody sees them: nothing hidden is asked later.
fn words_of(prompt: &str) -> Result<String, Problem> {
    let visible = text::visible(prompt);
    let words = visible.trim();
    if words.is_empty() {
        return Err(Problem::unclear("The prompt is empty."));
    }
    let length = words.chars().count();
    if length > LONGEST_PROMPT {
        return Err(Problem::unclear(format!(
            "The prompt has {length} characters; {LONGEST_PROMPT} are taken. Shorten it."
        )));
    }
    Ok(words.to_owned())
}

async fn plan(parameters: Parameters, scene: &Scene<'_>) -> Result<Act, Problem> {
    let Parameters { tool, arguments, prompt, in_seconds, at, .. } = parameters;
    let (tool, act) = planned_act(tool, arguments, prompt, scene).await?;
    let due_at_ms = match (in_seconds, at) {
        (Some(_), None) => None,
        (None, Some(at)) => {
            let unclear = || {
                Problem::unclear("Give the moment in ISO 8601 with a zone: 2030-01-31T18:00:00Z.")
            };
            let due = moment(at.trim()).ok_or_else(unclear)?;
            if due <= scene.now {
                return Err(Problem::unclear("That moment is over already."));
            }
            Some(due.0)
        }
        (Some(_), Some(_)) | (None, None) => {
            return Err(Problem::unclear("Say when: either `in_seconds` or `at`."));
        }
    };
    Ok(Act::Plan { tool: tool.to_owned(), act, in_seconds, due_at_ms })
}

async fn planned(tool: &str, act: &Value, due_at_ms: Option<i64>, run: &Run<'_>) -> Done {
    let (Some(entry), Some(due), Some(guild)) = (super::find(tool), due_at_ms, run.guild()) else {
        return Done::failed(0, "That cannot be planned.");
    };
    let due = UnixMillis(due);
    if due <= run.now {
        return Done::failed(0, "That moment is over already.");
    }
    if due > run.now + FARTHEST {
        return Done::failed(0, "Nothing is planned more than a year ahead.");
    }
    let waiting = match run.executions.scheduled_actions(guild, MOST_LISTED).await {
        Ok(waiting) => waiting,
        Err(error) => return unread(&error),
    };
    if waiting.len() >= MOST_OF_GUILD {
        return Done::failed(0, "Too much is planned on this server already; cancel some first.");
    }
    let is_theirs = |action: &ScheduledAction| match person(action) {
        Some(person) => run.people.iter().any(|of| of.get() == person),
        None => false,
    };
    if waiting.iter().filter(|action| is_theirs(action)).count() >= MOST_OF_PERSON {
        return Done::failed(0, "You have planned too much already; cancel some first.");
    }
    let id = later_id(run.key);
    let mut fields = Map::new();
    fields.insert("id".into(), json!(id));
    fields.insert("due_at_ms".into(), json!(due.0));
    let what = called(tool);
    let summary = format!("{what} is planned for <t:{}:f> (id `{id}`).", due.as_secs());
    let later =
        Later { at: due, tool: entry.spec.name, act: act.clone(), authority: Authority::Asker };
    Done { then: Some(later), ..Done::ok(0, summary, fields) }
}

async fn list(here: Id<ChannelMarker>, run: &Run<'_>) -> Done {
    let Some(guild) = run.guild() else {
        return Done::failed(0, "I cannot do that in a direct message.");
    };
    let waiting = match run.executions.scheduled_actions(guild, MOST_LISTED).await {
        Ok(waiting) => waiting,
        Err(error) => return unread(&error),
    };
    // What somebody planned is theirs to see, and of those who moderate or manage events.
    let sees_all = run.state.is_some_and(|state| {
        let sees = |person| sees_others(state, run.policy, person, run.now);
        !run.people.is_empty() && run.people.iter().copied().all(sees)
    });
    let shown: Vec<Value> = waiting
        .iter()
        .filter(|action| {
            let is_theirs = person(action)
                .is_some_and(|person| run.people.len() == 1 && run.people[0].get() == person);
            // What was planned elsewhere may be told here if it may be read by all who read here.
            let may_be_told = Id::new_checked(action.channel_id).is_some_and(|channel| {
                run.state.is_some_and(|state| flow::may_flow(state, channel, here))
            });
            (sees_all || is_theirs) && may_be_told
        })
        .take(LISTED)
        .map(|action| {
            let act = serde_json::from_str::<Value>(&action.arguments).unwrap_or_default();
            let mut shown = json!({
                "id": action.scheduled_action_id,
                "due_at": format!("<t:{}:f>", UnixMillis(action.due_at_ms).as_secs()),
                "planned_by": person(action).map(|person| person.to_string()),
            });
            if action.tool == NAME {
                shown["prompt"] = act["prompt"].clone();
            } else {
                shown["tool"] = json!(action.tool);
                shown["arguments"] = act;
            }
            shown
        })
        .collect();
    let summary = format!("{} planned acts are shown.", shown.len());
    let mut fields = Map::new();
    fields.insert("planned".into(), Value::Array(shown));
    Done::ok(0, summary, fields)
}

async fn cancel(id: &str, run: &Run<'_>) -> Done {
    let Some(guild) = run.guild() else {
        return Done::failed(0, "I cannot do that in a direct message.");
    };
    let by = run.people.first().map_or(0, |person| person.get());
    match run.executions.cancel(guild, id, by).await {
        Ok(Some(action)) if action.state() == ScheduledActionState::Cancelled => {
            cancelled(id, &action)
        }
        Ok(_) => Done::failed(0, "Nothing of that id waits any more."),
        Err(error) => unread(&error),
    }
}

/// Returns what is planned in a word or two.
fn called(tool: &str) -> String {
    if tool == NAME { "An answer".to_owned() } else { format!("`{tool}`") }
}

fn unread(error: &crate::error::StoreError) -> Done {
    tracing::warn!(error = %error, "what is planned cannot be read");
    Done::failed(0, "What is planned cannot be read at the moment.")
}

/// Returns whether somebody sees what others planned: those who moderate do, and who manage events.
fn sees_others(
    state: &GuildState,
    policy: &Policy,
    person: Id<UserMarker>,
    now: UnixMillis,
) -> bool {
    state.member(person).is_some_and(|member| {
        policy.is_event_manager(member)
            || permissions::in_guild(&state.guild, member, now)
                .intersects(Permissions::MODERATE_MEMBERS | Permissions::MANAGE_GUILD)
    })
}

/// Returns whether somebody may be told of a plan in private: of their own, and of others' if they
/// moderate and can see where it was planned.
pub(crate) fn may_see(
    state: &GuildState,
    policy: &Policy,
    viewer: Id<UserMarker>,
    action: &ScheduledAction,
    now: UnixMillis,
) -> bool {
    let Some(member) = state.member(viewer) else { return false };
    if person(action) == Some(viewer.get()) {
        return true;
    }
    let channel = Id::new_checked(action.channel_id).and_then(|id| state.channel(id));
    sees_others(state, policy, viewer, now)
        && channel.is_some_and(|channel| sight::sees(state, member, channel, now))
}

/// Returns whose plan it is; none where it ends what was done for a while.
pub(crate) fn person(action: &ScheduledAction) -> Option<u64> {
    match action.principal.as_ref()?.kind.as_ref()? {
        Kind::Person(person) => Some(*person),
        Kind::Rule(_) | Kind::Expiry(_) => None,
    }
}
