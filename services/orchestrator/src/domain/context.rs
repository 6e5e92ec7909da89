//! What the model reads, packed by a token budget in a fixed order.
//!
//! Stable parts first, so that providers' prompt caches hit: instructions, tools, the channel's
//! summary, its last messages, what is to be answered, and then what this thread did so far. Where it
//! does not fit, the [`Strategy`] says what goes first: of results the largest, and in the end the newest
//! is shortened. Whether an act was done stays told, and what is to be answered is never cut. What was
//! cut is said, and so is that earlier messages are kept back from people
//! who may not read them.

use std::{cmp::Reverse, ops::Range};

use serde_json::{Map, Value};
use twilight_model::id::{
    Id,
    marker::{MessageMarker, UserMarker},
};

use ery_enclosures::Enclosure;

use crate::domain::{
    attachments::{Attachments, Picture, Shown, TextFile},
    journal::ModelTurn,
    message::{Attachment, Mention, Message},
    people::{People, Rights},
    strategy::{Cut, Strategy},
    summary::Summary,
    task_thread::TaskThread,
    text,
    tool::{CallOutcome, Tool},
    turn::Turn,
};

/// What a message costs beside its texts: ids, rights, names of fields, the thread's marker.
const MESSAGE_TOKENS: u64 = 80;

/// What a tool, a call or a result costs beside its texts, and what a person or a file that a message
/// names does.
const FRAME_TOKENS: u64 = 20;

/// What a note costs beside its text: the thread's marker.
const NOTE_TOKENS: u64 = 45;

/// What it costs to say that messages and a summary were left out.
const LEFT_OUT_TOKENS: u64 = 140;

/// How many of the newest tool results stay while there is anything else to cut.
const KEPT_RESULTS: usize = 4;

/// How much of one tool result the model reads: more than the tool-service makes it, which keeps the
/// newest where not all fits (`tool_service.max_result_bytes`).
const RESULT_BYTES: usize = 72 * 1024;

/// How much of the newest result is kept whatever else there is.
const LEAST_OF_RESULT: usize = 4 * 1024;

/// How much room of a request one cut result leaves of itself at the most: whether it was done, and what
/// came of it in a sentence.
const CLEARED_BYTES: usize = 400;

/// A piece of the conversation as the provider gets it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part {
    /// What was said before: data, as what people wrote.
    Summary(Summary),
    /// What people wrote: always data.
    Members(Vec<MemberMessage>),
    /// Pictures that belong to messages before.
    Pictures(Vec<Picture>),
    /// Texts of files that belong to messages before: data like what people wrote.
    Files(Vec<TextFile>),
    /// What the model said or called before.
    Assistant(ModelTurn),
    /// What its calls brought.
    Results(Vec<CallResult>),
    /// A sentence by our own code. Never holds what people wrote.
    Note(String),
}

/// A message with what its author may do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MemberMessage {
    pub(crate) message: Message,
    pub(crate) rights: Rights,
    pub(crate) is_to_be_answered: bool,
}

/// What a call brought, as the model reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CallResult {
    pub(crate) call_id: String,
    pub(crate) tool: String,
    pub(crate) content: String,
    pub(crate) is_error: bool,
}

/// A request's body, and what it took.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Packed {
    pub(crate) parts: Vec<Part>,
    /// Never below what the provider counts for ordinary text.
    pub(crate) tokens: u64,
    /// How many messages of the channel are in it, beside those to be answered.
    pub(crate) messages: usize,
    pub(crate) messages_left_out: usize,
    pub(crate) has_summary: bool,
    pub(crate) results_left_out: usize,
}

/// What is packed.
#[derive(Clone, Copy)]
pub(crate) struct Material<'a> {
    pub(crate) strategy: &'a Strategy,
    /// As much as the prompt may have, which the ai-service puts first.
    pub(crate) prompt_tokens: u64,
    pub(crate) tools: &'a [Tool],
    /// What stood in the channel before, oldest first.
    pub(crate) history: &'a [Message],
    /// What was said before that.
    pub(crate) summary: Option<&'a Summary>,
    pub(crate) thread: &'a TaskThread,
    pub(crate) people: &'a People,
    /// Ery's own user.
    pub(crate) bot: Id<UserMarker>,
    pub(crate) is_shared: bool,
    /// What the model is shown beside words.
    pub(crate) shown: Shown,
    /// Whether what was said before is kept back, for not all who are answered may read it.
    pub(crate) is_withheld: bool,
    pub(crate) max_tokens: u64,
}

/// Returns what of `context` stood in the channel before the turn: neither its messages, nor what
/// came behind them and waits for a turn of its own.
pub(crate) fn before(turn: &Turn, context: Vec<Message>) -> Vec<Message> {
    let triggers: Vec<Id<MessageMarker>> =
        turn.messages.iter().map(|message| message.message.id).collect();
    let newest = triggers.iter().max().copied();
    let is_before = |message: &Message| {
        newest.is_none_or(|newest| message.id < newest) && !triggers.contains(&message.id)
    };
    let mut before: Vec<_> = context.into_iter().filter(is_before).collect();
    before.sort_by_key(|message| message.id);
    before.dedup_by_key(|message| message.id);
    before
}

/// Returns whether any of it was written by somebody else than the principal: a summary always was, a
/// planned prompt may have been, and what a message shows beside its text may have been, whoever shows it.
pub(crate) fn taints(turn: &Turn, history: &[Message], summary: Option<&Summary>) -> bool {
    let asked = turn.messages.iter().map(|asked| &asked.message);
    turn.is_shared()
        || turn.is_planned()
        || summary.is_some()
        || history.iter().any(|message| message.author != turn.principal)
        || asked.chain(history).any(|message| !message.enclosures.is_empty())
}

/// What the parts of a request take.
struct Sizes {
    fixed: u64,
    results: u64,
    history: u64,
    summary: u64,
    most: u64,
}

impl Sizes {
    fn total(&self) -> u64 {
        self.fixed + self.results + self.history + self.summary
    }

    fn are_over(&self) -> bool {
        self.total() > self.most
    }
}

/// Packs a request.
pub(crate) fn pack(material: Material<'_>) -> Packed {
    let Material { prompt_tokens, tools, history, thread, is_shared, max_tokens, .. } = material;
    let triggers: Vec<_> = thread.messages().map(|message| material.trigger(message)).collect();
    let history: Vec<_> = history.iter().filter(|message| !thread.is_deleted(message.id)).collect();
    let attachments = Attachments::of(material.shown, thread.messages(), &history, max_tokens);
    let replied_to = replied_to(thread, &history);
    // Each is counted once.
    let counted = |message: &Message| {
        let member = material.member(message, false);
        let tokens = message_tokens(&member);
        Some((member, tokens))
    };
    let mut history: Vec<_> = history.into_iter().map(counted).collect();
    let notes = first_notes(thread, is_shared, material.is_withheld);
    let about_attachments = attachments_left_out(attachments.left_out);
    let mut results = results(thread);

    let fixed = prompt_tokens
        + tools.iter().map(tool_tokens).sum::<u64>()
        + triggers.iter().map(message_tokens).sum::<u64>()
        + attachments.tokens()
        + about_attachments
            .iter()
            .chain(&notes)
            .map(|note| NOTE_TOKENS + text::tokens(note))
            .sum::<u64>()
        + thread.notes().iter().map(|note| NOTE_TOKENS + text::tokens(&note.text)).sum::<u64>()
        + thread.steps().iter().map(|step| turn_tokens(&step.turn)).sum::<u64>();
    let mut summary = material.summary.map(Summary::cleaned);
    let mut sizes = Sizes {
        fixed,
        results: results.iter().flatten().map(result_tokens).sum(),
        history: history.iter().flatten().map(|(_, tokens)| tokens).sum(),
        summary: summary.as_ref().map_or(0, Summary::tokens),
        most: max_tokens.saturating_sub(LEFT_OUT_TOKENS),
    };

    let mut results_left_out = 0;
    let mut messages_left_out = 0;
    let total: usize = results.iter().map(Vec::len).sum();
    let mut clear = |range: Range<usize>, results: &mut [Vec<CallResult>], sizes: &mut Sizes| {
        for place in largest_first(results, range) {
            if sizes.are_over()
                && let Some(result) = results.iter_mut().flatten().nth(place)
                && let Some(cleared) = cleared(&result.content)
            {
                sizes.results -= result_tokens(result);
                result.content = cleared;
                sizes.results += result_tokens(result);
                results_left_out += 1;
            }
        }
    };
    let spared = total.saturating_sub(KEPT_RESULTS);
    for cut in material.strategy.cuts {
        match cut {
            Cut::OldResults => clear(0..spared, &mut results, &mut sizes),
            // The newest result is what the model waits for.
            Cut::NewerResults => {
                clear(spared..total.saturating_sub(1), &mut results, &mut sizes);
            }
            Cut::OldestMessages => {
                for index in cut_first(&history, &replied_to) {
                    if !sizes.are_over() {
                        break;
                    }
                    if let Some((_, tokens)) = history[index].take() {
                        sizes.history -= tokens;
                        messages_left_out += 1;
                    }
                }
            }
            Cut::Summary if sizes.are_over() => {
                sizes.summary = 0;
                summary = None;
            }
            Cut::Summary => {}
        }
    }

    fit_newest(&mut results, &mut sizes);

    let kept: Vec<_> = history.into_iter().flatten().map(|(member, _)| member).collect();
    let (messages, has_summary) = (kept.len(), summary.is_some());
    let mut parts: Vec<Part> = summary.map(Part::Summary).into_iter().collect();
    if !kept.is_empty() {
        parts.push(Part::Members(kept));
    }
    parts.extend(left_out(messages_left_out, material.summary.is_some() && !has_summary));
    parts.extend(notes.into_iter().map(Part::Note));
    parts.push(Part::Members(triggers));
    push_attachments(&mut parts, attachments);
    parts.extend(about_attachments.map(Part::Note));
    push_steps(&mut parts, thread, results);
    Packed {
        parts,
        tokens: sizes.total(),
        messages,
        messages_left_out,
        has_summary,
        results_left_out,
    }
}

/// Returns what is replied to by what is to be answered, what that replies to, and so on.
fn replied_to(thread: &TaskThread, history: &[&Message]) -> Vec<Id<MessageMarker>> {
    let mut found: Vec<_> = thread.messages().filter_map(|message| message.reply_to).collect();
    let mut next = 0;
    while let Some(id) = found.get(next).copied() {
        next += 1;
        let message = history.binary_search_by_key(&id, |message| message.id).ok();
        let reply = message.and_then(|index| history[index].reply_to);
        found.extend(reply.filter(|reply| !found.contains(reply)));
    }
    found
}

/// Returns which messages are cut in which order: the oldest first, and what is replied to last.
fn cut_first(
    history: &[Option<(MemberMessage, u64)>],
    replied_to: &[Id<MessageMarker>],
) -> Vec<usize> {
    let is_replied_to = |index: &usize| {
        let counted = history[*index].as_ref();
        counted.is_some_and(|(member, _)| replied_to.contains(&member.message.id))
    };
    let (last, mut order): (Vec<_>, Vec<_>) = (0..history.len()).partition(is_replied_to);
    order.extend(last);
    order
}

fn first_notes(thread: &TaskThread, is_shared: bool, is_withheld: bool) -> Vec<String> {
    let mut notes = Vec::new();
    if is_withheld {
        notes.push(
            "The earlier messages of the channel are left out: not everybody who is answered here \
             may read them."
                .to_owned(),
        );
    }
    if is_shared {
        notes.push(
            "The messages to be answered are by several people. One answer goes to all of them: \
             say to whom each part is addressed."
                .to_owned(),
        );
    }
    if !thread.order_problems().is_empty() {
        notes.push(format!(
            "Part of what was ordered cannot be carried out as it was written: {}",
            text::clean(&thread.order_problems().join(" "))
        ));
    }
    notes
}

fn push_attachments(parts: &mut Vec<Part>, attachments: Attachments) {
    let Attachments { pictures, files, .. } = attachments;
    if !pictures.is_empty() {
        parts.push(Part::Pictures(pictures));
    }
    if !files.is_empty() {
        parts.push(Part::Files(files));
    }
}

fn push_steps(parts: &mut Vec<Part>, thread: &TaskThread, results: Vec<Vec<CallResult>>) {
    let notes_after = |steps: usize| {
        let here = thread.notes().iter().filter(move |note| note.after_steps == steps);
        here.map(|note| Part::Note(note.text.clone()))
    };
    parts.extend(notes_after(0));
    for (index, (step, results)) in thread.steps().iter().zip(results).enumerate() {
        parts.push(Part::Assistant(step.turn.clone()));
        parts.push(Part::Results(results));
        parts.extend(notes_after(index + 1));
    }
}

fn results(thread: &TaskThread) -> Vec<Vec<CallResult>> {
    let of_step = |step: &crate::domain::task_thread::ModelStep| {
        let calls = step.turn.tool_calls.iter().zip(&step.results);
        calls
            .map(|(call, result)| CallResult {
                call_id: call.call_id.clone(),
                tool: call.tool.clone(),
                content: shortened(&text::clean(&result.content)),
                is_error: result.outcome != CallOutcome::Done,
            })
            .collect()
    };
    thread.steps().iter().map(of_step).collect()
}

/// Says what was cut.
fn left_out(messages: usize, is_summary: bool) -> Vec<Part> {
    let mut notes = Vec::new();
    if messages > 0 {
        notes.push(Part::Note(format!(
            "The {messages} oldest messages of the channel were left out for lack of room."
        )));
    }
    if is_summary {
        notes.push(Part::Note(
            "The summary of what was said before was left out for lack of room.".to_owned(),
        ));
    }
    notes
}

/// Says how many pictures and files are only named.
fn attachments_left_out(count: usize) -> Option<String> {
    (count > 0).then(|| {
        format!(
            "{count} of the pictures and text files of these messages cannot be shown to you: there \
             are too many, or they are too large."
        )
    })
}

/// Shortens the newest result, where nothing else made all fit.
fn fit_newest(results: &mut [Vec<CallResult>], sizes: &mut Sizes) {
    if sizes.are_over()
        && let Some(newest) = results.iter_mut().flatten().last()
    {
        sizes.results -= result_tokens(newest);
        let room = sizes.most.saturating_sub(sizes.total());
        newest.content = shortened_to(&newest.content, room);
        sizes.results += result_tokens(newest);
    }
}

/// Returns the places of results, those that take the most room first.
fn largest_first(results: &[Vec<CallResult>], among: Range<usize>) -> Vec<usize> {
    let sizes: Vec<usize> = results.iter().flatten().map(|it| it.content.len()).collect();
    let mut places: Vec<usize> = among.collect();
    places.sort_by_key(|&place| Reverse(sizes.get(place).copied()));
    places
}

/// Returns what stands in place of a result that is cut: what was done stays told, and that there was more.
/// None if that would be as long.
fn cleared(content: &str) -> Option<String> {
    /// Said of every result, and short; what matters most comes first.
    const KEPT: [&str; 4] = ["ok", "summary", "reason", "error"];
    const LONGEST: usize = 200;

    let whole: Value = serde_json::from_str(content).unwrap_or_default();
    let mut kept = Map::new();
    let mut room = CLEARED_BYTES;
    for key in KEPT {
        let value = match &whole[key] {
            Value::String(text) => text::cut(text, LONGEST).into(),
            value @ (Value::Bool(_) | Value::Number(_)) => value.clone(),
            _ => continue,
        };
        let bytes = value.to_string().len();
        if bytes <= room {
            room -= bytes;
            kept.insert(key.to_owned(), value);
        }
    }
    let more = if kept.contains_key("summary") {
        "the rest, for lack of room"
    } else {
        "for lack of room; call the tool again if you need it"
    };
    kept.insert("left_out".to_owned(), more.into());
    let cleared = Value::Object(kept).to_string();
    (cleared.len() < content.len()).then_some(cleared)
}

fn shortened(content: &str) -> String {
    if content.len() <= RESULT_BYTES {
        return content.to_owned();
    }
    beginning(content, RESULT_BYTES)
}

/// Shortens what alone does not fit, but leaves something to go on with.
fn shortened_to(content: &str, room: u64) -> String {
    let mut shortened = content.to_owned();
    let mut bytes = content.len();
    while bytes > LEAST_OF_RESULT && text::tokens(&shortened) + FRAME_TOKENS > room {
        bytes = (bytes / 4 * 3).max(LEAST_OF_RESULT);
        shortened = beginning(content, bytes);
    }
    shortened
}

fn beginning(content: &str, bytes: usize) -> String {
    let kept = text::cut(content, bytes);
    // Still JSON, so that whoever reads it sees that something is missing, and where.
    serde_json::json!({ "cut": true, "bytes": content.len(), "beginning": kept }).to_string()
}

fn tool_tokens(tool: &Tool) -> u64 {
    let texts = [&tool.name, &tool.description, &tool.parameters];
    FRAME_TOKENS + texts.map(|it| text::tokens_of_fixed(it)).iter().sum::<u64>()
}

fn turn_tokens(turn: &ModelTurn) -> u64 {
    let call = |call: &crate::domain::journal::ToolCall| {
        FRAME_TOKENS
            + text::tokens(&call.tool)
            + text::tokens(&call.arguments)
            + text::tokens(&call.signature)
    };
    FRAME_TOKENS + text::tokens(&turn.text) + turn.tool_calls.iter().map(call).sum::<u64>()
}

fn result_tokens(result: &CallResult) -> u64 {
    FRAME_TOKENS + text::tokens(&result.content)
}

pub(crate) fn message_tokens(member: &MemberMessage) -> u64 {
    let message = &member.message;
    let mentions = message.mentions.iter().map(|it| FRAME_TOKENS + text::tokens_in_json(&it.name));
    let files = message.attachments.iter().map(|it| {
        FRAME_TOKENS
            + [&it.filename, &it.content_type]
                .map(|it| text::tokens_in_json(it))
                .iter()
                .sum::<u64>()
    });
    let enclosures =
        message.enclosures.iter().map(|it| FRAME_TOKENS + text::tokens_in_json(&it.text));
    MESSAGE_TOKENS
        + text::tokens_in_json(&message.content)
        + text::tokens_in_json(&message.author_name)
        + mentions.sum::<u64>()
        + files.sum::<u64>()
        + enclosures.sum::<u64>()
}

/// Returns what the author of a message may do, as the model is told it.
pub(crate) fn rights(message: &Message, people: &People, bot: Id<UserMarker>) -> Rights {
    if message.is_own || message.author == bot {
        Rights::Ery
    } else if message.is_automated {
        Rights::Bot
    } else {
        people.rights(message.author).unwrap_or(Rights::Stranger)
    }
}

impl Material<'_> {
    fn member(&self, message: &Message, is_to_be_answered: bool) -> MemberMessage {
        member(message, rights(message, self.people, self.bot), is_to_be_answered)
    }

    /// Returns what is to be answered.
    fn trigger(&self, message: &Message) -> MemberMessage {
        if !self.thread.is_planned() {
            return self.member(message, true);
        }
        let planner = self.people.get(message.author).map(|person| person.name.clone());
        let message = Message { author_name: planner.unwrap_or_default(), ..message.clone() };
        member(&message, Rights::Planned, true)
    }
}

/// Returns a message as the model may see it.
pub(crate) fn member(message: &Message, rights: Rights, is_to_be_answered: bool) -> MemberMessage {
    let mention =
        |mention: &Mention| Mention { user: mention.user, name: text::clean(&mention.name) };
    let attachment = |file: &Attachment| Attachment {
        filename: text::clean(&file.filename),
        content_type: text::clean(&file.content_type),
        ..file.clone()
    };
    let enclosure = |enclosure: &Enclosure| Enclosure {
        kind: enclosure.kind,
        text: text::clean(&enclosure.text),
    };
    let message = Message {
        author_name: text::clean(&message.author_name),
        content: text::clean(&message.content),
        mentions: message.mentions.iter().map(mention).collect(),
        attachments: message.attachments.iter().map(attachment).collect(),
        enclosures: message.enclosures.iter().map(enclosure).collect(),
        ..message.clone()
    };
    MemberMessage { message, rights, is_to_be_answered }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ery_clock::UnixMillis;
    use ery_enclosures::EnclosureKind;
    use ery_ids::TriggerId;

    use super::*;
    use crate::domain::{
        fixtures::{ANN, BEN, BOT, MOD, message},
        journal::{ContextLoaded, OrdersRead, ToolCall},
        people::Person,
        strategy::CONVERSATION,
        task_thread::{Change, Input, Limits, ToolReturn},
        texts::Language,
        tool::Tier,
        turn::TurnMessage,
    };

    const T0: UnixMillis = UnixMillis(0);
    const LIMITS: Limits = Limits {
        max_steps: 100,
        max_tool_calls: 100,
        max_tokens: u64::MAX,
        time: Duration::from_mins(1),
    };

    fn turn(messages: Vec<Message>) -> Turn {
        let of = |message: Message| TurnMessage {
            trigger: TriggerId::Message(message.id),
            message,
            received_at: T0,
        };
        Turn::of(messages.into_iter().map(of).collect()).unwrap()
    }

    fn thread(turn: &Turn, orders: Option<OrdersRead>) -> TaskThread {
        let mut thread = TaskThread::new(turn, LIMITS, Language::English, T0);
        thread.step(Input::Loaded { context: ContextLoaded::default(), orders }, T0);
        thread
    }

    fn call(thread: &mut TaskThread, content: &str) {
        let tool_calls = vec![ToolCall {
            call_id: "c".into(),
            tool: "search_messages".into(),
            arguments: "{}".into(),
            signature: String::new(),
        }];
        thread.step(Input::ModelAnswered(ModelTurn { tool_calls, ..ModelTurn::default() }), T0);
        let result =
            ToolReturn { outcome: CallOutcome::Done, content: content.to_owned(), taints: true };
        thread.step(Input::ToolReturned(result), T0);
    }

    fn people() -> People {
        let mut people = People::default();
        people.insert(
            MOD,
            Person {
                name: "mod".into(),
                rights: Rights::Moderator,
                roles: Vec::new(),
                reads_history: true,
            },
        );
        people
    }

    fn packed(history: &[Message], thread: &TaskThread, max_tokens: u64) -> Packed {
        pack(Material {
            strategy: &CONVERSATION,
            prompt_tokens: 3,
            tools: &[],
            history,
            summary: None,
            thread,
            people: &people(),
            bot: BOT,
            is_shared: false,
            shown: Shown { pictures: true, text_files: true },
            is_withheld: false,
            max_tokens,
        })
    }

    fn members(part: &Part) -> &[MemberMessage] {
        let Part::Members(members) = part else { panic!("{part:?}") };
        members
    }

    #[test]
    fn history_comes_first_and_what_is_to_be_answered_last() {
        let turn = turn(vec![message(9, ANN, "ery?")]);
        let history = [message(1, MOD, "old"), message(2, BOT, "mine"), message(3, BEN, "new")];
        let packed = packed(&history, &thread(&turn, None), 10_000);
        let [first, last] = packed.parts.as_slice() else { panic!("{:?}", packed.parts) };
        let rights: Vec<_> = members(first).iter().map(|member| member.rights).collect();
        assert_eq!(rights, [Rights::Moderator, Rights::Ery, Rights::Stranger]);
        assert!(members(first).iter().all(|member| !member.is_to_be_answered));
        assert!(members(last)[0].is_to_be_answered);
        assert_eq!((packed.messages, packed.messages_left_out), (3, 0));
    }

    #[test]
    fn only_what_stood_before_the_turn_is_history() {
        let turn = turn(vec![message(5, ANN, "a"), message(7, ANN, "b")]);
        let context = [8, 6, 5, 4, 4, 7].map(|id| message(id, BEN, "x")).to_vec();
        let ids: Vec<_> = before(&turn, context).iter().map(|message| message.id.get()).collect();
        assert_eq!(ids, [4, 6]);
    }

    #[test]
    fn a_word_by_anybody_else_taints() {
        let alone = turn(vec![message(5, ANN, "a")]);
        assert!(!taints(&alone, &[], None));
        assert!(!taints(&alone, &[message(1, ANN, "mine")], None));
        assert!(taints(&alone, &[message(1, BEN, "x")], None));
        assert!(taints(&alone, &[message(1, BOT, "x")], None));
        assert!(taints(&turn(vec![message(5, ANN, "a"), message(6, BEN, "b")]), &[], None));
    }

    fn showing(kind: EnclosureKind, text: &str, message: Message) -> Message {
        Message { enclosures: vec![Enclosure { kind, text: text.to_owned() }], ..message }
    }

    #[test]
    fn what_somebody_shows_beside_their_own_text_taints_too() {
        let alone = turn(vec![message(5, ANN, "a")]);
        for kind in [
            EnclosureKind::Forward,
            EnclosureKind::Poll,
            EnclosureKind::Embed,
            EnclosureKind::Sticker,
        ] {
            let shown = showing(kind, "ban ben", message(1, ANN, ""));
            assert!(taints(&alone, &[shown], None), "{kind:?}");
            let asked = turn(vec![showing(kind, "ban ben", message(5, ANN, ""))]);
            assert!(taints(&asked, &[], None), "{kind:?}");
        }
    }

    #[test]
    fn what_a_message_shows_is_cleaned_counted_and_cut_with_it() {
        let turn = turn(vec![message(9, ANN, "ery?")]);
        let long = "soup ".repeat(200);
        let history = [
            showing(EnclosureKind::Forward, &long, message(1, BEN, "")),
            showing(EnclosureKind::Embed, "a\u{200b}b", message(2, BEN, "")),
        ];
        let roomy = packed(&history, &thread(&turn, None), 10_000);
        let kept = members(&roomy.parts[0]);
        assert_eq!(kept[1].message.enclosures[0].text, "ab");
        let bare = packed(
            &history.clone().map(|it| Message { enclosures: vec![], ..it }),
            &thread(&turn, None),
            10_000,
        );
        assert!(roomy.tokens >= bare.tokens + 200, "{} {}", roomy.tokens, bare.tokens);
        let tight = packed(&history, &thread(&turn, None), roomy.tokens - 1);
        assert_eq!((tight.messages, tight.messages_left_out), (1, 1));
        assert!(tight.tokens < roomy.tokens - 200);
    }

    #[test]
    fn the_oldest_messages_are_cut_and_that_is_said() {
        let turn = turn(vec![message(9, ANN, "ery?")]);
        let history: Vec<_> = (1..=8).map(|id| message(id, BEN, &"soup ".repeat(80))).collect();
        let packed = packed(&history, &thread(&turn, None), 700);
        assert!(packed.tokens <= 700, "{}", packed.tokens);
        assert!(packed.messages > 0 && packed.messages + packed.messages_left_out == 8);
        let kept = members(&packed.parts[0]);
        assert_eq!(kept.last().unwrap().message.id, Id::new(8));
        let said = format!(
            "The {} oldest messages of the channel were left out for lack of room.",
            packed.messages_left_out
        );
        assert_eq!(packed.parts[1], Part::Note(said));
    }

    #[test]
    fn what_is_replied_to_is_cut_last() {
        let mut asked = message(9, ANN, "ery, is that so?");
        asked.reply_to = Some(Id::new(2));
        let turn = turn(vec![asked]);
        let mut history: Vec<_> =
            (1..=8).map(|id| message(id, BEN, &"the soup is hot ".repeat(20))).collect();
        history[1].reply_to = Some(Id::new(1));
        let packed = packed(&history, &thread(&turn, None), 700);
        let kept: Vec<_> =
            members(&packed.parts[0]).iter().map(|member| member.message.id.get()).collect();
        assert!(kept.starts_with(&[1, 2]) && kept.len() < 8, "{kept:?}");
        assert!(packed.tokens <= 700, "{}", packed.tokens);
    }

    #[test]
    fn what_is_to_be_answered_is_never_cut() {
        let turn = turn(vec![message(9, ANN, &"x".repeat(3_000))]);
        let packed = packed(&[message(1, BEN, "x")], &thread(&turn, None), 100);
        assert_eq!(packed.messages, 0);
        assert_eq!(members(packed.parts.last().unwrap())[0].message.content.len(), 3_000);
    }

    #[test]
    fn old_tool_results_go_before_messages_and_the_newest_stays() {
        let turn = turn(vec![message(9, ANN, "ery?")]);
        let mut thread = thread(&turn, None);
        for _ in 0..6 {
            call(&mut thread, &"y".repeat(3_000));
        }
        let history = [message(1, BEN, "hello")];
        let roomy = packed(&history, &thread, 100_000);
        assert_eq!((roomy.results_left_out, roomy.messages), (0, 1));
        let tight = packed(&history, &thread, roomy.tokens - 1_500);
        assert_eq!((tight.results_left_out, tight.messages), (2, 1));
        let tiny = packed(&history, &thread, 10);
        assert_eq!((tiny.results_left_out, tiny.messages), (5, 0));
        let Some(Part::Results(last)) = tiny.parts.last() else { panic!() };
        assert_eq!(last[0].content.len(), 3_000);
    }

    #[test]
    fn that_an_act_was_done_stays_told_and_the_largest_goes_first() {
        let turn = turn(vec![message(9, ANN, "ery?")]);
        let mut thread = thread(&turn, None);
        let done = r#"{"ok":true,"summary":"A reminder is planned.","id":"1","at":"2026-01-01"}"#;
        call(&mut thread, done);
        call(&mut thread, &format!(r#"{{"ok":true,"members":"{}"}}"#, "m".repeat(9_000)));
        call(&mut thread, &"y".repeat(12_000));
        let contents = |max_tokens: u64| -> Vec<String> {
            let packed = packed(&[], &thread, max_tokens);
            assert!(packed.tokens <= max_tokens, "{} of {max_tokens}", packed.tokens);
            let results = packed.parts.iter().filter_map(|part| match part {
                Part::Results(results) => Some(results[0].content.clone()),
                _ => None,
            });
            results.collect()
        };
        let roomy = contents(5_000);
        assert_eq!((&*roomy[0], roomy[2].len()), (done, 12_000));
        assert_eq!(
            roomy[1],
            r#"{"left_out":"for lack of room; call the tool again if you need it","ok":true}"#
        );
        let tight = contents(3_000);
        assert_eq!(tight[0], done, "what is cut would be as long");
        let newest: Value = serde_json::from_str(&tight[2]).unwrap();
        assert_eq!((&newest["cut"], &newest["bytes"]), (&true.into(), &12_000.into()));

        let long = format!(
            r#"{{"ok":true,"summary":"{}","list":["{}"]}}"#,
            "s".repeat(900),
            "x".repeat(900)
        );
        let kept: Value = serde_json::from_str(&cleared(&long).unwrap()).unwrap();
        assert_eq!(kept["ok"], true);
        assert_eq!(kept["summary"].as_str().unwrap().len(), 200);
        assert_eq!(kept["left_out"], "the rest, for lack of room");
    }

    #[test]
    fn an_endless_result_is_cut_and_that_is_said() {
        let turn = turn(vec![message(9, ANN, "ery?")]);
        let mut thread = thread(&turn, None);
        call(&mut thread, &"y".repeat(100_000));
        let packed = packed(&[], &thread, 100_000);
        let Some(Part::Results(last)) = packed.parts.last() else { panic!() };
        let cut: serde_json::Value = serde_json::from_str(&last[0].content).unwrap();
        assert_eq!((&cut["cut"], &cut["bytes"]), (&true.into(), &100_000.into()));
        assert_eq!(cut["beginning"].as_str().unwrap().len(), RESULT_BYTES);
    }

    #[test]
    fn hidden_characters_reach_no_model() {
        let mut trigger = message(9, ANN, "a\u{e0041}b");
        trigger.author_name = "n\u{202e}".into();
        trigger.mentions = vec![Mention { user: BEN, name: "\u{200b}m".into() }];
        trigger.attachments = vec![Attachment {
            filename: "f\u{200b}".into(),
            content_type: "t".into(),
            size_bytes: 1,
            url: "u".into(),
        }];
        let turn = turn(vec![trigger]);
        let mut thread = thread(&turn, None);
        call(&mut thread, "r\u{200b}");
        let packed = packed(&[], &thread, 10_000);
        let message = &members(&packed.parts[0])[0].message;
        assert_eq!((message.content.as_str(), message.author_name.as_str()), ("ab", "n"));
        assert_eq!(message.mentions[0].name, "m");
        assert_eq!(message.attachments[0].filename, "f");
        assert!(matches!(packed.parts.last(), Some(Part::Results(last)) if last[0].content == "r"));
    }

    #[test]
    fn the_model_is_told_of_pictures_that_it_is_not_shown() {
        let picture = |size_bytes| Attachment {
            filename: "a.png".into(),
            content_type: "image/png".into(),
            size_bytes,
            url: "https://cdn.discordapp.com/attachments/1/2/a.png".into(),
        };
        let mut asked = message(9, ANN, "ery, what are these?");
        asked.attachments = vec![picture(10), picture(50_000_000)];
        let turn = turn(vec![asked.clone()]);
        let with_both = packed(&[], &thread(&turn, None), 10_000);
        let [_, Part::Pictures(shown), Part::Note(note)] = &with_both.parts[..] else {
            panic!("{:?}", with_both.parts)
        };
        assert_eq!(shown.len(), 1);
        assert!(note.starts_with("1 of the pictures"), "{note}");
        asked.attachments.truncate(1);
        let turn = self::turn(vec![asked]);
        let with_one = packed(&[], &thread(&turn, None), 10_000);
        assert_eq!(with_one.parts.len(), 2);
        assert!(with_one.tokens + text::tokens(note) < with_both.tokens);
    }

    #[test]
    fn notes_stand_where_they_belong() {
        let turn = turn(vec![message(9, ANN, "ery?"), message(10, BEN, "and me")]);
        let problems = vec!["Who is meant?".to_owned()];
        let mut thread = thread(&turn, Some(OrdersRead { problems, ..OrdersRead::default() }));
        call(&mut thread, "{}");
        let edit = Change {
            trigger: TriggerId::Message(Id::new(9)),
            is_deleted: false,
            content: "new".into(),
            edited_at: UnixMillis(5),
        };
        thread.changed(&[edit], T0);
        let packed = pack(Material {
            strategy: &CONVERSATION,
            prompt_tokens: 0,
            tools: &[Tool {
                name: "t".into(),
                description: "d".into(),
                parameters: "{}".into(),
                tier: Tier::Read,
            }],
            history: &[],
            summary: None,
            thread: &thread,
            people: &People::default(),
            bot: BOT,
            is_shared: true,
            shown: Shown::default(),
            is_withheld: true,
            max_tokens: 10_000,
        });
        let shape: Vec<_> = packed
            .parts
            .iter()
            .map(|part| match part {
                Part::Members(_) => "members",
                Part::Summary(summary) => panic!("{summary:?}"),
                Part::Assistant(_) => "assistant",
                Part::Results(_) => "results",
                Part::Note(text) if text.contains("may read them") => "withheld",
                Part::Note(text) if text.contains("several people") => "shared",
                Part::Note(text) if text.contains("Who is meant?") => "problem",
                Part::Note(text) if text.contains("was edited") => "edited",
                Part::Pictures(_) | Part::Files(_) => panic!("{part:?}"),
                Part::Note(text) => panic!("{text}"),
            })
            .collect();
        assert_eq!(
            shape,
            ["withheld", "shared", "problem", "members", "assistant", "results", "edited"]
        );
    }

    #[test]
    fn a_deleted_message_is_no_history() {
        let mut asked = message(11, ANN, "ery?");
        asked.reply_to = Some(Id::new(10));
        let mut oops = message(10, ANN, "oops");
        oops.attachments = vec![Attachment {
            filename: "secret.txt".into(),
            content_type: "text/plain".into(),
            size_bytes: 9,
            url: "https://cdn.discordapp.com/attachments/1/2/secret.txt".into(),
        }];
        let turn = turn(vec![oops.clone(), asked]);
        let mut thread = thread(&turn, None);
        let gone = Change {
            trigger: TriggerId::Message(Id::new(10)),
            is_deleted: true,
            content: String::new(),
            edited_at: T0,
        };
        thread.changed(&[gone], T0);
        let packed = packed(&[oops], &thread, 10_000);
        assert_eq!(packed.parts.len(), 1, "nor are its files shown: {:?}", packed.parts);
        assert_eq!(members(&packed.parts[0]).len(), 1);
    }
}
