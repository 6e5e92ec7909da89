use std::{collections::VecDeque, sync::Arc};

use ery_clock::UnixMillis;
use twilight_model::id::{Id, marker::UserMarker};

/// A session of a shard, as READY told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    /// Discord's id of it, and when it began: a server may give one id to several sessions, and
    /// what they tell must not be taken for the same.
    pub(crate) name: String,
    /// Empty where Discord named none that can be used.
    pub(crate) resume_url: String,
    /// Ery's own user.
    pub(crate) bot: Id<UserMarker>,
}

impl Session {
    /// Names a session that begins.
    pub(crate) fn name(id: &str, began_at: UnixMillis) -> String {
        format!("{id}{NAME_SEPARATOR}{}", began_at.0)
    }

    /// Returns its id, by which it is resumed.
    pub(crate) fn id(&self) -> &str {
        self.name.rsplit_once(NAME_SEPARATOR).map_or(&self.name, |(id, _)| id)
    }
}

/// Stands between a session's id and the moment of its beginning.
const NAME_SEPARATOR: char = '~';

/// A place in a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) session: Arc<Session>,
    pub(crate) sequence: u64,
}

/// Names a dispatch within one holding of a shard; rises with every dispatch received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket(u64);

/// Which dispatches are handled, and up to where all of them are.
///
/// Invariant (NOTHING-LOST): [`Self::reached`] never passes a dispatch that is not handled.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// The ticket of the first entry in `open`.
    first: u64,
    open: VecDeque<Entry>,
    reached: Option<Mark>,
}

#[derive(Debug)]
struct Entry {
    mark: Mark,
    is_handled: bool,
}

impl Progress {
    /// Begins where an earlier holder of the shard ended.
    pub(crate) fn from(reached: Option<Mark>) -> Self {
        Self { reached, ..Self::default() }
    }

    /// Notes a dispatch as received; in the order of receipt.
    pub(crate) fn received(&mut self, mark: Mark) -> Ticket {
        let ticket = Ticket(self.first + self.open.len() as u64);
        self.open.push_back(Entry { mark, is_handled: false });
        ticket
    }

    /// Notes a dispatch as handled: on the bus, or of no use to it.
    pub(crate) fn handled(&mut self, ticket: Ticket) {
        let index = ticket.0.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        if let Some(entry) = index.and_then(|index| self.open.get_mut(index)) {
            entry.is_handled = true;
        }
        while self.open.front().is_some_and(|entry| entry.is_handled) {
            if let Some(entry) = self.open.pop_front() {
                self.first += 1;
                self.reach(entry.mark);
            }
        }
    }

    /// Returns the mark up to which every dispatch is handled.
    pub(crate) fn reached(&self) -> Option<&Mark> {
        self.reached.as_ref()
    }

    fn reach(&mut self, mark: Mark) {
        match &self.reached {
            // A replay may bring again what was handled before.
            Some(reached)
                if reached.session.name == mark.session.name
                    && reached.sequence >= mark.sequence => {}
            _ => self.reached = Some(mark),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn session(id: &str) -> Arc<Session> {
        Arc::new(Session { name: id.into(), resume_url: String::new(), bot: Id::new(1) })
    }

    fn mark(session: &Arc<Session>, sequence: u64) -> Mark {
        Mark { session: Arc::clone(session), sequence }
    }

    #[test]
    fn a_session_is_resumed_by_its_id_and_known_by_its_beginning() {
        for id in ["9f2c", "a~b", "a~7", ""] {
            let named = |at| session(&Session::name(id, UnixMillis(at)));
            assert_eq!(named(5).id(), id);
            assert_ne!(named(5).name, named(6).name);
        }
        assert_eq!(session("saved-by-an-older-version").id(), "saved-by-an-older-version");
    }

    #[test]
    fn it_stands_before_the_first_that_is_not_handled() {
        let session = session("a");
        let mut progress = Progress::default();
        let tickets: Vec<_> = (1..=4).map(|n| progress.received(mark(&session, n))).collect();
        progress.handled(tickets[1]);
        progress.handled(tickets[2]);
        assert_eq!(progress.reached(), None);
        progress.handled(tickets[0]);
        assert_eq!(progress.reached(), Some(&mark(&session, 3)));
        progress.handled(tickets[3]);
        assert_eq!(progress.reached(), Some(&mark(&session, 4)));
    }

    #[test]
    fn a_replay_does_not_take_it_back() {
        let session = session("a");
        let mut progress = Progress::from(Some(mark(&session, 9)));
        let repeated = progress.received(mark(&session, 5));
        progress.handled(repeated);
        assert_eq!(progress.reached(), Some(&mark(&session, 9)));
    }

    #[test]
    fn a_new_session_waits_for_what_the_old_one_left_open() {
        let (old, new) = (session("old"), session("new"));
        let mut progress = Progress::from(Some(mark(&old, 7)));
        let left = progress.received(mark(&old, 8));
        let ready = progress.received(mark(&new, 1));
        progress.handled(ready);
        assert_eq!(progress.reached(), Some(&mark(&old, 7)));
        progress.handled(left);
        assert_eq!(progress.reached(), Some(&mark(&new, 1)));
    }

    proptest! {
        #[test]
        fn it_never_passes_a_dispatch_that_is_not_handled(
            count in 1_u64..40,
            order in proptest::collection::vec(any::<prop::sample::Index>(), 0..60),
        ) {
            let session = session("a");
            let mut progress = Progress::default();
            let tickets: Vec<_> = (1..=count).map(|n| progress.received(mark(&session, n))).collect();
            let mut handled = vec![false; tickets.len()];
            for index in order {
                let index = index.index(tickets.len());
                progress.handled(tickets[index]);
                handled[index] = true;
                let expected = handled.iter().take_while(|is_handled| **is_handled).count() as u64;
                prop_assert_eq!(progress.reached().map_or(0, |mark| mark.sequence), expected);
            }
        }
    }
}
