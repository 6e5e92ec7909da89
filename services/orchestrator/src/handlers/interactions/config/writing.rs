//! What is set by writing it into a form.

use ery_community_config::{Combine, Key, Subject, keys};

use super::{invalid, showing::text_of, subject, takes::Takes};
use crate::{
    domain::commands::{config::Place, interaction::Interaction, reply::Message},
    error::CallError,
    handlers::holder::Holder,
};

/// Returns what stands in a form before somebody writes what a key is to be: what holds there. An answer
/// in its place says why they may not.
pub(crate) async fn begun(
    holder: &Holder,
    it: &Interaction,
    (key, place): (&str, Place),
) -> Result<Result<String, Message>, CallError> {
    let effective = holder.config(it.channel, Some(it.user)).await?;
    let takes = Takes::to_set(key, place);
    if !takes.is_met(it, &effective.config) {
        return Ok(Err(Message::of(takes.said(it.language))));
    }
    let subject = subject(it, place);
    let found = keys().find(key).and_then(|found| {
        found.check_layer(subject.layer, key)?;
        Ok(found)
    });
    match found {
        Ok(found) => in_force(holder, it, (key, found), (subject, place)).await.map(Ok),
        Err(error) => Ok(Err(invalid(it.language, &error))),
    }
}

/// Returns a value as it is written; nothing where there is none.
async fn in_force(
    holder: &Holder,
    it: &Interaction,
    (path, key): (&str, &Key),
    (subject, place): (Subject, Place),
) -> Result<String, CallError> {
    if key.combine == Combine::Joined {
        // What is set above is told before it in any case.
        let loaded = holder.stored_config.get(it.channel.home.key(), None).await;
        let loaded = loaded.ok().flatten().unwrap_or_default();
        let set = loaded.layered.get(&subject).and_then(|document| document.get(path));
        return Ok(set.map(text_of).unwrap_or_default());
    }
    let effective = match place {
        // That it cannot be looked up is no reason to show no form.
        Place::Server => match holder.config.get(it.channel.home).await {
            Ok(snapshot) => snapshot.effective(0, 0),
            Err(_) => return Ok(String::new()),
        },
        Place::Channel => holder.config(it.channel, None).await?,
        Place::Me => holder.config(it.channel, Some(it.user)).await?,
    };
    Ok(effective.values.get(path).map(|(value, _)| text_of(value)).unwrap_or_default())
}
