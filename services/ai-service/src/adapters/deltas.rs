use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;

/// A piece of an answer that is not yet whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Delta {
    Text(String),
    /// The attempt broke off: what was told before is void.
    Restarted,
}

/// Who hears an answer while it is written; by default nobody.
///
/// The queue has no bound of its own: an answer has one.
#[derive(Debug, Default)]
pub(crate) struct Deltas {
    listener: Option<mpsc::UnboundedSender<Delta>>,
    has_spoken: AtomicBool,
}

impl Deltas {
    pub(crate) fn listened_to() -> (Self, mpsc::UnboundedReceiver<Delta>) {
        let (tx, rx) = mpsc::unbounded_channel();
        (Self { listener: Some(tx), has_spoken: AtomicBool::new(false) }, rx)
    }

    pub(crate) fn say(&self, text: &str) {
        if let Some(listener) = self.listener.as_ref().filter(|_| !text.is_empty()) {
            self.has_spoken.store(true, Ordering::Relaxed);
            // Who went away drops the turn too.
            drop(listener.send(Delta::Text(text.to_owned())));
        }
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
