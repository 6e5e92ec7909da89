//! “Report message”: what somebody wants the staff to look at.

use std::time::Duration;

use twilight_model::id::{Id, marker::MessageMarker};

use crate::{
    domain::{
        commands::{
            interaction::Interaction,
            reply::{Message, quoted},
        },
        tool::CallOutcome,
    },
    error::CallError,
    handlers::{holder::Holder, quotas::Limit},
};

/// How much of a reason and of a message the staff is shown.
const LONGEST_REASON: usize = 400;
const LONGEST_EXCERPT: usize = 600;

/// What was said just now may be on its way into the store yet.
const TAKEN_IN_TRIES: u32 = 5;
const TAKEN_IN_PAUSE: Duration = Duration::from_millis(300);

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
    let set = holder.config(it.channel, None).await?.config.moderation.reports_channel;
    let found = match set {
        Some(channel) => Some(channel),
        None => holder.tools.staff_channel(guild).await?,
    };
    let Some(staff) = found else {
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
    let of_staff = it.server_language;
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
    // Named by who reports what: one person is heard once about one message.
    let name = format!("rp.{message}.{}", it.user);
    let called = holder.tools.tell_staff(it, &name, staff, &lines.join("\n")).await?;
    Ok(Message::of(match called.outcome {
        CallOutcome::Done => language.word("report-sent"),
        CallOutcome::InDoubt => language.word("report-perhaps-sent"),
        CallOutcome::Denied
        | CallOutcome::Failed
        | CallOutcome::NeedsApproval
        | CallOutcome::Later => language.word("report-not-sent"),
    }))
}
