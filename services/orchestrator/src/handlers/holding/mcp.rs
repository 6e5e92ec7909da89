//! What MCP clients leave to a channel's holder: acts that were approved, and calls left open.

use serde_json::Value;
use twilight_model::id::Id;

use ery_channel_queue::BoxLease;
use ery_ids::{TaskThreadId, TriggerId};
use ery_proto::store::v1::{Approval, ApprovalDecision};

use super::{Holding, NO_GUILD, ended};
use crate::{
    adapters::convert,
    domain::{answer, community, journal::Outcome, texts::refusals::Refusal},
    error::{ThreadError, with_causes},
};

impl Holding<'_> {
    /// Does what an MCP client asked for, if it was approved, and tells what came of it. What goes
    /// wrong by itself is a dead letter.
    pub(super) async fn do_approved_or_bury(
        &mut self,
        lease: &mut BoxLease,
        id: TaskThreadId,
        trigger: &TriggerId,
        approval: &str,
    ) -> Result<(), ThreadError> {
        match self.do_approved(lease, id, trigger, approval).await {
            Err(ThreadError::Own(error)) => {
                let why = with_causes(&*error);
                tracing::warn!(error = why, %trigger, "an approved act cannot be done");
                self.bury_bare(lease, id, std::slice::from_ref(trigger), why).await
            }
            done => done,
        }
    }

    async fn do_approved(
        &mut self,
        lease: &mut BoxLease,
        id: TaskThreadId,
        trigger: &TriggerId,
        approval: &str,
    ) -> Result<(), ThreadError> {
        let (holder, fence) = (self.holder, self.fence.clone());
        let triggers = std::slice::from_ref(trigger);
        let Some(guild) = fence.channel.guild() else {
            return self.bury_bare(lease, id, triggers, NO_GUILD.into()).await;
        };
        let found = holder.store.approval(guild, approval).await?;
        let is_approved = |it: &Approval| it.decision() == ApprovalDecision::Approved;
        let Some(approval) = found.filter(is_approved) else {
            let cancelled = ended(Outcome::Cancelled, "it was not approved".into(), None);
            return self.finish(lease, id, triggers, cancelled).await;
        };
        holder.metrics.thread_begun();
        let done = holder.tools.do_approved(&fence, id, trigger, &approval).await?;
        holder.metrics.tool_called(done.outcome);
        let asker = Id::new_checked(approval.asker_id);
        let content: Value = serde_json::from_str(&done.content).unwrap_or_default();
        let text = answer::of_approved(
            community::language(&self.config.config),
            asker,
            &answer::Done {
                tool: &approval.tool,
                outcome: done.outcome,
                summary: content["summary"].as_str().unwrap_or_default(),
                refusal: Refusal { sentence: &done.reason, ..Refusal::in_content(&content) },
            },
        );
        let told = match &text {
            Some(text) => {
                let principal = asker.map(convert::person);
                Some(holder.tools.tell(&fence, id, trigger, principal, text).await?)
            }
            None => None,
        };
        let detail = format!("approved: {} {}", approval.tool, done.outcome.as_word());
        let answer = told.and_then(|told| told.message);
        self.finish(lease, id, triggers, ended(Outcome::Done, detail, answer)).await
    }

    /// Has an execution closed that nobody would make again.
    pub(super) async fn settle_or_bury(
        &mut self,
        lease: &mut BoxLease,
        trigger: &TriggerId,
        key: &str,
    ) -> Result<(), ThreadError> {
        let (id, triggers) = (TaskThreadId::random(), std::slice::from_ref(trigger));
        let settled = self.holder.tools.settle_call(self.fence.channel, key).await;
        match settled.map_err(ThreadError::from) {
            Ok(()) => {
                let detail = "an execution that was left open is closed".to_owned();
                self.finish(lease, id, triggers, ended(Outcome::Done, detail, None)).await
            }
            Err(ThreadError::Own(error)) => {
                let why = with_causes(&*error);
                tracing::warn!(error = why, %trigger, "an execution stays open");
                self.bury_bare(lease, id, triggers, why).await
            }
            Err(error) => Err(error),
        }
    }
}
