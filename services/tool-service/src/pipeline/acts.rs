//! How much is done in an hour: hard limits hold where prompts to people wear out (SAFETY §1.10).

use ery_ids::Principal;
use ery_proto::store::v1::ActLimit;

use super::record::Verdict;
use crate::domain::{decide::Call, execution::Ordered, policy::Policy, reason::Reason, tool::Tier};

const HOUR_MS: i64 = 60 * 60 * 1_000;

/// Returns the bounds that the store holds an act to when it is opened, in the same write: so that
/// neither several replicas nor a crash lets more through.
pub(super) fn limits(call: &Call<'_>, policy: &Policy, is_command: bool) -> Vec<ActLimit> {
    let is_of_person = matches!(call.principal, Some(Principal::Person(_)));
    let subjects = &call.needs.subjects;
    // What was done wrongly can be undone, however much it was.
    let only_lifts = !subjects.is_empty() && subjects.iter().all(|subject| subject.act.lifts());
    let is_bounded = call.tier >= Tier::Reversible && is_of_person && !only_lifts;
    if !is_bounded || call.is_answer || is_command {
        return Vec::new();
    }
    let mut limits = vec![limit(policy.acts_per_person_per_hour, true)];
    if call.tier == Tier::Destructive {
        limits.push(limit(policy.destructive_per_hour, false));
    }
    limits
}

/// Returns the bound of one order: it is carried out so often as it was given, however often the model
/// calls for it.
pub(super) fn of_order(order: &Ordered) -> ActLimit {
    let verdict = Verdict::denied(&Reason::OrderUsed, None);
    ActLimit {
        window_ms: HOUR_MS,
        most: order.times,
        decision_reason: verdict.reason,
        result: verdict.content.unwrap_or_default().to_string(),
        ..ActLimit::default()
    }
}

fn limit(most: u32, is_of_person: bool) -> ActLimit {
    let verdict = Verdict::denied(&Reason::TooManyActs { most, is_of_person }, None);
    ActLimit {
        is_of_person,
        is_of_reversible: is_of_person,
        window_ms: HOUR_MS,
        most,
        decision_reason: verdict.reason,
        result: verdict.content.unwrap_or_default().to_string(),
    }
}
