use super::*;
use crate::domain::{
    fixtures::{ANN, BEN, message},
    turn::TurnMessage,
};

const LIMITS: Limits =
    Limits { max_steps: 3, max_tool_calls: 3, max_tokens: 1_000, time: Duration::from_secs(100) };
const T0: UnixMillis = UnixMillis(1_000);
const LATE: UnixMillis = UnixMillis(101_000);

fn turn() -> Turn {
    let of = |id, author| TurnMessage {
        trigger: TriggerId::Message(Id::new(id)),
        message: message(id, author, "original"),
        received_at: T0,
    };
    Turn::of(vec![of(5, ANN), of(6, BEN)]).unwrap()
}

fn said(sentence: Sentence) -> String {
    sentence.said(Language::English)
}

fn fresh() -> TaskThread {
    TaskThread::new(&turn(), LIMITS, Language::English, T0)
}

fn context() -> ContextLoaded {
    ContextLoaded { messages: vec![Id::new(4)], is_current: true, ..ContextLoaded::default() }
}

fn loaded() -> Input {
    Input::Loaded { context: context(), orders: None }
}

fn says(text: &str) -> ModelTurn {
    ModelTurn { text: text.into(), provider: "p".into(), model: "m".into(), ..ModelTurn::default() }
}

fn calls(count: usize) -> ModelTurn {
    let call = |index| ToolCall {
        call_id: format!("c{index}"),
        tool: "get_member_info".into(),
        arguments: format!("{index}"),
        signature: String::new(),
    };
    ModelTurn {
        tool_calls: (0..count).map(call).collect(),
        stop: Stop::ToolCalls,
        usage: Usage { prompt_tokens: 10, completion_tokens: 1, cached_tokens: 0 },
        ..says("")
    }
}

fn returned(content: &str) -> ToolReturn {
    ToolReturn { outcome: CallOutcome::Done, content: content.into(), taints: false }
}

fn sent() -> Input {
    Input::AnswerReturned {
        outcome: CallOutcome::Done,
        reason: String::new(),
        message: Some(Id::new(50)),
    }
}

fn asking() -> TaskThread {
    let mut thread = fresh();
    assert_eq!(thread.start(T0), Effect::Load);
    assert_eq!(thread.step(loaded(), T0), Effect::AskModel);
    thread.asked(ModelAsked::default(), T0);
    thread
}

fn kinds(steps: &[Step]) -> Vec<(u32, Kind)> {
    steps.iter().map(|step| (step.index, step.entry.kind())).collect()
}

fn change(id: u64, is_deleted: bool, edited_at: i64) -> Change {
    Change {
        trigger: TriggerId::Message(Id::new(id)),
        is_deleted,
        content: format!("edited at {edited_at}"),
        edited_at: UnixMillis(edited_at),
    }
}

fn finished(effect: &Effect) -> (Outcome, &str) {
    let Effect::Finish(finished) = effect else { panic!("{effect:?}") };
    (finished.outcome, &finished.detail)
}

fn answered(effect: &Effect) -> &Answer {
    let Effect::Answer(answer) = effect else { panic!("{effect:?}") };
    answer
}

#[test]
fn a_plain_question_is_one_model_turn_and_one_answer() {
    let mut thread = asking();
    assert_eq!(kinds(&thread.take_journal()), [(0, Kind::ContextLoaded), (1, Kind::ModelAsked)]);
    let effect = thread.step(Input::ModelAnswered(says("hello")), T0);
    assert_eq!(kinds(&thread.take_journal()), [(2, Kind::ModelAnswered)]);
    let answer = answered(&effect);
    assert!(answer.text.starts_with("hello\n-# answers "), "{}", answer.text);
    assert_eq!(answer.reply_to, Some(Id::new(6)));
    assert_eq!(answer.covers, [Id::new(5), Id::new(6)]);

    let effect = thread.step(sent(), T0);
    let Effect::Finish(finished) = effect else { panic!("{effect:?}") };
    assert_eq!((finished.outcome, finished.answer), (Outcome::Done, Some(Id::new(50))));
    let last = thread.last_step(finished, T0);
    assert_eq!((last.index, last.entry.kind()), (3, Kind::Finished));
    assert_eq!(thread.step_count(), 4);
    assert_eq!(thread.model(), "p/m");
}

#[test]
fn tool_calls_run_in_order_and_their_results_go_back_to_the_model() {
    let mut thread = asking();
    thread.take_journal();
    let mut effect = thread.step(Input::ModelAnswered(calls(2)), T0);
    for call in 0..2 {
        let expected = PlannedCall {
            step: 2,
            call,
            tool: "get_member_info".into(),
            arguments: call.to_string(),
            is_ahead: false,
            approval: None,
        };
        assert_eq!(effect, Effect::CallTool(expected));
        effect = thread.step(Input::ToolReturned(returned("{}")), T0);
    }
    assert_eq!(effect, Effect::AskModel);
    assert_eq!(thread.steps()[0].results.len(), 2);
    assert_eq!(thread.usage().total(), 11);
    assert!(!thread.is_tainted());
}

#[test]
fn a_result_that_others_may_have_written_taints_the_thread() {
    let mut thread = asking();
    thread.step(Input::ModelAnswered(calls(1)), T0);
    thread.step(Input::ToolReturned(ToolReturn { taints: true, ..returned("{}") }), T0);
    assert!(thread.is_tainted());
}

#[test]
fn tainted_context_taints_the_thread() {
    let mut thread = fresh();
    let context = ContextLoaded { is_tainted: true, ..context() };
    thread.step(Input::Loaded { context, orders: None }, T0);
    assert!(thread.is_tainted());
}

#[test]
fn orders_are_journaled_with_the_context() {
    let mut thread = fresh();
    let orders = OrdersRead {
        orders: vec![Order { tool: "warn_member".into(), arguments: "{}".into() }],
        read_by: "builtin".into(),
        problems: vec!["who?".into()],
    };
    thread.step(Input::Loaded { context: context(), orders: Some(orders.clone()) }, T0);
    assert_eq!(kinds(&thread.take_journal()), [(0, Kind::ContextLoaded), (1, Kind::OrdersRead)]);
    assert_eq!(thread.orders(), orders.orders);
    assert_eq!(thread.order_problems(), ["who?"]);
}

#[test]
fn the_model_may_choose_silence() {
    let effect = asking().step(Input::ModelAnswered(says(" \n")), T0);
    assert_eq!(finished(&effect), (Outcome::Done, SILENCE));
}

#[test]
fn a_refusal_without_words_is_said_plainly() {
    let effect =
        asking().step(Input::ModelAnswered(ModelTurn { stop: Stop::Refused, ..says("") }), T0);
    assert!(answered(&effect).text.starts_with(&said(Sentence::Refused)));
}

#[test]
fn a_turn_cut_before_its_first_word_is_a_failure_that_is_said() {
    for stop in [Stop::Length, Stop::ToolCalls] {
        let mut thread = asking();
        let effect = thread.step(Input::ModelAnswered(ModelTurn { stop, ..says("") }), T0);
        assert!(answered(&effect).text.starts_with(&said(Sentence::NoModel)));
        let effect = thread.step(sent(), T0);
        assert_eq!(finished(&effect).0, Outcome::Failed);
    }
}

#[test]
fn a_turn_cut_behind_words_is_an_answer() {
    let turn = ModelTurn { stop: Stop::Length, ..says("half an ans") };
    let effect = asking().step(Input::ModelAnswered(turn), T0);
    assert!(answered(&effect).text.starts_with("half an ans"));
}

#[test]
fn where_the_servers_own_key_is_refused_that_is_said_in_plain_words() {
    use answer::{KeyTrouble, RefusedKey};

    let refused = |provider: &str, trouble| RefusedKey { provider: provider.into(), trouble };
    for (keys, said) in [
        (vec![refused("main", KeyTrouble::NotAccepted)], "`main` is not accepted by the provider."),
        (vec![refused("main", KeyTrouble::NoCredit)], "`main` has no credit left."),
        (vec![refused("main", KeyTrouble::NoModel)], "no access to the model"),
        (
            vec![refused("a", KeyTrouble::NoCredit), refused("b", KeyTrouble::NoProvider)],
            "`a` has no credit left, and the server's own key for `b` is for a provider that",
        ),
    ] {
        let mut thread = asking();
        thread.take_journal();
        let effect = thread.step(Input::KeysRefused { keys, detail: "401".into() }, T0);
        let text = &answered(&effect).text;
        assert!(text.contains("server's own key") && text.contains(said), "{text}");
        let effect = thread.step(sent(), T0);
        assert_eq!(finished(&effect), (Outcome::Failed, "401"));
    }
}

#[test]
fn where_no_provider_answers_one_sentence_is_said_and_the_thread_fails() {
    let mut thread = asking();
    thread.take_journal();
    let effect = thread.step(Input::ModelFailed("429".into()), T0);
    assert_eq!(kinds(&thread.take_journal()), [(2, Kind::ExecutionOpened)]);
    assert!(answered(&effect).text.starts_with(&said(Sentence::NoModel)));
    let effect = thread.step(sent(), T0);
    assert_eq!(finished(&effect), (Outcome::Failed, "429"));
}

#[test]
fn what_code_says_is_in_the_language_that_is_set_there() {
    let mut thread = TaskThread::new(&turn(), LIMITS, Language::German, T0);
    thread.step(loaded(), T0);
    let effect = thread.step(Input::ModelFailed("429".into()), T0);
    let text = &answered(&effect).text;
    assert!(text.starts_with("Entschuldigung, mein Sprachmodell"), "{text}");
    assert!(text.contains("\n-# beantwortet https://"), "{text}");
    // Also where a new holder comes to it.
    let mut entries = until_asked();
    entries.push(Entry::ModelAnswered(calls(9)));
    let past = Past::default();
    let entries = steps(entries);
    let resumed = TaskThread::resume(&turn(), LIMITS, Language::German, T0, entries, &past);
    let effect = resumed.unwrap().start(T0);
    let text = &answered(&effect).text;
    assert!(text.starts_with(&Sentence::OutOfToolCalls.said(Language::German)), "{text}");
}

#[test]
fn too_many_model_turns_end_the_thread_with_a_sentence() {
    let mut thread = asking();
    for _ in 0..2 {
        thread.step(Input::ModelAnswered(calls(1)), T0);
        assert_eq!(thread.step(Input::ToolReturned(returned("{}")), T0), Effect::AskModel);
    }
    thread.step(Input::ModelAnswered(calls(1)), T0);
    let effect = thread.step(Input::ToolReturned(returned("{}")), T0);
    assert!(answered(&effect).text.starts_with(&said(Sentence::OutOfSteps)));
    assert_eq!(finished(&thread.step(sent(), T0)).0, Outcome::OutOfBudget);
}

#[test]
fn too_many_tool_calls_end_the_thread_before_any_of_the_last_turn_runs() {
    let mut thread = asking();
    thread.step(Input::ModelAnswered(calls(2)), T0);
    thread.step(Input::ToolReturned(returned("{}")), T0);
    thread.step(Input::ToolReturned(returned("{}")), T0);
    let effect = thread.step(Input::ModelAnswered(calls(2)), T0);
    assert!(answered(&effect).text.starts_with(&said(Sentence::OutOfToolCalls)));
}

#[test]
fn too_many_tokens_end_the_thread() {
    let mut thread = asking();
    let usage = Usage { prompt_tokens: 999, completion_tokens: 1, cached_tokens: 0 };
    thread.step(Input::ModelAnswered(ModelTurn { usage, ..calls(1) }), T0);
    let effect = thread.step(Input::ToolReturned(returned("{}")), T0);
    assert!(answered(&effect).text.starts_with(&said(Sentence::OutOfTokens)));
}

#[test]
fn the_end_of_the_time_ends_the_thread_wherever_it_is() {
    let out = |effect: &Effect| answered(effect).text.starts_with(&said(Sentence::OutOfTime));
    assert!(out(&asking().step(Input::TimeUp, T0)));
    assert!(out(&fresh().step(Input::TimeUp, T0)));
    assert!(out(&asking().step(Input::ModelAnswered(calls(1)), LATE)));
    let mut thread = asking();
    thread.step(Input::ModelAnswered(calls(1)), T0);
    assert!(out(&thread.step(Input::ToolReturned(returned("{}")), LATE)));
    // An answer that stands is said even then.
    let effect = asking().step(Input::ModelAnswered(says("hello")), LATE);
    assert!(answered(&effect).text.starts_with("hello"));
}

#[test]
fn an_answer_that_was_not_sent_fails_the_thread() {
    for outcome in [CallOutcome::Denied, CallOutcome::Failed, CallOutcome::NeedsApproval] {
        let mut thread = asking();
        thread.step(Input::ModelAnswered(says("hello")), T0);
        let input = Input::AnswerReturned { outcome, reason: "no right".into(), message: None };
        let effect = thread.step(input, T0);
        assert_eq!(finished(&effect), (Outcome::Failed, "the answer was not sent: no right"));
    }
}

#[test]
fn an_answer_in_doubt_fails_the_thread_since_perhaps_nobody_saw_it() {
    let mut thread = asking();
    thread.step(Input::ModelAnswered(says("hello")), T0);
    let outcome = CallOutcome::InDoubt;
    let input = Input::AnswerReturned { outcome, reason: String::new(), message: None };
    let effect = thread.step(input, T0);
    assert_eq!(
        finished(&effect),
        (Outcome::Failed, "nothing could tell whether the answer was sent")
    );
}

#[test]
fn a_planned_failure_keeps_its_outcome_where_its_sentence_was_not_sent() {
    let mut thread = asking();
    thread.step(Input::ModelFailed("down".into()), T0);
    let input = Input::AnswerReturned {
        outcome: CallOutcome::Denied,
        reason: "no right".into(),
        message: None,
    };
    let effect = thread.step(input, T0);
    assert_eq!(finished(&effect), (Outcome::Failed, "down; the answer was not sent: no right"));
}

#[test]
fn all_triggers_deleted_cancel_the_thread_in_every_phase() {
    let gone = [change(5, true, 0), change(6, true, 0)];
    let mut calling = asking();
    calling.step(Input::ModelAnswered(calls(1)), T0);
    let mut answering = asking();
    answering.step(Input::ModelAnswered(says("hello")), T0);
    for mut thread in [fresh(), asking(), calling, answering] {
        let effect = thread.changed(&gone, T0).unwrap();
        assert_eq!(finished(&effect).0, Outcome::Cancelled);
        assert_eq!(thread.changed(&gone, T0), None);
        assert_eq!(thread.messages().count(), 0);
    }
}

#[test]
fn a_deleted_trigger_leaves_the_turn_and_a_running_model_turn_begins_anew() {
    let mut thread = asking();
    assert_eq!(thread.changed(&[change(6, true, 0)], T0), Some(Effect::AskModel));
    assert_eq!(thread.changed(&[change(6, true, 0)], T0), None);
    assert!(thread.is_deleted(Id::new(6)) && !thread.is_deleted(Id::new(5)));
    assert_eq!(thread.trigger(), Some(&TriggerId::Message(Id::new(5))));
    let effect = thread.step(Input::ModelAnswered(says("hello")), T0);
    assert_eq!(
        answered(&effect),
        &Answer { text: "hello".into(), reply_to: Some(Id::new(5)), covers: vec![Id::new(5)] }
    );
}

#[test]
fn a_trigger_deleted_before_the_answer_is_sent_is_not_named_in_it() {
    let mut thread = asking();
    thread.step(Input::ModelAnswered(says("hello")), T0);
    let effect = thread.changed(&[change(5, true, 0)], T0).unwrap();
    assert_eq!(answered(&effect).text, "hello");
}

#[test]
fn while_tools_run_a_deletion_changes_only_the_turn() {
    let mut thread = asking();
    thread.step(Input::ModelAnswered(calls(1)), T0);
    assert_eq!(thread.changed(&[change(5, true, 0)], T0), None);
    assert_eq!(thread.messages().count(), 1);
}

#[test]
fn an_edit_before_the_first_model_turn_counts() {
    let mut thread = fresh();
    assert_eq!(thread.changed(&[change(5, false, 9), change(5, false, 8)], T0), None);
    assert_eq!(thread.messages().next().unwrap().content, "edited at 9");
    assert!(thread.notes().is_empty());
    let edited =
        EditedTrigger { trigger: TriggerId::Message(Id::new(5)), edited_at: UnixMillis(9) };
    assert_eq!(thread.edits(), [edited]);
}

#[test]
fn a_later_edit_is_told_once_and_the_first_text_counts() {
    let mut thread = asking();
    assert_eq!(thread.changed(&[change(5, false, 9)], T0), None);
    assert_eq!(thread.changed(&[change(5, false, 9)], T0), None);
    assert_eq!(thread.messages().next().unwrap().content, "original");
    assert_eq!(thread.notes().len(), 1);
    assert!(thread.notes()[0].text.contains("Message 5 was edited"));
    thread.changed(&[change(5, false, 10)], T0);
    assert_eq!(thread.notes().len(), 2);
}

#[test]
fn a_change_of_an_unknown_trigger_is_ignored() {
    assert_eq!(asking().changed(&[change(77, true, 0)], T0), None);
}

#[test]
fn what_comes_back_too_late_changes_nothing() {
    let mut thread = asking();
    thread.step(Input::ModelAnswered(says("hello")), T0);
    thread.step(sent(), T0);
    let effect = thread.step(Input::ModelAnswered(says("again")), T0);
    assert_eq!(finished(&effect).0, Outcome::Done);
    assert_eq!(thread.steps().len(), 1);
}

// Resuming

fn steps(entries: Vec<Entry>) -> Vec<Step> {
    (0..)
        .zip(entries)
        .map(|(index, entry)| Step { index, entry, at: T0, bill: Bill::default() })
        .collect()
}

fn resume(entries: Vec<Entry>, executed: &[((u32, u32), Executed)]) -> TaskThread {
    let past = Past { executed: executed.iter().cloned().collect(), ..Past::default() };
    TaskThread::resume(&turn(), LIMITS, Language::English, T0, steps(entries), &past).unwrap()
}

fn executed(content: &str, tier: Tier) -> Executed {
    Executed { outcome: CallOutcome::Done, content: content.into(), tier }
}

fn until_asked() -> Vec<Entry> {
    let asked = ModelAsked { offered: vec!["get_member_info".into()], ..ModelAsked::default() };
    vec![Entry::ContextLoaded(context()), Entry::ModelAsked(asked)]
}

#[test]
fn an_empty_journal_begins_anew() {
    assert_eq!(resume(Vec::new(), &[]).start(T0), Effect::Load);
}

#[test]
fn a_turn_in_flight_is_asked_again() {
    let mut thread = resume(until_asked(), &[]);
    assert_eq!(thread.start(T0), Effect::AskModel);
    assert_eq!(thread.offered(), ["get_member_info"]);
    thread.asked(ModelAsked::default(), T0);
    assert_eq!(kinds(&thread.take_journal()), [(2, Kind::ModelAsked)]);
}

#[test]
fn a_journaled_answer_is_sent_and_not_asked_again() {
    let mut entries = until_asked();
    entries.push(Entry::ModelAnswered(says("hello")));
    let mut thread = resume(entries, &[]);
    let effect = thread.start(T0);
    assert!(answered(&effect).text.starts_with("hello"));
    assert!(!thread.has_journal());
    assert_eq!(thread.step_count(), 3);
}

#[test]
fn closed_executions_are_not_repeated_and_the_open_one_is() {
    let mut entries = until_asked();
    entries.push(Entry::ModelAnswered(calls(2)));
    let mut thread = resume(entries.clone(), &[((2, 0), executed("first", Tier::Read))]);
    let effect = thread.start(T0);
    assert!(matches!(&effect, Effect::CallTool(call) if (call.step, call.call) == (2, 1)));
    assert!(thread.is_tainted());
    assert_eq!(thread.offered(), ["get_member_info"]);

    let both = [((2, 0), executed("a", Tier::Harmless)), ((2, 1), executed("b", Tier::Harmless))];
    let mut thread = resume(entries, &both);
    assert_eq!(thread.start(T0), Effect::AskModel);
    assert!(!thread.is_tainted());
    assert_eq!(thread.steps()[0].results[1].content, "b");
}

#[test]
fn a_second_turn_asked_after_the_calls_is_understood() {
    let mut entries = until_asked();
    entries.push(Entry::ModelAnswered(calls(1)));
    entries.push(Entry::ModelAsked(ModelAsked::default()));
    entries.push(Entry::ModelAnswered(says("done")));
    let mut thread = resume(entries, &[((2, 0), executed("a", Tier::Read))]);
    assert!(answered(&thread.start(T0)).text.starts_with("done"));
}

#[test]
fn a_closing_that_stands_is_said_again_and_not_journaled_again() {
    let mut entries = until_asked();
    entries.push(Entry::Closing(Closing {
        text: "sorry".into(),
        outcome: Outcome::Failed,
        detail: "d".into(),
    }));
    let mut thread = resume(entries, &[]);
    assert!(answered(&thread.start(T0)).text.starts_with("sorry"));
    assert!(!thread.has_journal());
    assert_eq!(finished(&thread.step(sent(), T0)), (Outcome::Failed, "d"));
}

#[test]
fn a_closing_that_was_not_journaled_yet_is_journaled_now() {
    let mut entries = until_asked();
    entries.push(Entry::ModelAnswered(calls(9)));
    let mut thread = resume(entries, &[]);
    assert!(answered(&thread.start(T0)).text.starts_with(&said(Sentence::OutOfToolCalls)));
    assert_eq!(kinds(&thread.take_journal()), [(3, Kind::ExecutionOpened)]);
}

#[test]
fn a_finished_thread_is_only_finished() {
    let mut entries = until_asked();
    let end = Finished { outcome: Outcome::Done, detail: String::new(), answer: None };
    entries.push(Entry::Finished(end.clone()));
    assert_eq!(resume(entries, &[]).start(T0), Effect::Finish(end));
}

#[test]
fn orders_are_read_from_the_journal() {
    let orders = OrdersRead {
        orders: vec![Order { tool: "warn_member".into(), arguments: "{}".into() }],
        ..OrdersRead::default()
    };
    let entries = vec![
        Entry::ContextLoaded(ContextLoaded { is_tainted: true, ..context() }),
        Entry::OrdersRead(orders.clone()),
        Entry::ModelAsked(ModelAsked::default()),
    ];
    let thread = resume(entries, &[]);
    assert_eq!(thread.orders(), orders.orders);
    assert!(thread.is_tainted());
}

#[test]
fn the_text_that_counted_is_learnt_again_and_a_later_edit_is_told() {
    let edited =
        vec![EditedTrigger { trigger: TriggerId::Message(Id::new(5)), edited_at: UnixMillis(9) }];
    let entries =
        || vec![Entry::ContextLoaded(ContextLoaded { edited: edited.clone(), ..context() })];
    let mut thread = resume(entries(), &[]);
    thread.changed(&[change(5, false, 9)], T0);
    assert_eq!(thread.messages().next().unwrap().content, "edited at 9");
    assert!(thread.notes().is_empty());

    let mut thread = resume(entries(), &[]);
    thread.changed(&[change(5, false, 12)], T0);
    assert_eq!(thread.messages().next().unwrap().content, "edited at 12");
    assert_eq!(thread.notes().len(), 1);
}

#[test]
fn a_journal_out_of_order_is_refused() {
    for entries in [
        vec![Entry::ModelAnswered(says("hello"))],
        vec![Entry::ContextLoaded(context()), Entry::ContextLoaded(context())],
        vec![Entry::ModelAsked(ModelAsked::default())],
    ] {
        let refused = TaskThread::resume(
            &turn(),
            LIMITS,
            Language::English,
            T0,
            steps(entries),
            &Past::default(),
        )
        .unwrap_err();
        assert!(refused.to_string().contains("out of its order"));
    }
    let twice = vec![
        Step { index: 0, entry: Entry::ContextLoaded(context()), at: T0, bill: Bill::default() },
        Step {
            index: 0,
            entry: Entry::ModelAsked(ModelAsked::default()),
            at: T0,
            bill: Bill::default(),
        },
    ];
    assert!(
        TaskThread::resume(&turn(), LIMITS, Language::English, T0, twice, &Past::default())
            .is_err()
    );
}

#[test]
fn bounds_that_are_lowered_later_are_for_later_threads() {
    let lower = Limits { max_steps: 1, max_tool_calls: 1, max_tokens: 1, ..LIMITS };
    let journal = |bounds: Option<Bounds>| {
        let mut entries = until_asked();
        entries[0] = Entry::ContextLoaded(ContextLoaded { bounds, ..context() });
        entries.push(Entry::ModelAnswered(calls(3)));
        steps(entries)
    };
    let resumed = |bounds| {
        let past = Past::default();
        TaskThread::resume(&turn(), lower, Language::English, T0, journal(bounds), &past)
            .unwrap()
            .start(T0)
    };
    let own = fresh().bounds();
    assert!(matches!(resumed(Some(own)), Effect::CallTool(_)));
    assert!(matches!(resumed(None), Effect::Answer(_)), "an older version's goes by those of now");
}

// Waiting for a click

fn proposed() -> Executed {
    Executed {
        outcome: CallOutcome::NeedsApproval,
        content: "waits".into(),
        tier: Tier::Reversible,
    }
}

#[test]
fn a_call_that_needs_a_click_suspends_the_thread() {
    let mut entries = until_asked();
    entries.push(Entry::ModelAnswered(calls(2)));
    let mut thread = resume(entries, &[]);
    assert!(matches!(thread.start(T0), Effect::CallTool(call) if !call.is_ahead));
    // The next one is asked whether it would wait, too.
    let effect = thread.step(Input::ToolReturned(came_to(CallOutcome::NeedsApproval)), T0);
    assert!(
        matches!(&effect, Effect::CallTool(call) if call.is_ahead && call.call == 1),
        "{effect:?}"
    );
    let effect = thread.step(Input::ToolReturned(came_to(CallOutcome::Later)), T0);
    assert!(is_suspended(&effect), "{effect:?}");
}

#[test]
fn what_was_ordered_is_done_behind_what_waits_and_what_has_no_turn_yet() {
    let turn = |past: &Past| {
        let mut entries = until_asked();
        entries.push(Entry::ModelAnswered(calls(4)));
        let limits = Limits { max_tool_calls: 4, ..LIMITS };
        TaskThread::resume(&turn(), limits, Language::English, T0, steps(entries), past).unwrap()
    };
    let mut thread = turn(&Past::default());
    let mut effect = thread.start(T0);
    // The first waits, the second has its turn after it, the third was ordered, the fourth waits, too.
    let outcomes = [
        CallOutcome::NeedsApproval,
        CallOutcome::Later,
        CallOutcome::Done,
        CallOutcome::NeedsApproval,
    ];
    for (call, outcome) in (0..).zip(outcomes) {
        let Effect::CallTool(planned) = &effect else { panic!("{effect:?}") };
        assert_eq!((planned.call, planned.is_ahead), (call, call > 0));
        effect = thread.step(Input::ToolReturned(came_to(outcome)), T0);
    }
    assert!(is_suspended(&effect), "{effect:?}");

    // Whoever goes on knows what was done, and asks again what had no turn.
    let mut past = Past {
        executed: [
            ((2, 0), proposed()),
            ((2, 2), executed("ordered", Tier::Reversible)),
            ((2, 3), proposed()),
        ]
        .into(),
        ..Past::default()
    };
    let mut thread = turn(&past);
    let Effect::CallTool(call) = thread.start(T0) else { panic!("the second is asked for") };
    assert_eq!((call.call, call.is_ahead), (1, true));
    assert!(is_suspended(&thread.step(Input::ToolReturned(came_to(CallOutcome::Later)), T0)));

    // Once all is decided it has its turn, and the model is told of all in their order.
    past.rulings.insert((2, 0), Ruling::Refused("no".into()));
    past.rulings.insert((2, 3), Ruling::Refused("nor that".into()));
    let mut thread = turn(&past);
    let Effect::CallTool(call) = thread.start(T0) else { panic!("the second is made") };
    assert_eq!((call.call, call.is_ahead), (1, false));
    let effect = thread.step(Input::ToolReturned(came_to(CallOutcome::Done)), T0);
    let Effect::CallTool(call) = effect else { panic!("{effect:?}") };
    assert_eq!(call.call, 2, "a repeat finds what was done");
    let effect = thread.step(Input::ToolReturned(came_to(CallOutcome::Done)), T0);
    assert_eq!(effect, Effect::AskModel);
    let told: Vec<_> = thread.steps()[0].results.iter().map(|it| it.outcome).collect();
    let (done, denied) = (CallOutcome::Done, CallOutcome::Denied);
    assert_eq!(told, [denied, done, done, denied]);
}

fn came_to(outcome: CallOutcome) -> ToolReturn {
    ToolReturn { outcome, content: outcome.as_word().into(), taints: false }
}

fn is_suspended(effect: &Effect) -> bool {
    matches!(effect, Effect::Finish(end) if end.outcome == Outcome::Suspended)
}

#[test]
fn what_one_turn_proposes_is_shown_together_and_decided_in_any_order() {
    let turn = |past: &Past| {
        let mut entries = until_asked();
        entries.push(Entry::ModelAnswered(calls(3)));
        TaskThread::resume(&turn(), LIMITS, Language::English, T0, steps(entries), past).unwrap()
    };
    let mut thread = turn(&Past::default());
    let mut effect = thread.start(T0);
    for call in 0..3 {
        let Effect::CallTool(planned) = &effect else { panic!("{effect:?}") };
        assert_eq!((planned.call, planned.is_ahead), (call, call > 0));
        effect = thread.step(Input::ToolReturned(came_to(CallOutcome::NeedsApproval)), T0);
    }
    assert!(is_suspended(&effect), "{effect:?}");

    // The last is approved, then the first is refused: each when it is clicked, and once.
    let mut past = Past {
        executed: [((2, 0), proposed()), ((2, 1), proposed()), ((2, 2), proposed())].into(),
        rulings: [((2, 2), Ruling::Approved("c".into()))].into(),
        ..Past::default()
    };
    let mut thread = turn(&past);
    let Effect::CallTool(call) = thread.start(T0) else { panic!("it is done at once") };
    assert_eq!((call.call, call.approval.as_deref(), call.is_ahead), (2, Some("c"), false));
    let effect = thread.step(Input::ToolReturned(came_to(CallOutcome::Done)), T0);
    assert!(is_suspended(&effect), "{effect:?}");
    past.approved.insert((2, 2), executed("third", Tier::Reversible));
    assert!(is_suspended(&turn(&past).start(T0)));

    past.rulings.insert((2, 0), Ruling::Refused("no".into()));
    assert!(is_suspended(&turn(&past).start(T0)), "the second waits still");
    past.rulings.insert((2, 1), Ruling::Refused("nor that".into()));
    let mut thread = turn(&past);
    assert_eq!(thread.start(T0), Effect::AskModel);
    let told: Vec<_> = thread.steps()[0].results.iter().map(|it| it.outcome).collect();
    assert_eq!(told, [CallOutcome::Denied, CallOutcome::Denied, CallOutcome::Done]);
    assert_eq!(thread.steps()[0].results[2].content, "third");
}

#[test]
fn a_holder_that_dies_between_two_proposals_shows_the_rest_and_none_twice() {
    let mut entries = until_asked();
    entries.push(Entry::ModelAnswered(calls(3)));
    let past = Past { executed: [((2, 0), proposed())].into(), ..Past::default() };
    let mut thread =
        TaskThread::resume(&turn(), LIMITS, Language::English, T0, steps(entries), &past).unwrap();
    let Effect::CallTool(call) = thread.start(T0) else { panic!("it goes on") };
    assert_eq!((call.call, call.is_ahead), (1, true));
}

#[test]
fn no_more_proposals_are_shown_together_than_a_channel_bears() {
    let mut entries = until_asked();
    entries.push(Entry::ModelAnswered(calls(12)));
    let limits = Limits { max_tool_calls: 99, ..LIMITS };
    let mut thread = TaskThread::resume(
        &turn(),
        limits,
        Language::English,
        T0,
        steps(entries),
        &Past::default(),
    )
    .unwrap();
    let mut effect = thread.start(T0);
    let mut shown = 0;
    while let Effect::CallTool(_) = effect {
        shown += 1;
        effect = thread.step(Input::ToolReturned(came_to(CallOutcome::NeedsApproval)), T0);
    }
    assert!(is_suspended(&effect), "{effect:?}");
    assert_eq!(shown, 10);
    // Time that runs out takes nothing back that is shown.
    let mut entries = until_asked();
    entries.push(Entry::ModelAnswered(calls(2)));
    let mut thread = resume(entries, &[]);
    thread.start(T0);
    thread.step(Input::ToolReturned(came_to(CallOutcome::NeedsApproval)), T0);
    let late = T0 + LIMITS.time;
    assert!(is_suspended(&thread.step(Input::TimeUp, late)));
}

#[test]
fn a_pause_ends_a_thread_unless_something_that_it_proposed_can_be_clicked_still() {
    let entries = |calls_of_turn| {
        let mut entries = until_asked();
        entries.push(Entry::ModelAnswered(calls(calls_of_turn)));
        entries
    };
    let mut thread = resume(entries(2), &[]);
    thread.start(T0);
    let ended = thread.pause("paused", T0);
    assert!(matches!(&ended, Effect::Finish(end) if end.outcome == Outcome::Cancelled));

    let past = Past { executed: [((2, 0), proposed())].into(), ..Past::default() };
    let mut thread =
        TaskThread::resume(&turn(), LIMITS, Language::English, T0, steps(entries(2)), &past)
            .unwrap();
    assert!(matches!(thread.start(T0), Effect::CallTool(call) if call.call == 1));
    assert!(is_suspended(&thread.pause("paused", T0)));

    // Nothing waits any more.
    let past = Past {
        executed: [((2, 0), proposed())].into(),
        rulings: [((2, 0), Ruling::Refused("no".into()))].into(),
        ..Past::default()
    };
    let mut thread =
        TaskThread::resume(&turn(), LIMITS, Language::English, T0, steps(entries(1)), &past)
            .unwrap();
    assert_eq!(thread.start(T0), Effect::AskModel);
    let ended = thread.pause("paused", T0);
    assert!(matches!(&ended, Effect::Finish(end) if end.outcome == Outcome::Cancelled));
}

fn reopened(past: &Past) -> TaskThread {
    let mut entries = until_asked();
    entries.push(Entry::ModelAnswered(calls(2)));
    entries.push(Entry::Finished(Finished {
        outcome: Outcome::Suspended,
        detail: String::new(),
        answer: None,
    }));
    TaskThread::resume(&turn(), LIMITS, Language::English, T0, steps(entries), past).unwrap()
}

#[test]
fn an_approved_call_is_made_on_its_approval_and_only_once() {
    let mut past = Past {
        executed: [((2, 0), proposed())].into(),
        rulings: [((2, 0), Ruling::Approved("ab".into()))].into(),
        ..Past::default()
    };
    let mut thread = reopened(&past);
    let Effect::CallTool(call) = thread.start(T0) else { panic!("the call is made") };
    assert_eq!((call.step, call.call, call.approval.as_deref()), (2, 0, Some("ab")));

    past.approved.insert((2, 0), executed("done", Tier::Reversible));
    let mut thread = reopened(&past);
    let Effect::CallTool(call) = thread.start(T0) else { panic!("the next call is made") };
    assert_eq!((call.step, call.call, call.approval), (2, 1, None));
    assert_eq!(thread.steps()[0].results[0].content, "done");

    // The second call waits for a click of its own.
    past.executed.insert((2, 1), proposed());
    assert!(is_suspended(&reopened(&past).start(T0)));
}

#[test]
fn the_model_is_told_why_a_call_was_not_made() {
    let past = Past {
        executed: [((2, 0), proposed()), ((2, 1), executed("b", Tier::Harmless))].into(),
        rulings: [((2, 0), Ruling::Refused("mara rejected it".into()))].into(),
        ..Past::default()
    };
    let mut thread = reopened(&past);
    assert_eq!(thread.start(T0), Effect::AskModel);
    let result = &thread.steps()[0].results[0];
    assert_eq!(result.outcome, CallOutcome::Denied);
    assert!(result.content.contains("mara rejected it"), "{}", result.content);
}

fn cost(micros: u64) -> Spent {
    Spent { model: "m".into(), cost_micros: micros, ..Spent::default() }
}

fn billed(steps: &[Step]) -> Vec<(u32, u64, u32)> {
    let of = |step: &Step| {
        let micros = step.bill.spent.iter().map(|spent| spent.cost_micros).sum();
        (step.index, micros, step.bill.lost_turns)
    };
    steps.iter().map(of).collect()
}

#[test]
fn what_a_turn_cost_stands_in_its_step_for_all_who_asked() {
    let mut thread = fresh();
    thread.spent([cost(3)]);
    let orders = Some(OrdersRead::default());
    thread.step(Input::Loaded { context: context(), orders }, T0);
    thread.asked(ModelAsked::default(), T0);
    assert_eq!(billed(&thread.take_journal()), [(0, 3, 0), (1, 0, 0), (2, 0, 0)]);
    let turn = ModelTurn { spent: vec![cost(7), cost(1)], ..calls(1) };
    thread.step(Input::ModelAnswered(turn), T0);
    let steps = thread.take_journal();
    assert_eq!(billed(&steps), [(3, 8, 0)]);
    assert_eq!(steps[0].bill.spenders, [BEN, ANN], "on whose authority it runs first");
}

#[test]
fn what_brought_nothing_stands_in_the_next_step_whatever_it_is() {
    let mut thread = asking();
    thread.take_journal();
    // Cut off, because what was asked is deleted.
    let gone = [change(5, true, 0), change(6, true, 0)];
    let effect = thread.changed(&gone, T0).unwrap();
    thread.spent([cost(9)]);
    let Effect::Finish(finished) = effect else { panic!("{effect:?}") };
    let last = thread.last_step(finished, T0);
    assert_eq!(billed(std::slice::from_ref(&last)), [(2, 9, 0)]);
    assert_eq!(last.bill.spenders, [BEN, ANN], "whoever deletes it had it worked on");

    let mut thread = asking();
    thread.take_journal();
    thread.spent([cost(2)]);
    thread.step(Input::ModelFailed("no provider answered".into()), T0);
    assert_eq!(billed(&thread.take_journal()), [(2, 2, 0)]);
}

#[test]
fn a_thread_that_is_left_tells_what_it_spent_and_is_gone_on_with_as_if_it_had_not() {
    // Left while its orders were read.
    let mut first = fresh();
    first.spent([cost(4)]);
    let mut journal = first.leave(T0);
    assert_eq!(billed(&journal), [(0, 4, 0)]);
    assert!(first.leave(T0).is_empty(), "once");
    let resume = |journal: &[Step]| {
        TaskThread::resume(
            &turn(),
            LIMITS,
            Language::English,
            T0,
            journal.to_vec(),
            &Past::default(),
        )
        .unwrap()
    };
    let mut next = resume(&journal);
    assert_eq!(next.start(T0), Effect::Load);
    next.step(Input::Loaded { context: context(), orders: None }, T0);
    next.asked(ModelAsked::default(), T0);
    journal.extend(next.take_journal());
    // Left while the model was asked, of which two calls died.
    next.lost(2);
    let left = next.leave(T0);
    assert_eq!(billed(&left), [(3, 0, 2)]);
    journal.extend(left);
    // What became of the last call is told: it is not lost with the process.
    let mut last = resume(&journal);
    assert_eq!(last.start(T0), Effect::AskModel);
    last.asked(ModelAsked::default(), T0);
    assert_eq!(billed(&last.take_journal()), [(4, 0, 0)]);
}

#[test]
fn an_answer_that_came_before_its_thread_was_left_is_journaled() {
    let mut thread = asking();
    thread.asked(ModelAsked::default(), T0);
    thread.take_journal();
    thread.step(Input::ModelAnswered(says("hello")), T0);
    let steps = thread.leave(T0);
    assert_eq!(
        steps.iter().map(|step| step.entry.kind()).collect::<Vec<_>>(),
        [Kind::ModelAnswered]
    );
}

#[test]
fn a_turn_that_was_lost_with_its_process_is_told_of_once() {
    let steps = |thread: &mut TaskThread| thread.take_journal();
    let mut first = asking();
    let mut journal = steps(&mut first);
    let resume = |journal: &[Step]| {
        TaskThread::resume(
            &turn(),
            LIMITS,
            Language::English,
            T0,
            journal.to_vec(),
            &Past::default(),
        )
        .unwrap()
    };
    // Killed before the answer was journaled, twice.
    for lost in [1, 1] {
        let mut next = resume(&journal);
        assert_eq!(next.start(T0), Effect::AskModel);
        next.asked(ModelAsked::default(), T0);
        let new = steps(&mut next);
        let index = u32::try_from(journal.len()).unwrap();
        assert_eq!(billed(&new), [(index, 0, lost)]);
        journal.extend(new);
    }
    // Answered, and killed after that: nothing is lost.
    let mut answering = resume(&journal);
    answering.start(T0);
    journal.push(Step {
        index: u32::try_from(journal.len()).unwrap(),
        entry: Entry::ModelAnswered(says("hello")),
        at: T0,
        bill: Bill::default(),
    });
    let mut last = resume(&journal);
    assert!(matches!(last.start(T0), Effect::Answer(_)));
    let finished = Finished { outcome: Outcome::Done, detail: String::new(), answer: None };
    assert!(last.last_step(finished, T0).bill.is_empty());
}
