//! Bans, kicks, warnings, roles, locks, deletions and pins, as people order them.

use proptest::prelude::*;
use serde_json::{Value, json};
use twilight_model::id::Id;

use super::{ASKER, BOT, NO_ORDERS, Wrong, message, place, request, tools};
use crate::domain::{
    builtin::{answer, orders},
    conversation::{MemberMessage, Turn},
};

const TOOLS: [&str; 10] = [
    "timeout_member",
    "ban_member",
    "kick_member",
    "warn_member",
    "manage_roles",
    "manage_permissions",
    "delete_message",
    "pin_message",
    "get_member_info",
    "send_message",
];

fn ordered(message: &MemberMessage) -> Vec<(String, Value)> {
    let orders = orders(message, &place(), &tools(&TOOLS)).into_iter();
    orders.map(|order| (order.tool, serde_json::from_str(&order.arguments).unwrap())).collect()
}

fn of_text(text: &str) -> Vec<(String, Value)> {
    ordered(&message(text))
}

fn answered(text: &str) -> String {
    answer(&request(vec![Turn::Members(vec![message(text)])], &TOOLS)).text
}

fn compare(tool: &str, table: Vec<(&str, Value)>) {
    let mut wrong = Wrong::default();
    for (text, expected) in table {
        wrong.compare(text, &of_text(text), &vec![(tool.to_owned(), expected)]);
        // With a word to Ery before it, and thanks behind it, it stays the same.
        let polite = format!("<@900>, please {text}");
        if !text.starts_with(['<', '/', '*']) && !text.contains('?') {
            wrong.compare(&polite, &of_text(&polite), &of_text(text));
        }
    }
}

#[test]
fn bans_are_ordered_in_many_ways() {
    let (day, hour) = (86_400, 3_600);
    let plain = json!({"member": "2"});
    let why = |reason: &str| json!({"member": "2", "reason": reason});
    let long = |seconds: u64| json!({"member": "2", "duration_seconds": seconds});
    let deleting = |seconds: u64| json!({"member": "2", "delete_message_seconds": seconds});
    compare(
        "ban_member",
        vec![
            ("ban <@2>", plain.clone()),
            ("Ban <@!2>.", plain.clone()),
            ("BAN <@2>!", plain.clone()),
            ("ban <@2> now", plain.clone()),
            ("ban <@2> immediately please", plain.clone()),
            ("ban <@2> from the server", plain.clone()),
            ("ban <@2> from here", plain.clone()),
            ("ban <@2> forever", plain.clone()),
            ("ban <@2> permanently", plain.clone()),
            ("permanently ban <@2>", plain.clone()),
            ("permaban <@2>", plain.clone()),
            ("perma-ban <@2>", plain.clone()),
            ("go ahead and ban <@2>", plain.clone()),
            ("can you ban <@2>?", plain.clone()),
            ("could you please ban <@2>?", plain.clone()),
            ("I want you to ban <@2>", plain.clone()),
            ("hey Ery, ban <@2> thanks", plain.clone()),
            ("ban bob", json!({"member": "bob"})),
            ("ban @Bob", json!({"member": "Bob"})),
            ("ban \"bob smith\"", json!({"member": "bob smith"})),
            ("ban the user bob", json!({"member": "bob"})),
            ("ban 123456789012345678", json!({"member": "123456789012345678"})),
            ("ban <@2> for spam", why("spam")),
            ("ban <@2> because he is spamming", why("he is spamming")),
            ("ban <@2>, he is spamming", why("he is spamming")),
            ("ban <@2> for being rude to <@3>", why("being rude to <@3>")),
            ("ban <@2> reason: raid", why("raid")),
            ("because he raids, ban <@2>", why("he raids")),
            ("ban <@2> for 3 days", long(3 * day)),
            ("ban <@2> 3d", long(3 * day)),
            ("ban <@2> for a week", long(7 * day)),
            ("ban <@2> for 12 hours", long(12 * hour)),
            ("ban <@2> for 60 days", long(60 * day)),
            ("ban <@2> for two years", long(2 * 365 * day)),
            ("tempban <@2> for 1 day", long(day)),
            ("temp ban <@2> 1d", long(day)),
            ("temporarily ban <@2> for 1 day", long(day)),
            ("for 3 days, ban <@2>", long(3 * day)),
            ("give <@2> a 3 day ban", long(3 * day)),
            ("<@2>: ban 3d", long(3 * day)),
            (
                "ban <@2> for 3 days because of spam",
                json!({"member": "2", "duration_seconds": 3 * day, "reason": "spam"}),
            ),
            (
                "ban <@2> for spam for 3 days",
                json!({"member": "2", "duration_seconds": 3 * day, "reason": "spam"}),
            ),
            ("give <@2> a permanent ban", plain.clone()),
            ("ban <@2> and delete his messages of the last day", deleting(day)),
            ("ban <@2> and delete all messages from the last 2 hours", deleting(2 * hour)),
            ("ban <@2> and remove her messages of the past week", deleting(7 * day)),
            (
                "ban <@2> for 3 days, delete their messages of the last hour",
                json!({"member": "2", "duration_seconds": 3 * day, "delete_message_seconds": hour}),
            ),
            ("/ban <@2>", plain.clone()),
            ("**ban** <@2>", plain),
        ],
    );
}

#[test]
fn bans_are_lifted_in_many_ways() {
    let plain = json!({"member": "2", "action": "unban"});
    compare(
        "ban_member",
        vec![
            ("unban <@2>", plain.clone()),
            ("un-ban <@2> please", plain.clone()),
            ("Unban <@2>!", plain.clone()),
            (
                "unban 123456789012345678",
                json!({"member": "123456789012345678", "action": "unban"}),
            ),
            ("pardon <@2>", plain.clone()),
            ("lift the ban of <@2>", plain.clone()),
            ("remove the ban from <@2>", plain.clone()),
            ("revoke <@2>'s ban", plain.clone()),
            ("cancel the ban of <@2> now", plain.clone()),
            ("can you unban <@2>?", plain.clone()),
            ("unban bob", json!({"member": "bob", "action": "unban"})),
            (
                "unban <@2> because it was a mistake",
                json!({"member": "2", "action": "unban", "reason": "it was a mistake"}),
            ),
        ],
    );
}

#[test]
fn kicks_and_warnings_are_ordered_in_many_ways() {
    let plain = json!({"member": "2"});
    let why = |reason: &str| json!({"member": "2", "reason": reason});
    compare(
        "kick_member",
        vec![
            ("kick <@2>", plain.clone()),
            ("kick out <@2>", plain.clone()),
            ("kick <@2> out", plain.clone()),
            ("kick <@2> from the server", plain.clone()),
            ("kick @bob", json!({"member": "bob"})),
            ("kick <@2> because he is rude", why("he is rude")),
            ("kick <@2> for spam", why("spam")),
            ("kick <@2> spamming", why("spamming")),
            ("can you kick <@2> for spam?", why("spam")),
        ],
    );
    compare(
        "warn_member",
        vec![
            ("warn <@2>", plain.clone()),
            ("warn <@2> for spam", why("spam")),
            ("warn <@2> about spamming links", why("spamming links")),
            ("warn <@2>, he is spamming", why("he is spamming")),
            ("warn bob for being rude", json!({"member": "bob", "reason": "being rude"})),
            ("give <@2> a warning", plain.clone()),
            ("give <@2> a warning for spam", why("spam")),
            ("give a final warning to <@2> for spam", why("spam")),
            ("issue a warning to <@2>", plain),
        ],
    );
}

#[test]
fn several_acts_in_one_message_are_all_read() {
    let mut wrong = Wrong::default();
    let ban = |member: &str| ("ban_member".to_owned(), json!({"member": member}));
    let ban_many = |members: &[&str]| ("ban_member".to_owned(), json!({"members": members}));
    let kick = |member: &str| ("kick_member".to_owned(), json!({"member": member}));
    for (text, expected) in [
        ("ban <@2> and <@3>", vec![ban_many(&["2", "3"])]),
        ("ban <@2> <@3>", vec![ban_many(&["2", "3"])]),
        ("ban <@2>, <@3> and <@4>", vec![ban_many(&["2", "3", "4"])]),
        ("ban <@2> and <@2>", vec![ban("2")]),
        (
            "ban <@2> <@3> <@4> for raiding",
            vec![("ban_member".into(), json!({"members": ["2", "3", "4"], "reason": "raiding"}))],
        ),
        (
            "ban <@2> <@3> and delete their messages of the last hour",
            vec![(
                "ban_member".into(),
                json!({"members": ["2", "3"], "delete_message_seconds": 3_600}),
            )],
        ),
        (
            "ban <@2> and <@3> for 1 day",
            ["2", "3"]
                .map(|member| json!({"member": member, "duration_seconds": 86_400}))
                .map(|ban| ("ban_member".to_owned(), ban))
                .to_vec(),
        ),
        ("ban <@2> and kick <@3>", vec![ban("2"), kick("3")]),
        ("ban <@2>. kick <@3>.", vec![ban("2"), kick("3")]),
        ("ban <@2>\nkick <@3>", vec![ban("2"), kick("3")]),
        ("kick <@2> and <@2>", vec![kick("2")]),
        (
            "ban <@2> and timeout <@3> for 5m",
            vec![
                ban("2"),
                ("timeout_member".into(), json!({"member": "3", "duration_seconds": 300})),
            ],
        ),
        (
            "warn <@2> for spam and kick <@3>",
            vec![("warn_member".into(), json!({"member": "2", "reason": "spam"})), kick("3")],
        ),
        (
            "ban <@2> for 1 day and <@3> for 2 days",
            vec![
                ("ban_member".into(), json!({"member": "2", "duration_seconds": 86_400})),
                ("ban_member".into(), json!({"member": "3", "duration_seconds": 172_800})),
            ],
        ),
    ] {
        wrong.compare(text, &of_text(text), &expected);
    }
}

#[test]
fn roles_are_given_and_taken_in_many_ways() {
    let role = |action: &str, role: &str| json!({"action": action, "member": "2", "role": role});
    let give = || role("give", "Helper");
    let take = || role("take", "Helper");
    compare(
        "manage_roles",
        vec![
            ("give <@2> the Helper role", give()),
            ("give <@2> the role Helper", give()),
            ("give <@2> a role called Helper", give()),
            ("give <@2> role Helper", give()),
            ("give the Helper role to <@2>", give()),
            ("add the role Helper to <@2>", give()),
            ("add <@2> to the Helper role", give()),
            ("assign the Helper role to <@2> please", give()),
            ("grant <@2> the @Helper role", give()),
            ("give <@2> the \"Helper\" role", give()),
            ("can you give <@2> the Helper role?", give()),
            ("give <@2> <@&7>", role("give", "<@&7>")),
            ("give <@2> the <@&7> role", role("give", "<@&7>")),
            ("add <@&7> to <@2>", role("give", "<@&7>")),
            ("give <@2> the Server Booster role", role("give", "Server Booster")),
            ("remove the role Helper from <@2>", take()),
            ("remove role Helper from <@2>", take()),
            ("remove the Helper role from <@2>", take()),
            ("take the Helper role from <@2>", take()),
            ("take away the Helper role from <@2>", take()),
            ("remove <@2> from the Helper role", take()),
            ("remove <@2>'s Helper role", take()),
            ("strip <@2> of the Helper role", take()),
            ("revoke <@&7> from <@2>", role("take", "<@&7>")),
            (
                "give bob the Helper role",
                json!({"action": "give", "member": "bob", "role": "Helper"}),
            ),
            (
                "give <@2> the Helper role because he helps",
                json!({"action": "give", "member": "2", "role": "Helper", "reason": "he helps"}),
            ),
        ],
    );
    let mut wrong = Wrong::default();
    let both = of_text("give <@2> and <@3> the Helper role");
    wrong.compare("both", &both.len(), &2);
    let next = of_text("give <@2> the Helper role and kick <@3>");
    wrong.compare(
        "next",
        &next.iter().map(|(tool, _)| tool.as_str()).collect::<Vec<_>>(),
        &vec!["manage_roles", "kick_member"],
    );
}

#[test]
fn roles_are_moved_above_and_below_others() {
    let to = |side: &str, other: &str| json!({"action": "move", "role": "Helper", side: other});
    compare(
        "manage_roles",
        vec![
            ("move the role Helper above Member", to("above", "Member")),
            ("move the Helper role above the Member role", to("above", "Member")),
            ("put the role Helper below the role Member please", to("below", "Member")),
            ("place role Helper directly under Member", to("below", "Member")),
            ("move Helper over the Member role", to("above", "Member")),
            ("move \"Helper\" above the role \"Server Booster\"", to("above", "Server Booster")),
            ("can you move the role Helper above Member?", to("above", "Member")),
            (
                "move <@&7> below <@&8>",
                json!({"action": "move", "role": "<@&7>", "below": "<@&8>"}),
            ),
            (
                "move the role Helper above Member because they help",
                json!({"action": "move", "role": "Helper", "above": "Member",
                       "reason": "they help"}),
            ),
        ],
    );
    for text in ["move the poll above the rules", "move the role Helper", "move on", "put it under"]
    {
        assert!(of_text(text).is_empty(), "{text}");
    }
}

#[test]
fn channels_are_locked_and_unlocked() {
    let bits = json!(["SEND_MESSAGES", "SEND_MESSAGES_IN_THREADS"]);
    let lock =
        |channel: &str| json!({"channel": channel, "role": "@everyone", "deny": bits.clone()});
    let unlock =
        |channel: &str| json!({"channel": channel, "role": "@everyone", "clear": bits.clone()});
    compare(
        "manage_permissions",
        vec![
            ("lock <#7>", lock("7")),
            ("lock #general", lock("general")),
            ("lock the channel #general please", lock("general")),
            ("lock this channel", lock("here")),
            ("lock down <#7> now", lock("7")),
            ("lockdown here", lock("here")),
            ("unlock <#7>", unlock("7")),
            ("unlock this channel", unlock("here")),
            ("can you unlock #general?", unlock("general")),
            (
                "lock <#7> because of a raid",
                json!({"channel": "7", "role": "@everyone", "deny": bits, "reason": "a raid"}),
            ),
        ],
    );
}

#[test]
fn the_newest_messages_are_deleted() {
    compare(
        "delete_message",
        vec![
            ("delete the last 20 messages", json!({"latest": 20})),
            ("delete the last message", json!({"latest": 1})),
            ("purge 5 messages", json!({"latest": 5})),
            ("clear the last 3 messages here please", json!({"latest": 3})),
            ("remove the last 10 messages in <#7>", json!({"latest": 10, "channel": "7"})),
            (
                "purge 100 messages from <@2> in #general because of a raid",
                json!({"latest": 100, "by": "2", "channel": "general", "reason": "a raid"}),
            ),
            ("delete the last 2 messages by <@2>", json!({"latest": 2, "by": "2"})),
            ("can you delete the last 2 messages?", json!({"latest": 2})),
        ],
    );
    for text in [
        "delete the last 101 messages",
        "delete the last 0 messages",
        "delete 5 messages",
        "purge messages",
        "delete the last 5 messages tomorrow",
        "delete the last 5 channels",
        "don't delete the last 5 messages",
        "delete the last 5 messages and pizza",
        "> delete the last 5 messages",
    ] {
        assert_eq!(of_text(text), [], "{text}");
    }
}

#[test]
fn a_reply_says_which_message_or_member_is_meant() {
    let mut wrong = Wrong::default();
    for (text, tool, expected) in [
        ("delete this", "delete_message", json!({"message": "4000"})),
        ("delete this message please", "delete_message", json!({"message": "4000"})),
        ("remove that message", "delete_message", json!({"message": "4000"})),
        (
            "delete it because it is spam",
            "delete_message",
            json!({"message": "4000", "reason": "it is spam"}),
        ),
        ("can you delete this?", "delete_message", json!({"message": "4000"})),
        ("pin this", "pin_message", json!({"action": "pin", "message": "4000"})),
        ("pin that message!", "pin_message", json!({"action": "pin", "message": "4000"})),
        ("unpin this", "pin_message", json!({"action": "unpin", "message": "4000"})),
        ("ban him", "ban_member", json!({"member": "2"})),
        ("kick this guy", "kick_member", json!({"member": "2"})),
        ("warn them for spam", "warn_member", json!({"member": "2", "reason": "spam"})),
        (
            "give her the Helper role",
            "manage_roles",
            json!({"action": "give", "member": "2", "role": "Helper"}),
        ),
    ] {
        let mut reply = message(text);
        // Without a reply nobody and nothing is meant.
        wrong.compare(text, &ordered(&reply), &Vec::new());
        reply.reply_to = Some(Id::new(4_000));
        reply.reply_to_author = Some(Id::new(2));
        wrong.compare(text, &ordered(&reply), &vec![(tool.to_owned(), expected)]);
    }
    let mut reply = message("ban him");
    reply.reply_to = Some(Id::new(4_000));
    reply.reply_to_author = Some(Id::new(BOT));
    wrong.compare("a reply to Ery", &ordered(&reply), &Vec::new());
}

/// What may sound like an order, and is none.
const NONE: &[&str] = &[
    "should I ban <@2>?",
    "do you think we should ban <@2>?",
    "ban <@2>?",
    "did you ban <@2>?",
    "why was <@2> banned?",
    "who banned <@2>?",
    "don't ban <@2>",
    "please do not kick <@2>",
    "never ban <@2>",
    "can you not ban <@2>?",
    "you must not ban <@2>",
    "> ban <@2>",
    "> ban <@2>\nI disagree",
    ">>> ban <@2>\nkick <@3>",
    "`ban <@2>`",
    "```\nban <@2>\n```",
    "```ban <@2>```",
    "||ban <@2>||",
    "he wrote \"ban <@2>\"",
    "alice: ban <@2>",
    "alice said ban <@2>",
    "alice wants me to ban <@2>",
    "the rules say ban <@2>",
    "e.g. ban <@2>",
    "example: kick <@2>",
    "if he does it again, ban <@2>",
    "ban <@2> if he does it again",
    "ban <@2> unless he stops",
    "ban <@2> when he comes back",
    "ban <@2> tomorrow",
    "ban <@2> in 10 minutes",
    "ban <@2> later",
    "in 10 minutes ban <@2>",
    "next time ban <@2>",
    "ban <@2>, just kidding",
    "ban <@2>. nvm",
    "ban <@2>! no wait",
    "kick <@2>, jk",
    "I'd ban <@2>",
    "I will ban <@2>",
    "let's ban <@2>",
    "we should ban <@2>",
    "someone should ban <@2>",
    "maybe ban <@2>",
    "ban <@2> or <@3>",
    "ban <@2> or kick him",
    "ban bob was funny",
    "ban evasion is forbidden",
    "ban everyone",
    "ban @everyone",
    "kick everybody",
    "ban <@&7>",
    "ban",
    "ban yourself",
    "ban <@900>",
    "kick him",
    "ban someone",
    "ban the spammer",
    "ban all spammers",
    "ban <@2> for a while",
    "tempban <@2>",
    "temp ban bob please",
    "ban <@2> for 5",
    "ban <@2> for 0 minutes",
    "ban <@2> for 11 years",
    "ban <@2> for 2 huors",
    "ban <@2> 1d 2d",
    "ban <@2> and delete his messages of the last 8 days",
    "ban <@2> and delete his messages",
    "kick <@2> for 3 days",
    "warn <@2> for 10 minutes",
    "kick <@2> tomorrow",
    "warn <@2> if he spams",
    "kick back and relax",
    "kick it",
    "kick off",
    "unban everyone",
    "unban",
    "don't unban <@2>",
    "should we unban <@2>?",
    "the ban of <@2> was fair",
    "give <@2> a hug",
    "give <@2> a role",
    "give <@2> the roles Helper and Guide",
    "give me the roles",
    "give everyone the Helper role",
    "give @everyone the role Helper",
    "give <@2> the Helper role?",
    "should I give <@2> the Helper role?",
    "don't give <@2> the Helper role",
    "give <@2> the Helper role tomorrow",
    "give <@2> the Helper role if he asks",
    "give <@900> the Helper role",
    "what is the Helper role?",
    "remove the role from <@2>",
    "> give <@2> the Helper role",
    "the Helper role is for <@2>",
    "lock",
    "lock?",
    "lock this channel?",
    "don't lock <#7>",
    "lock <#7> tomorrow",
    "lock the door",
    "lock this thread",
    "should we lock <#7>?",
    "> lock <#7>",
    "delete this",
    "delete this account",
    "pin this",
    "pin number",
    "don't pin this",
    "delete everything",
    "<@2> ban <@3>",
    "@alice give @bob a ban",
    "<@2> ban me please",
    "Bitte banne <@2>",
    "banea a <@2>",
    "bannir <@2>",
];

#[test]
fn what_is_no_order_orders_nothing_and_is_answered() {
    let mut wrong = Wrong::default();
    for text in NONE {
        wrong.compare(text, &of_text(text), &Vec::new());
        let answer = answer(&request(vec![Turn::Members(vec![message(text)])], &TOOLS));
        let acts = answer.calls.iter().filter(|call| call.tool != "get_member_info");
        wrong.compare(text, &acts.count(), &0);
        assert!(!answer.calls.is_empty() || !answer.text.is_empty(), "{text}");
    }
    // As a reply, too, which says who and what is meant.
    for text in NONE {
        let is_order =
            ["delete this", "pin this", "kick him", "ban <@2> or kick him"].contains(text);
        let mut reply = message(text);
        reply.reply_to = Some(Id::new(4_000));
        reply.reply_to_author = Some(Id::new(3));
        if !is_order {
            wrong.compare(text, &ordered(&reply), &Vec::new());
        }
    }
}

/// What is no timeout is no ban, kick or warning either.
#[test]
fn what_orders_no_timeout_orders_nothing_in_the_same_words() {
    let mut wrong = Wrong::default();
    let mut count = 0;
    for text in NO_ORDERS {
        for verb in ["ban", "kick", "warn"] {
            let other = text.replace("timeout", verb).replace("mute", verb);
            // Bans may last longer than timeouts, and any number of words may be a reason.
            let is_other = text.contains("29 days")
                || text.contains("forever")
                || text.chars().any(|c| c.is_ascii_digit()) && verb != "ban"
                || other == **text
                || text.contains("needs a")
                || text.starts_with("ban <@2>")
                || text.starts_with("kick <@2>");
            if !is_other {
                wrong.compare(&other, &of_text(&other), &Vec::new());
                count += 1;
            }
        }
    }
    assert!(count > 100, "{count}");
}

#[test]
fn what_is_not_done_says_why() {
    let mut wrong = Wrong::default();
    for (text, part) in [
        ("ban him", "whom"),
        ("ban everyone", "everyone"),
        ("ban <@&7>", "role"),
        ("kick yourself", "myself"),
        ("ban <@2>?", "question mark"),
        ("ban <@2> tomorrow", "not later"),
        ("if he spams, ban <@2>", "not later"),
        ("kick <@2> for 3 days", "no length"),
        ("ban <@2> for 11 years", "ten years"),
        ("tempban <@2>", "length of time"),
        ("ban <@2> and delete his messages of the last 8 days", "7 days"),
        ("give <@2> a role", "which role"),
        ("don't ban <@2>", "doing nothing"),
        ("pin this", "which message"),
        ("delete this", "which message"),
        ("help", "ban @name for 3 days"),
    ] {
        wrong.contains(text, &answered(text), part);
    }
}

#[test]
fn one_may_name_oneself_and_the_tool_decides() {
    let member = json!({"member": ASKER.to_string()});
    assert_eq!(of_text("ban me"), [("ban_member".to_owned(), member)]);
}

fn words() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "ban", "unban", "kick", "warn", "tempban", "give", "remove", "take", "the", "role",
        "Helper", "lock", "unlock", "pin", "delete", "this", "<@2>", "@bob", "bob", "and", ",",
        "for", "3", "3d", "days", "because", "if", "a", "warning", "to", "from", "<#7>",
        "#general", "here", "channel", "\"", "'", "`", ">", "\n", "?", ".", "please", "Ery",
        "<@900>", "'s", "||", "don't", "not", "forever", "messages", "last", "day", "of", "his",
        "him", "<@&3>", "everyone", "should", "I", "or", "tomorrow", "out", ":",
    ]);
    prop::collection::vec(word, 0..25).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_shuffled_act_is_within_bounds_and_answered(text in words()) {
        let answer = answer(&request(vec![Turn::Members(vec![message(&text)])], &TOOLS));
        prop_assert!(!answer.calls.is_empty() || !answer.text.is_empty());
        for (tool, arguments) in of_text(&text) {
            prop_assert!(TOOLS.contains(&tool.as_str()));
            if let Some(member) = arguments.get("member") {
                prop_assert!(member.as_str().is_some_and(|member| !member.is_empty()));
                prop_assert!(member != "900", "nothing is done to Ery");
            }
            prop_assert!(arguments["duration_seconds"].as_u64().unwrap_or(1) <= 315_360_000);
            prop_assert!(arguments["delete_message_seconds"].as_u64().unwrap_or(1) <= 604_800);
        }
    }

    #[test]
    fn nothing_is_ordered_by_a_quote_or_a_condition(text in words()) {
        let inner: String = text.chars().filter(|c| !matches!(c, '"' | '`' | '\n' | '>' | '.' | '?')).collect();
        for quoted in [
            format!("> {inner}"),
            format!("\"{inner}\""),
            format!("`{inner}`"),
            format!("```{inner}```"),
            format!("don't {inner}"),
            format!("if he says so, {inner}"),
            format!("{inner}, just kidding"),
        ] {
            prop_assert_eq!(of_text(&quoted), [], "{}", quoted);
        }
    }
}
