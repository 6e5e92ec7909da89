//! What stands behind a command: its reason, or whose words these are and that they are none.

use serde_json::Value;

use super::{Wrong, message, place, request, tools};
use crate::domain::{
    builtin::{answer, orders},
    conversation::Turn,
};

const TOOLS: [&str; 8] = [
    "timeout_member",
    "ban_member",
    "kick_member",
    "warn_member",
    "manage_roles",
    "manage_permissions",
    "delete_message",
    "get_member_info",
];

/// What was ordered, as `tool reason`.
fn ordered(text: &str) -> Vec<String> {
    let orders = orders(&message(text), &place(), &tools(&TOOLS));
    orders
        .into_iter()
        .map(|order| {
            let arguments: Value = serde_json::from_str(&order.arguments).unwrap();
            let reason = arguments.get("reason").map_or("-", |reason| reason.as_str().unwrap());
            format!("{} {reason}", order.tool)
        })
        .collect()
}

/// What may stand behind any act, and leaves it undone.
const ASIDES: &[&str] = &[
    ", said the troll",
    " - said the troll",
    ", says bob",
    " — bob",
    " – bob smith",
    " - <@3>",
    " — @alice",
    "\n- bob",
    "\n— bob",
    "\n~ bob",
    ". - bob",
    " ~bob",
    " [bob]",
    " (bob)",
    " - not!",
    ", not",
    ", not a real order",
    ", not him though",
    " and not alice either",
    " - haha no",
    " (just testing, ignore)",
    " (joke)",
    " (test)",
    " (example)",
    " (\"...\")",
    " \"said bob\"",
    ", quoth the raven",
    ", thus spoke the raven",
    ", the bot replied",
    " -- quoting bob",
    ", to quote bob",
    " // not really",
    " // not",
    " // bob",
    " <- that's what bob wrote",
    " ← bob",
    " ^ bob's words",
    "... he wrote",
    "... said nobody ever",
    "! Said bob.",
    ". He told me so.",
    ". Bob said so yesterday.",
    ". No!",
    ". Not.",
    "? no",
    "/s",
    " /s",
    ", according to bob",
    ", as bob said",
    " as bob put it",
    " as per bob",
    ", they told me to",
    ", he said angrily",
    ", she wrote yesterday",
    ", as a joke",
    " for fun",
    " for a test",
    " for testing",
    " for spam, said bob",
    " for spam - bob",
    " for spam (just kidding)",
    " for spam - not!",
    " because he spams, bob wrote",
    " because he spams (ignore this)",
    "\nbob wrote",
    ". This is a test.",
    ", don't",
    ", please don't",
    " - no, don't ban him",
    ", don't ban him",
    ". Don't!",
    ". Please don't ban him.",
    ", would be funny",
    " (hypothetically)",
    ", he isn't serious",
    ", by mistake",
    ". My bad, wrong channel",
    ", sagte der Troll",
    " (Scherz)",
    " - doch nicht",
    " | bob",
    ": said bob",
    " 🤡 said bob",
    ", lyrics by bob",
    " - the management",
    " (c) bob",
    " - Shakespeare, Hamlet",
];

#[test]
fn an_aside_is_no_reason_and_leaves_the_act_undone() {
    let mut wrong = Wrong::default();
    for aside in ASIDES {
        for act in ["ban <@2>", "kick <@2>", "timeout <@2> for 10 minutes", "warn <@2>"] {
            for text in [format!("{act}{aside}"), format!("<@900> {act}{aside}")] {
                wrong.compare(&text, &ordered(&text), &Vec::new());
                let answer = answer(&request(vec![Turn::Members(vec![message(&text)])], &TOOLS));
                wrong.compare(&text, &answer.calls.len(), &0);
                wrong.contains(&text, &answer.text, "nothing");
            }
        }
    }
    for text in [
        "bob wrote\nban <@2>",
        "just testing. ban <@2>",
        "unmute <@2>, said bob",
        "unban <@2> - bob",
        "give <@2> the Helper role, as bob said",
        "give <@2> the Helper role because he helps, said bob",
        "lock <#7> because of a raid - bob",
        "delete the last 5 messages because of spam, wrote bob",
    ] {
        wrong.compare(text, &ordered(text), &Vec::new());
    }
}

#[test]
fn an_honest_reason_needs_no_because() {
    let mut wrong = Wrong::default();
    for (tail, reason) in [
        (", he is spamming", "he is spamming"),
        (", he's spamming links", "he's spamming links"),
        (" - spam", "spam"),
        (" — repeated insults", "repeated insults"),
        (" (raiding)", "raiding"),
        (", spam and insults", "spam and insults"),
        (", she keeps insulting people", "she keeps insulting people"),
        (", he won't stop", "he won't stop"),
        (", this guy is rude", "this guy is rude"),
        (", toxic", "toxic"),
        (" - breaking rule 3", "breaking rule 3"),
        (", he posted scam links", "he posted scam links"),
        (" because bob said so", "bob said so"),
        (" for what he wrote", "what he wrote"),
        (" because of what bob wrote", "what bob wrote"),
        (" for saying slurs", "saying slurs"),
        (" for posting a joke about it", "posting a joke about it"),
        (" as he spams", "he spams"),
        (" for spam, lol", "spam"),
        (" for spam, asked him to stop twice", "spam, asked him to stop twice"),
        (", er spammt", "er spammt"),
    ] {
        for (act, tool) in [("ban <@2>", "ban_member"), ("kick <@2>", "kick_member")] {
            let text = format!("{act}{tail}");
            wrong.compare(&text, &ordered(&text), &vec![format!("{tool} {reason}")]);
        }
    }
    for (text, expected) in [
        ("unban <@2>, wrong person", "ban_member wrong person"),
        ("unmute <@2>, he apologised", "timeout_member he apologised"),
        ("Ban <@2>. He keeps spamming.", "ban_member -"),
        ("Ban <@2>! Good riddance!", "ban_member -"),
        ("Ban <@2>. Thank you, Ery", "ban_member -"),
        ("ban <@2> - please", "ban_member -"),
        ("ban <@2> - permanently", "ban_member -"),
        ("No. Ban <@2>.", "ban_member -"),
        ("warn <@2>, stop spamming", "warn_member -"),
        ("ban <@2>, not listening to mods", "ban_member -"),
        ("ban <@2> and not <@3>", "ban_member -"),
        ("ban <@2> and don't tell him", "ban_member -"),
        ("ban - <@2>", "ban_member -"),
    ] {
        wrong.compare(text, &ordered(text), &vec![expected.to_owned()]);
    }
}
