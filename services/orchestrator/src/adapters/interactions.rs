//! The tool-service, as interactions use it.

use std::time::Duration;

use futures::FutureExt;
use serde_json::{Value, json};
use twilight_model::{
    guild::Permissions,
    id::{
        Id,
        marker::{ChannelMarker, GuildMarker, MessageMarker, UserMarker},
    },
};

use ery_clock::UnixMillis;
use ery_ids::{ChannelKey, EventId, ExecutionKey, Home, TriggerId};
use ery_proto::{
    common::v1::{
        Principal,
        principal::{Kind, Rule},
    },
    tool::v1::{self as proto, InteractionOutcome},
};
use ery_rpc::within;

use crate::{
    adapters::{
        convert,
        tools::{Called, Tools},
    },
    domain::commands::{
        asked::Deed,
        interaction::Interaction,
        reply::{Attached, First, Message},
    },
    error::CallError,
};

/// How long Discord waits for a first answer; asking longer is of no use.
const FIRST_ANSWER: Duration = Duration::from_secs(3);

/// How long registering may take: a list is read, and perhaps written.
const REGISTERING: Duration = Duration::from_secs(20);

/// On whose authority something is told that no person orders.
#[derive(Clone, Copy)]
struct ByRule {
    cause: &'static str,
    rule: &'static str,
}

/// What is told, and the buttons below it: a JSON array, or none.
struct Said<'a> {
    content: &'a str,
    buttons: String,
}

impl<'a> Said<'a> {
    fn plain(content: &'a str) -> Self {
        Self { content, buttons: String::new() }
    }
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    Done,
    /// It was answered before.
    Before,
    /// Nobody waits any more.
    Expired,
    /// Discord does not take it.
    Refused,
}

/// An act that is planned, as whoever asks may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) id: String,
    pub(crate) tool: String,
    pub(crate) arguments: String,
    pub(crate) due_at: UnixMillis,
    pub(crate) channel: Id<ChannelMarker>,
    pub(crate) planned_by: Option<Id<UserMarker>>,
}

/// What Ery found in a server that she joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checked {
    /// Where she may introduce herself.
    pub(crate) channel: Option<Id<ChannelMarker>>,
    /// The permissions that she lacks, by Discord's constants.
    pub(crate) missing: Vec<String>,
    /// Whether no role of people's stands below hers.
    pub(crate) is_lowest: bool,
    /// Whose server it is.
    pub(crate) owner: Option<Id<UserMarker>>,
}

impl Tools {
    /// Gives an interaction its first answer.
    pub(crate) async fn answer_first(
        &self,
        it: &Interaction,
        first: &First,
    ) -> Result<Answered, CallError> {
        let client = self.client(it.channel.home);
        let request = proto::AnswerInteractionRequest {
            guild_id: it.channel.guild_raw(),
            channel_id: it.channel.channel.get(),
            interaction_id: it.id,
            interaction_token: it.token.clone(),
            response: first.body().to_string(),
        };
        let retries = self.retries.for_at_most(FIRST_ANSWER);
        let answer = retries
            .call("AnswerInteraction", FIRST_ANSWER, || {
                let request = within(FIRST_ANSWER, request.clone());
                let mut client = client.clone();
                async move {
                    client.answer_interaction(request).await.map(tonic::Response::into_inner)
                }
                .boxed()
            })
            .await?;
        answered("AnswerInteraction", answer.outcome())
    }

    /// Says what came of it, in the place of the first answer. A repeat changes nothing.
    pub(crate) async fn edit_answer(
        &self,
        it: &Interaction,
        message: &Message,
    ) -> Result<Answered, CallError> {
        let client = self.client(it.channel.home);
        let request = proto::EditInteractionAnswerRequest {
            guild_id: it.channel.guild_raw(),
            channel_id: it.channel.channel.get(),
            application_id: it.application,
            interaction_token: it.token.clone(),
            message: message.body().to_string(),
            files: message.files.iter().map(file).collect(),
        };
        let answer = self
            .retries
            .call("EditInteractionAnswer", self.tool_timeout, || {
                let request = within(self.tool_timeout, request.clone());
                let mut client = client.clone();
                async move {
                    client.edit_interaction_answer(request).await.map(tonic::Response::into_inner)
                }
                .boxed()
            })
            .await?;
        answered("EditInteractionAnswer", answer.outcome())
    }

    /// Tells what is planned, as far as whoever asks may see it.
    pub(crate) async fn list_plans(&self, it: &Interaction) -> Result<Vec<Plan>, CallError> {
        let client = self.client(it.channel.home);
        let request = proto::ListPlansRequest {
            guild_id: it.channel.guild_raw(),
            channel_id: it.channel.channel.get(),
            user_id: it.user.get(),
        };
        let answer = self
            .retries
            .call("ListPlans", self.lookup_timeout, || {
                let request = within(self.lookup_timeout, request);
                let mut client = client.clone();
                async move { client.list_plans(request).await.map(tonic::Response::into_inner) }
                    .boxed()
            })
            .await?;
        let plan = |plan: proto::PlannedCall| {
            Some(Plan {
                id: plan.id,
                tool: plan.tool,
                arguments: plan.arguments,
                due_at: UnixMillis(plan.due_at_ms),
                channel: Id::new_checked(plan.channel_id)?,
                planned_by: Id::new_checked(plan.planned_by),
            })
        };
        Ok(answer.plans.into_iter().filter_map(plan).collect())
    }

    /// Tells what somebody may do in a channel of their server; nothing where they are no member, nor
    /// in a private thread that they may not manage.
    pub(crate) async fn permissions_in(
        &self,
        channel: ChannelKey,
        person: Id<UserMarker>,
    ) -> Result<Permissions, CallError> {
        let client = self.client(channel.home);
        let request = proto::DescribePeopleRequest {
            guild_id: channel.guild_raw(),
            channel_id: channel.channel.get(),
            user_ids: vec![person.get()],
        };
        let answer = self
            .retries
            .call("DescribePeople", self.lookup_timeout, || {
                let request = within(self.lookup_timeout, request.clone());
                let mut client = client.clone();
                async move { client.describe_people(request).await.map(tonic::Response::into_inner) }
                    .boxed()
            })
            .await?;
        let of = answer.people.into_iter().find(|it| it.user_id == person.get());
        let inside = of.filter(|it| !it.is_perhaps_outside);
        Ok(Permissions::from_bits_retain(inside.map_or(0, |it| it.channel_permissions)))
    }

    /// Carries a command's act out, for whoever gave it. A repeat of the interaction acts once.
    pub(crate) async fn carry_out(
        &self,
        it: &Interaction,
        deed: &Deed,
        tool: &str,
        arguments: &Value,
    ) -> Result<Called, CallError> {
        let interaction = format!("in.{}", it.id);
        let key = ExecutionKey::Event {
            event: EventId(interaction.clone()),
            cause: deed.as_word().to_owned(),
            index: 0,
        };
        let request = proto::CallToolRequest {
            key: key.to_string(),
            tool: tool.to_owned(),
            arguments: arguments.to_string(),
            principal: Some(convert::person(it.user)),
            trigger_id: interaction,
            guild_id: it.channel.guild_raw(),
            channel_id: it.channel.channel.get(),
            offered: vec![tool.to_owned()],
            is_command: true,
            ..proto::CallToolRequest::default()
        };
        self.send(it.channel.home, request).await
    }

    /// Returns which roles and channels a server has, and of channels which of them whoever asks sees.
    /// Those among `channels` are looked for where they are not known.
    pub(crate) async fn describe_guild(
        &self,
        guild: Id<GuildMarker>,
        asker: Id<UserMarker>,
        channels: Vec<u64>,
    ) -> Result<proto::DescribeGuildResponse, CallError> {
        let client = self.client(Home::Guild(guild));
        let request = proto::DescribeGuildRequest {
            guild_id: guild.get(),
            user_id: asker.get(),
            channel_ids: channels,
        };
        self.retries
            .call("DescribeGuild", self.lookup_timeout, || {
                let request = within(self.lookup_timeout, request.clone());
                let mut client = client.clone();
                async move { client.describe_guild(request).await.map(tonic::Response::into_inner) }
                    .boxed()
            })
            .await
    }

    /// Returns where a server's staff is told of something, if anywhere.
    pub(crate) async fn staff_channel(
        &self,
        guild: Id<GuildMarker>,
    ) -> Result<Option<Id<ChannelMarker>>, CallError> {
        let client = self.client(Home::Guild(guild));
        let request = proto::FindStaffChannelRequest { guild_id: guild.get() };
        let answer = self
            .retries
            .call("FindStaffChannel", self.lookup_timeout, || {
                let request = within(self.lookup_timeout, request);
                let mut client = client.clone();
                async move {
                    client.find_staff_channel(request).await.map(tonic::Response::into_inner)
                }
                .boxed()
            })
            .await?;
        Ok(Id::new_checked(answer.channel_id))
    }

    /// Returns where Ery introduces herself in a server, and what she lacks there.
    pub(crate) async fn check_guild(&self, guild: Id<GuildMarker>) -> Result<Checked, CallError> {
        let client = self.client(Home::Guild(guild));
        let request = proto::CheckGuildRequest { guild_id: guild.get() };
        let answer = self
            .retries
            .call("CheckGuild", self.lookup_timeout, || {
                let request = within(self.lookup_timeout, request);
                let mut client = client.clone();
                async move { client.check_guild(request).await.map(tonic::Response::into_inner) }
                    .boxed()
            })
            .await?;
        let proto::CheckGuildResponse { channel_id, missing, is_lowest, owner_id } = answer;
        let (channel, owner) = (Id::new_checked(channel_id), Id::new_checked(owner_id));
        Ok(Checked { channel, missing, is_lowest, owner })
    }

    /// Introduces Ery in a server, by her own rights and under a name: once.
    pub(crate) async fn greet(
        &self,
        guild: Id<GuildMarker>,
        channel: Id<ChannelMarker>,
        name: &str,
        content: &str,
        buttons: &Value,
    ) -> Result<Called, CallError> {
        let by = ByRule { cause: "greeting", rule: "greets-where-she-joins" };
        let here = ChannelKey::new(Some(guild), channel);
        let said = Said { content, buttons: buttons.to_string() };
        self.tell_channel(here, name, name, by, channel, said).await
    }

    /// Tells a server's owner in a direct message that Ery is there, under a name: once, also where
    /// Discord or they take no direct message.
    pub(crate) async fn greet_owner(
        &self,
        guild: Id<GuildMarker>,
        owner: Id<UserMarker>,
        name: &str,
        content: &str,
    ) -> Result<Called, CallError> {
        const TOOL: &str = "send_dm";

        let by = ByRule { cause: "greeting-owner", rule: "greets-where-she-joins" };
        // There is no channel in which it could be said: it belongs to the server as a whole.
        let here = ChannelKey::new(Some(guild), guild.cast());
        let arguments = json!({ "content": content, "member": owner.to_string() });
        self.send(here.home, Self::of_rule(here, name, (name, by), TOOL, &arguments)).await
    }

    /// Tells a server's staff of something, by Ery's own rights. What is told under the same name is
    /// told once.
    pub(crate) async fn tell_staff(
        &self,
        it: &Interaction,
        name: &str,
        staff: Id<ChannelMarker>,
        content: &str,
    ) -> Result<Called, CallError> {
        let by = ByRule { cause: "report", rule: "reports-go-to-staff" };
        let trigger = format!("in.{}", it.id);
        self.tell_channel(it.channel, &trigger, name, by, staff, Said::plain(content)).await
    }

    /// Puts something else in the place of what the staff was told, once under the same name.
    pub(crate) async fn change_told(
        &self,
        channel: ChannelKey,
        trigger: &str,
        name: &str,
        told: (Id<ChannelMarker>, Id<MessageMarker>),
        content: &str,
    ) -> Result<Called, CallError> {
        const TOOL: &str = "edit_message";

        let by = ByRule { cause: "verdict", rule: "reports-go-to-staff" };
        let (staff, message) = told;
        let arguments = json!({
            "content": content, "channel": staff.to_string(), "message": message.to_string(),
        });
        self.send(channel.home, Self::of_rule(channel, trigger, (name, by), TOOL, &arguments)).await
    }

    async fn tell_channel(
        &self,
        channel: ChannelKey,
        trigger: &str,
        name: &str,
        by: ByRule,
        staff: Id<ChannelMarker>,
        said: Said<'_>,
    ) -> Result<Called, CallError> {
        const TOOL: &str = "send_message";

        let arguments = json!({ "content": said.content, "channel": staff.to_string() });
        let request = proto::CallToolRequest {
            buttons: said.buttons,
            ..Self::of_rule(channel, trigger, (name, by), TOOL, &arguments)
        };
        self.send(channel.home, request).await
    }

    /// Returns a call that no person orders; its name says which calls are the same.
    fn of_rule(
        channel: ChannelKey,
        trigger: &str,
        (name, by): (&str, ByRule),
        tool: &str,
        arguments: &Value,
    ) -> proto::CallToolRequest {
        let key = ExecutionKey::Event {
            event: EventId(name.to_owned()),
            cause: by.cause.to_owned(),
            index: 0,
        };
        let rule =
            Principal { kind: Some(Kind::Rule(Rule { id: by.rule.to_owned(), version: 1 })) };
        proto::CallToolRequest {
            key: key.to_string(),
            tool: tool.to_owned(),
            arguments: arguments.to_string(),
            principal: Some(rule),
            trigger_id: trigger.to_owned(),
            guild_id: channel.guild_raw(),
            channel_id: channel.channel.get(),
            offered: vec![tool.to_owned()],
            ..proto::CallToolRequest::default()
        }
    }

    /// Tells a server's staff of its budget, once by its name.
    pub(crate) async fn tell_budget(
        &self,
        channel: ChannelKey,
        trigger: &TriggerId,
        name: &str,
        staff: Id<ChannelMarker>,
        content: &str,
    ) -> Result<Called, CallError> {
        let by = ByRule { cause: "budget", rule: "budgets-are-told-to-staff" };
        self.tell_channel(channel, &trigger.to_string(), name, by, staff, Said::plain(content))
            .await
    }

    /// Makes Discord's list of commands equal to this one; returns whether it was another.
    pub(crate) async fn register_commands(
        &self,
        guild: Option<Id<GuildMarker>>,
        commands: &[Value],
    ) -> Result<bool, CallError> {
        // Those for all servers are of no server: one replica of the tool-service keeps them.
        let client = self.client(guild.map_or(Home::Dm(Id::new(1)), Home::Guild));
        let request = proto::RegisterCommandsRequest {
            guild_id: guild.map_or(0, Id::get),
            commands: Value::from(commands).to_string(),
        };
        let answer = self
            .retries
            .call("RegisterCommands", REGISTERING, || {
                let request = within(REGISTERING, request.clone());
                let mut client = client.clone();
                async move {
                    client.register_commands(request).await.map(tonic::Response::into_inner)
                }
                .boxed()
            })
            .await?;
        Ok(answer.is_changed)
    }
}

fn file(file: &Attached) -> proto::AnswerFile {
    proto::AnswerFile { name: file.name.clone(), bytes: file.bytes.clone() }
}

fn answered(call: &'static str, outcome: InteractionOutcome) -> Result<Answered, CallError> {
    Ok(match outcome {
        InteractionOutcome::Done => Answered::Done,
        InteractionOutcome::AnsweredBefore => Answered::Before,
        InteractionOutcome::Expired => Answered::Expired,
        InteractionOutcome::Refused => Answered::Refused,
        InteractionOutcome::Unspecified => {
            return Err(CallError::Unreadable { call, lacks: "outcome" });
        }
    })
}
