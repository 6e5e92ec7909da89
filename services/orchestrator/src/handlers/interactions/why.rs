//! `/why` and “Explain this”: why Ery answered, kept silent, acted or refused.

use std::time::Duration;

use twilight_model::guild::Permissions;

use ery_ids::ChannelKey;

use crate::{
    domain::commands::{
        asked::Meant,
        interaction::Interaction,
        pages::{List, Paged},
        reply::Message,
    },
    error::CallError,
    handlers::holder::Holder,
};

pub(super) async fn why(
    holder: &Holder,
    it: &Interaction,
    meant: &Meant,
    (page, is_turn): (usize, bool),
) -> Result<Message, CallError> {
    let language = it.language;
    if !is_turn && let Err(wait) = holder.quotas.ask_why(it.user, it.id, holder.now()) {
        let seconds = seconds(wait);
        return Ok(Message::of(language.say("why-too-often", &[("seconds", seconds.into())])));
    }
    let (list, told) = match told(holder, it, meant).await? {
        Ok(found) => found,
        Err(nothing) => return Ok(Message::of(nothing)),
    };
    let mut paged = Paged::new(list, page);
    paged.add(told.lines().map(str::to_owned));
    Ok(paged.message(language))
}

/// Rounds up, so that nobody comes back too early.
fn seconds(wait: Duration) -> usize {
    usize::try_from(wait.as_secs() + 1).unwrap_or(usize::MAX)
}

/// Returns what is to be told, and of which message; or why nothing is.
async fn told(
    holder: &Holder,
    it: &Interaction,
    meant: &Meant,
) -> Result<Result<(List, String), String>, CallError> {
    let language = it.language;
    let (channel, message) = match meant {
        Meant::Unclear => return Ok(Err(language.word("why-unclear"))),
        Meant::Last => match holder.store.last_request(it.channel, it.user).await? {
            Some(message) => (it.channel, message),
            None => return Ok(Err(language.word("why-no-last"))),
        },
        Meant::Message { guild, channel, message } => {
            let channel = channel.unwrap_or(it.channel.channel);
            let is_elsewhere = guild.is_some_and(|guild| Some(guild) != it.channel.guild())
                || it.channel.guild().is_none() && channel != it.channel.channel;
            if is_elsewhere {
                return Ok(Err(language.word("why-elsewhere")));
            }
            (ChannelKey::new(it.channel.guild(), channel), *message)
        }
    };
    // What does not exist, and what is not theirs to know, is said alike.
    let unknown = || language.word("why-unknown");
    let here = if channel == it.channel {
        it.permissions
    } else {
        holder.tools.permissions_in(channel, it.user).await?
    };
    // Nothing is searched for whoever may not see the place.
    if channel != it.channel && !here.contains(Permissions::VIEW_CHANNEL) {
        return Ok(Err(unknown()));
    }
    let explained = holder.store.explain(channel, message).await?;
    let told = explained.filter(|explained| explained.may_be_told_to(it.user, here));
    let list = List::Why { channel: channel.channel, message };
    Ok(told.map(|explained| (list, explained.told(language))).ok_or_else(unknown))
}
