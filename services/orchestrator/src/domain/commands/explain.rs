//! Why Ery answered, kept silent, acted or refused, told to whoever may know it.
//!
//! What others wrote is never part of it: of that only the sizes are told.

use twilight_model::{
    guild::Permissions,
    id::{Id, marker::UserMarker},
};

use crate::domain::{
    budgets,
    commands::reply::{quoted, shortened},
    journal::{Entry, Outcome, Stop},
    texts::{Language, refusals::Refusal},
};

/// How many calls of tools are told.
const CALLS_TOLD: usize = 100;

/// How long a reason may be that is told.
const LONGEST_REASON: usize = 300;

/// What staff hold who may know why Ery did something for others.
const STAFF: Permissions = Permissions::MANAGE_MESSAGES.union(Permissions::VIEW_AUDIT_LOG);

/// What the store knows of a message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Explained {
    pub(crate) author: Option<Id<UserMarker>>,
    pub(crate) is_own: bool,
    /// Why the gate turned it away; empty if it did not.
    pub(crate) gate_reason: String,
    pub(crate) thread: Option<ThreadFacts>,
    /// The call that sent it.
    pub(crate) sent_by: Option<CallFacts>,
}

/// A task thread, as far as it explains something.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ThreadFacts {
    pub(crate) id: String,
    /// For whom it ran.
    pub(crate) person: Option<Id<UserMarker>>,
    pub(crate) askers: Vec<Id<UserMarker>>,
    pub(crate) triggers: usize,
    /// Whether something planned began it, and no message.
    pub(crate) is_planned: bool,
    /// None while it runs.
    pub(crate) outcome: Option<Outcome>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) calls: Vec<CallFacts>,
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CallFacts {
    pub(crate) key: String,
    pub(crate) tool: String,
    pub(crate) person: Option<Id<UserMarker>>,
    pub(crate) decision: Decided,
    pub(crate) reason: String,
    /// By which a refusal is said in other languages, and the permission that it is about; or nothing.
    pub(crate) code: String,
    pub(crate) permission: String,
    pub(crate) state: CallState,
    pub(crate) is_ordered: bool,
    pub(crate) approver: Option<Id<UserMarker>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decided {
    Allowed,
    Denied,
    NeedsApproval,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallState {
    Open,
    Done,
    Failed,
    Denied,
    InDoubt,
}

impl Explained {
    /// Returns whether somebody may be told: whose message or request it was, or staff of the
    /// channel.
    pub(crate) fn may_be_told_to(&self, person: Id<UserMarker>, here: Permissions) -> bool {
        here.intersects(STAFF | Permissions::ADMINISTRATOR) || self.is_of(person)
    }

    fn is_of(&self, person: Id<UserMarker>) -> bool {
        if !self.is_own && self.author == Some(person) {
            return true;
        }
        let of_thread =
            |thread: &ThreadFacts| thread.person == Some(person) || thread.askers.contains(&person);
        match (&self.thread, &self.sent_by) {
            (Some(thread), _) => of_thread(thread),
            (None, Some(call)) => call.person == Some(person),
            (None, None) => false,
        }
    }

    /// Says it in lines.
    pub(crate) fn told(&self, language: Language) -> String {
        let mut lines = Vec::new();
        match (&self.thread, &self.sent_by) {
            (Some(thread), sent_by) => {
                lines.push(match (self.is_own, sent_by) {
                    (true, _) => language.word("why-is-of-thread"),
                    (false, _) => language.word("why-began-thread"),
                });
                thread.tell(language, &mut lines);
            }
            (None, Some(call)) => {
                lines.push(language.word("why-is-of-call"));
                lines.push(call.line(language));
            }
            (None, None) if !self.gate_reason.is_empty() => {
                lines.push(language.word("why-turned-away"));
                lines.push(gate_reason(&self.gate_reason, language));
            }
            (None, None) if self.is_own => lines.push(language.word("why-own-unknown")),
            (None, None) => lines.push(language.word("why-nothing")),
        }
        lines.join("\n")
    }
}

impl ThreadFacts {
    fn tell(&self, language: Language, lines: &mut Vec<String>) {
        if let Some(person) = self.person {
            let person = format!("<@{person}>");
            let values = [("person", (&person).into()), ("count", self.triggers.into())];
            lines.push(if self.is_planned {
                language.say("why-planned", &values[..1])
            } else {
                language.say("why-for", &values)
            });
        }
        for entry in &self.entries {
            match entry {
                Entry::ContextLoaded(context) => {
                    let values = [("count", context.messages.len().into())];
                    lines.push(language.say("why-context", &values));
                    if let Some(summary) = context.summary {
                        let count = usize::try_from(summary.messages).unwrap_or(usize::MAX);
                        lines.push(language.say("why-summary", &[("count", count.into())]));
                    }
                }
                Entry::OrdersRead(read) if !read.orders.is_empty() => {
                    let tools: Vec<String> =
                        read.orders.iter().map(|order| quoted(&order.tool, 64)).collect();
                    let tools = tools.join(", ");
                    lines.push(language.say("why-orders", &[("tools", (&tools).into())]));
                }
                Entry::ModelAnswered(turn) => {
                    let model = quoted(&format!("{}/{}", turn.provider, turn.model), 80);
                    let tokens = usize::try_from(turn.usage.prompt_tokens).unwrap_or(usize::MAX);
                    let values = [
                        ("model", (&model).into()),
                        ("tokens", tokens.into()),
                        ("calls", turn.tool_calls.len().into()),
                    ];
                    lines.push(language.say("why-model", &values));
                    if turn.stop == Stop::Refused {
                        lines.push(language.word("why-model-refused"));
                    }
                }
                _ => {}
            }
        }
        let answered = self.calls.iter().any(|call| call.is_answer() && call.is_sent());
        let acts: Vec<&CallFacts> = self.calls.iter().filter(|call| !call.is_answer()).collect();
        lines.extend(acts.iter().take(CALLS_TOLD).map(|call| call.line(language)));
        if acts.len() > CALLS_TOLD {
            let more = acts.len() - CALLS_TOLD;
            lines.push(language.say("why-more-calls", &[("count", more.into())]));
        }
        lines.push(match self.outcome {
            None => language.word("why-running"),
            Some(Outcome::Done) if answered => language.word("why-answered"),
            Some(Outcome::Done) => language.word("why-silent"),
            Some(Outcome::OutOfBudget) => self.out_of_budget(language),
            Some(Outcome::Cancelled) => language.word("why-cancelled"),
            Some(Outcome::Failed) => language.word("why-failed"),
            Some(Outcome::TooBusy) => language.word("why-too-busy"),
            Some(Outcome::Suspended) => language.word("why-suspended"),
        });
        let id = quoted(&self.id, 64);
        lines.push(language.say("why-thread", &[("id", (&id).into())]));
    }
}

impl ThreadFacts {
    /// Says which budget ended it: of the thread, or of those who pay for it.
    fn out_of_budget(&self, language: Language) -> String {
        let detail = self.entries.iter().rev().find_map(|entry| match entry {
            Entry::Finished(finished) => Some(finished.detail.as_str()),
            _ => None,
        });
        match detail.and_then(budgets::stopped_by) {
            Some((scope, window)) => {
                let values = [("scope", scope.into()), ("window", window.into())];
                language.say("why-budget", &values)
            }
            None => language.word("why-out-of-budget"),
        }
    }
}

impl CallFacts {
    /// The thread's own answer, by its key.
    fn is_answer(&self) -> bool {
        self.key.rsplit('/').nth(1) == Some("0")
    }

    fn is_sent(&self) -> bool {
        matches!(self.state, CallState::Done | CallState::InDoubt)
    }

    fn line(&self, language: Language) -> String {
        let tool = quoted(&self.tool, 64);
        let state = match (self.decision, self.state) {
            (Decided::NeedsApproval, CallState::Done | CallState::InDoubt | CallState::Open) => {
                language.word("why-call-proposed")
            }
            (_, CallState::Done) => language.word("why-call-done"),
            (_, CallState::Failed) => language.word("why-call-failed"),
            (_, CallState::Denied) => language.word("why-call-denied"),
            (_, CallState::InDoubt) => language.word("why-call-in-doubt"),
            (_, CallState::Open) => language.word("why-call-open"),
        };
        let values = [("tool", (&tool).into()), ("state", (&state).into())];
        let mut line = language.say("why-call", &values);
        if let Some(person) = self.person {
            let person = format!("<@{person}>");
            line.push_str(&language.say("why-call-for", &[("person", (&person).into())]));
        }
        if self.is_ordered {
            line.push_str(&language.word("why-call-ordered"));
        }
        if let Some(approver) = self.approver {
            let person = format!("<@{approver}>");
            line.push_str(&language.say("why-call-approved", &[("person", (&person).into())]));
        }
        if self.decision != Decided::Allowed && !self.reason.is_empty() {
            line.push(' ');
            line.push_str(&self.refusal(language));
        }
        line
    }
}

impl CallFacts {
    /// Says why it was not simply done.
    fn refusal(&self, language: Language) -> String {
        let own = || shortened(&self.reason, LONGEST_REASON);
        match language {
            // As it is recorded: with the constants that an administrator looks for.
            Language::English => own(),
            Language::German => {
                let (code, permission) = (self.code.as_str(), self.permission.as_str());
                let refusal = Refusal { code, permission, sentence: &self.reason };
                refusal.said(language).unwrap_or_else(own)
            }
        }
    }
}

/// Says why the gate turned a message away, by the word that stands in its row.
fn gate_reason(reason: &str, language: Language) -> String {
    match reason {
        "own" => language.word("why-gate-own"),
        "system" => language.word("why-gate-system"),
        "automated" => language.word("why-gate-automated"),
        "paused" => language.word("why-gate-paused"),
        "ignored" => language.word("why-gate-ignored"),
        "off" => language.word("why-gate-off"),
        "listening" => language.word("why-gate-listening"),
        "not_addressed" => language.word("why-gate-not-addressed"),
        "cooldown" => language.word("why-gate-cooldown"),
        "bot_loop" => language.word("why-gate-bot-loop"),
        other => {
            let reason = quoted(other, 64);
            language.say("why-gate-other", &[("reason", (&reason).into())])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::journal::{ContextLoaded, ModelTurn, Order, OrdersRead};

    const ASKER: u64 = 5;

    fn call(key: &str, tool: &str, state: CallState) -> CallFacts {
        CallFacts {
            key: key.to_owned(),
            tool: tool.to_owned(),
            person: Some(Id::new(ASKER)),
            decision: if state == CallState::Denied { Decided::Denied } else { Decided::Allowed },
            reason: "You need MODERATE_MEMBERS.".to_owned(),
            code: String::new(),
            permission: String::new(),
            state,
            is_ordered: false,
            approver: None,
        }
    }

    fn explained(calls: Vec<CallFacts>, outcome: Option<Outcome>) -> Explained {
        Explained {
            author: Some(Id::new(ASKER)),
            is_own: false,
            gate_reason: String::new(),
            sent_by: None,
            thread: Some(ThreadFacts {
                id: "0199".to_owned(),
                person: Some(Id::new(ASKER)),
                askers: Vec::new(),
                triggers: 1,
                is_planned: false,
                outcome,
                entries: vec![
                    Entry::ContextLoaded(ContextLoaded {
                        messages: vec![Id::new(1), Id::new(2), Id::new(3)],
                        ..ContextLoaded::default()
                    }),
                    Entry::OrdersRead(OrdersRead {
                        orders: vec![Order { tool: "ban_member".into(), arguments: "{}".into() }],
                        ..OrdersRead::default()
                    }),
                    Entry::ModelAnswered(ModelTurn {
                        text: "private words of others".into(),
                        provider: "openai".into(),
                        model: "m".into(),
                        ..ModelTurn::default()
                    }),
                ],
                calls,
            }),
        }
    }

    #[test]
    fn an_answer_is_told_with_sizes_and_without_what_others_wrote() {
        let calls = vec![
            call("t/x/3/0", "timeout_member", CallState::Denied),
            call("t/x/0/0", "send_message", CallState::Done),
        ];
        for language in Language::ALL {
            let told = explained(calls.clone(), Some(Outcome::Done)).told(language);
            assert!(told.contains('3') && told.contains("`openai/m`"), "{told}");
            assert!(told.contains("`timeout_member`") && told.contains("`ban_member`"), "{told}");
            assert!(told.contains("MODERATE_MEMBERS"), "{told}");
            assert!(!told.contains("private words") && !told.contains("send_message"), "{told}");
        }
        let english = explained(calls, Some(Outcome::Done)).told(Language::English);
        assert!(english.contains("answered"), "{english}");
    }

    #[test]
    fn of_what_was_planned_no_message_is_told() {
        let mut planned = explained(Vec::new(), Some(Outcome::Done));
        planned.thread.as_mut().unwrap().is_planned = true;
        let told = planned.told(Language::English);
        assert!(told.contains("because of what they had planned"), "{told}");
        assert!(!told.contains("because of one message"), "{told}");
    }

    #[test]
    fn a_refusal_is_told_in_the_language_of_whoever_asks() {
        let denied = CallFacts {
            code: "asker_lacks_permission".to_owned(),
            permission: "MODERATE_MEMBERS".to_owned(),
            ..call("t/x/3/0", "timeout_member", CallState::Denied)
        };
        let told = explained(vec![denied], Some(Outcome::Done)).told(Language::German);
        assert!(
            told.contains("Dafür brauchst du das Recht") && !told.contains("You need"),
            "{told}"
        );
    }

    #[test]
    fn each_end_is_told_in_its_own_words() {
        let outcomes = [
            None,
            Some(Outcome::Done),
            Some(Outcome::OutOfBudget),
            Some(Outcome::Cancelled),
            Some(Outcome::Failed),
            Some(Outcome::TooBusy),
            Some(Outcome::Suspended),
        ];
        let told = outcomes.map(|outcome| explained(Vec::new(), outcome).told(Language::German));
        let different: std::collections::BTreeSet<_> = told.iter().collect();
        assert_eq!(different.len(), told.len());
    }

    #[test]
    fn what_the_gate_turned_away_says_why() {
        for word in [
            "own",
            "system",
            "automated",
            "paused",
            "ignored",
            "off",
            "listening",
            "not_addressed",
            "cooldown",
            "bot_loop",
        ] {
            let turned_away = Explained {
                thread: None,
                gate_reason: word.to_owned(),
                ..explained(Vec::new(), None)
            };
            let told = turned_away.told(Language::English);
            assert!(!told.contains('`'), "{word}: {told}");
        }
    }

    #[test]
    fn only_whose_it_was_and_staff_of_the_channel_are_told() {
        let it = explained(Vec::new(), Some(Outcome::Done));
        let nothing = Permissions::SEND_MESSAGES;
        assert!(it.may_be_told_to(Id::new(ASKER), nothing));
        assert!(!it.may_be_told_to(Id::new(6), nothing));
        for staff in
            [Permissions::MANAGE_MESSAGES, Permissions::VIEW_AUDIT_LOG, Permissions::ADMINISTRATOR]
        {
            assert!(it.may_be_told_to(Id::new(6), staff));
        }
        // An answer to several people is each one's.
        let mut shared = it.clone();
        shared.is_own = true;
        shared.thread.as_mut().unwrap().askers = vec![Id::new(ASKER), Id::new(6)];
        assert!(shared.may_be_told_to(Id::new(6), nothing));
        assert!(!shared.may_be_told_to(Id::new(7), nothing));
        // Nothing of Ery's: whoever wrote it may know that.
        let none = Explained { thread: None, ..it };
        assert!(none.may_be_told_to(Id::new(ASKER), nothing));
        assert!(!none.may_be_told_to(Id::new(6), nothing));
    }
}
