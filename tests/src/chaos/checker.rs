//! The judge. It shares no code with the product: it knows what was said, what people could see
//! (the simulated Discord's log), and what the model was asked (the scripted model's own log).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use super::effects::{Deed, Effect};

/// What stands in every answer of the scripted model before its marker.
pub(super) const TURN: &str = "turn:";

/// What stands there before the ids of the messages that it was asked to answer.
pub(super) const FOR: &str = "for:";

/// One request to the scripted model.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ModelRequest {
    /// Its own mark, which everything that follows from its answer carries.
    pub marker: u64,
    pub at_ms: u64,
    /// When the answer was complete; none where it was refused, cut, or nobody waited for it.
    pub answered_at_ms: Option<u64>,
    /// When whoever asked went away before that.
    pub left_at_ms: Option<u64>,
    /// The messages to answer.
    pub triggers: BTreeSet<u64>,
    /// Which run of a thread asked: every holder marks people's text in its own way.
    pub run: String,
    /// The requests whose answers the conversation holds as done: their turns were journaled.
    pub continues: BTreeSet<u64>,
    /// The reaction that its answer asks for.
    pub reaction: Option<(u64, String)>,
    pub fault: Option<&'static str>,
}

/// Everything that is judged.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// What members said to Ery: the message, and its channel.
    pub said: BTreeMap<u64, u64>,
    pub effects: Vec<Effect>,
    pub requests: Vec<ModelRequest>,
    /// Messages whose thread failed for good and stands in the list of dead letters.
    pub dead_letters: BTreeSet<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Rule {
    /// Every message is answered, or a dead letter.
    NothingLost,
    /// No effect happens twice.
    OnceVisible,
    /// Messages of one channel are answered in the order in which they were said.
    Order,
    /// No effect of a thread stands behind the first effect of a later one.
    OneThread,
    /// Of the turns that several holders asked for the same work, one alone has effects.
    Fenced,
    /// An effect is of a turn that was asked, in the channel and for the messages that it was
    /// asked for.
    Sound,
}

impl Rule {
    pub const ALL: [Self; 6] = [
        Self::NothingLost,
        Self::OnceVisible,
        Self::Order,
        Self::OneThread,
        Self::Fenced,
        Self::Sound,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::NothingLost => "NOTHING-LOST",
            Self::OnceVisible => "ONCE-VISIBLE",
            Self::Order => "ORDER",
            Self::OneThread => "ONE-THREAD",
            Self::Fenced => "FENCED",
            Self::Sound => "SOUND",
        }
    }
}

/// A rule broken, with what shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    pub rule: Rule,
    pub channel: u64,
    /// The message that it is about.
    pub message: u64,
    pub what: String,
}

/// What came of judging.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verdict {
    pub violations: Vec<Violation>,
    /// Answers with the words of a model.
    pub answers: usize,
    /// Answers by code: that the model does not answer, or that something went wrong.
    pub apologies: usize,
    /// Messages that are answered by a dead letter alone.
    pub dead_letters: usize,
}

impl Verdict {
    pub fn count(&self, rule: Rule) -> usize {
        self.violations.iter().filter(|violation| violation.rule == rule).count()
    }
}

/// An effect, and the turn that it carries the mark of.
struct Traced<'a> {
    effect: &'a Effect,
    marker: Option<u64>,
    /// The messages that its thread is about.
    about: BTreeSet<u64>,
    is_answer: bool,
}

/// Judges everything.
pub(super) fn judge(evidence: &Evidence) -> Verdict {
    let mut judge = Judge::new(evidence);
    let traced = judge.trace();
    judge.nothing_lost(&traced);
    judge.once_visible(&traced);
    judge.in_order(&traced);
    judge.one_thread(&traced);
    judge.fenced(&traced);
    judge.verdict
}

struct Judge<'a> {
    evidence: &'a Evidence,
    requests: HashMap<u64, &'a ModelRequest>,
    verdict: Verdict,
}

impl<'a> Judge<'a> {
    fn new(evidence: &'a Evidence) -> Self {
        let requests = evidence.requests.iter().map(|it| (it.marker, it)).collect();
        Self { evidence, requests, verdict: Verdict::default() }
    }

    fn broken(&mut self, rule: Rule, effect: &Effect, message: u64, what: String) {
        let channel = effect.channel;
        self.verdict.violations.push(Violation { rule, channel, message, what });
    }

    /// Finds out which turn each effect is of.
    fn trace(&mut self) -> Vec<Traced<'a>> {
        let reactions: HashMap<(u64, &str), u64> = self
            .evidence
            .requests
            .iter()
            .filter_map(|request| {
                let (message, emoji) = request.reaction.as_ref()?;
                Some(((*message, emoji.as_str()), request.marker))
            })
            .collect();
        let mut traced = Vec::new();
        for effect in &self.evidence.effects {
            let (marker, about, is_answer) = match &effect.deed {
                Deed::Message { covers, content, .. } => {
                    let marker = marker_of(content);
                    let ids = ids_of(content);
                    // A note, said before the answer, replies to nothing.
                    let is_answer = !covers.is_empty();
                    if is_answer && marker.is_some() && ids != *covers {
                        let what = format!("an answer for {ids:?} stands under {covers:?}");
                        let message = covers.first().copied().unwrap_or(0);
                        self.broken(Rule::Sound, effect, message, what);
                    }
                    (marker, if is_answer { covers.clone() } else { ids }, is_answer)
                }
                Deed::Reaction { message, emoji } => {
                    let marker = reactions.get(&(*message, emoji.as_str())).copied();
                    if marker.is_none() {
                        let what = format!("nobody asked for the reaction {emoji}");
                        self.broken(Rule::Sound, effect, *message, what);
                    }
                    let request = marker.and_then(|marker| self.requests.get(&marker));
                    (marker, request.map_or([*message].into(), |it| it.triggers.clone()), false)
                }
            };
            self.sound(effect, marker, &about);
            traced.push(Traced { effect, marker, about, is_answer });
        }
        traced
    }

    fn sound(&mut self, effect: &Effect, marker: Option<u64>, about: &BTreeSet<u64>) {
        let message = about.first().copied().unwrap_or(0);
        if let Some(marker) = marker
            && !self.requests.contains_key(&marker)
        {
            self.broken(Rule::Sound, effect, message, format!("no turn {marker} was asked"));
        }
        for message in about {
            match self.evidence.said.get(message) {
                None => {
                    let what = "an effect is about what nobody said".to_owned();
                    self.broken(Rule::Sound, effect, *message, what);
                }
                Some(channel) if *channel != effect.channel => {
                    let what = format!("it was said in channel {channel}");
                    self.broken(Rule::Sound, effect, *message, what);
                }
                Some(_) => {}
            }
        }
        if about.is_empty() {
            self.broken(Rule::Sound, effect, 0, format!("an effect is about nothing: {effect:?}"));
        }
    }

    fn nothing_lost(&mut self, traced: &[Traced<'_>]) {
        let mut covered = BTreeSet::new();
        for answer in traced.iter().filter(|it| it.is_answer) {
            covered.extend(answer.about.iter().copied());
            if answer.marker.is_some() {
                self.verdict.answers += 1;
            } else {
                self.verdict.apologies += 1;
            }
        }
        for (message, channel) in &self.evidence.said {
            if covered.contains(message) {
                continue;
            }
            if self.evidence.dead_letters.contains(message) {
                self.verdict.dead_letters += 1;
                continue;
            }
            let asked = self.evidence.requests.iter().filter(|it| it.triggers.contains(message));
            let asked: Vec<_> = asked.map(|it| it.marker).collect();
            self.verdict.violations.push(Violation {
                rule: Rule::NothingLost,
                channel: *channel,
                message: *message,
                what: format!("never answered; the model was asked by turns {asked:?}"),
            });
        }
    }

    fn once_visible(&mut self, traced: &[Traced<'_>]) {
        let mut answered: HashMap<u64, u64> = HashMap::new();
        let mut reacted: HashMap<u64, &str> = HashMap::new();
        let mut of_turn: HashMap<(u64, bool), u64> = HashMap::new();
        let mut noted: HashMap<u64, u64> = HashMap::new();
        for it in traced {
            match &it.effect.deed {
                Deed::Message { id, .. } if it.is_answer => {
                    for message in &it.about {
                        if let Some(first) = answered.insert(*message, *id) {
                            let what = format!("answered by {first} and by {id}");
                            self.broken(Rule::OnceVisible, it.effect, *message, what);
                        }
                    }
                }
                Deed::Message { id, .. } => {
                    for message in &it.about {
                        if let Some(first) = noted.insert(*message, *id) {
                            let what = format!("the notes {first} and {id} are both about it");
                            self.broken(Rule::OnceVisible, it.effect, *message, what);
                        }
                    }
                }
                Deed::Reaction { message, emoji } => {
                    if let Some(first) = reacted.insert(*message, emoji) {
                        let what = format!("it has the reactions {first} and {emoji}");
                        self.broken(Rule::OnceVisible, it.effect, *message, what);
                    }
                }
            }
            let (Some(marker), Deed::Message { id, .. }) = (it.marker, &it.effect.deed) else {
                continue;
            };
            if let Some(first) = of_turn.insert((marker, it.is_answer), *id) {
                let what = format!("turn {marker} is seen in {first} and in {id}");
                let message = it.about.first().copied().unwrap_or(0);
                self.broken(Rule::OnceVisible, it.effect, message, what);
            }
        }
    }

    fn in_order(&mut self, traced: &[Traced<'_>]) {
        let mut latest: HashMap<u64, u64> = HashMap::new();
        for it in traced.iter().filter(|it| it.is_answer) {
            let (Some(first), Some(last)) = (it.about.first(), it.about.last()) else { continue };
            let before = latest.entry(it.effect.channel).or_default();
            if *before > *first {
                let what = format!("answered after {before}, which was said later");
                let before = *before;
                self.broken(Rule::Order, it.effect, *first, what);
                latest.insert(it.effect.channel, before.max(*last));
            } else {
                *before = *last;
            }
        }
    }

    /// Threads of one channel are told apart, and ordered, by the first message that they are about.
    fn one_thread(&mut self, traced: &[Traced<'_>]) {
        let mut running: HashMap<u64, (u64, u64)> = HashMap::new();
        let mut ended: HashMap<u64, u64> = HashMap::new();
        for it in traced {
            let Some(thread) = it.about.first().copied() else { continue };
            let (newest, since) = *running.entry(it.effect.channel).or_insert((thread, 0));
            if thread < newest {
                let what =
                    format!("an effect stands behind entry {since}, of a later thread ({newest})");
                self.broken(Rule::OneThread, it.effect, thread, what);
            } else if thread > newest || since == 0 {
                running.insert(it.effect.channel, (thread, it.effect.seq));
            }
            // An answer ends its thread.
            if let Some(end) = ended.get(&thread)
                && !it.is_answer
            {
                let what = format!("an effect stands behind the thread's answer, entry {end}");
                self.broken(Rule::OneThread, it.effect, thread, what);
            }
            if it.is_answer {
                for message in &it.about {
                    ended.insert(*message, it.effect.seq);
                }
            }
        }
    }

    /// Turns that were asked for the same message, neither of which goes on from the other, were
    /// asked by different holders, or by one that asked again. One of them alone may count: be seen,
    /// or be gone on from.
    fn fenced(&mut self, traced: &[Traced<'_>]) {
        let mut counts: BTreeMap<u64, &Effect> = BTreeMap::new();
        for it in traced {
            if let Some(marker) = it.marker {
                counts.entry(marker).or_insert(it.effect);
            }
        }
        let continued: BTreeSet<u64> =
            self.evidence.requests.iter().flat_map(|it| it.continues.iter().copied()).collect();
        let mut by_message: BTreeMap<u64, Vec<&ModelRequest>> = BTreeMap::new();
        for request in &self.evidence.requests {
            if counts.contains_key(&request.marker) || continued.contains(&request.marker) {
                for message in &request.triggers {
                    by_message.entry(*message).or_default().push(request);
                }
            }
        }
        let mut told = BTreeSet::new();
        for (message, requests) in by_message {
            for (index, earlier) in requests.iter().enumerate() {
                for later in &requests[index + 1..] {
                    let goes_on = later.continues.contains(&earlier.marker)
                        || earlier.continues.contains(&later.marker);
                    let pair = (earlier.marker, later.marker);
                    if goes_on || !told.insert(pair) {
                        continue;
                    }
                    // One of the two must show: that both were gone on from is seen by the model
                    // alone, which a former holder may still ask.
                    let Some(effect) =
                        counts.get(&earlier.marker).or_else(|| counts.get(&later.marker))
                    else {
                        continue;
                    };
                    let what = format!("turns {} and {} both count", pair.0, pair.1);
                    self.broken(Rule::Fenced, effect, message, what);
                }
            }
        }
    }
}

/// Reads the mark of a turn, and nothing where code spoke.
fn marker_of(content: &str) -> Option<u64> {
    let (_, rest) = content.split_once(TURN)?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Reads which messages the model was asked to answer.
fn ids_of(content: &str) -> BTreeSet<u64> {
    let Some((_, rest)) = content.split_once(FOR) else { return BTreeSet::new() };
    let list = rest.split(|c: char| !c.is_ascii_digit() && c != ',').next().unwrap_or_default();
    list.split(',').filter_map(|id| id.parse().ok()).collect()
}

#[cfg(test)]
mod tests;
