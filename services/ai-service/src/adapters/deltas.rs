use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use tokio::{sync::mpsc, time::Instant};

use crate::{
    adapters::chain::{Biller, Spent},
    domain::conversation::Usage,
};

/// A piece of an answer that is not yet whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Delta {
    Text(String),
    /// The attempt broke off: what was told before is void.
    Restarted,
    /// An attempt brought no answer, and cost this.
    SpentInVain(Spent),
}

/// Who hears an answer while it is written; by default nobody. And what attempts cost that brought
/// none.
///
/// The queue has no bound of its own: an answer has one. The attempts of a turn are bounded, too.
#[derive(Debug, Default)]
pub(crate) struct Deltas {
    listener: Option<mpsc::UnboundedSender<Delta>>,
    /// Whether the listener wants the text.
    is_text_wanted: bool,
    has_spoken: AtomicBool,
    /// When the attempt under way last brought a piece of an answer; a sign of life alone is none.
    heard_at: Mutex<Option<Instant>>,
    bill: Mutex<Bill>,
}

/// What attempts cost that brought no answer.
#[derive(Debug, Default)]
struct Bill {
    /// By whose prices; none: nobody counts.
    biller: Option<Biller>,
    in_vain: Vec<Spent>,
}

impl Deltas {
    /// Returns one that is listened to: for what is spent, and for the text where that is wanted.
    pub(crate) fn listened_to(is_text_wanted: bool) -> (Self, mpsc::UnboundedReceiver<Delta>) {
        let (tx, rx) = mpsc::unbounded_channel();
        (Self { listener: Some(tx), is_text_wanted, ..Self::default() }, rx)
    }

    pub(crate) fn say(&self, text: &str) {
        let is_heard = self.is_text_wanted && !text.is_empty();
        if let Some(listener) = self.listener.as_ref().filter(|_| is_heard) {
            self.has_spoken.store(true, Ordering::Relaxed);
            // Who went away drops the turn too.
            drop(listener.send(Delta::Text(text.to_owned())));
        }
    }

    /// Notes that a piece of an answer came, whether or not it is text.
    pub(crate) fn heard(&self) {
        *self.heard_at() = Some(Instant::now());
    }

    /// Returns when the last piece came; none: nothing did.
    pub(crate) fn last_heard(&self) -> Option<Instant> {
        *self.heard_at()
    }

    fn heard_at(&self) -> MutexGuard<'_, Option<Instant>> {
        self.heard_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says by whose prices the next attempts are counted.
    pub(crate) fn billed_by(&self, biller: Biller) {
        self.bill().biller = Some(biller);
    }

    /// Notes what an attempt cost that brought no answer; an estimate where nobody counted it.
    pub(crate) fn spent_in_vain(&self, usage: Usage, is_estimate: bool) {
        let mut bill = self.bill();
        let Some(biller) = &bill.biller else { return };
        let spent = Spent { is_in_vain: true, is_estimate, ..biller.spent(usage) };
        if let Some(listener) = &self.listener {
            drop(listener.send(Delta::SpentInVain(spent.clone())));
        }
        bill.in_vain.push(spent);
    }

    /// Returns what attempts cost that brought no answer, each once.
    pub(crate) fn take_in_vain(&self) -> Vec<Spent> {
        std::mem::take(&mut self.bill().in_vain)
    }

    fn bill(&self) -> MutexGuard<'_, Bill> {
        self.bill.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes back what was told since the last call, if there was anything.
    pub(crate) fn restart(&self) {
        *self.heard_at() = None;
        if let Some(listener) = &self.listener
            && self.has_spoken.swap(false, Ordering::Relaxed)
        {
            drop(listener.send(Delta::Restarted));
        }
    }
}
