//! “Report message”: what somebody wants the staff to look at.

use std::time::Duration;

use twilight_model::id::{
    Id,
    marker::{ChannelMarker, GuildMarker, MessageMarker},
};

use ery_community_config::{Named, Present};
use ery_ids::ChannelKey;

use crate::{
    domain::{
        commands::{
            interaction::Interaction,
            reply::{Message, quoted},
        },
        texts::Language,
        tool::CallOutcome,
    },
    error::CallError,
    handlers::{holder::Holder, quotas::Limit, verdicts::Reported},
};

/// How much of a reason and of a message the staff is shown.
const LONGEST_REASON: usize = 400;
const LONGEST_EXCERPT: usize = 600;

/// What was said just now may be on its way into the store yet.
const TAKEN_IN_TRIES: u32 = 5;
const TAKEN_IN_PAUSE: Duration = Duration::from_millis(300);

/// Where the staff is told.
struct Place {
    channel: Id<ChannelMarker>,
    /// Whether another one is set, which is not there any more.
    is_in_place_of_another: bool,
}

/// Returns what is said where there is nobody to report to, before somebody writes why.
pub(super) async fn refused(
    holder: &Holder,
    it: &Interaction,
) -> Result<Option<Message>, CallError> {
    let Some(guild) = it.channel.guild() else {
        return Ok(Some(Message::of(it.language.word("unknown-command"))));
    };
    let is_nowhere = place(holder, it, guild).await?.is_none();
    Ok(is_nowhere.then(|| Message::of(it.language.word("report-no-place"))))
}

/// Returns where reports go: where that is set, as long as it is there, else where the staff is told of
/// everything.
async fn place(
    holder: &Holder,
    it: &Interaction,
    guild: Id<GuildMarker>,
) -> Result<Option<Place>, CallError> {
    let set = holder.config(it.channel, None).await?.config.moderation.reports_channel;
    if let Some(channel) = set {
        let told = holder.tools.describe_guild(guild, it.user, vec![channel.get()]).await?;
        if !Present::from(&told).lacks(Named::Channel, channel.get()) {
            return Ok(Some(Place { channel, is_in_place_of_another: false }));
        }
        tracing::info!(guild.id = %guild, channel.id = %channel,
            "the channel that is set for reports is not there any more");
    }
    let found = holder.tools.staff_channel(guild).await?;
    let is_in_place_of_another = set.is_some();
    Ok(found.map(|channel| Place { channel, is_in_place_of_another }))
}

/// Tells the staff of a message, once for each person who reports it.
pub(super) async fn report(
    holder: &Holder,
    it: &Interaction,
    message: Id<MessageMarker>,
    reason: &str,
) -> Result<Message, CallError> {
    let language = it.language;
    let Some(guild) = it.channel.guild() else {
        return Ok(Message::of(language.word("unknown-command")));
    };
    let Some(staff) = place(holder, it, guild).await? else {
        return Ok(Message::of(language.word("report-no-place")));
    };
    if let Err(limit) = holder.quotas.report(guild, it.user, it.id, holder.now()) {
        let minutes =
            |wait: Duration| usize::try_from(wait.as_secs() / 60 + 1).unwrap_or(usize::MAX);
        return Ok(Message::of(match limit {
            Limit::OfPerson(wait) => {
                language.say("report-too-many", &[("minutes", minutes(wait).into())])
            }
            Limit::OfServer(wait) => {
                language.say("report-too-many-here", &[("minutes", minutes(wait).into())])
            }
        }));
    }
    let there = holder.config(ChannelKey::new(Some(guild), staff.channel), None).await?;
    let set = Language::known(&there.config.answers.language);
    let of_staff = set.unwrap_or(it.server_language);
    let mut found = holder.store.message(it.channel, message).await?;
    for _ in 0..TAKEN_IN_TRIES {
        if found.is_some() {
            break;
        }
        tokio::time::sleep(TAKEN_IN_PAUSE).await;
        found = holder.store.message(it.channel, message).await?;
    }
    let reporter = format!("<@{}>", it.user);
    let link = format!("https://discord.com/channels/{guild}/{}/{message}", it.channel.channel);
    let values = [("reporter", (&reporter).into()), ("link", (&link).into())];
    let mut lines = vec![of_staff.say("report-heading", &values)];
    let reason = quoted(reason, LONGEST_REASON);
    lines.push(of_staff.say("report-reason", &[("reason", (&reason).into())]));
    match found {
        Some(found) => {
            let author = format!("<@{}>", found.author);
            let excerpt = quoted(&found.content, LONGEST_EXCERPT);
            let values = [("author", (&author).into()), ("excerpt", (&excerpt).into())];
            lines.push(of_staff.say("report-excerpt", &values));
        }
        None => lines.push(of_staff.word("report-no-excerpt")),
    }
    if staff.is_in_place_of_another {
        lines.push(of_staff.word("report-place-gone"));
    }
    // Named by who reports what: one person is heard once about one message.
    let name = format!("rp.{message}.{}", it.user);
    let content = lines.join("\n");
    let called = holder.tools.tell_staff(it, &name, staff.channel, &content).await?;
    if called.outcome == CallOutcome::Done
        && let (Some(report), Some(bot)) = (called.message, Id::new_checked(it.application))
    {
        // Beside what whoever reports it waits for.
        let (channel, trigger) = (it.channel, format!("in.{}", it.id));
        let told = (staff.channel, report);
        let language = of_staff;
        let view = Reported { name, channel, message, trigger, told, content, bot, language };
        holder.verdicts.ask(view);
    }
    Ok(Message::of(match called.outcome {
        CallOutcome::Done => language.word("report-sent"),
        CallOutcome::InDoubt => language.word("report-perhaps-sent"),
        CallOutcome::Denied
        | CallOutcome::Failed
        | CallOutcome::NeedsApproval
        | CallOutcome::Later => language.word("report-not-sent"),
    }))
}
