//! `/case`: what was done to whom, as the moderation log has it.

use twilight_model::{
    guild::Permissions,
    id::{Id, marker::UserMarker},
};

use crate::{
    domain::commands::{interaction::Interaction, reply::Message},
    error::CallError,
    handlers::holder::Holder,
};

/// How many cases a list shows: what a message has room for.
const SHOWN: usize = 10;

/// Who may read the moderation log: whoever may do what stands in it, or read Discord's own.
const READERS: Permissions = Permissions::MODERATE_MEMBERS
    .union(Permissions::KICK_MEMBERS)
    .union(Permissions::BAN_MEMBERS)
    .union(Permissions::VIEW_AUDIT_LOG)
    .union(Permissions::ADMINISTRATOR);

/// Returns whether whoever asks may read the log: by a right, or by a role that is let.
async fn may_read(holder: &Holder, it: &Interaction) -> Result<bool, CallError> {
    if it.permissions.intersects(READERS) {
        return Ok(true);
    }
    let effective = holder.config(it.channel, None).await?;
    let let_in = &effective.config.access.moderator;
    Ok(it.roles.iter().any(|role| let_in.contains(role)))
}

/// Lists the newest acts, of all or of one person.
pub(super) async fn list(
    holder: &Holder,
    it: &Interaction,
    member: Option<Id<UserMarker>>,
) -> Result<Message, CallError> {
    let language = it.language;
    let (Some(guild), true) = (it.channel.guild(), may_read(holder, it).await?) else {
        return Ok(Message::of(language.word("case-not-allowed")));
    };
    let wanted = u32::try_from(SHOWN + 1).unwrap_or(u32::MAX);
    let cases = holder.store.cases(guild, member, None, wanted).await?;
    if cases.is_empty() {
        return Ok(Message::of(language.word("case-none")));
    }
    let mut lines: Vec<String> = cases.iter().take(SHOWN).map(|case| case.line(language)).collect();
    if cases.len() > SHOWN {
        lines.push(language.word("case-more"));
    }
    Ok(Message::of(lines.join("\n")))
}

/// Shows one act whole.
pub(super) async fn show(
    holder: &Holder,
    it: &Interaction,
    number: u64,
) -> Result<Message, CallError> {
    let language = it.language;
    let (Some(guild), true) = (it.channel.guild(), may_read(holder, it).await?) else {
        return Ok(Message::of(language.word("case-not-allowed")));
    };
    let cases = holder.store.cases(guild, None, Some(number), 1).await?;
    Ok(Message::of(match cases.first() {
        Some(case) => case.whole(language),
        None => language.word("case-unknown"),
    }))
}
