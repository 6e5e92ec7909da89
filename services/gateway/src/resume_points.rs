use std::sync::Arc;

use futures::{
    FutureExt,
    future::{self, BoxFuture},
};

use ery_clock::Clock;
use ery_event_bus::{BusError, EventBus, GatewayShard, ResumePoint};

use crate::{domain::Mark, metrics::Metrics};

/// Saves a shard's resume point, one write at a time.
pub(crate) struct ResumePoints {
    bus: Arc<dyn EventBus>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    shard: GatewayShard,
    saving: Option<BoxFuture<'static, (Mark, Result<(), BusError>)>>,
    saved: Option<Mark>,
    is_failing: bool,
}

impl ResumePoints {
    pub(crate) fn new(
        bus: Arc<dyn EventBus>,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
        shard: GatewayShard,
        saved: Option<Mark>,
    ) -> Self {
        Self { bus, clock, metrics, shard, saving: None, saved, is_failing: false }
    }

    /// Returns how many dispatches are handled beyond the point that is saved.
    pub(crate) fn behind(&self, reached: Option<&Mark>) -> u64 {
        match (reached, &self.saved) {
            (None, _) => 0,
            (Some(reached), Some(saved)) if reached.session.name == saved.session.name => {
                reached.sequence.saturating_sub(saved.sequence)
            }
            (Some(reached), _) => reached.sequence.max(1),
        }
    }

    /// Tells whether a place is in another session than the point that is saved.
    pub(crate) fn is_of_another_session(&self, reached: Option<&Mark>) -> bool {
        let saved = self.saved.as_ref().map(|saved| &saved.session.name);
        reached.is_some_and(|reached| Some(&reached.session.name) != saved)
    }

    /// Begins to save the point, unless it stands already or another write is under way.
    pub(crate) fn save(&mut self, reached: Option<&Mark>) {
        if self.saving.is_some() || self.behind(reached) == 0 {
            return;
        }
        let Some(mark) = reached.cloned() else { return };
        let point = ResumePoint {
            session: mark.session.name.clone(),
            resume_url: mark.session.resume_url.clone(),
            sequence: mark.sequence,
            bot: mark.session.bot,
            saved_at: self.clock.now(),
        };
        let (bus, shard) = (Arc::clone(&self.bus), self.shard);
        self.saving =
            Some(async move { (mark, bus.save_resume_point(shard, Some(&point)).await) }.boxed());
    }

    /// Waits until the write under way has ended, or for ever if there is none.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: the write stays under way.
    pub(crate) async fn written(&mut self) {
        let Some(saving) = &mut self.saving else { return future::pending().await };
        let (mark, result) = saving.await;
        self.saving = None;
        self.metrics.resume_point_saved(result.is_ok());
        match result {
            Ok(()) => {
                self.saved = Some(mark);
                self.is_failing = false;
            }
            // Tried again at the next interval. Until then a restart replays more than it must.
            Err(error) if !self.is_failing => {
                self.is_failing = true;
                tracing::warn!(
                    shard.id = self.shard.number,
                    error = &error as &dyn std::error::Error,
                    "the resume point of shard {} could not be saved; trying on",
                    self.shard.number
                );
            }
            Err(_) => {}
        }
    }

    /// Saves the point and waits for it, the write under way first.
    pub(crate) async fn flush(&mut self, reached: Option<&Mark>) {
        if self.saving.is_some() {
            self.written().await;
        }
        self.save(reached);
        if self.saving.is_some() {
            self.written().await;
        }
    }
}
