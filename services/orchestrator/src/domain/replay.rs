//! A thread's journal run once more, offline: what it did, what it would do now, and how they differ.
//!
//! Results of tools come from the journal. Nothing is looked up, and nothing is done.

use serde::Serialize;
use serde_json::Value;

use crate::domain::{
    journal::Usage,
    task_thread::{ModelStep, TaskThread, ToolReturn},
    tool::CallOutcome,
};

/// What a model is told of a call whose result the journal does not hold.
const NOT_RECORDED: &str = r#"{"ok":false,"error":"not_in_journal","reason":"This is a replay of a recorded task. Nothing is looked up or done, and what this call would have brought was not recorded."}"#;

/// A thread, and the same thread run once more.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Replay {
    pub original: Side,
    pub replay: Side,
    pub comparison: Comparison,
    pub gaps: Gaps,
}

/// What a thread did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Side {
    /// Provider and model that answered last; empty where none was asked.
    pub model: String,
    pub prompt_version: String,
    pub outcome: String,
    pub detail: String,
    /// As it is sent, but for a line on budgets; none: it kept silent.
    pub answer: Option<String>,
    pub model_turns: usize,
    pub tool_calls: Vec<Call>,
    pub prompt_tokens: u64,
    /// Part of `prompt_tokens`.
    pub cached_tokens: u64,
    pub completion_tokens: u64,
    /// What the answers cost, in millionths of the price table's currency; none: a price is not known.
    pub cost_micros: Option<u64>,
}

/// A tool call, as the model wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Call {
    pub tool: String,
    pub arguments: String,
    /// `done`, `denied`, `failed`, `in_doubt`; `waits` for a click, or `not_in_journal`.
    pub outcome: String,
}

/// How the two differ.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    pub is_same_answer: bool,
    /// The same calls with the same arguments, in the same order.
    pub are_same_calls: bool,
    pub only_in_original: Vec<Call>,
    pub only_in_replay: Vec<Call>,
}

/// What keeps the replay from being what the original was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Gaps {
    /// Messages of the context that are kept no more.
    pub messages_missing: usize,
    /// Messages whose text was edited since: the newest is read.
    pub messages_edited: usize,
    /// The journal does not tell what the authors might do: all count as strangers.
    pub are_rights_unknown: bool,
    /// The original had read a summary of what was said before, which stands in no journal.
    pub is_summary_missing: bool,
    /// Tools that were offered and are not there any more.
    pub tools_missing: Vec<String>,
    /// Calls of the replay whose result nobody recorded.
    pub calls_not_in_journal: usize,
}

/// What the journal holds of calls, for those of the replay.
#[derive(Debug)]
pub(crate) struct Script {
    recorded: Vec<Recorded>,
}

#[derive(Debug)]
struct Recorded {
    tool: String,
    arguments: Value,
    /// None: it waits for a click.
    result: Option<ToolReturn>,
    is_used: bool,
}

impl Script {
    pub(crate) fn of(steps: &[ModelStep]) -> Self {
        let recorded = |step: &ModelStep| -> Vec<Recorded> {
            let calls = step.turn.tool_calls.iter().enumerate();
            let recorded = calls.map(|(index, call)| Recorded {
                tool: call.tool.clone(),
                arguments: canonical(&call.arguments),
                result: step.results.get(index).cloned(),
                is_used: false,
            });
            recorded.collect()
        };
        Self { recorded: steps.iter().flat_map(recorded).collect() }
    }

    /// Returns what a call brought in the original: the first of its like that was not told yet, else
    /// what the last of them brought. None: there was no such call.
    pub(crate) fn result(&mut self, tool: &str, arguments: &str) -> Option<ToolReturn> {
        let arguments = canonical(arguments);
        let is_it = |it: &Recorded| it.tool == tool && it.arguments == arguments;
        let unused = self.recorded.iter().position(|it| is_it(it) && !it.is_used);
        let index = unused.or_else(|| self.recorded.iter().rposition(is_it))?;
        let found = &mut self.recorded[index];
        found.is_used = true;
        Some(found.result.clone().unwrap_or_else(|| ToolReturn {
            outcome: CallOutcome::NeedsApproval,
            content: String::new(),
            taints: false,
        }))
    }
}

/// Returns what a model is told of a call that the journal does not hold.
pub(crate) fn not_recorded() -> ToolReturn {
    let outcome = CallOutcome::Failed;
    ToolReturn { outcome, content: NOT_RECORDED.to_owned(), taints: false }
}

/// How a thread ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct End {
    pub(crate) outcome: String,
    pub(crate) detail: String,
    pub(crate) answer: Option<String>,
}

impl Side {
    pub(crate) fn of(thread: &TaskThread, end: End) -> Self {
        let mut usage = Usage::default();
        let mut cost_micros = Some(0_u64);
        let mut tool_calls = Vec::new();
        for step in thread.steps() {
            usage.add(step.turn.usage);
            cost_micros = cost_micros.zip(step.turn.cost_micros).map(|(sum, it)| sum + it);
            for (index, call) in step.turn.tool_calls.iter().enumerate() {
                let outcome = match step.results.get(index) {
                    Some(result) if result.content == NOT_RECORDED => "not_in_journal",
                    Some(result) => result.outcome.as_word(),
                    None => "waits",
                };
                tool_calls.push(Call {
                    tool: call.tool.clone(),
                    arguments: call.arguments.clone(),
                    outcome: outcome.to_owned(),
                });
            }
        }
        let End { outcome, detail, answer } = end;
        Self {
            model: thread.model(),
            prompt_version: thread.prompt_version().to_owned(),
            outcome,
            detail,
            answer,
            model_turns: thread.steps().len(),
            tool_calls,
            prompt_tokens: usage.prompt_tokens,
            cached_tokens: usage.cached_tokens,
            completion_tokens: usage.completion_tokens,
            cost_micros,
        }
    }
}

impl Comparison {
    pub(crate) fn of(original: &Side, replay: &Side) -> Self {
        let ours = |side: &Side| -> Vec<(String, Value)> {
            let call = |call: &Call| (call.tool.clone(), canonical(&call.arguments));
            side.tool_calls.iter().map(call).collect()
        };
        Self {
            is_same_answer: original.answer == replay.answer,
            are_same_calls: ours(original) == ours(replay),
            only_in_original: without(original, ours(replay)),
            only_in_replay: without(replay, ours(original)),
        }
    }
}

/// Returns the calls of a side that the other one did not make, as often as it did not.
fn without(side: &Side, mut others: Vec<(String, Value)>) -> Vec<Call> {
    let mut rest = Vec::new();
    for call in &side.tool_calls {
        let arguments = canonical(&call.arguments);
        let is_it = |(tool, of): &(String, Value)| *tool == call.tool && *of == arguments;
        match others.iter().position(is_it) {
            Some(index) => drop(others.swap_remove(index)),
            None => rest.push(call.clone()),
        }
    }
    rest
}

/// Returns arguments without what makes no difference; as text where they are no JSON.
fn canonical(arguments: &str) -> Value {
    serde_json::from_str(arguments).unwrap_or_else(|_| Value::String(arguments.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::journal::{ModelTurn, ToolCall};

    fn step(calls: &[(&str, &str)], results: &[&str]) -> ModelStep {
        let call = |(index, (tool, arguments)): (usize, &(&str, &str))| ToolCall {
            call_id: index.to_string(),
            tool: (*tool).to_owned(),
            arguments: (*arguments).to_owned(),
            signature: String::new(),
        };
        let result = |content: &&str| ToolReturn {
            outcome: CallOutcome::Done,
            content: (*content).to_owned(),
            taints: true,
        };
        let tool_calls = calls.iter().enumerate().map(call).collect();
        ModelStep {
            step: 2,
            turn: ModelTurn { tool_calls, ..ModelTurn::default() },
            results: results.iter().map(result).collect(),
        }
    }

    #[test]
    fn a_call_brings_what_the_same_call_brought_and_in_the_same_order() {
        let calls = [("a", r#"{"x":1,"y":2}"#), ("a", r#"{"x":1,"y":2}"#), ("b", "")];
        let mut script = Script::of(&[step(&calls, &["first", "second", "other"])]);
        let mut told = |tool, arguments| script.result(tool, arguments).map(|it| it.content);
        assert_eq!(told("a", r#"{ "y": 2, "x": 1 }"#).as_deref(), Some("first"));
        assert_eq!(told("a", r#"{"x":1,"y":2}"#).as_deref(), Some("second"));
        assert_eq!(told("a", r#"{"x":1,"y":2}"#).as_deref(), Some("second"), "once more");
        assert_eq!(told("a", r#"{"x":2,"y":2}"#), None);
        assert_eq!(told("b", " ").as_deref(), Some("other"));
        assert_eq!(told("c", ""), None);
    }

    #[test]
    fn a_call_that_waited_for_a_click_waits_again() {
        let mut script = Script::of(&[step(&[("ban_member", "{}")], &[])]);
        let result = script.result("ban_member", "{}").unwrap();
        assert_eq!(result.outcome, CallOutcome::NeedsApproval);
    }

    #[test]
    fn the_comparison_tells_each_call_that_the_other_side_did_not_make() {
        let call = |tool: &str, arguments: &str| Call {
            tool: tool.to_owned(),
            arguments: arguments.to_owned(),
            outcome: "done".to_owned(),
        };
        let side = |calls: Vec<Call>, answer: &str| Side {
            tool_calls: calls,
            answer: Some(answer.to_owned()),
            ..Side::default()
        };
        let original = side(vec![call("a", "{}"), call("a", "{}"), call("b", "1")], "hi");
        let replay = side(vec![call("b", " 1"), call("a", "{ }"), call("c", "")], "hi");
        let compared = Comparison::of(&original, &replay);
        assert_eq!(compared.only_in_original, [call("a", "{}")]);
        assert_eq!(compared.only_in_replay, [call("c", "")]);
        assert!(compared.is_same_answer && !compared.are_same_calls);
        let same = Comparison::of(&original, &original);
        assert!(same.are_same_calls && same.only_in_original.is_empty());
    }
}
