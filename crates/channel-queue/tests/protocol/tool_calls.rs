//! The tool-service: opens an execution in the store, asks Discord, records what came of it.

use crate::{
    events::What,
    protocol::{Next, Property},
    scope::Mutant,
    state::{Age, Call, Doing, Execution, Hold, Phase, Record, State},
};

impl Next<'_> {
    /// The holder calls; the store opens the execution, unless it stands already.
    pub(crate) fn call(&mut self, worker: usize, mut hold: Hold, is_rerouted: bool) {
        let channel = self.channel;
        let thread = hold.thread;
        let of_thread = self.of().thread(thread);
        let Execution { record, calls, .. } = of_thread.execution;
        let is_joined = calls.iter().any(|call| call.fence == hold.fence) && !is_rerouted;
        if calls.is_full() {
            return;
        }
        let is_unrecorded = self.scope.is(Mutant::ExecutionsUnrecorded);
        if !is_joined && !is_unrecorded && !self.writes(worker, hold.fence) {
            return;
        }
        let breaks = if is_joined || is_unrecorded { None } else { self.breaks(hold.fence) };
        hold.doing = Doing::Wait;
        let fence = hold.fence;
        let phase = match record {
            Record::None => Phase::First,
            Record::Open => Phase::Recovering,
            Record::Done | Record::Failed | Record::InDoubt => Phase::Closing(record),
        };
        let what = if is_rerouted {
            What::Rerouted { worker, thread }
        } else {
            What::Called { worker, thread, found: record }
        };
        let change = |state: &mut State| {
            state.holds[worker][channel] = Some(hold);
            let execution = &mut state.channels[channel].thread_mut(thread).execution;
            if is_joined || record.is_final() {
                return breaks;
            }
            if record == Record::None && !is_unrecorded {
                *execution = Execution { record: Record::Open, ..Execution::default() };
            }
            execution.calls.push(Call { fence, phase });
            breaks
        };
        if is_rerouted {
            self.may_fail(what, |state| {
                state.budget.rerouted_calls -= 1;
                change(state)
            });
        } else {
            self.may(what, change);
        }
    }

    /// What calls under way may do.
    pub(crate) fn tool_calls(&mut self) {
        let (of, channel) = (*self.of(), self.channel);
        for (thread, of_thread) in (0..).zip(of.threads.iter()) {
            let execution = of_thread.execution;
            self.time_passes(thread, &execution);
            for (index, call) in execution.calls.iter().enumerate() {
                self.call_goes_on(thread, &execution, index, *call);
                if self.state.budget.lost_calls > 0 {
                    self.may_fail(What::CallLost { thread }, |state| {
                        state.budget.lost_calls -= 1;
                        let of = &mut state.channels[channel];
                        end_call(&mut of.thread_mut(thread).execution, index);
                        None
                    });
                }
            }
        }
    }

    fn time_passes(&mut self, thread: u8, execution: &Execution) {
        let channel = self.channel;
        let is_mutant = self.scope.is(Mutant::ExecutionsUnrecorded);
        let is_unrecorded = is_mutant && execution.visible > 0;
        let is_unasked = is_mutant && execution.visible == 0;
        if execution.record != Record::Open && execution.calls.is_empty() && !is_unrecorded {
            return;
        }
        let (what, age) = match execution.age {
            Age::Young => (What::DeadlinePassed { thread }, Age::Settled),
            Age::Settled if self.scope.is_nonce_forgotten && !is_unasked => {
                (What::NonceForgotten { thread }, Age::Old)
            }
            Age::Settled | Age::Old => return,
        };
        self.may(what, |state| {
            state.channels[channel].thread_mut(thread).execution.age = age;
            None
        });
    }

    fn call_goes_on(&mut self, thread: u8, execution: &Execution, index: usize, call: Call) {
        match (call.phase, execution.age) {
            // Invariant: nothing is written behind its deadline.
            (Phase::First, Age::Young) => self.send(thread, execution, index, call),
            (Phase::First, _) if self.scope.is(Mutant::ExecutionsUnrecorded) => {
                self.send(thread, execution, index, call);
            }
            (Phase::Refused, Age::Young) => {
                self.close(thread, execution, index, call, Record::Failed);
            }
            // Another call may have repeated it meanwhile.
            (Phase::First | Phase::Refused, Age::Settled | Age::Old) => {
                let late = self.scope.is(Mutant::LateFailureRecorded);
                let phase = if late { Phase::Closing(Record::Failed) } else { Phase::Recovering };
                self.go_to(What::TooLate { thread }, thread, index, phase);
            }
            (Phase::Recovering, age) => self.recover(thread, execution, index, call, age),
            (Phase::Repeating, Age::Young | Age::Settled) => {
                self.send(thread, execution, index, call);
            }
            (Phase::Repeating, Age::Old) => {
                let found = self.after_failed_repeat(execution);
                self.go_to(What::TooLate { thread }, thread, index, Phase::Closing(found));
            }
            (Phase::Closing(record), _) => self.close(thread, execution, index, call, record),
        }
    }

    /// Writes the request; Discord takes it once, as long as it knows the nonce.
    fn send(&mut self, thread: u8, execution: &Execution, index: usize, call: Call) {
        let channel = self.channel;
        let is_known = execution.visible > 0 && execution.age != Age::Old;
        let is_overtaken = (0..)
            .zip(self.of().threads.iter())
            .any(|(other, it)| other > thread && it.execution.visible > 0);
        // FENCED's one exception: what was given up as in doubt may come late, once, while its
        // nonce is known.
        let is_excepted = execution.record == Record::InDoubt;
        let is_broken = is_overtaken && !is_known && !is_excepted;
        let breaks = is_broken.then_some(Property::OneThread);
        let sent = |execution: &mut Execution| {
            execution.visible += u8::from(!is_known);
        };
        let what = What::Sent { thread, is_new: !is_known, is_answered: true };
        self.may(what, |state| {
            let execution = &mut state.channels[channel].thread_mut(thread).execution;
            sent(execution);
            execution.calls.get_mut(index).phase = Phase::Closing(Record::Done);
            breaks
        });
        if self.state.budget.lost_calls > 0 {
            let what = What::Sent { thread, is_new: !is_known, is_answered: false };
            self.may_fail(what, |state| {
                state.budget.lost_calls -= 1;
                let execution = &mut state.channels[channel].thread_mut(thread).execution;
                sent(execution);
                end_call(execution, index);
                breaks
            });
        }
        if self.state.budget.refusals > 0 {
            let phase = match call.phase {
                Phase::First => Phase::Refused,
                _ => Phase::Closing(self.after_failed_repeat(execution)),
            };
            self.may_fail(What::SendRefused { thread }, |state| {
                state.budget.refusals -= 1;
                let execution = &mut state.channels[channel].thread_mut(thread).execution;
                execution.calls.get_mut(index).phase = phase;
                None
            });
        }
    }

    /// What is known of an execution if its repeat failed: nothing, but what can be read.
    fn after_failed_repeat(&self, execution: &Execution) -> Record {
        if self.scope.is(Mutant::RepeatsFailureBelieved) {
            Record::Failed
        } else if execution.visible > 0 {
            Record::Done
        } else {
            Record::InDoubt
        }
    }

    /// Settles an execution that stands open, once its first attempt cannot be under way any more.
    fn recover(&mut self, thread: u8, execution: &Execution, index: usize, call: Call, age: Age) {
        let channel = self.channel;
        if execution.record.is_final() || !self.of().accepts(call.fence) {
            self.may(What::CallEnded { thread }, |state| {
                end_call(&mut state.channels[channel].thread_mut(thread).execution, index);
                None
            });
        }
        // It looks once more when the time has come.
        if execution.record.is_final() {
            return;
        }
        match age {
            Age::Young => {}
            Age::Settled => {
                self.go_to(What::Repeats { thread }, thread, index, Phase::Repeating);
            }
            Age::Old => {
                let found = if execution.visible > 0 { Record::Done } else { Record::Failed };
                let what = What::LookedUp { thread, found };
                self.go_to(what, thread, index, Phase::Closing(found));
            }
        }
    }

    /// Records what came of it, in the store, under the caller's fence.
    fn close(
        &mut self,
        thread: u8,
        execution: &Execution,
        index: usize,
        call: Call,
        record: Record,
    ) {
        let channel = self.channel;
        if self.scope.is(Mutant::ExecutionsUnrecorded) {
            self.unrecorded(thread, index, call);
            return;
        }
        let of = self.of();
        let is_taken = of.accepts(call.fence)
            || self.scope.is(Mutant::StoreIgnoresFences)
            || self.scope.is(Mutant::OwnersNotCompared) && of.opener.epoch == call.fence.epoch;
        let is_open = execution.record == Record::Open
            || execution.record == Record::InDoubt && record != Record::InDoubt;
        if is_taken && is_open {
            let breaks = self.breaks(call.fence);
            self.may(What::Recorded { thread, record }, |state| {
                let execution = &mut state.channels[channel].thread_mut(thread).execution;
                execution.record = record;
                end_call(execution, index);
                breaks
            });
        } else {
            self.may(What::RecordRefused { thread }, |state| {
                end_call(&mut state.channels[channel].thread_mut(thread).execution, index);
                None
            });
        }
    }

    /// A mutant's end of a call: nothing is written, and only a caller that waits is told.
    fn unrecorded(&mut self, thread: u8, index: usize, call: Call) {
        let channel = self.channel;
        self.may(What::CallEnded { thread }, |state| {
            end_call(&mut state.channels[channel].thread_mut(thread).execution, index);
            for hold in state.holds.iter_mut().filter_map(|it| it[channel].as_mut()) {
                if hold.fence == call.fence && hold.doing == Doing::Wait {
                    hold.doing = Doing::Finish;
                }
            }
            None
        });
    }

    fn go_to(&mut self, what: What, thread: u8, index: usize, phase: Phase) {
        let channel = self.channel;
        self.may(what, |state| {
            let execution = &mut state.channels[channel].thread_mut(thread).execution;
            execution.calls.get_mut(index).phase = phase;
            None
        });
    }
}

fn end_call(execution: &mut Execution, index: usize) {
    let ended = execution.calls.get(index);
    let mut is_gone = false;
    let before = std::mem::take(&mut execution.calls);
    for call in before.iter() {
        if !is_gone && Some(*call) == ended {
            is_gone = true;
        } else {
            execution.calls.push(*call);
        }
    }
}
