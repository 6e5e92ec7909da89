use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

use ery_ids::{ChannelKey, OwnerToken};

use super::tasks::Handle;

/// How many ack handles are kept for one channel; a task beyond them is deleted by its position.
const MAX_HANDLES: usize = 1_024;

/// The channels that this process holds, and what it has heard of meanwhile.
#[derive(Clone, Default)]
pub(super) struct HeldChannels {
    channels: Arc<Mutex<HashMap<ChannelKey, Held>>>,
}

struct Held {
    owner: OwnerToken,
    lost: CancellationToken,
    /// Being given back: whoever hears of something asks Redis, which orders the two.
    is_leaving: bool,
    heard: u64,
    handles: BTreeMap<u64, Handle>,
}

impl Held {
    fn note(&mut self, position: u64, handle: &Handle) {
        self.heard = self.heard.max(position);
        if handle.reply.is_none() {
            return;
        }
        if self.handles.len() < MAX_HANDLES || self.handles.contains_key(&position) {
            self.handles.insert(position, handle.clone());
        }
    }
}

impl HeldChannels {
    /// Notes a delivery for the holder; says whether it will surely look before it leaves.
    pub(super) fn note(&self, channel: ChannelKey, position: u64, handle: &Handle) -> bool {
        let mut channels = self.lock();
        let Some(held) = channels.get_mut(&channel) else { return false };
        if held.lost.is_cancelled() {
            return false;
        }
        held.note(position, handle);
        !held.is_leaving
    }

    /// Begins a holding, in place of one that is lost or about to end.
    pub(super) fn begin(
        &self,
        channel: ChannelKey,
        owner: OwnerToken,
        lost: CancellationToken,
        position: u64,
        handle: &Handle,
    ) {
        let mut held = Held { owner, lost, is_leaving: false, heard: 0, handles: BTreeMap::new() };
        held.note(position, handle);
        self.lock().insert(channel, held);
    }

    /// Ends a holding, unless another has taken its place.
    pub(super) fn end(&self, channel: ChannelKey, owner: &OwnerToken) {
        let mut channels = self.lock();
        if channels.get(&channel).is_some_and(|held| held.owner == *owner) {
            channels.remove(&channel);
        }
    }

    /// Marks a holding as leaving if nothing above `read_mark` has been heard of.
    pub(super) fn leave(&self, channel: ChannelKey, owner: &OwnerToken, read_mark: u64) -> bool {
        self.with(channel, owner, |held| {
            held.is_leaving = held.heard <= read_mark;
            held.is_leaving
        })
        .unwrap_or(true)
    }

    /// Marks a holding as staying, because Redis had heard of `heard`.
    pub(super) fn stay(&self, channel: ChannelKey, owner: &OwnerToken, heard: u64) {
        self.with(channel, owner, |held| {
            held.is_leaving = false;
            held.heard = held.heard.max(heard);
        });
    }

    /// Returns the highest position heard of.
    pub(super) fn heard(&self, channel: ChannelKey, owner: &OwnerToken) -> u64 {
        self.with(channel, owner, |held| held.heard).unwrap_or(0)
    }

    /// Takes the handle of a delivery, where this process has it.
    pub(super) fn take_handle(
        &self,
        channel: ChannelKey,
        owner: &OwnerToken,
        position: u64,
    ) -> Option<Handle> {
        self.with(channel, owner, |held| held.handles.remove(&position)).flatten()
    }

    /// Returns all handles of a holding.
    pub(super) fn handles(&self, channel: ChannelKey, owner: &OwnerToken) -> Vec<Handle> {
        self.with(channel, owner, |held| held.handles.values().cloned().collect())
            .unwrap_or_default()
    }

    /// Says whether this process holds a channel for sure.
    pub(super) fn is_held(&self, channel: ChannelKey) -> bool {
        let channels = self.lock();
        channels.get(&channel).is_some_and(|held| !held.is_leaving && !held.lost.is_cancelled())
    }

    /// Says whether this process has a lease of a channel, on its way out or not.
    pub(super) fn contains(&self, channel: ChannelKey) -> bool {
        self.lock().contains_key(&channel)
    }

    /// Returns all channels of which this process has a lease.
    pub(super) fn all(&self) -> Vec<ChannelKey> {
        self.lock().keys().copied().collect()
    }

    fn with<T>(
        &self,
        channel: ChannelKey,
        owner: &OwnerToken,
        f: impl FnOnce(&mut Held) -> T,
    ) -> Option<T> {
        let mut channels = self.lock();
        channels.get_mut(&channel).filter(|held| held.owner == *owner).map(f)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ChannelKey, Held>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tasks::Connection, *};

    fn channel() -> ChannelKey {
        ChannelKey::from_raw(1, 2).unwrap()
    }

    /// A delivery that did not come from the consumer.
    fn unasked() -> Handle {
        Handle { reply: None, connection: Connection(0) }
    }

    fn owner(name: &str) -> OwnerToken {
        OwnerToken(name.to_owned())
    }

    fn held(name: &str) -> (HeldChannels, CancellationToken) {
        let (channels, lost) = (HeldChannels::default(), CancellationToken::new());
        channels.begin(channel(), owner(name), lost.clone(), 5, &unasked());
        (channels, lost)
    }

    #[test]
    fn a_holder_does_not_leave_what_it_has_heard_of() {
        let (channels, _lost) = held("a");
        assert!(channels.note(channel(), 7, &unasked()));
        assert!(!channels.leave(channel(), &owner("a"), 5));
        assert!(channels.note(channel(), 8, &unasked()), "it stays");
        assert!(channels.leave(channel(), &owner("a"), 8));
    }

    #[test]
    fn what_is_heard_of_while_leaving_must_ask_redis() {
        let (channels, _lost) = held("a");
        assert!(channels.leave(channel(), &owner("a"), 5));
        assert!(!channels.note(channel(), 6, &unasked()));
        channels.stay(channel(), &owner("a"), 6);
        assert_eq!(channels.heard(channel(), &owner("a")), 6);
        assert!(channels.note(channel(), 7, &unasked()));
    }

    #[test]
    fn a_lost_holding_notes_nothing_and_ends_only_itself() {
        let (channels, lost) = held("a");
        lost.cancel();
        assert!(!channels.note(channel(), 6, &unasked()));
        channels.begin(channel(), owner("b"), CancellationToken::new(), 6, &unasked());
        channels.end(channel(), &owner("a"));
        assert!(channels.is_held(channel()));
        channels.end(channel(), &owner("b"));
        assert!(!channels.contains(channel()));
    }

    #[test]
    fn handles_are_bounded() {
        let (channels, _lost) = held("a");
        let handle = Handle { reply: Some("r".into()), connection: Connection(0) };
        for position in 0..2_000 {
            channels.note(channel(), position, &handle);
        }
        assert_eq!(channels.handles(channel(), &owner("a")).len(), MAX_HANDLES);
        assert!(channels.take_handle(channel(), &owner("a"), 3).is_some());
        assert!(channels.take_handle(channel(), &owner("a"), 3).is_none());
    }
}
