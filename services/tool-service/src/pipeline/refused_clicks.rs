//! Clicks by those who may not decide: each person's first one at a proposal is written down.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
};

use serde_json::Value;
use twilight_model::id::{
    Id,
    marker::{GuildMarker, UserMarker},
};

use ery_ids::{EventId, ExecutionKey, Home, Principal, TriggerId};
use ery_proto::store::v1::{Approval, BeginExecutionRequest, Execution};

use super::{Pipeline, ask, record::Verdict};
use crate::{
    domain::{execution::sha256_hex, reason::Reason, tool::Tier},
    error::CallError,
    metrics, tools,
};

/// Of how many people clicks at one proposal are written down.
const MOST_OF_ONE: usize = 25;

/// Of how many proposals this is remembered; past it, it is asked of the store anew.
const MOST_PROPOSALS: usize = 1_000;

/// Whose refused clicks were written down already. The store keeps one of each person whatever is
/// forgotten here; this keeps those who click on and on, and crowds, from its door.
#[derive(Debug, Default)]
pub(super) struct RefusedClicks(Mutex<HashMap<String, HashSet<Id<UserMarker>>>>);

impl RefusedClicks {
    /// Returns whether a click is to be written down.
    fn is_new(&self, approval: &str, user: Id<UserMarker>) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(approval).is_none_or(|users| users.len() < MOST_OF_ONE && !users.contains(&user))
    }

    fn learn(&self, approval: &str, user: Id<UserMarker>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_PROPOSALS && !known.contains_key(approval) {
            known.clear();
        }
        known.entry(approval.to_owned()).or_default().insert(user);
    }
}

impl Pipeline {
    /// Writes down that somebody clicked who may not decide, and why.
    pub(super) async fn note_refused_click(
        &self,
        guild: Id<GuildMarker>,
        user: Id<UserMarker>,
        approval: &Approval,
        reason: &Reason,
    ) -> Result<(), CallError> {
        metrics::denied(reason.code());
        let id = &approval.approval_id;
        // A pause is nothing about them: what they may do is found out at a later click.
        if matches!(reason, Reason::Paused) || !self.refused_clicks.is_new(id, user) {
            return Ok(());
        }
        // Keys stay when a person is forgotten: whoever has the file alone does not read theirs from one.
        let mut who = self.shared.discord.digest(&format!("click/{id}/{user}"));
        who.truncate(16);
        let (event, cause) = (EventId(format!("ap.{id}")), format!("click-{who}"));
        let now = self.shared.clock.now();
        let verdict = Verdict::denied(reason, None);
        let execution = Execution {
            key: ExecutionKey::Event { event, cause, index: 0 }.to_string(),
            guild_id: guild.get(),
            channel_id: approval.channel_id,
            tool: approval.tool.clone(),
            arguments: approval.arguments.clone(),
            arguments_hash: sha256_hex(&approval.arguments),
            principal: Some(ask::to_proto(&Principal::Person(user))),
            trigger_id: TriggerId::Approval(id.clone()).to_string(),
            tier: tier_of(approval).map_or("", Tier::as_str).to_owned(),
            decision: verdict.decision.into(),
            decision_reason: format!("a click that was not allowed: {}", verdict.reason),
            opened_at_ms: now.0,
            send_by_ms: now.0,
            closed_at_ms: now.0,
            state: verdict.state.into(),
            result: verdict.content.unwrap_or_default().to_string(),
            approval_id: id.clone(),
            ..Execution::default()
        };
        let request = BeginExecutionRequest {
            execution: Some(execution),
            ..BeginExecutionRequest::default()
        };
        self.shared.executions.begin(Home::Guild(guild), request).await?;
        self.refused_clicks.learn(id, user);
        Ok(())
    }
}

/// Returns how much the act of an approval can do.
fn tier_of(approval: &Approval) -> Option<Tier> {
    let act: Value = serde_json::from_str(&approval.arguments).ok()?;
    tools::find(&approval.tool)?.tool.tier_of(&act)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_one_who_clicks_on_nor_a_crowd_gets_to_the_store() {
        let clicks = RefusedClicks::default();
        for user in 1..=25 {
            assert!(clicks.is_new("a", Id::new(user)));
            clicks.learn("a", Id::new(user));
            assert!(!clicks.is_new("a", Id::new(user)));
        }
        assert!(!clicks.is_new("a", Id::new(99)), "the crowd is known to be one");
        assert!(clicks.is_new("b", Id::new(99)));
        for proposal in 0..2_000 {
            clicks.learn(&proposal.to_string(), Id::new(1));
        }
        assert!(clicks.0.lock().unwrap().len() <= MOST_PROPOSALS);
    }
}
