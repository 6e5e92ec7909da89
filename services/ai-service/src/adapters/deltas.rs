use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::mpsc;

use crate::domain::conversation::Usage;

/// A piece of an answer that is not yet whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Delta {
    Text(String),
    /// The attempt broke off: what was told before is void.
    Restarted,
}

/// Who hears an answer while it is written; by default nobody. And what attempts cost that brought
/// none.
///
/// The queue has no bound of its own: an answer has one. The attempts of a turn are bounded, too.
#[derive(Debug, Default)]
pub(crate) struct Deltas {
    listener: Option<mpsc::UnboundedSender<Delta>>,
    has_spoken: AtomicBool,
    in_vain: Mutex<Vec<Usage>>,
}

impl Deltas {
    pub(crate) fn listened_to() -> (Self, mpsc::UnboundedReceiver<Delta>) {
        let (tx, rx) = mpsc::unbounded_channel();
        (Self { listener: Some(tx), ..Self::default() }, rx)
    }

    pub(crate) fn say(&self, text: &str) {
        if let Some(listener) = self.listener.as_ref().filter(|_| !text.is_empty()) {
            self.has_spoken.store(true, Ordering::Relaxed);
            // Who went away drops the turn too.
            drop(listener.send(Delta::Text(text.to_owned())));
        }
    }

    /// Notes what an attempt cost that brought no answer.
    pub(crate) fn spent_in_vain(&self, usage: Usage) {
        self.in_vain.lock().unwrap_or_else(PoisonError::into_inner).push(usage);
    }

    /// Returns what attempts cost that brought no answer, each once.
    pub(crate) fn take_in_vain(&self) -> Vec<Usage> {
        std::mem::take(&mut *self.in_vain.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes back what was told since the last call, if there was anything.
    pub(crate) fn restart(&self) {
        if let Some(listener) = &self.listener
            && self.has_spoken.swap(false, Ordering::Relaxed)
        {
            drop(listener.send(Delta::Restarted));
        }
    }
}
