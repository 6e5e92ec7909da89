//! Who is answered together.

use twilight_model::id::{Id, marker::UserMarker};

use ery_clock::UnixMillis;
use ery_ids::TriggerId;

use crate::domain::{
    channel::ChannelState,
    gate::{self, Call, GateRules, Reason},
    message::Message,
    people::People,
    strategy::{CONVERSATION, SCHEDULED, Strategy},
};

/// A message that is to be answered; or a planned prompt in the form of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TurnMessage {
    pub(crate) trigger: TriggerId,
    pub(crate) message: Message,
    pub(crate) received_at: UnixMillis,
}

/// Messages that are answered together, on one person's authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    /// In the order of the queue; never empty.
    pub(crate) messages: Vec<TurnMessage>,
    /// On whose authority tools are called: the author of the last message.
    pub(crate) principal: Id<UserMarker>,
    /// Every author, each once.
    pub(crate) askers: Vec<Id<UserMarker>>,
    /// What ends with it beside them: clicks by which it goes on, and messages deleted since.
    pub(crate) woken_by: Vec<TriggerId>,
}

impl Turn {
    /// Makes a turn of messages; none if there are none.
    pub(crate) fn of(messages: Vec<TurnMessage>) -> Option<Self> {
        let principal = messages.last()?.message.author;
        let mut askers = Vec::new();
        for author in messages.iter().map(|message| message.message.author) {
            if !askers.contains(&author) {
                askers.push(author);
            }
        }
        Some(Self { messages, principal, askers, woken_by: Vec::new() })
    }

    /// Returns everything that ends with it.
    pub(crate) fn triggers(&self) -> Vec<TriggerId> {
        let messages = self.messages.iter().map(|message| &message.trigger);
        messages.chain(&self.woken_by).cloned().collect()
    }

    /// Returns whether several people share it: only read and harmless tools are offered then.
    pub(crate) fn is_shared(&self) -> bool {
        self.askers.len() > 1
    }

    /// Returns whether it answers a planned prompt, and no message.
    pub(crate) fn is_planned(&self) -> bool {
        self.messages.iter().any(|message| message.trigger.message().is_none())
    }

    /// Returns how it is answered.
    pub(crate) fn strategy(&self) -> &'static Strategy {
        if self.is_planned() { &SCHEDULED } else { &CONVERSATION }
    }
}

/// What the holder does next with what waits, by index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The next turn; empty if nothing that was looked at is for Ery.
    pub(crate) turn: Vec<usize>,
    /// What the gate turned away on the way.
    pub(crate) skipped: Vec<(usize, Reason)>,
}

/// What the plan goes by, beside what waits.
#[derive(Clone, Copy)]
pub(crate) struct Situation<'a> {
    pub(crate) bot: Id<UserMarker>,
    pub(crate) people: &'a People,
    pub(crate) state: &'a ChannelState,
    pub(crate) rules: &'a GateRules,
    /// People who share no turn, whatever they may: their budgets are used up.
    pub(crate) alone: &'a [Id<UserMarker>],
    /// How many messages may share a turn.
    pub(crate) max_messages: usize,
    pub(crate) now: UnixMillis,
}

/// Plans the next turn: the longest run from the head of what waits that may be answered together.
///
/// A message whose author holds a right to moderate, or whose rights are not known, has a turn of
/// its own. The others may share one, whoever wrote them. What waits behind an entry without a
/// message is not looked at.
///
/// Invariant: a turn never leaves out a message between two of its own that the gate lets pass, so
/// messages finish in the order in which they came.
pub(crate) fn plan<'a>(
    waiting: impl IntoIterator<Item = Option<(&'a Message, Call)>>,
    situation: Situation<'_>,
) -> Plan {
    let Situation { bot, people, state, rules, alone, max_messages, now } = situation;
    let mut plan = Plan::default();
    let mut callers: Vec<Id<UserMarker>> = Vec::new();
    for (index, entry) in waiting.into_iter().enumerate() {
        let Some((message, call)) = entry else { break };
        let is_called_here = callers.contains(&message.author);
        let judged = gate::second(message, call, bot, is_called_here, state, rules, now);
        if let Err(reason) = judged {
            plan.skipped.push((index, reason));
            continue;
        }
        let may_share = people.rights(message.author).is_some_and(|it| !it.can_moderate())
            && !alone.contains(&message.author);
        if plan.turn.len() >= max_messages || (!plan.turn.is_empty() && !may_share) {
            break;
        }
        plan.turn.push(index);
        if !may_share {
            break;
        }
        if matches!(call, Call::Addressed | Call::Retried) {
            callers.push(message.author);
        }
    }
    // What stands behind the turn is judged when its time comes, by the state of then.
    if let Some(last) = plan.turn.last() {
        plan.skipped.retain(|(index, _)| index < last);
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        fixtures::{ANN, BEN, BOT, MOD, message},
        people::{Person, Rights},
    };

    fn people() -> People {
        let mut people = People::default();
        for (user, rights) in
            [(ANN, Rights::Member), (BEN, Rights::Member), (MOD, Rights::Moderator)]
        {
            people.insert(
                user,
                Person { name: String::new(), rights, roles: Vec::new(), reads_history: true },
            );
        }
        people
    }

    fn plan_of(waiting: &[(Message, Call)], max_messages: usize) -> Plan {
        let rules = GateRules::default();
        let situation = Situation {
            bot: BOT,
            people: &people(),
            state: &ChannelState::default(),
            rules: &rules,
            alone: &[Id::new(55)],
            max_messages,
            now: UnixMillis(0),
        };
        plan(waiting.iter().map(|(message, call)| Some((message, *call))), situation)
    }

    fn by(author: Id<UserMarker>) -> (Message, Call) {
        (message(1, author, "ery, hi"), Call::Addressed)
    }

    fn aside(author: Id<UserMarker>) -> (Message, Call) {
        (message(1, author, "hm"), Call::OnlyInExchange)
    }

    #[test]
    fn messages_of_people_without_rights_share_a_turn() {
        assert_eq!(plan_of(&[by(ANN), by(ANN), by(BEN)], 10).turn, [0, 1, 2]);
    }

    #[test]
    fn a_turn_is_bounded() {
        assert_eq!(plan_of(&[by(ANN), by(ANN), by(BEN)], 2).turn, [0, 1]);
    }

    #[test]
    fn a_message_by_a_moderator_has_a_turn_of_its_own() {
        assert_eq!(plan_of(&[by(ANN), by(MOD), by(BEN)], 10).turn, [0]);
        assert_eq!(plan_of(&[by(MOD), by(MOD), by(BEN)], 10).turn, [0]);
    }

    #[test]
    fn somebody_of_unknown_rights_shares_no_turn() {
        let stranger = Id::new(77);
        assert_eq!(plan_of(&[by(stranger), by(ANN)], 10).turn, [0]);
        assert_eq!(plan_of(&[by(ANN), by(stranger)], 10).turn, [0]);
    }

    #[test]
    fn whose_budget_is_used_up_shares_no_turn() {
        let spent = Id::new(55);
        let mut known = people();
        let person = Person {
            name: String::new(),
            rights: Rights::Member,
            roles: Vec::new(),
            reads_history: true,
        };
        known.insert(spent, person);
        let plan = |waiting: &[(Message, Call)]| {
            let rules = GateRules::default();
            let situation = Situation {
                bot: BOT,
                people: &known,
                state: &ChannelState::default(),
                rules: &rules,
                alone: &[spent],
                max_messages: 10,
                now: UnixMillis(0),
            };
            plan(waiting.iter().map(|(message, call)| Some((message, *call))), situation).turn
        };
        assert_eq!(plan(&[by(ANN), by(spent), by(BEN)]), [0]);
        assert_eq!(plan(&[by(spent), by(spent), by(BEN)]), [0]);
    }

    #[test]
    fn what_is_not_for_ery_is_skipped_as_far_as_the_turn_goes() {
        let plan = plan_of(&[aside(BEN), by(ANN), aside(BEN), by(ANN), aside(BEN), by(MOD)], 10);
        assert_eq!(plan.turn, [1, 3]);
        assert_eq!(plan.skipped, [(0, Reason::NotAddressed), (2, Reason::NotAddressed)]);
    }

    #[test]
    fn where_nothing_is_for_ery_all_is_skipped() {
        let plan = plan_of(&[aside(BEN), aside(ANN)], 10);
        assert_eq!(plan.turn, [] as [usize; 0]);
        assert_eq!(plan.skipped.len(), 2);
    }

    #[test]
    fn who_called_ery_adds_to_it_without_calling_again() {
        assert_eq!(plan_of(&[by(ANN), aside(ANN)], 10).turn, [0, 1]);
        assert_eq!(plan_of(&[aside(ANN), by(ANN)], 10).turn, [1]);
    }

    #[test]
    fn an_entry_without_a_message_ends_the_plan() {
        let (first, call) = by(ANN);
        let rules = GateRules::default();
        let situation = Situation {
            bot: BOT,
            people: &people(),
            state: &ChannelState::default(),
            rules: &rules,
            alone: &[Id::new(55)],
            max_messages: 10,
            now: UnixMillis(0),
        };
        assert_eq!(plan([Some((&first, call)), None, Some((&first, call))], situation).turn, [0]);
        assert_eq!(plan([None, Some((&first, call))], situation), Plan::default());
    }

    #[test]
    fn the_last_author_is_the_principal_and_each_asks_once() {
        let turn_message = |id, author| TurnMessage {
            trigger: TriggerId::Message(Id::new(id)),
            message: message(id, author, "x"),
            received_at: UnixMillis(0),
        };
        let turn = Turn::of(vec![turn_message(1, ANN), turn_message(2, BEN), turn_message(3, ANN)])
            .unwrap();
        assert_eq!(turn.principal, ANN);
        assert_eq!(turn.askers, [ANN, BEN]);
        assert!(turn.is_shared());
        assert!(!Turn::of(vec![turn_message(1, ANN)]).unwrap().is_shared());
        assert_eq!(Turn::of(Vec::new()), None);
    }
}
