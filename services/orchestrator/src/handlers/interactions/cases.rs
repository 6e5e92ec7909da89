//! `/case`: what was done to whom, as the moderation log has it.

use twilight_model::{
    guild::Permissions,
    id::{Id, marker::UserMarker},
};

use crate::{
    adapters::records::WhichCases,
    domain::commands::{
        interaction::Interaction,
        pages::{List, Paged},
        reply::Message,
    },
    error::CallError,
    handlers::holder::Holder,
};

/// How many cases are looked up at once.
const AT_ONCE: u32 = 25;

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

/// Lists acts, the newest first, of all or of one person; those up to a case, or all.
pub(super) async fn list(
    holder: &Holder,
    it: &Interaction,
    member: Option<Id<UserMarker>>,
    until: Option<u64>,
    page: usize,
) -> Result<Message, CallError> {
    let language = it.language;
    let (Some(guild), true) = (it.channel.guild(), may_read(holder, it).await?) else {
        return Ok(Message::of(language.word("case-not-allowed")));
    };
    let mut which =
        until.map_or(WhichCases::Newest, |until| WhichCases::Before(until.saturating_add(1)));
    let mut shown: Option<Paged> = None;
    loop {
        let cases = holder.store.cases(guild, member, which, AT_ONCE).await?;
        let (Some(first), Some(last)) = (cases.first(), cases.last()) else { break };
        let of = List::Cases { until: first.number, member };
        let paged = shown.get_or_insert_with(|| Paged::new(of, page));
        paged.add(cases.iter().map(|case| case.line(language)));
        if paged.is_enough() {
            paged.is_part();
            break;
        }
        which = WhichCases::Before(last.number);
    }
    let none = || Message::of(language.word("case-none"));
    Ok(shown.map_or_else(none, |paged| paged.message(language)))
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
    let cases = holder.store.cases(guild, None, WhichCases::One(number), 1).await?;
    Ok(Message::of(match cases.first() {
        Some(case) => case.whole(language),
        None => language.word("case-unknown"),
    }))
}
