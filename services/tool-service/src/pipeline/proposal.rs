//! Acts that wait for the click of a person who holds the right: how they are shown, and decided.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tonic::Status;
use twilight_model::id::{
    Id,
    marker::{ChannelMarker, GuildMarker, UserMarker},
};

use ery_clock::UnixMillis;
use ery_ids::{ChannelKey, Principal, TaskThreadId};
use ery_proto::{
    store::v1::{
        Approval, ApprovalDecision, BeginExecutionRequest, Execution, NewApproval,
        ScheduledActionState,
    },
    tool::v1::{CallToolResponse, ClickApprovalRequest, ClickApprovalResponse},
};
use ery_texts::Language;

use super::{
    Granted, Judged, Pipeline, Plan, ask,
    ask::Ask,
    beginning, describe,
    record::{Verdict, refusal},
};
use crate::{
    adapters::discord::{Method, Request},
    domain::{
        decide::{Call, Confirmed, Decision, decide},
        execution::sha256_hex,
        guild::GuildState,
        reason::Reason,
        text,
    },
    error::CallError,
    tools::{self, ANSWER_TOOL, Done, Entry},
};

/// What the ids of our buttons begin with.
const BUTTON: &str = "ery.ap.";

/// Discord's kind of answer to a click that changes the message with the button.
const UPDATE_MESSAGE: u8 = 7;

/// Discord's kind of answer that is a message.
const CHANNEL_MESSAGE: u8 = 4;

/// Discord's flag for a message that only whoever clicked sees.
const EPHEMERAL: u64 = 1 << 6;

/// How long after a click Discord takes its first answer.
///
/// Source: Discord Docs, Receiving and Responding: within 3 seconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// By how much the store's clock may be ahead of ours where it says that something is due.
const CLOCKS_DIFFER: Duration = Duration::from_secs(5);

/// What a click is answered with.
enum Reply {
    /// The message with the buttons is replaced by its end.
    Update(String),
    /// Only whoever clicked is told: in these words, or by the caller in those for the content.
    Refused { sentence: String, content: Value },
}

impl Reply {
    fn refused(reason: &Reason) -> Self {
        Self::Refused { sentence: reason.sentence(), content: refusal("denied", reason) }
    }

    fn unknown() -> Self {
        let sentence = "I do not know that proposal any more.".to_owned();
        let content = json!({ "ok": false, "reason": sentence, "code": "proposal_unknown" });
        Self::Refused { sentence, content }
    }
}

impl Pipeline {
    /// Proposes an act: its execution is the message with the buttons.
    pub(super) async fn propose(
        &self,
        ask: &Ask,
        plan: Plan,
        reason: &Reason,
    ) -> Result<CallToolResponse, CallError> {
        let shared = &*self.shared;
        let (Some(guild), Some(Principal::Person(asker)), true) =
            (ask.guild(), &ask.principal, ask.fence.is_some() || ask.credential.is_some())
        else {
            // Nobody waits for it.
            let verdict = Verdict::needs_approval(reason, plan.act.clone());
            return self.refuse(ask, verdict.of(plan.tier, plan.is_ordered)).await;
        };
        let language = self.language(ChannelKey::new(Some(guild), ask.here)).await?;
        let described = describe::act(language, plan.entry.spec, &plan.act, plan.state.as_ref());
        let Ok(about) = described else {
            let verdict = Verdict::denied(&Reason::TooLongToShow, Some(plan.act.clone()));
            return self.refuse(ask, verdict.of(plan.tier, plan.is_ordered)).await;
        };
        let now = shared.clock.now();
        let verdict = Verdict::proposal(reason, plan.act.clone()).of(plan.tier, plan.is_ordered);
        let mut execution = ask.execution(&verdict, now, shared.settings.send_by);
        execution.approval_id = uuid::Uuid::new_v4().simple().to_string();
        if ask.credential.is_some() {
            // The thread that the click reopens; there is none before it.
            execution.thread_id = TaskThreadId::random().to_string();
        }
        let new = NewApproval {
            hash: hash(guild, *asker, &execution.tool, &execution.arguments),
            asker_id: asker.get(),
            bot_id: shared.guilds.bot().await?.get(),
            expires_at_ms: (now + shared.settings.approval_time).0,
        };
        let approval = Some(new);
        let request = BeginExecutionRequest { approval, ..beginning(ask, execution) };
        let begun = self.begin(ask, request).await?;
        let changes = ask::changes(&begun);
        let Some(execution) = begun.execution else {
            return Err(CallError::Invalid("the store answered without the execution".into()));
        };
        if !begun.is_new {
            return self.stands(ask, Some(plan), execution, changes).await;
        }
        let done = if ask.is_withdrawn(&changes) {
            Done::failed(0, "The message that asked for this was deleted.")
        } else {
            let (plan, act) = self.showing(ask, &execution, Some(about)).await?;
            let send_by = UnixMillis(execution.send_by_ms);
            let opened_at = UnixMillis(execution.opened_at_ms);
            self.act(ask, &plan, &act, (opened_at, send_by), super::How::Propose).await?
        };
        self.close(ask, execution, done, changes).await
    }

    /// Returns how a proposal is shown: a message of Ery's own, with buttons. `about` describes its
    /// act, where that is known already.
    pub(super) async fn showing(
        &self,
        ask: &Ask,
        execution: &Execution,
        about: Option<String>,
    ) -> Result<(Plan, Value), CallError> {
        let shared = &*self.shared;
        let entry = answer_tool()?;
        let plan = self.bare_plan(ask, entry).await?;
        let language = self.language(ChannelKey { home: ask.home, channel: ask.here }).await?;
        let about = match (about, ask.guild()) {
            (Some(about), _) => about,
            (None, Some(guild)) => {
                let Execution { tool, arguments, .. } = execution;
                self.about(language, guild, ask.here, (tool, arguments)).await?
            }
            (None, None) => describe::tool(&execution.tool),
        };
        let asker = format!("<@{}>", ask.asker_id());
        let expires_at = UnixMillis(execution.opened_at_ms) + shared.settings.approval_time;
        let until = format!("<t:{}:f>", expires_at.as_secs());
        let values = [("asker", (&asker).into()), ("until", (&until).into())];
        let content = format!("{}\n{about}", language.say("proposal-asked", &values));
        let button = |style: u8, label: &str, end: char| {
            json!({
                "type": 2, "style": style, "label": label,
                "custom_id": format!("{BUTTON}{}.{end}", execution.approval_id),
            })
        };
        let buttons = [
            button(3, &language.word("proposal-approve"), 'y'),
            button(4, &language.word("proposal-reject"), 'n'),
        ];
        let reply_to = ask.trigger();
        let mut act = json!({
            "channel": ask.here.to_string(),
            "content": content,
            "mention_users": [],
            "suppress_embeds": true,
            "components": [{ "type": 1, "components": buttons }],
        });
        if let Some(reply_to) = reply_to {
            act["reply_to"] = json!(reply_to.to_string());
        }
        Ok((plan, act))
    }

    /// Reads on what a call stands that was confirmed before: a click, or a plan whose time has come.
    pub(super) async fn granted(
        &self,
        ask: &Ask,
    ) -> Result<Result<Option<Granted>, Reason>, CallError> {
        match (&ask.approval, &ask.scheduled) {
            (Some(id), _) => Ok(self.approved(ask, id).await?.map(Some)),
            (None, Some(id)) => Ok(self.due(ask, id).await?.map(Some)),
            (None, None) => Ok(Ok(None)),
        }
    }

    /// Reads an act that is due, as it was planned and for whom.
    async fn due(&self, ask: &Ask, id: &str) -> Result<Result<Granted, Reason>, CallError> {
        let Some(guild) = ask.guild() else { return Ok(Err(Reason::NotPlanned)) };
        let action = self.shared.executions.scheduled_action(guild, id).await?;
        let fitting = action.filter(|action| {
            let is_due = self.shared.clock.now() + CLOCKS_DIFFER >= UnixMillis(action.due_at_ms);
            // Its thread has begun, or it waits still.
            action.state() != ScheduledActionState::Cancelled
                && is_due
                && action.tool == ask.tool
                && action.channel_id == ask.here.get()
                && ask::principal(action.principal.clone()).ok().flatten() == ask.principal
                && ask.principal.is_some()
        });
        let Some(action) = fitting else { return Ok(Err(Reason::NotPlanned)) };
        let Ok(act) = serde_json::from_str(&action.arguments) else {
            return Ok(Err(Reason::NotPlanned));
        };
        // Where it was to be said may have been opened to others since: what was not ordered word for
        // word is judged on that anew.
        let was_ordered = self.was_ordered(guild, action.channel_id, &action.key).await?;
        Ok(Ok(Granted { act, confirmed: Confirmed::Plan, was_ordered }))
    }

    /// Whether the asker of an execution had ordered its act word for word.
    async fn was_ordered(
        &self,
        guild: Id<GuildMarker>,
        channel: u64,
        key: &str,
    ) -> Result<bool, CallError> {
        let Some(channel) = Id::new_checked(channel) else { return Ok(false) };
        let channel = ChannelKey::new(Some(guild), channel);
        let execution = self.shared.executions.execution(channel, key).await?;
        Ok(execution.is_some_and(|execution| execution.is_ordered))
    }

    /// Reads the approval on which a call stands: the act that was shown, and who approved it.
    async fn approved(&self, ask: &Ask, id: &str) -> Result<Result<Granted, Reason>, CallError> {
        let (Some(guild), Some(Principal::Person(asker))) = (ask.guild(), &ask.principal) else {
            return Ok(Err(Reason::NotApproved));
        };
        let approval = self.shared.executions.approval(guild, id).await?;
        let fitting = approval.filter(|approval| {
            approval.decision() == ApprovalDecision::Approved
                && approval.tool == ask.tool
                && approval.thread_id == ask.thread_id()
                && format!("{}/approved", approval.key) == ask.key
                && approval.channel_id == ask.here.get()
                && approval.hash == hash(guild, *asker, &approval.tool, &approval.arguments)
        });
        let Some(approval) = fitting else { return Ok(Err(Reason::NotApproved)) };
        let act = serde_json::from_str(&approval.arguments).ok();
        let Some((act, by)) = act.zip(Id::new_checked(approval.decided_by)) else {
            return Ok(Err(Reason::NotApproved));
        };
        let was_ordered = self.was_ordered(guild, approval.channel_id, &approval.key).await?;
        Ok(Ok(Granted { act, confirmed: Confirmed::Click(by), was_ordered }))
    }

    /// Decides by a click, if whoever clicked may do the act themselves, and answers it.
    pub(crate) async fn click(
        &self,
        request: ClickApprovalRequest,
    ) -> Result<ClickApprovalResponse, Status> {
        let Some((id, is_approved)) = pressed(&request.custom_id) else {
            return Ok(ClickApprovalResponse::default());
        };
        let invalid = || Status::invalid_argument("a click must name its server and its member");
        let guild = Id::new_checked(request.guild_id).ok_or_else(invalid)?;
        let user = Id::new_checked(request.user_id).ok_or_else(invalid)?;
        let reply = self.decided(guild, user, id, is_approved).await.map_err(Status::from)?;
        let mut response = ClickApprovalResponse { is_ours: true, ..Default::default() };
        match reply {
            Reply::Refused { content, .. } if request.tells_refusal => {
                response.refusal = content.to_string();
            }
            reply => self.answer_click(&request, guild, reply),
        }
        Ok(response)
    }

    async fn decided(
        &self,
        guild: Id<GuildMarker>,
        user: Id<UserMarker>,
        id: &str,
        is_approved: bool,
    ) -> Result<Reply, CallError> {
        let executions = &self.shared.executions;
        let Some(approval) = executions.approval(guild, id).await? else {
            return Ok(Reply::unknown());
        };
        if approval.decision() == ApprovalDecision::Unspecified {
            let is_withdrawal = !is_approved && approval.asker_id == user.get();
            if !is_withdrawal && let Err(reason) = self.may_decide(guild, user, &approval).await? {
                // Whoever clicked is told all the same.
                if let Err(error) = self.note_refused_click(guild, user, &approval, &reason).await {
                    tracing::warn!(error = %error, "a refused click could not be written down");
                }
                return Ok(Reply::refused(&reason));
            }
        }
        let decided = executions.decide(guild, id, is_approved, user).await?;
        Ok(match decided {
            Some(approval) => Reply::Update(self.ended(guild, &approval).await?),
            None => Reply::unknown(),
        })
    }

    /// Whether a person may do the act of an approval by hand, here and now.
    async fn may_decide(
        &self,
        guild: Id<GuildMarker>,
        user: Id<UserMarker>,
        approval: &Approval,
    ) -> Result<Result<(), Reason>, CallError> {
        let shared = &*self.shared;
        let act: Option<Value> = serde_json::from_str(&approval.arguments).ok();
        let here = Id::new_checked(approval.channel_id);
        let (Some(entry), Some(act), Some(here)) = (tools::find(&approval.tool), act, here) else {
            return Ok(Err(Reason::UnknownTool));
        };
        let known = shared.guilds.guild(guild).await?;
        let needs = entry.tool.needs_of(&act, Some(&known), here);
        let Some((tier, needs)) = entry.tool.tier_of(&act).zip(needs) else {
            return Ok(Err(Reason::UnknownTool));
        };
        let subjects = needs.subjects.iter().map(|subject| subject.user);
        let users: Vec<_> = subjects.chain([user]).collect();
        // Most presses are refused by what is known; only what would be allowed is read anew.
        let warm = shared.guilds.state(guild, &users).await?;
        let principal = Principal::Person(user);
        let was_ordered = self.was_ordered(guild, approval.channel_id, &approval.key).await?;
        let call = Call {
            tool: entry.spec,
            inner: entry.tool.inner_of(&act),
            tier,
            needs: &needs,
            principal: Some(&principal),
            askers: &[],
            here,
            is_tainted: false,
            is_ordered: was_ordered,
            is_answer: false,
            // This is the click.
            confirmed: Some(Confirmed::Click(user)),
        };
        let policy = shared.policy(ChannelKey::new(Some(guild), here)).await?;
        if policy.is_paused {
            // The proposal stands, and can be approved once she goes on.
            return Ok(Err(Reason::Paused));
        }
        let judged =
            |state: &GuildState| match decide(&call, Some(state), &policy, shared.clock.now()) {
                Decision::Allow { .. } => Ok(()),
                Decision::Deny(reason) | Decision::NeedsApproval(reason) => Err(reason),
            };
        if let Err(reason) = judged(&warm) {
            return Ok(Err(reason));
        }
        Ok(judged(&shared.guilds.state_anew(guild, &users).await?))
    }

    /// Returns what a proposal's message says once it is decided.
    async fn ended(
        &self,
        guild: Id<GuildMarker>,
        approval: &Approval,
    ) -> Result<String, CallError> {
        let here = Id::new_checked(approval.channel_id).unwrap_or(guild.cast());
        let language = self.language(ChannelKey::new(Some(guild), here)).await?;
        let stored = (approval.tool.as_str(), approval.arguments.as_str());
        let about = self.about(language, guild, here, stored).await?;
        let (asker, by) =
            (format!("<@{}>", approval.asker_id), format!("<@{}>", approval.decided_by));
        let values = [("asker", (&asker).into()), ("by", (&by).into())];
        let key = match approval.decision() {
            ApprovalDecision::Approved => "proposal-approved",
            ApprovalDecision::Rejected => "proposal-rejected",
            ApprovalDecision::Expired => "proposal-expired",
            ApprovalDecision::Void if approval.asking_message_id == 0 => "proposal-revoked",
            ApprovalDecision::Void => "proposal-withdrawn",
            ApprovalDecision::Unspecified => "proposal-waits",
        };
        let whose = language.say("proposal-asker", &values);
        Ok(format!("{whose} {}\n{about}", language.say(key, &values)))
    }

    /// Returns the language in which people in a channel are spoken to.
    async fn language(&self, here: ChannelKey) -> Result<Language, CallError> {
        Ok(self.shared.policy(here).await?.language)
    }

    /// Describes an act as it is stored.
    async fn about(
        &self,
        language: Language,
        guild: Id<GuildMarker>,
        here: Id<ChannelMarker>,
        (tool, arguments): (&str, &str),
    ) -> Result<String, CallError> {
        let guilds = &self.shared.guilds;
        let act = serde_json::from_str::<Value>(arguments).ok();
        let (Some(entry), Some(act)) = (tools::find(tool), act) else {
            return Ok(describe::tool(tool));
        };
        let known = guilds.guild(guild).await?;
        let needs = entry.tool.needs_of(&act, Some(&known), here);
        let subjects = needs.iter().flat_map(|needs| &needs.subjects);
        let users: Vec<_> = subjects.map(|subject| subject.user).collect();
        let state = guilds.state(guild, &users).await?;
        let about = describe::act(language, entry.spec, &act, Some(&state));
        Ok(about.unwrap_or_else(|shortened| shortened))
    }

    /// Answers a click, beside those that come after it; best effort, since what was decided stands.
    fn answer_click(&self, request: &ClickApprovalRequest, guild: Id<GuildMarker>, reply: Reply) {
        let none = json!({ "parse": [] });
        let body = match reply {
            Reply::Update(content) => json!({
                "type": UPDATE_MESSAGE,
                "data": { "content": content, "components": [], "allowed_mentions": none },
            }),
            Reply::Refused { sentence, .. } => json!({
                "type": CHANNEL_MESSAGE,
                "data": { "content": sentence, "flags": EPHEMERAL, "allowed_mentions": none },
            }),
        };
        let token = text::percent_encoded(&request.interaction_token);
        let path = format!("interactions/{}/{token}/callback", request.interaction_id);
        let send_by = self.shared.clock.now() + ANSWER_WITHIN;
        // As of a webhook: each has a limit of its own, and none waits for another.
        let route = format!("webhooks/{}/callback", request.interaction_id);
        let callback = Request::new(Method::Post, route, path, guild.get(), send_by)
            .json(&body)
            .about(request.interaction_id)
            .send();
        let discord = Arc::clone(&self.shared.discord);
        self.shared.work.spawn(async move {
            if let Err(error) = discord.repeatedly(&callback).await {
                tracing::info!(error = %error, guild.id = %guild, "a click could not be answered");
            }
        });
    }

    /// Shows in a proposal's message how it ended; best effort.
    pub(crate) async fn settle(&self, guild: u64, id: &str) -> Result<(), Status> {
        let invalid = || Status::invalid_argument("a proposal must name its server");
        let guild = Id::<GuildMarker>::new_checked(guild).ok_or_else(invalid)?;
        let approval = self.shared.executions.approval(guild, id).await.map_err(CallError::from)?;
        let is_over = |it: &Approval| it.decision() != ApprovalDecision::Unspecified;
        let Some(approval) = approval.filter(|it| it.message_id != 0 && is_over(it)) else {
            return Ok(());
        };
        let content = self.ended(guild, &approval).await?;
        let channel = approval.channel_id;
        let edit = Request::new(
            Method::Patch,
            format!("channels/{channel}/messages"),
            format!("channels/{channel}/messages/{}", approval.message_id),
            guild.get(),
            self.shared.discord.send_by(),
        )
        .json(&json!({
            "content": content, "components": [], "allowed_mentions": { "parse": [] },
        }));
        if let Err(error) = self.shared.discord.repeatedly(&edit).await {
            tracing::info!(error = %error, guild.id = %guild, "a proposal's end cannot be shown");
        }
        Ok(())
    }
}

impl Judged {
    pub(super) fn proposal(plan: Plan, reason: Reason) -> Self {
        Self::Proposal(Box::new(plan), reason)
    }
}

fn answer_tool() -> Result<&'static Entry, CallError> {
    tools::find(ANSWER_TOOL)
        .ok_or_else(|| CallError::Invalid("there is no tool to show a proposal by".into()))
}

/// Binds an approval to what is to be done, where, and for whom.
fn hash(guild: Id<GuildMarker>, asker: Id<UserMarker>, tool: &str, arguments: &str) -> String {
    sha256_hex(&json!([tool, arguments, guild.to_string(), asker.to_string()]).to_string())
}

/// Reads which button was pressed: the approval, and whether it is approved.
fn pressed(custom_id: &str) -> Option<(&str, bool)> {
    let (id, end) = custom_id.strip_prefix(BUTTON)?.rsplit_once('.')?;
    match end {
        "y" => Some((id, true)),
        "n" => Some((id, false)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_button_tells_its_approval_and_its_meaning() {
        assert_eq!(pressed("ery.ap.abc.y"), Some(("abc", true)));
        assert_eq!(pressed("ery.ap.abc.n"), Some(("abc", false)));
        for foreign in ["", "ery.ap.abc", "ery.ap.abc.x", "other.abc.y"] {
            assert_eq!(pressed(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn an_approval_is_bound_to_all_of_its_act() {
        let (guild, asker) = (Id::new(1), Id::new(2));
        let one = hash(guild, asker, "ban_member", "{}");
        assert_eq!(one, hash(guild, asker, "ban_member", "{}"));
        for other in [
            hash(Id::new(3), asker, "ban_member", "{}"),
            hash(guild, Id::new(3), "ban_member", "{}"),
            hash(guild, asker, "kick_member", "{}"),
            hash(guild, asker, "ban_member", "{ }"),
        ] {
            assert_ne!(one, other);
        }
    }
}
