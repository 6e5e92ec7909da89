use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use twilight_model::id::{Id, marker::MessageMarker};

use ery_community_config::{Changed, ConfigCache};
use ery_event_bus::{EventBus, Topic, hear};
use ery_ids::{ChannelKey, ForgottenPerson};

use crate::{adapters::broadcaster::MessagesChanged, handlers::keys::KeyCache};

/// The threads that run here, so that they hear of edits, deletions and pauses at once.
///
/// A hint only: every answer of the store names the changes too, and config is looked at now and then.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    running: Mutex<HashMap<ChannelKey, Arc<Watch>>>,
}

#[derive(Debug)]
struct Watch {
    messages: HashSet<Id<MessageMarker>>,
    changed: Notify,
}

/// One thread's ear. Dropping it ends the listening.
#[derive(Debug)]
pub(crate) struct Ear<'a> {
    watched: &'a Watched,
    channel: ChannelKey,
    watch: Arc<Watch>,
}

impl Watched {
    /// Begins to listen for changes of a thread's messages.
    pub(crate) fn listen(
        &self,
        channel: ChannelKey,
        messages: impl IntoIterator<Item = Id<MessageMarker>>,
    ) -> Ear<'_> {
        let watch =
            Arc::new(Watch { messages: messages.into_iter().collect(), changed: Notify::new() });
        self.lock().insert(channel, Arc::clone(&watch));
        Ear { watched: self, channel, watch }
    }

    /// Tells the thread of a channel, if it has one of the messages; none are named where all have
    /// changed.
    pub(crate) fn tell(&self, channel: ChannelKey, messages: &[Id<MessageMarker>]) {
        let are_its_own = |watch: &Watch| {
            messages.is_empty() || messages.iter().any(|id| watch.messages.contains(id))
        };
        if let Some(watch) = self.lock().get(&channel)
            && are_its_own(watch)
        {
            watch.changed.notify_one();
        }
    }

    /// Has every thread look again whose place may hold something of a person.
    pub(crate) fn tell_all(&self, person: ForgottenPerson) {
        for (channel, watch) in &*self.lock() {
            if person.is_sought_in(channel.home) {
                watch.changed.notify_one();
            }
        }
    }

    /// Has every thread of a home look again at what is set for it; 0 means every home.
    pub(crate) fn tell_set(&self, home: u64) {
        for (channel, watch) in &*self.lock() {
            if home == 0 || channel.home.key() == home {
                watch.changed.notify_one();
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ChannelKey, Arc<Watch>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ear<'_> {
    /// Waits until a message of the thread was edited or deleted, or something was set where it runs.
    pub(crate) async fn changed(&self) {
        self.watch.changed.notified().await;
    }
}

impl Drop for Ear<'_> {
    fn drop(&mut self) {
        let mut running = self.watched.lock();
        // A later thread of the channel may listen already.
        if running.get(&self.channel).is_some_and(|watch| Arc::ptr_eq(watch, &self.watch)) {
            running.remove(&self.channel);
        }
    }
}

/// Hears which messages were edited or deleted, who is to be forgotten, what is set, and whose keys were
/// changed, until `ended`.
pub(crate) async fn listen(
    bus: Arc<dyn EventBus>,
    watched: Arc<Watched>,
    config: Arc<ConfigCache>,
    keys: Arc<KeyCache>,
    ended: CancellationToken,
) -> Result<(), Infallible> {
    let changed = hear(&*bus, Topic::MessagesChanged, &ended, |payload| {
        let (channel, messages) = MessagesChanged::read(payload).ok_or("it names no messages")?;
        watched.tell(channel, &messages);
        Ok::<_, &str>(())
    });
    let forgotten = hear(&*bus, Topic::PersonForgotten, &ended, |payload| {
        watched.tell_all(serde_json::from_slice(payload)?);
        config.forget();
        Ok::<_, serde_json::Error>(())
    });
    let set = hear(&*bus, Topic::ConfigChanged, &ended, |payload| {
        let changed: Changed = serde_json::from_slice(payload)?;
        config.told(changed);
        watched.tell_set(changed.home);
        Ok::<_, serde_json::Error>(())
    });
    let other_keys = hear(&*bus, Topic::ProviderKeysChanged, &ended, |payload| {
        keys.told(serde_json::from_slice(payload)?);
        Ok::<_, serde_json::Error>(())
    });
    tokio::join!(changed, forgotten, set, other_keys);
    Ok(())
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn only_the_thread_of_the_message_is_told() {
        let watched = Watched::default();
        let channel = ChannelKey::from_raw(1, 2).unwrap();
        let ear = watched.listen(channel, [Id::new(5)]);
        watched.tell(channel, &[Id::new(6)]);
        watched.tell(ChannelKey::from_raw(1, 3).unwrap(), &[Id::new(5)]);
        assert_eq!(ear.changed().now_or_never(), None);
        watched.tell(channel, &[Id::new(5)]);
        assert_eq!(ear.changed().now_or_never(), Some(()));
        watched.tell(channel, &[]);
        assert_eq!(ear.changed().now_or_never(), Some(()));
    }

    #[test]
    fn what_is_set_is_told_where_it_holds() {
        let watched = Watched::default();
        let ears = [(1, 2), (3, 4)].map(|(guild, channel)| {
            watched.listen(ChannelKey::from_raw(guild, channel).unwrap(), [Id::new(5)])
        });
        let are_told = || ears.each_ref().map(|ear| ear.changed().now_or_never().is_some());
        watched.tell_set(3);
        assert_eq!(are_told(), [false, true]);
        watched.tell_set(0);
        assert_eq!(are_told(), [true, true]);
    }

    #[test]
    fn a_former_thread_does_not_silence_the_next() {
        let watched = Watched::default();
        let channel = ChannelKey::from_raw(1, 2).unwrap();
        let former = watched.listen(channel, [Id::new(5)]);
        let next = watched.listen(channel, [Id::new(6)]);
        drop(former);
        watched.tell(channel, &[Id::new(6)]);
        assert_eq!(next.changed().now_or_never(), Some(()));
        drop(next);
        assert!(watched.lock().is_empty());
    }
}
