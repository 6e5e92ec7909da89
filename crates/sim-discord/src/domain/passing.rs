//! What happens by itself as time passes.

use std::time::Duration;

use ery_clock::UnixMillis;

use super::{Effect, World};

/// How long nobody looks again after having looked.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

impl World {
    /// Does what is due by `now`; looks only now and then, since it is called all the time.
    pub(crate) fn pass_time(&mut self, now: UnixMillis) -> Effect<()> {
        // A clock that was set back does not keep it from looking.
        if now < self.next_look && self.next_look.since(now) <= BETWEEN_LOOKS {
            return Effect::none(());
        }
        self.next_look = now + BETWEEN_LOOKS;
        let mut dispatches = Vec::new();
        self.archive_idle_threads(now, &mut dispatches);
        self.forget_old_invites(now);
        self.advance_events(now, &mut dispatches);
        self.end_due_polls(now, &mut dispatches);
        Effect::new((), dispatches)
    }
}
