//! The commands as people write them. `@bob` is written as a mention where Discord would make one.

mod acts;
mod asides;
mod properties;

use serde_json::{Value, json};
use twilight_model::id::Id;

use ery_clock::UnixMillis;

use crate::domain::conversation::{
    Answer, MemberMessage, Place, Stop, ToolCall, ToolResult, ToolSpec, Turn, TurnRequest,
};

use super::{answer, orders};

const BOT: u64 = 900;
const ASKER: u64 = 100;
const TOOLS: [&str; 6] = [
    "timeout_member",
    "get_member_info",
    "fetch_messages",
    "search_messages",
    "add_reaction",
    "send_message",
];
const NOW_MS: i64 = 1_700_000_000_000;

fn message(text: &str) -> MemberMessage {
    MemberMessage {
        id: Id::new(5_000),
        author: Id::new(ASKER),
        author_name: "asker".into(),
        rights: "member".into(),
        text: text.into(),
        at: UnixMillis(NOW_MS),
        reply_to: None,
        reply_to_author: None,
        mentions: Vec::new(),
        attachments: Vec::new(),
        enclosures: Vec::new(),
        is_to_be_answered: true,
    }
}

fn place() -> Place {
    Place { bot: Some(Id::new(BOT)), bot_name: "Ery".into(), now: UnixMillis(NOW_MS) }
}

fn tools(names: &[&str]) -> Vec<ToolSpec> {
    let spec = |name: &&str| ToolSpec {
        name: (*name).to_owned(),
        description: String::new(),
        parameters: "{}".into(),
    };
    names.iter().map(spec).collect()
}

fn request(turns: Vec<Turn>, offered: &[&str]) -> TurnRequest {
    TurnRequest {
        instructions: String::new(),
        turns,
        tools: tools(offered),
        max_output_tokens: None,
        marker: "marker00".into(),
        place: place(),
    }
}

fn ask(text: &str) -> Answer {
    answer(&request(vec![Turn::Members(vec![message(text)])], &TOOLS))
}

fn calls(text: &str) -> Vec<(String, Value)> {
    let calls = ask(text).calls.into_iter();
    calls.map(|call| (call.tool, serde_json::from_str(&call.arguments).unwrap())).collect()
}

/// Returns the orders of a text as `member seconds reason`.
fn ordered(message: &MemberMessage) -> Vec<String> {
    orders(message, &place(), &tools(&TOOLS))
        .into_iter()
        .map(|order| {
            assert_eq!(order.tool, "timeout_member");
            let arguments: Value = serde_json::from_str(&order.arguments).unwrap();
            let reason = arguments.get("reason").map_or("-", |reason| reason.as_str().unwrap());
            format!(
                "{} {} {reason}",
                arguments["member"].as_str().unwrap(),
                arguments["duration_seconds"]
            )
        })
        .collect()
}

/// Gathers what went wrong in a table, so that one run tells it all.
#[derive(Default)]
struct Wrong(Vec<String>);

impl Wrong {
    fn compare<T: PartialEq + std::fmt::Debug>(&mut self, text: &str, found: &T, expected: &T) {
        if found != expected {
            self.0.push(format!("{text:?}\n   gave {found:?}\n  not {expected:?}"));
        }
    }

    fn contains(&mut self, text: &str, found: &str, part: &str) {
        if !found.contains(part) {
            self.0.push(format!("{text:?}\n   gave {found:?}\n  without {part:?}"));
        }
    }
}

impl Drop for Wrong {
    fn drop(&mut self) {
        assert!(std::thread::panicking() || self.0.is_empty(), "\n{}", self.0.join("\n"));
    }
}

#[test]
fn timeouts_are_ordered_in_many_ways() {
    let mut wrong = Wrong::default();
    for (text, expected) in [
        ("timeout <@2> for 10 minutes, he is spamming", "2 600 he is spamming"),
        ("Timeout <@2> for 10 minutes.", "2 600 -"),
        ("TIMEOUT <@!2> 10M", "2 600 -"),
        ("mute <@2> 1h30m", "2 5400 -"),
        ("mute bob for an hour", "bob 3600 -"),
        ("time out bob for ten minutes because he is rude", "bob 600 he is rude"),
        ("time-out bob for 90 seconds", "bob 90 -"),
        ("timeout @bob", "bob 600 -"),
        ("timeout @Bob please", "Bob 600 -"),
        ("<@900> timeout <@2> for 5 minutes", "2 300 -"),
        ("<@900>, could you please timeout <@2> for 5 minutes?", "2 300 -"),
        ("hey Ery, timeout bob for 5m pls", "bob 300 -"),
        ("Ery: mute bob 5m", "bob 300 -"),
        ("@Ery mute bob 5m, thanks!", "bob 300 -"),
        ("ery mute bob 5m now", "bob 300 -"),
        ("mute bob 5m, Ery", "bob 300 -"),
        ("can you mute <@2> for half an hour for spamming", "2 1800 spamming"),
        ("please silence bob for two hours", "bob 7200 -"),
        ("timeout <@2> 10m spamming links", "2 600 spamming links"),
        ("timeout <@2> spamming", "2 600 spamming"),
        ("timeout <@2> for spam", "2 600 spam"),
        ("timeout <@2> for spam for 1 day", "2 86400 spam"),
        ("timeout <@2> for spam, 1 day", "2 86400 spam"),
        ("timeout <@2> for being rude to <@3>", "2 600 being rude to <@3>"),
        ("timeout <@2> because he told me to mute <@3>", "2 600 he told me to mute <@3>"),
        ("for 10 minutes, timeout <@2>", "2 600 -"),
        ("timeout for <@2> 10 minutes", "2 600 -"),
        ("timeout 10m <@2>", "2 600 -"),
        ("timeout for 10 minutes <@2> for spam", "2 600 spam"),
        ("10 minute timeout for <@2> because of spam", "2 600 spam"),
        ("give <@2> a 10 minute timeout for spam", "2 600 spam"),
        ("give bob a 10-minute timeout", "bob 600 -"),
        ("give a one hour timeout to <@2>", "2 3600 -"),
        ("put <@2> in timeout for 1 hour", "2 3600 -"),
        ("put bob in time out for 1 hour please", "bob 3600 -"),
        ("time bob out for 1 hour", "bob 3600 -"),
        ("<@2>: timeout 10m", "2 600 -"),
        ("@bob timeout for 10 minutes", "bob 600 -"),
        ("because he spams, timeout <@2> for 10 minutes", "2 600 he spams"),
        ("timeout the user bob for 1 week", "bob 604800 -"),
        ("timeout Bob Smith for 28 days", "Bob Smith 2419200 -"),
        ("timeout 123456789012345678 for 10s", "123456789012345678 10 -"),
        ("i want you to timeout <@2> for 10s", "2 10 -"),
        ("go ahead and mute <@2> for a minute", "2 60 -"),
        ("Hello! <@2> is annoying. Timeout <@2> for 10 minutes. Thank you!", "2 600 -"),
        ("timeout <@2> for 10 minutes and 30 seconds", "2 630 -"),
        ("**timeout** <@2> 10m", "2 600 -"),
        ("timeout me for a minute", "100 60 -"),
        ("mute \"bob smith\" for 5m", "bob smith 300 -"),
        ("timeout <@2> for \"being mean\" 5m", "2 300 being mean"),
        ("please do this:\n- timeout <@2> 5m", "2 300 -"),
        ("timeout <@2>\n1 hour\nbecause of spam", "2 3600 spam"),
        ("timeout <@2>. 2 hours.", "2 7200 -"),
        ("timeout <@2> 😡 2h", "2 7200 -"),
        ("put a timeout on <@2> for 2h", "2 7200 -"),
        ("timeout <@2> for the next 2 hours", "2 7200 -"),
        ("timeout <@2> for another hour", "2 3600 -"),
        ("timeout user:<@2> duration:20m reason:spam", "2 1200 spam"),
        ("/timeout <@2> 20m", "2 1200 -"),
        ("give <@2> a timeout of 2 hours for spam", "2 7200 spam"),
        ("yes, immediately timeout <@2> for 2h", "2 7200 -"),
    ] {
        wrong.compare(text, &ordered(&message(text)), &vec![expected.to_owned()]);
    }
}

#[test]
fn timeouts_are_lifted_in_many_ways() {
    let mut wrong = Wrong::default();
    for (text, member) in [
        ("untimeout <@2>", "2"),
        ("un-timeout bob", "bob"),
        ("unmute @bob please", "bob"),
        ("Ery, un mute bob", "bob"),
        ("remove the timeout of <@2>", "2"),
        ("remove the timeout from bob", "bob"),
        ("lift bob's timeout", "bob"),
        ("lift <@2>'s timeout", "2"),
        ("end the mute of <@2> now", "2"),
        ("cancel <@2>'s time out", "2"),
        ("take <@2> out of timeout", "2"),
        ("let bob speak again", "bob"),
        ("remove <@2> from timeout", "2"),
        ("clear timeout <@2>", "2"),
        ("untimeout <@2> please, sorry", "2"),
    ] {
        wrong.compare(text, &ordered(&message(text)), &vec![format!("{member} 0 -")]);
    }
    assert_eq!(ordered(&message("unmute <@2>, he said sorry")), ["2 0 he said sorry"]);
}

#[test]
fn several_orders_in_one_message_are_all_read() {
    let mut wrong = Wrong::default();
    for (text, expected) in [
        (
            "time out bob and alice for ten minutes because they fight",
            vec!["bob 600 they fight", "alice 600 they fight"],
        ),
        ("timeout <@2> <@3> 5m", vec!["2 300 -", "3 300 -"]),
        ("timeout <@2>, <@3> and <@4> for 5m", vec!["2 300 -", "3 300 -", "4 300 -"]),
        ("timeout <@2> for 5m and <@3> for 10m", vec!["2 300 -", "3 600 -"]),
        ("timeout <@2> for 5m and also <@3>", vec!["2 300 -", "3 300 -"]),
        ("timeout both <@2> and <@3> for 5m", vec!["2 300 -", "3 300 -"]),
        ("timeout these people: <@2> <@3>", vec!["2 600 -", "3 600 -"]),
        ("timeout <@2> 10m, <@3> 5m", vec!["2 600 -", "3 300 -"]),
        ("mute <@2> for spam and <@3> for flood", vec!["2 600 spam", "3 600 flood"]),
        ("timeout <@2>/<@3> 5m", vec!["2 300 -", "3 300 -"]),
        ("timeout <@2> for 5m and unmute <@3>", vec!["2 300 -", "3 0 -"]),
        ("timeout <@2> for spam and timeout <@3> for 5m", vec!["2 600 spam", "3 300 -"]),
        ("timeout <@2> 5m. Then mute <@3> 6m!", vec!["2 300 -", "3 360 -"]),
        ("timeout <@2> 5m\nmute <@3> 6m", vec!["2 300 -", "3 360 -"]),
        ("timeout <@2> and <@2> for 5m", vec!["2 300 -"]),
        ("timeout <@2> and not <@3>", vec!["2 600 -"]),
    ] {
        let expected = expected.into_iter().map(str::to_owned).collect();
        wrong.compare(text, &ordered(&message(text)), &expected);
    }
}

#[test]
fn a_reply_says_who_is_meant() {
    let mut reply = message("timeout him for 5m");
    assert_eq!(ordered(&reply), [""; 0]);
    reply.reply_to = Some(Id::new(4_000));
    reply.reply_to_author = Some(Id::new(2));
    assert_eq!(ordered(&reply), ["2 300 -"]);
    reply.text = "remove his timeout".into();
    assert_eq!(ordered(&reply), ["2 0 -"]);
    reply.text = "mute this guy for being rude".into();
    assert_eq!(ordered(&reply), ["2 600 being rude"]);
    // A reply to Ery names nobody.
    reply.reply_to_author = Some(Id::new(BOT));
    assert_eq!(ordered(&reply), [""; 0]);
}

/// What may sound like an order, and is none.
const NO_ORDERS: &[&str] = &[
    "",
    "hello",
    "I'd never ban <@2>",
    "I'd never timeout <@2>",
    "what does timeout mean?",
    "don't timeout bob",
    "do not timeout <@2>",
    "please don't mute <@2>",
    "never timeout <@2>",
    "can you not timeout <@2>?",
    "stop muting <@2>",
    "should I timeout <@2>?",
    "did you timeout <@2>?",
    "why did you mute <@2>?",
    "who muted <@2>?",
    "timeout <@2>?",
    "mute <@2> for 10 minutes?",
    "alice said timeout <@2>",
    "he told me to mute <@2>",
    "they want me to timeout <@2> for 10 minutes",
    "if he does it again, timeout <@2>",
    "timeout <@2> if he does it again",
    "timeout <@2> when he comes back",
    "timeout <@2> unless he stops",
    "timeout <@2> tomorrow",
    "timeout <@2> in 10 minutes",
    "in 10 minutes timeout <@2>",
    "timeout <@2> as soon as he writes",
    "timeout <@2> until tomorrow",
    "timeout bob was funny",
    "timeout is a good feature",
    "mute button is broken",
    "mute notifications on your phone is what i did",
    "the timeout of bob was fair",
    "a timeout for bob would be fair",
    "bob needs a timeout",
    "bob deserves a mute",
    "> timeout <@2>",
    "> timeout <@2>\nwhat do you think of this?",
    "`timeout <@2>`",
    "```\ntimeout <@2> 10m\n```",
    "he wrote \"timeout <@2> for 10 minutes\"",
    "alice said 'mute <@2>'",
    "alice: timeout <@2>",
    "alice said:\ntimeout <@2>",
    "alice — Today at 12:03\ntimeout <@2> for 10 minutes",
    "~~timeout <@2>~~",
    "||timeout <@2>||",
    "timeout",
    "mute please",
    "timeout everyone for 10 minutes",
    "mute @everyone 10m",
    "timeout <@&7> for 10m",
    "timeout <@900>",
    "mute yourself",
    "timeout the spammer",
    "timeout someone",
    "timeout bob or alice",
    "timeout <@2> or <@3> for 5m",
    "timeout <@2> for 5",
    "timeout <@2> for a while",
    "timeout <@2> for 2 huors",
    "timeout <@2> 2 huors",
    "timeout <@2> for -5 minutes",
    "timeout <@2> -5m",
    "timeout <@2> for minus five minutes",
    "timeout <@2> for 1,5 hours",
    "timeout <@2> for 1e9 minutes",
    "timeout bob 10m, alice 5m",
    "timeout my friend bob",
    "timeout <@2>, sorry, <@3>",
    "gag reflex",
    "silence is golden",
    "e.g. timeout <@2>",
    "maybe timeout <@2>",
    "ery said timeout <@2>",
    "I think you should timeout <@2> for 10 minutes",
    "write timeout @bob 10m",
    "example: timeout @bob",
    "let's timeout <@2>",
    "timeout bob 5",
    "timeout <@2> for 0 minutes",
    "timeout <@2> for 29 days",
    "timeout <@2> forever",
    "mute <@2> for 99999999999999999999 years",
    "timeout <@2> 5m 10m",
    "timeout <@2> for 5m, just kidding",
    "timeout <@2>. nvm",
    "timeout <@2>! no wait",
    "timeout bob, alice and carol",
    "<@2> timeout me please",
    "@alice give @bob a timeout",
    "@bob mute yourself",
    "hey @bob, timeout",
    "timeout für <@2> 10 Minuten",
    "Bitte <@2> stummschalten",
    "silencia a <@2> por 10 minutos",
    "mets <@2> en timeout pour 10 minutes",
    "забань <@2> на 10 минут",
    "<@2>を10分間タイムアウトして",
    "poll: timeout or mute?",
    "I was thinking about whether to timeout <@2>",
    "we could timeout <@2>",
    "someone should timeout <@2>",
    "you should timeout <@2>",
    "it would be nice to timeout <@2>",
    "the rules say timeout <@2>",
    "search for timeout <@2>",
    "say timeout <@2>",
    "send a message saying timeout <@2>",
    "tell me about timeout",
    "when someone spams, timeout them",
    "imagine timeout <@2>",
    "would you ever timeout <@2>?",
];

#[test]
fn what_is_no_order_orders_nothing_and_is_answered() {
    let mut wrong = Wrong::default();
    for text in NO_ORDERS {
        wrong.compare(text, &ordered(&message(text)), &Vec::new());
        let answer = ask(text);
        assert!(answer.calls.iter().all(|call| call.tool != "timeout_member"), "{text}");
        assert!(!answer.calls.is_empty() || !answer.text.is_empty(), "{text}");
    }
}

#[test]
fn what_is_not_done_says_why() {
    let mut wrong = Wrong::default();
    for (text, part) in [
        ("timeout <@2> for 29 days", "28 days"),
        ("timeout <@2> forever", "28 days"),
        ("timeout <@2> for 0 minutes", "longer than zero"),
        ("timeout <@2> for 5", "5 of what?"),
        ("timeout <@2> 5m 10m", "two lengths"),
        ("timeout <@2> for 2 huors", "2 huors"),
        ("timeout <@2> for a while", "length of time"),
        ("timeout him", "whom"),
        ("timeout", "whom"),
        ("timeout everyone", "everyone"),
        ("mute <@&7>", "role"),
        ("mute yourself", "myself"),
        ("timeout <@2> tomorrow", "not later"),
        ("if he spams, timeout <@2>", "not later"),
        ("timeout <@2>?", "question mark"),
        ("timeout bob, alice and carol", "@"),
        ("timeout bob was funny", "was funny"),
        ("don't timeout <@2>", "doing nothing"),
        ("timeout <@2>, just kidding", "doing nothing"),
        ("I'd never ban <@2>", "did nothing"),
        ("what does timeout mean?", "28 days"),
        ("how long does a timeout last", "28 days"),
        ("ban <@2>", "`ban_member`"),
        ("kick bob", "`kick_member`"),
        ("delete the last 500 messages", "1 to 100"),
        ("give @bob the role <@&7>", "`manage_roles`"),
        ("Kannst du mir bitte helfen?", "“help”"),
        ("¿quién es este?", "“help”"),
        ("おはよう", "“help”"),
        ("asdf qwer", "without a language model"),
        ("search for", "Search for what"),
        ("react to this", "emoji"),
        ("send a message", "What should it say"),
        ("send a message saying hi in #other", "this channel"),
        ("say", "What should it say"),
    ] {
        let answer = ask(text);
        wrong.compare(text, &answer.calls, &Vec::new());
        wrong.contains(text, &answer.text, part);
    }
}

#[test]
fn lookups_become_calls() {
    let mut wrong = Wrong::default();
    let info = |member: &str| ("get_member_info".to_owned(), json!({ "member": member }));
    let fetch = |arguments: Value| ("fetch_messages".to_owned(), arguments);
    let search = |arguments: Value| ("search_messages".to_owned(), arguments);
    let all = || fetch(json!({"before": "5000", "limit": 100}));
    for (text, expected) in [
        ("who is <@2>", info("2")),
        ("Who's @bob?", info("bob")),
        ("<@900> who is <@2>?", info("2")),
        ("Ery, who is bob?", info("bob")),
        ("whois bob", info("bob")),
        ("tell me about <@2>", info("2")),
        ("can you tell me about @bob please?", info("bob")),
        ("info on bob", info("bob")),
        ("give me info about <@2>", info("2")),
        ("show me bob's profile", info("bob")),
        ("when did <@2> join?", info("2")),
        ("what roles does bob have?", info("bob")),
        ("is <@2> timed out?", info("2")),
        ("who am i?", info("100")),
        ("look up @bob", info("bob")),
        ("what did I miss?", all()),
        ("What did i miss", all()),
        ("hey ery what have I missed while i was away?", all()),
        ("catch me up please", all()),
        ("summarise", all()),
        ("can you summarize the conversation?", all()),
        ("tldr", all()),
        ("what's new?", all()),
        ("what did I miss in #general?", fetch(json!({"channel": "general", "limit": 100}))),
        ("what did I miss in <#7>", fetch(json!({"channel": "7", "limit": 100}))),
        ("summarise <#7> please", fetch(json!({"channel": "7", "limit": 100}))),
        ("what happened in general", fetch(json!({"channel": "general", "limit": 100}))),
        ("summarize the last 20 messages", fetch(json!({"before": "5000", "limit": 20}))),
        ("summarize the last 9999 messages", all()),
        ("what happened in the last hour?", all()),
        ("search for pizza", search(json!({"query": "pizza"}))),
        ("search pizza", search(json!({"query": "pizza"}))),
        (
            "search for pizza from <@2> in #general",
            search(json!({"query": "pizza", "author": "2", "channel": "general"})),
        ),
        (
            "search for pizza night in <#7> from @bob please",
            search(json!({"query": "pizza night", "author": "bob", "channel": "7"})),
        ),
        (
            "search for pizza from bob in #general",
            search(json!({"query": "pizza", "author": "bob", "channel": "general"})),
        ),
        ("search for \"pizza night\"", search(json!({"query": "pizza night"}))),
        ("find messages about the meeting", search(json!({"query": "the meeting"}))),
        ("find me all messages by <@2>", search(json!({"author": "2"}))),
        ("who said pizza?", search(json!({"query": "pizza"}))),
        ("did anyone mention pizza?", search(json!({"query": "pizza"}))),
        ("what did bob say?", search(json!({"author": "bob"}))),
        ("when did bob join?", info("bob")),
        ("what did <@2> say about pizza?", search(json!({"query": "pizza", "author": "2"}))),
        ("find pizza", search(json!({"query": "pizza"}))),
        ("find bob's messages about pizza", search(json!({"query": "pizza", "author": "bob"}))),
        ("TL;DR of #general", fetch(json!({"channel": "general", "limit": 100}))),
        ("anything new?", all()),
        ("messages from <@2> about pizza", search(json!({"query": "pizza", "author": "2"}))),
        (
            "search for letters from home to you",
            search(json!({"query": "letters from home to you"})),
        ),
    ] {
        wrong.compare(text, &calls(text), &vec![expected]);
    }
}

#[test]
fn several_wishes_become_several_calls() {
    let tools = |text: &str| calls(text).into_iter().map(|(tool, _)| tool).collect::<Vec<_>>();
    assert_eq!(
        tools("who is <@2> and what did I miss? Then timeout <@3> for 5m."),
        ["get_member_info", "fetch_messages", "timeout_member"]
    );
    assert_eq!(tools("who are <@2> and <@3>?"), ["get_member_info"; 2]);
    assert_eq!(tools("search for pizza and who is <@2>"), ["search_messages", "get_member_info"]);
    let many = (10..40).map(|id| format!("who is <@{id}>.")).collect::<Vec<_>>().join(" ");
    assert_eq!(tools(&many).len(), 10);
}

#[test]
fn reactions_find_their_message() {
    let mut wrong = Wrong::default();
    let context = |id: u64, author: u64, name: &str| MemberMessage {
        id: Id::new(id),
        author: Id::new(author),
        author_name: name.into(),
        is_to_be_answered: false,
        ..message("context")
    };
    let others = vec![context(4_001, 2, "bob"), context(4_002, 3, "alice"), context(6_000, 4, "x")];
    let react = |text: &str, reply_to: Option<u64>| {
        let mut trigger = message(text);
        trigger.reply_to = reply_to.map(Id::new);
        let turns = vec![Turn::Members(others.clone()), Turn::Members(vec![trigger])];
        let calls = answer(&request(turns, &TOOLS)).calls;
        assert_eq!(calls.len(), 1, "{text}");
        assert_eq!(calls[0].tool, "add_reaction");
        let arguments: Value = serde_json::from_str(&calls[0].arguments).unwrap();
        format!(
            "{} {}",
            arguments["message"].as_str().unwrap(),
            arguments["emoji"].as_str().unwrap()
        )
    };
    for (text, reply_to, expected) in [
        ("react with 👍", None, "5000 👍"),
        ("react with 👍", Some(4_000), "4000 👍"),
        ("react to this with 👍", None, "5000 👍"),
        ("react to that with 👍🏽", None, "4002 👍🏽"),
        ("react to that with ❤️ please", Some(4_000), "4000 ❤️"),
        ("react to the last message with :tada:", None, "4002 🎉"),
        ("react to <@2>'s message with <:blob:77>", None, "4001 blob:77"),
        ("react to the last message from bob with 👍", None, "4001 👍"),
        ("react to @bob with 👍", None, "4001 👍"),
        ("react 🔥", None, "5000 🔥"),
        ("add a 👍 reaction to this message", None, "5000 👍"),
        ("add 👍 to that", None, "4002 👍"),
        ("put a thumbs up on that", Some(4_000), "4000 👍"),
        ("could you react to my message with 🎉?", None, "5000 🎉"),
    ] {
        wrong.compare(text, &react(text, reply_to), &expected.to_owned());
    }
}

#[test]
fn what_ery_is_told_to_say_is_said() {
    for (text, said) in [
        ("say hello world", "hello world"),
        ("Ery, please say \"hello there\"", "hello there"),
        ("say hi to <@2>", "Hi, <@2>!"),
        ("say thanks", "thanks"),
        ("repeat after me: pizza", "pizza"),
    ] {
        let answer = ask(text);
        assert_eq!((answer.calls.len(), answer.text.as_str()), (0, said), "{text}");
    }
    for text in ["send a message saying hello all", "post a message: hello all"] {
        let expected = ("send_message".to_owned(), json!({"content": "hello all"}));
        assert_eq!(calls(text), [expected], "{text}");
    }
}

#[test]
fn talk_is_answered_by_its_kind() {
    let mut wrong = Wrong::default();
    for (text, part) in [
        ("help", "“who is @name”"),
        ("<@900> help", "“react with"),
        ("what can you do?", "“search for"),
        ("Ery, help me please", "“what did I miss”"),
        ("who are you?", "I'm Ery"),
        ("are you a human?", "no language model"),
        ("tell me about yourself", "I'm Ery"),
        ("hi", "Hello!"),
        ("hello Ery", "Hello!"),
        ("<@900>", "Hello!"),
        ("👋", "Hello!"),
        ("good morning", "Hello!"),
        ("thanks!", "welcome"),
        ("thank you so much Ery", "welcome"),
        ("good bot", "welcome"),
        ("bye", "Bye"),
        ("how are you?", "All well"),
        ("ping", "Pong"),
        ("never mind", "doing nothing"),
    ] {
        wrong.contains(text, &ask(text).text, part);
    }
}

#[test]
fn help_lists_what_was_offered_only() {
    let turns = || vec![Turn::Members(vec![message("help")])];
    let text = answer(&request(turns(), &["get_member_info"])).text;
    assert!(text.contains("who is") && !text.contains("timeout"), "{text}");
    let text = answer(&request(turns(), &[])).text;
    assert!(text.contains("no tools"), "{text}");
}

#[test]
fn a_tool_that_was_not_offered_is_named() {
    for (text, tool) in [
        ("timeout <@2> 5m", "timeout_member"),
        ("who is <@2>", "get_member_info"),
        ("what did I miss", "fetch_messages"),
        ("search for pizza", "search_messages"),
        ("react with 👍", "add_reaction"),
        ("send a message saying hi", "send_message"),
    ] {
        let answer = answer(&request(vec![Turn::Members(vec![message(text)])], &[]));
        assert_eq!(answer.calls, []);
        assert!(
            answer.text.contains(tool) && answer.text.contains("did nothing"),
            "{}",
            answer.text
        );
    }
    assert_eq!(orders(&message("timeout <@2> 5m"), &place(), &[]), []);
}

/// Asks, gives each call the result that is told for its tool, and returns the final text.
fn told(messages: Vec<MemberMessage>, results: &[(&str, Value, bool)]) -> String {
    let first = answer(&request(vec![Turn::Members(messages.clone())], &TOOLS));
    assert_eq!(first.stop, Stop::ToolCalls, "{}", first.text);
    let result = |call: &ToolCall| {
        let (_, content, is_error) = results.iter().find(|(tool, ..)| *tool == call.tool)?;
        Some(ToolResult {
            call_id: call.id.clone(),
            tool: call.tool.clone(),
            content: content.to_string(),
            is_error: *is_error,
        })
    };
    let turns = vec![
        Turn::Members(messages),
        Turn::Assistant { text: String::new(), calls: first.calls.clone() },
        Turn::Results(first.calls.iter().filter_map(result).collect()),
    ];
    let last = answer(&request(turns, &TOOLS));
    assert_eq!(last.calls, [], "no call is made twice");
    assert_eq!(last.stop, Stop::Done);
    last.text
}

#[test]
fn the_end_says_what_each_result_says() {
    let ok = json!({"ok": true, "summary": "Bob is timed out for 10 minutes."});
    let text = told(vec![message("timeout <@2> 10m")], &[("timeout_member", ok, false)]);
    assert_eq!(text, "Bob is timed out for 10 minutes.");

    let reason = "You need the permission “Time out members” for that.";
    let denied = json!({"ok": false, "error": "denied", "reason": reason});
    let text = told(vec![message("timeout <@2> 10m")], &[("timeout_member", denied, true)]);
    assert!(text.contains(reason) && text.contains("not done"), "{text}");
}

#[test]
fn nothing_is_claimed_without_an_ok_result() {
    for (content, is_error) in [
        (json!({"ok": true, "summary": "Bob is timed out."}), true),
        (json!({"ok": false, "summary": "Bob is timed out."}), false),
        (json!({"summary": "Bob is timed out."}), false),
        (json!("Bob is timed out."), false),
        (json!({}), false),
        (json!(null), true),
    ] {
        let results = [("timeout_member", content, is_error)];
        let text = told(vec![message("timeout <@2> 10m")], &results);
        assert!(text.starts_with("I have not done"), "{text}");
    }
    let text = told(vec![message("timeout <@2> 10m")], &[]);
    assert!(text.contains("can't say that it happened"), "{text}");
}

#[test]
fn each_author_is_addressed() {
    let mut other = message("timeout <@2> for 10m");
    other.id = Id::new(5_001);
    other.author = Id::new(101);
    let summary = json!({"ok": true, "summary": "Bob is timed out for 10 minutes."});
    let info = json!({"ok": true, "summary": "Bob joined a year ago."});
    let text = told(
        vec![message("who is <@2>"), other],
        &[("timeout_member", summary, false), ("get_member_info", info, false)],
    );
    assert_eq!(text, "<@100>: Bob joined a year ago.\n<@101>: Bob is timed out for 10 minutes.");
}

#[test]
fn a_call_that_the_journal_holds_is_not_made_again() {
    let turns = |id: &str, results: Vec<ToolResult>| {
        vec![
            Turn::Members(vec![message("who is <@2>")]),
            Turn::Assistant {
                text: String::new(),
                calls: vec![ToolCall {
                    id: id.into(),
                    tool: "get_member_info".into(),
                    arguments: "{ \"member\": \"2\" }".into(),
                    signature: String::new(),
                }],
            },
            Turn::Results(results),
        ]
    };
    let answer = answer(&request(turns("another id", Vec::new()), &TOOLS));
    assert_eq!(answer.calls, []);
    assert!(answer.text.contains("no result"), "{}", answer.text);
}

#[test]
fn messages_are_summed_up() {
    let at = |minutes_ago: i64| NOW_MS - minutes_ago * 60_000;
    let entry = |id: u64, author_id: u64, author: &str, text: &str, minutes_ago: i64| {
        json!({"id": id.to_string(), "author_id": author_id.to_string(), "author": author,
            "text": text, "at": time::OffsetDateTime::from_unix_timestamp(at(minutes_ago) / 1_000)
                .unwrap().format(&time::format_description::well_known::Rfc3339).unwrap()})
    };
    let content = json!({"ok": true, "summary": "4 messages", "messages": [
        entry(4_004, 3, "alice", "pizza on friday?", 10),
        entry(4_003, 2, "bob", "**pizza** again, [see](https://evil.example)", 130),
        entry(4_002, 100, "asker", "back later", 180),
        entry(4_001, 2, "bob", "too old", 200),
    ]});
    let text = told(vec![message("what did I miss?")], &[("fetch_messages", content, false)]);
    let expected = "2 messages here since your last message by 2 people (alice 1, bob 1), over 2 \
        hours, the last one 10 minutes ago.\nMost used words: pizza.\nThe last of them:\n\
        • bob: “pizza again, (see)(https://evil.example)”\n• alice: “pizza on friday?”\n\
        (Counted, not understood: I'm in built-in command mode.)";
    assert_eq!(text, expected);

    let none = json!({"ok": true, "summary": "", "messages": []});
    let text = told(vec![message("what did I miss?")], &[("fetch_messages", none.clone(), false)]);
    assert!(text.contains("missed nothing"), "{text}");
    let text = told(vec![message("search for pizza")], &[("search_messages", none, false)]);
    assert_eq!(text, "I found no messages like that.");
}

#[test]
fn a_summary_keeps_to_the_time_that_was_asked_for() {
    let content = json!({"ok": true, "messages": [
        {"id": "2", "author": "bob", "text": "new", "at": NOW_MS - 60_000},
        {"id": "1", "author": "bob", "text": "old", "at": NOW_MS - 7_200_000},
    ]});
    let asked = vec![message("what happened in the last hour?")];
    let text = told(asked, &[("fetch_messages", content, false)]);
    assert!(text.contains("new") && !text.contains("old"), "{text}");
}

#[test]
fn found_messages_are_listed() {
    let content = json!({"ok": true, "total": 12, "messages": [
        {"id": "1", "author_name": "bob", "content": "pizza", "at": NOW_MS - 3_600_000},
    ]});
    let text = told(vec![message("search for pizza")], &[("search_messages", content, false)]);
    assert_eq!(text, "I found 12 messages; the newest:\n• bob, 1 hour ago: “pizza”");
}

#[test]
fn texts_fit_into_a_message() {
    let text = ask(&format!("say {}", "x".repeat(3_900))).text;
    assert_eq!(text.chars().count(), 1_900);
}

#[test]
fn a_text_too_long_to_be_read_whole_orders_nothing() {
    let long = format!("timeout <@2> for 10m. {}", "blah ".repeat(700));
    assert_eq!(ordered(&message(&long)), [""; 0]);
    assert!(ask(&long).text.contains("too long"));
    let endless = format!("timeout <@2> for 10m. {}", "x".repeat(9_000));
    assert_eq!(ordered(&message(&endless)), [""; 0]);
}

#[test]
fn no_trigger_is_answered_honestly() {
    let answer = answer(&request(vec![Turn::Note("a scheduled prompt".into())], &TOOLS));
    assert!(answer.text.contains("without a language model"), "{}", answer.text);
}
