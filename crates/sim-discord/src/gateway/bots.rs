//! What coming and going on the Gateway means for the world: a bot is online while it has a session.

use std::convert::Infallible;

use ery_clock::UnixMillis;

use super::{
    frames::{Identify, PresenceUpdate, Resume},
    sessions::{Attachment, Rejected},
};
use crate::{
    domain::{Presence, Status, UserId},
    shared::{Shared, State},
};

impl State {
    /// Begins a session, and shows its bot as online.
    pub(super) fn identify(
        &mut self,
        mut identify: Identify,
        own_url: &str,
        now: UnixMillis,
    ) -> Result<Attachment, Rejected> {
        let admitted = self.sessions.admit(&self.world, &identify)?;
        let presence = identify.presence.take();
        let presence = presence.map_or_else(Presence::online, PresenceUpdate::into_presence);
        self.show(admitted.bot, presence, now);
        let attachment = self.sessions.begin(&self.world, admitted, own_url);
        self.let_go(now);
        attachment
    }

    /// Takes a session up again.
    pub(super) fn resume(
        &mut self,
        resume: &Resume,
        now: UnixMillis,
    ) -> Result<Attachment, Rejected> {
        let attachment = self.sessions.resume(&self.world, resume);
        self.let_go(now);
        attachment
    }

    /// Notes that a connection is gone; the session stays for a while, or ends with it.
    pub(super) fn detach(&mut self, session: &str, link: u64, keep: bool, now: UnixMillis) {
        self.sessions.detach(session, link, keep);
        self.let_go(now);
    }

    /// Shows somebody in another way, and tells who may know.
    pub(super) fn show(&mut self, user: UserId, presence: Presence, now: UnixMillis) {
        // Only an account that is not there is refused, and then there is nobody to show.
        if let Ok(effect) = self.world.set_presence(user, presence, now) {
            self.apply(effect, now);
        }
    }

    /// Shows bots as offline whose last session has ended.
    pub(crate) fn let_go(&mut self, now: UnixMillis) {
        for bot in self.sessions.take_gone() {
            self.show(bot, Presence::new(Status::Offline, Vec::new()), now);
        }
    }
}

/// Passes delayed dispatches on when they are due, for ever.
pub(crate) async fn release_delayed(shared: &Shared) -> Infallible {
    let changed = shared.lock().sessions.delayed_changed();
    loop {
        let next = shared.lock().sessions.release_due();
        match next {
            Some(due) => {
                tokio::select! {
                    () = tokio::time::sleep_until(due) => {}
                    () = changed.notified() => {}
                }
            }
            None => changed.notified().await,
        }
    }
}
