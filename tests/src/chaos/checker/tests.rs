use super::*;

/// A hand-written history: messages 1 to 9 in channel 7.
struct History(Evidence);

impl History {
    fn of(said: &[u64]) -> Self {
        let said = said.iter().map(|message| (*message, 7)).collect();
        Self(Evidence { said, ..Evidence::default() })
    }

    fn asked(mut self, marker: u64, triggers: &[u64], continues: &[u64]) -> Self {
        self.0.requests.push(ModelRequest {
            marker,
            triggers: triggers.iter().copied().collect(),
            continues: continues.iter().copied().collect(),
            ..ModelRequest::default()
        });
        self
    }

    /// As `asked`, and the answer asks for a reaction to the first message.
    fn asked_to_react(mut self, marker: u64, triggers: &[u64], emoji: &str) -> Self {
        self = self.asked(marker, triggers, &[]);
        self.0.requests.last_mut().unwrap().reaction = Some((triggers[0], emoji.to_owned()));
        self
    }

    fn effect(mut self, channel: u64, deed: Deed) -> Self {
        let seq = self.0.effects.len() as u64 + 1;
        self.0.effects.push(Effect { seq, channel, at_ms: 0, deed });
        self
    }

    fn answered_in(self, channel: u64, marker: u64, covers: &[u64]) -> Self {
        let id = 100 + self.0.effects.len() as u64;
        let list: Vec<_> = covers.iter().map(ToString::to_string).collect();
        let content = format!("yes {TURN}{marker} {FOR}{}", list.join(","));
        self.effect(
            channel,
            Deed::Message { id, covers: covers.iter().copied().collect(), content },
        )
    }

    fn answered(self, marker: u64, covers: &[u64]) -> Self {
        self.answered_in(7, marker, covers)
    }

    fn noted(self, marker: u64, message: u64) -> Self {
        let id = 100 + self.0.effects.len() as u64;
        let content = format!("a note {TURN}{marker} {FOR}{message}");
        self.effect(7, Deed::Message { id, covers: BTreeSet::new(), content })
    }

    fn apologised(self, covers: &[u64]) -> Self {
        let id = 100 + self.0.effects.len() as u64;
        let content = "Sorry, something went wrong.".to_owned();
        self.effect(7, Deed::Message { id, covers: covers.iter().copied().collect(), content })
    }

    fn reacted(self, message: u64, emoji: &str) -> Self {
        self.effect(7, Deed::Reaction { message, emoji: emoji.to_owned() })
    }

    fn broken(&self) -> Vec<Rule> {
        let mut rules: Vec<_> = judge(&self.0).violations.iter().map(|it| it.rule).collect();
        rules.dedup();
        rules
    }
}

#[test]
fn a_calm_history_breaks_nothing() {
    let history = History::of(&[1, 2, 3])
        .asked_to_react(50, &[1, 2], "👍")
        .reacted(1, "👍")
        .asked(51, &[1, 2], &[50])
        .noted(51, 1)
        .asked(52, &[1, 2], &[50, 51])
        .answered(52, &[1, 2])
        .asked(53, &[3], &[])
        .answered(53, &[3]);
    assert_eq!(history.broken(), []);
    assert_eq!(judge(&history.0).answers, 2);
}

#[test]
fn a_turn_asked_anew_by_a_new_holder_breaks_nothing() {
    // 50 was in flight when its holder died.
    let history = History::of(&[1]).asked(50, &[1], &[]).asked(51, &[1], &[]).answered(51, &[1]);
    assert_eq!(history.broken(), []);
}

#[test]
fn a_former_holder_may_still_ask_in_vain() {
    let history = History::of(&[1])
        .asked_to_react(50, &[1], "👍")
        .asked_to_react(51, &[1], "🎉")
        .reacted(1, "🎉")
        .asked(52, &[1], &[51])
        .asked(53, &[1], &[])
        .answered(52, &[1]);
    assert_eq!(history.broken(), []);
}

#[test]
fn a_lost_message_is_found_unless_it_is_a_dead_letter_or_was_apologised_for() {
    let mut history = History::of(&[1, 2, 3]).asked(50, &[1], &[]).answered(50, &[1]);
    assert_eq!(history.broken(), [Rule::NothingLost]);
    assert_eq!(judge(&history.0).count(Rule::NothingLost), 2);
    history.0.dead_letters.insert(2);
    let history = history.apologised(&[3]);
    assert_eq!(history.broken(), []);
    let verdict = judge(&history.0);
    assert_eq!((verdict.answers, verdict.apologies, verdict.dead_letters), (1, 1, 1));
}

#[test]
fn a_second_answer_is_found() {
    let history = History::of(&[1])
        .asked(50, &[1], &[])
        .asked(51, &[1], &[])
        .answered(50, &[1])
        .answered(51, &[1]);
    assert_eq!(history.broken(), [Rule::OnceVisible, Rule::Fenced]);
    let apology = History::of(&[1]).asked(50, &[1], &[]).answered(50, &[1]).apologised(&[1]);
    assert_eq!(apology.broken(), [Rule::OnceVisible]);
}

#[test]
fn one_turn_seen_twice_is_found() {
    let history = History::of(&[1, 2]).asked(50, &[1, 2], &[]).answered(50, &[1]);
    assert!(history.answered(50, &[2]).broken().contains(&Rule::OnceVisible));
    let history = History::of(&[1])
        .asked(50, &[1], &[])
        .noted(50, 1)
        .noted(50, 1)
        .asked(51, &[1], &[50])
        .answered(51, &[1]);
    assert_eq!(history.broken(), [Rule::OnceVisible]);
}

#[test]
fn disorder_is_found() {
    let history = History::of(&[1, 2, 3])
        .asked(50, &[2], &[])
        .answered(50, &[2])
        .asked(51, &[1], &[])
        .answered(51, &[1])
        .asked(52, &[3], &[])
        .answered(52, &[3]);
    assert_eq!(history.broken(), [Rule::Order, Rule::OneThread]);
    assert_eq!(judge(&history.0).count(Rule::Order), 1);
}

#[test]
fn an_effect_behind_a_later_thread_is_an_overlap() {
    let history = History::of(&[1, 2])
        .asked_to_react(50, &[1], "👍")
        .asked(51, &[1], &[])
        .answered(51, &[1])
        .asked_to_react(52, &[2], "🎉")
        .reacted(2, "🎉")
        .reacted(1, "👍")
        .asked(53, &[2], &[52])
        .answered(53, &[2]);
    // It also shows that a superseded turn was carried out.
    assert!(history.broken().contains(&Rule::OneThread));
    assert!(history.broken().contains(&Rule::Fenced));
}

#[test]
fn an_effect_behind_the_threads_own_answer_is_an_overlap() {
    let history = History::of(&[1])
        .asked_to_react(50, &[1], "👍")
        .asked(51, &[1], &[50])
        .answered(51, &[1])
        .reacted(1, "👍");
    assert_eq!(history.broken(), [Rule::OneThread]);
}

#[test]
fn the_effect_of_a_superseded_turn_is_found() {
    // 51 was asked anew and gone on from; 50 acts all the same.
    let history = History::of(&[1])
        .asked_to_react(50, &[1], "👍")
        .asked(51, &[1], &[])
        .asked(52, &[1], &[51])
        .reacted(1, "👍")
        .answered(52, &[1]);
    let verdict = judge(&history.0);
    assert!(verdict.count(Rule::Fenced) > 0, "{:?}", verdict.violations);
    // Once without a reaction by the one that counts.
    assert_eq!(verdict.count(Rule::OnceVisible), 0);
}

#[test]
fn two_reactions_to_one_message_are_found() {
    let history = History::of(&[1])
        .asked_to_react(50, &[1], "👍")
        .asked_to_react(51, &[1], "🎉")
        .reacted(1, "👍")
        .reacted(1, "🎉")
        .asked(52, &[1], &[51])
        .answered(52, &[1]);
    assert!(history.broken().contains(&Rule::OnceVisible));
    assert!(history.broken().contains(&Rule::Fenced));
}

#[test]
fn what_nobody_asked_for_is_found() {
    let history = History::of(&[1]).asked(50, &[1], &[]).answered(50, &[1]);
    assert_eq!(history.answered(60, &[9]).broken(), [Rule::Sound]);
    let elsewhere = History::of(&[1]).asked(50, &[1], &[]).answered_in(8, 50, &[1]);
    assert_eq!(elsewhere.broken(), [Rule::Sound]);
    let reacted = History::of(&[1]).asked(50, &[1], &[]).reacted(1, "👍").answered(50, &[1]);
    assert_eq!(reacted.broken(), [Rule::Sound]);
}

#[test]
fn words_for_one_message_under_another_are_found() {
    let mut history = History::of(&[1, 2]).asked(50, &[1], &[]).answered(50, &[1]);
    history = history.asked(51, &[2], &[]).answered(51, &[2]);
    assert_eq!(history.broken(), []);
    if let Deed::Message { content, .. } = &mut history.0.effects[1].deed {
        *content = format!("{TURN}51 {FOR}1");
    }
    assert_eq!(history.broken(), [Rule::Sound]);
}
