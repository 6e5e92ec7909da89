//! Slow mode: what Ery writes for somebody counts as what they write themselves.

use std::time::Duration;

use twilight_model::id::{Id, marker::MessageMarker};

use ery_clock::UnixMillis;
use ery_ids::Principal;
use ery_proto::store::v1::{ActLimit, SlowMode};

use super::record::Verdict;
use crate::{
    adapters::discord::wire::{created_at, snowflake_at},
    domain::{
        decide::{self, Call, Decision},
        guild::{Channel, GuildState},
        permissions,
        reason::{Place, Reason},
        tool::Writes,
    },
};

/// What of slow mode holds for an act: it writes for somebody who is not spared of it.
pub(super) struct Slow<'a> {
    channel: &'a Channel,
    /// Whether what they write themselves counts.
    counts_messages: bool,
    now: UnixMillis,
}

/// Returns the slow mode of the channel in which an act writes, where it holds for whoever asks.
pub(super) fn of<'a>(
    call: &Call<'_>,
    state: Option<&'a GuildState>,
    now: UnixMillis,
) -> Option<Slow<'a>> {
    let (channel, counts_messages) = match call.needs.writes? {
        Writes::Message(channel) => (channel, true),
        Writes::Thread(channel) => (channel, false),
    };
    let state = state?;
    let channel = state.channel(channel).filter(|channel| channel.slowmode > 0)?;
    let is_of_person = matches!(call.principal, Some(Principal::Person(_)));
    let is_spared = |person| {
        state.member(person).is_some_and(|member| {
            permissions::in_channel(&state.guild, member, channel, now)
                .intersects(permissions::SPARED_OF_SLOW_MODE)
        })
    };
    let holds = is_of_person
        && !call.is_answer
        && !decide::people(call.principal, call.askers).into_iter().all(is_spared);
    holds.then_some(Slow { channel, counts_messages, now })
}

impl Slow<'_> {
    /// Refuses what was allowed, if it answers a message that was written in that channel just now.
    pub(super) fn after(
        &self,
        decision: Decision,
        call: &Call<'_>,
        trigger: Option<Id<MessageMarker>>,
    ) -> Decision {
        let trigger = trigger.filter(|_| self.counts_messages && self.channel.id == call.here);
        let is_too_soon =
            trigger.is_some_and(|written| self.now < created_at(written.get()) + self.interval());
        match decision {
            Decision::Allow { .. } | Decision::NeedsApproval(_) if is_too_soon => {
                Decision::Deny(self.reason())
            }
            decision => decision,
        }
    }

    /// Returns it in the store's terms: there is known what else was written for them, and by them.
    pub(super) fn bound(&self) -> SlowMode {
        let verdict = Verdict::denied(&self.reason(), None);
        let since = UnixMillis(self.now.0.saturating_sub(self.window_ms()));
        SlowMode {
            channel_id: self.channel.id.get(),
            since_message_id: if self.counts_messages { snowflake_at(since).max(1) } else { 0 },
            limit: Some(ActLimit {
                window_ms: self.window_ms(),
                decision_reason: verdict.reason,
                result: verdict.content.unwrap_or_default().to_string(),
                ..ActLimit::default()
            }),
        }
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(self.channel.slowmode.into())
    }

    fn window_ms(&self) -> i64 {
        i64::from(self.channel.slowmode) * 1_000
    }

    fn reason(&self) -> Reason {
        Reason::SlowMode { place: Place::channel(self.channel), seconds: self.channel.slowmode }
    }
}
