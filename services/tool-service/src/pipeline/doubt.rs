//! What may have happened though nobody was told.

use serde_json::Value;

use ery_clock::UnixMillis;
use ery_proto::store::v1::Execution;

use super::{How, Pipeline, Plan, ask::Ask};
use crate::{
    domain::tool::{RetryClass, Tier},
    error::CallError,
    tools::{Done, Settled},
};

impl Pipeline {
    /// Returns from when on the first attempt of an execution cannot be under way any more.
    pub(super) fn settled_at(&self, execution: &Execution) -> UnixMillis {
        UnixMillis(execution.send_by_ms) + self.shared.settings.request_timeout
    }

    /// Does again what may have been done.
    ///
    /// Invariant ONCE-VISIBLE: that the repeat fails says nothing of the first attempt. What could
    /// be seen is looked for, and is in doubt where that does not tell.
    pub(super) async fn repeat(
        &self,
        ask: &Ask,
        plan: &Plan,
        act: &Value,
        times: (UnixMillis, UnixMillis),
        is_waited_for: bool,
    ) -> Result<Done, CallError> {
        let done = self.act(ask, plan, act, times, How::Repeat).await?;
        // An answer that Discord is not there for is no end, and is asked for again.
        let is_waiting = is_waited_for && done.is_unsettled;
        if is_waiting || done.settled != Settled::Failed || plan.tier == Tier::Read {
            return Ok(done);
        }
        match plan.entry.tool.retry_of(act).unwrap_or(plan.entry.spec.retry) {
            RetryClass::Nonce | RetryClass::Reconcile => {
                self.act(ask, plan, act, times, How::LookUp).await
            }
            RetryClass::Safe => Ok(Done::in_doubt(done.rest_status)),
        }
    }
}
