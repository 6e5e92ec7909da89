//! What calls of models cost, told while they run: whoever leaves before their end knows it all the same.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::journal::Spent;

/// What the calls of one thread have cost that no answer told of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Costs(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// By calls that are over.
    past: Vec<Spent>,
    /// By attempts of the call under way, as far as it has told.
    told: Vec<Spent>,
    lost_turns: u32,
    /// What a call costs at the most of which nobody tells more; none: it costs nothing.
    bound: Option<Spent>,
    call: Call,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Call {
    #[default]
    None,
    /// It may not have arrived.
    Sent,
    /// Somebody works on it.
    Begun,
}

impl Costs {
    /// Says what the next calls cost at the most.
    pub(crate) fn expect(&self, bound: Option<Spent>) {
        self.lock().bound = bound;
    }

    /// A call is sent. One before it of which nothing was heard is given up: it was cut off.
    pub(crate) fn sent(&self) {
        let mut state = self.lock();
        state.cut_off();
        state.call = Call::Sent;
    }

    /// The call has arrived.
    pub(crate) fn begun(&self) {
        self.lock().call = Call::Begun;
    }

    /// The call tells what an attempt cost that brought nothing.
    pub(crate) fn told(&self, spent: impl IntoIterator<Item = Spent>) {
        self.lock().told.extend(spent);
    }

    /// The call is answered or refused, and its answer tells all that it cost.
    pub(crate) fn answered(&self) {
        let mut state = self.lock();
        state.told.clear();
        state.call = Call::None;
    }

    /// Whoever worked on the call is gone, and nobody knows what else it cost.
    pub(crate) fn broke(&self) {
        let mut state = self.lock();
        let is_lost = state.call == Call::Begun && state.bound.is_some();
        state.lost_turns = state.lost_turns.saturating_add(u32::from(is_lost));
        state.end();
    }

    /// Takes what is known, each once, and how many calls are lost; a call under way is cut off, and
    /// counts by its bound.
    pub(crate) fn take(&self) -> (Vec<Spent>, u32) {
        let mut state = self.lock();
        state.cut_off();
        (std::mem::take(&mut state.past), std::mem::take(&mut state.lost_turns))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn cut_off(&mut self) {
        if self.call != Call::None {
            let bound = self.bound.clone();
            self.told.extend(bound);
        }
        self.end();
    }

    fn end(&mut self) {
        let mut told = std::mem::take(&mut self.told);
        self.past.append(&mut told);
        self.call = Call::None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(micros: u64) -> Spent {
        Spent { cost_micros: micros, ..Spent::default() }
    }

    fn taken(costs: &Costs) -> (Vec<u64>, u32) {
        let (spent, lost) = costs.take();
        (spent.iter().map(|spent| spent.cost_micros).collect(), lost)
    }

    fn costs() -> Costs {
        let costs = Costs::default();
        costs.expect(Some(cost(100)));
        costs
    }

    #[test]
    fn an_answer_tells_all_by_itself() {
        let costs = costs();
        costs.sent();
        costs.begun();
        costs.told([cost(3)]);
        costs.answered();
        assert_eq!(taken(&costs), (vec![], 0));
    }

    #[test]
    fn a_call_that_is_left_counts_by_its_bound_beside_what_it_told() {
        let costs = costs();
        costs.sent();
        assert_eq!(taken(&costs), (vec![100], 0), "it may have arrived");
        costs.sent();
        costs.begun();
        costs.told([cost(3)]);
        assert_eq!(taken(&costs), (vec![3, 100], 0));
        assert_eq!(taken(&costs), (vec![], 0), "once");
    }

    #[test]
    fn a_call_that_broke_is_lost_if_it_had_begun() {
        let costs = costs();
        costs.sent();
        costs.broke();
        assert_eq!(taken(&costs), (vec![], 0), "it never arrived");
        costs.sent();
        costs.begun();
        costs.told([cost(3)]);
        costs.broke();
        costs.sent();
        costs.answered();
        assert_eq!(taken(&costs), (vec![3], 1));
        costs.expect(None);
        costs.sent();
        costs.begun();
        costs.broke();
        assert_eq!(taken(&costs), (vec![], 0), "no model was asked");
    }

    #[test]
    fn a_call_that_took_too_long_and_is_repeated_was_cut_off() {
        let costs = costs();
        costs.sent();
        costs.begun();
        costs.sent();
        costs.answered();
        assert_eq!(taken(&costs), (vec![100], 0));
    }
}
