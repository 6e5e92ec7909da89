//! What people are asked, how they vote, and how it ends.

use std::{sync::Arc, time::Duration};

use ery_clock::ManualClock;
use reqwest::Method;
use serde_json::{Value, json};
use twilight_gateway::{Event, Intents};
use twilight_model::channel::message::MessageType;

use crate::{
    interactions::{heard, responses},
    support::{Bot, Sim, code, now},
};

fn poll() -> Value {
    json!({
        "question": { "text": "Soup?" },
        "answers": [
            { "poll_media": { "text": "Leek", "emoji": { "name": "🌿" } } },
            { "poll_media": { "text": "Fish" } }
        ],
        "duration": 1, "allow_multiselect": false, "layout_type": 1
    })
}

fn with(change: &Value) -> Value {
    let mut body = poll();
    for (key, value) in change.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

impl Sim {
    async fn ask(&self, poll: Value) -> (u16, Value) {
        self.rest(Method::POST, &self.messages_of("general"), json!({ "poll": poll })).await
    }

    fn ballot(&self, who: &str, message: &Value, answer: u64) -> Value {
        json!({
            "channel_id": message["channel_id"], "message_id": message["id"],
            "user_id": self.user(who), "answer_id": answer
        })
    }

    async fn vote(&self, who: &str, message: &Value, answer: u64) -> (u16, Value) {
        self.control(Method::POST, "/poll-votes", self.ballot(who, message, answer)).await
    }

    async fn again(&self, message: &Value) -> Value {
        let path = format!("{}/{}", self.messages_of("general"), message["id"].as_str().unwrap());
        let (status, message) = self.rest(Method::GET, &path, Value::Null).await;
        assert_eq!(status, 200, "{message}");
        message
    }

    async fn polled(&self, method: Method, message: &Value, rest: &str) -> (u16, Value) {
        let (channel, id) = (self.channel("general"), message["id"].as_str().unwrap());
        self.rest(method, &format!("/channels/{channel}/polls/{id}/{rest}"), Value::Null).await
    }
}

#[tokio::test]
async fn people_vote_and_the_bot_sees_it() {
    let sim = Sim::start().await;
    let mut bot = Bot::connect(&sim, Intents::all()).await;
    let (status, asked) = sim.ask(poll()).await;
    assert_eq!(status, 200, "{asked}");
    assert_eq!(asked["poll"]["answers"][0]["poll_media"]["emoji"]["name"], "🌿");
    assert_eq!(asked["poll"]["results"], json!({ "answer_counts": [], "is_finalized": false }));
    let heard = bot.message().await.poll.unwrap();
    assert_eq!(heard.question.text.as_deref(), Some("Soup?"));
    assert_eq!((heard.answers[1].answer_id, heard.allow_multiselect), (2, false));

    for (who, answer) in [("bob", 1), ("alice", 2), ("alice", 2)] {
        assert_eq!(sim.vote(who, &asked, answer).await.0, 200);
        let (channel, bob) = (sim.channel("general"), sim.user("bob"));
        if who == "bob" {
            let event = bot.wait_for(|event| matches!(event, Event::MessagePollVoteAdd(_))).await;
            let Event::MessagePollVoteAdd(vote) = event else { unreachable!() };
            assert_eq!((vote.answer_id, vote.user_id, vote.channel_id), (1, bob, channel));
            assert_eq!(vote.guild_id, Some(sim.guild()));
        }
    }
    // A second choice moves the one vote.
    bot.wait_for(|event| matches!(event, Event::MessagePollVoteAdd(_))).await;
    assert_eq!(sim.vote("bob", &asked, 2).await.0, 200);
    let moved = bot.wait_for(|event| matches!(event, Event::MessagePollVoteRemove(_))).await;
    let Event::MessagePollVoteRemove(moved) = moved else { unreachable!() };
    assert_eq!(moved.answer_id, 1);
    bot.wait_for(|event| matches!(event, Event::MessagePollVoteAdd(_))).await;
    let counts = sim.again(&asked).await["poll"]["results"]["answer_counts"].clone();
    assert_eq!(counts, json!([{ "id": 2, "count": 2, "me_voted": false }]));

    let names = async |rest: &str| {
        let (status, answer) = sim.polled(Method::GET, &asked, rest).await;
        assert_eq!(status, 200, "{answer}");
        let users = answer["users"].as_array().unwrap().iter();
        users.map(|user| user["username"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let mut both = [(sim.user("bob"), "bob"), (sim.user("alice"), "alice")];
    both.sort_unstable();
    assert_eq!(names("answers/2").await, [both[0].1, both[1].1]);
    assert_eq!(names("answers/2?limit=1").await, [both[0].1]);
    assert_eq!(names(&format!("answers/2?after={}", both[0].0)).await, [both[1].1]);
    assert!(names("answers/1").await.is_empty());
    assert_eq!(code(&sim.polled(Method::GET, &asked, "answers/3").await), (400, 50_035));
    assert_eq!(code(&sim.polled(Method::GET, &asked, "answers/2?limit=101").await), (400, 50_035));

    let taken = sim.control(Method::DELETE, "/poll-votes", sim.ballot("bob", &asked, 2)).await;
    assert_eq!(taken.0, 204);
    bot.wait_for(|event| matches!(event, Event::MessagePollVoteRemove(_))).await;
    assert_eq!(names("answers/2").await, ["alice"]);
    assert_eq!(code(&sim.vote("bob", &asked, 3).await), (400, 50_035));
    assert_eq!(code(&sim.vote("Ery", &asked, 1).await), (403, 20_001));
}

#[tokio::test]
async fn several_answers_may_be_chosen_where_the_poll_allows_it() {
    let sim = Sim::start().await;
    let asked = sim.ask(with(&json!({ "allow_multiselect": true }))).await.1;
    for answer in [1, 2] {
        assert_eq!(sim.vote("bob", &asked, answer).await.0, 200);
    }
    let counts = sim.again(&asked).await["poll"]["results"]["answer_counts"].clone();
    let one = |id: u64| json!({ "id": id, "count": 1, "me_voted": false });
    assert_eq!(counts, json!([one(1), one(2)]));
}

#[tokio::test]
async fn what_is_wrong_with_a_poll_is_said_field_by_field() {
    let sim = Sim::start().await;
    let answer = |text: &str| json!({ "poll_media": { "text": text } });
    for (change, place, expected) in [
        (json!({ "question": null }), "/question", "BASE_TYPE_REQUIRED"),
        (json!({ "question": {} }), "/question/text", "BASE_TYPE_REQUIRED"),
        (json!({ "question": { "text": "" } }), "/question/text", "BASE_TYPE_BAD_LENGTH"),
        (
            json!({ "question": { "text": "x".repeat(301) } }),
            "/question/text",
            "BASE_TYPE_BAD_LENGTH",
        ),
        (json!({ "answers": null }), "/answers", "BASE_TYPE_REQUIRED"),
        (json!({ "answers": [] }), "/answers", "BASE_TYPE_BAD_LENGTH"),
        (json!({ "answers": vec![answer("a"); 11] }), "/answers", "BASE_TYPE_BAD_LENGTH"),
        (json!({ "answers": [{}] }), "/answers/0/poll_media", "BASE_TYPE_REQUIRED"),
        (
            json!({ "answers": [answer("a"), answer(&"x".repeat(56))] }),
            "/answers/1/poll_media/text",
            "BASE_TYPE_BAD_LENGTH",
        ),
        (json!({ "duration": 0 }), "/duration", "NUMBER_TYPE_MIN"),
        (json!({ "duration": 769 }), "/duration", "NUMBER_TYPE_MAX"),
        (json!({ "layout_type": 2 }), "/layout_type", "BASE_TYPE_CHOICES"),
    ] {
        let refused = sim.ask(with(&change)).await;
        assert_eq!(code(&refused), (400, 50_035), "{change}");
        let place = format!("/errors/poll{place}/_errors/0/code");
        assert_eq!(refused.1.pointer(&place), Some(&json!(expected)), "{change}: {}", refused.1);
    }
    for emoji in [json!({ "name": "soup" }), json!({ "id": "77" })] {
        let answers = json!([{ "poll_media": { "text": "a", "emoji": emoji } }]);
        let refused = sim.ask(with(&json!({ "answers": answers }))).await;
        assert_eq!(code(&refused), (400, 520_004), "{emoji}");
    }
    let long = with(&json!({ "question": { "text": "x".repeat(300) }, "duration": 768 }));
    assert_eq!(sim.ask(long).await.0, 200);
    let mut short = poll();
    short.as_object_mut().unwrap().retain(|key, _| key == "question" || key == "answers");
    let expiry = sim.ask(short).await.1["poll"]["expiry"].as_str().unwrap().to_owned();
    let expiry = time::OffsetDateTime::parse(
        &expiry,
        &time::format_description::well_known::Iso8601::DEFAULT,
    );
    let hours = (expiry.unwrap().unix_timestamp() - now().as_secs() + 60) / 3_600;
    assert_eq!(hours, 24);
}

#[tokio::test]
async fn who_may_not_send_polls_sends_none_and_nobody_edits_one() {
    let sim = Sim::start().await;
    let as_bob = json!({ "channel_id": sim.channel("general"), "author_id": sim.user("bob"), "poll": poll() });
    let by_bob = sim.post("/messages", as_bob.clone()).await;
    let not_own = sim.polled(Method::POST, &by_bob, "expire").await;
    assert_eq!(code(&not_own), (403, 50_005));

    let everyone = format!("/channels/{}/permissions/{}", sim.channel("general"), sim.guild());
    let overwrite = json!({ "type": 0, "deny": (1_u64 << 49).to_string() });
    let denied = sim.rest(Method::PUT, &everyone, overwrite).await;
    assert_eq!(denied.0, 204, "{}", denied.1);
    let refused = sim.control(Method::POST, "/messages", as_bob).await;
    assert_eq!(code(&refused), (403, 50_013));

    let body = json!({ "content": "Who is hungry?", "poll": poll() });
    let place = sim.messages_of("recipes");
    let (status, asked) = sim.rest(Method::POST, &place, body).await;
    assert_eq!((status, &asked["content"]), (200, &json!("Who is hungry?")));
    let path = format!("{place}/{}", asked["id"].as_str().unwrap());
    let edited = sim.rest(Method::PATCH, &path, json!({ "content": "Nobody?" })).await;
    assert_eq!(code(&edited), (400, 520_003));
    let said = sim.say("mara", "general", "no poll").await;
    let said = json!({ "id": said });
    assert_eq!(code(&sim.polled(Method::POST, &said, "expire").await), (400, 520_006));
    assert_eq!(code(&sim.polled(Method::GET, &said, "answers/1").await), (404, 10_008));
}

#[tokio::test]
async fn a_poll_is_ended_by_its_author_and_the_channel_hears_the_result() {
    let sim = Sim::start().await;
    let mut bot = Bot::connect(&sim, Intents::all()).await;
    let asked = sim.ask(poll()).await.1;
    assert_eq!(bot.message().await.poll.unwrap().answers.len(), 2);
    for (who, answer) in [("bob", 1), ("alice", 1), ("nils", 2)] {
        assert_eq!(sim.vote(who, &asked, answer).await.0, 200);
    }
    let (status, ended) = sim.polled(Method::POST, &asked, "expire").await;
    assert_eq!(status, 200, "{ended}");
    let results = &ended["poll"]["results"];
    assert_eq!(
        (&results["is_finalized"], &results["answer_counts"][0]["count"]),
        (&json!(true), &json!(2))
    );
    let update = bot.wait_for(|event| matches!(event, Event::MessageUpdate(_))).await;
    let Event::MessageUpdate(update) = update else { unreachable!() };
    assert!(update.0.poll.unwrap().results.unwrap().is_finalized);
    let notice = bot.message().await;
    assert_eq!((notice.kind, notice.author.id), (MessageType::from(46), bot.user));
    let reference = notice.reference.unwrap();
    assert_eq!(reference.message_id.unwrap().to_string(), asked["id"].as_str().unwrap());
    let fields = notice.embeds[0].fields.iter();
    let fields: Vec<_> = fields.map(|field| (field.name.as_str(), field.value.as_str())).collect();
    let expected = [
        ("poll_question_text", "Soup?"),
        ("victor_answer_votes", "2"),
        ("total_votes", "3"),
        ("victor_answer_id", "1"),
        ("victor_answer_text", "Leek"),
        ("victor_answer_emoji_name", "🌿"),
    ];
    assert_eq!((notice.embeds[0].kind.as_str(), fields.as_slice()), ("poll_result", &expected[..]));
    assert_eq!(code(&sim.polled(Method::POST, &asked, "expire").await), (400, 520_001));
    assert_eq!(code(&sim.vote("yuki", &asked, 1).await), (400, 520_001));
}

#[tokio::test]
async fn a_poll_ends_by_itself_once() {
    let clock = Arc::new(ManualClock::at(now()));
    let sim = Sim::start_at(&clock).await;
    let asked = sim.ask(poll()).await.1;
    let gone = sim.ask(poll()).await.1;
    assert_eq!(sim.vote("bob", &asked, 1).await.0, 200);
    assert_eq!(sim.vote("alice", &asked, 2).await.0, 200);
    let path = format!("{}/{}", sim.messages_of("general"), gone["id"].as_str().unwrap());
    assert_eq!(sim.rest(Method::DELETE, &path, Value::Null).await.0, 204);
    clock.advance(Duration::from_mins(59));
    assert_eq!(sim.again(&asked).await["poll"]["results"]["is_finalized"], false);
    clock.advance(Duration::from_mins(2));
    assert_eq!(sim.again(&asked).await["poll"]["results"]["is_finalized"], true);
    clock.advance(Duration::from_hours(1));
    let (_, messages) = sim.rest(Method::GET, &sim.messages_of("general"), Value::Null).await;
    let notices = messages.as_array().unwrap().iter().filter(|message| message["type"] == 46);
    let notices: Vec<&Value> = notices.collect();
    assert_eq!(notices.len(), 1, "{notices:?}");
    // A tie has no victor.
    let names: Vec<&Value> =
        notices[0]["embeds"][0]["fields"].as_array().unwrap().iter().map(|f| &f["name"]).collect();
    assert_eq!(names, ["poll_question_text", "victor_answer_votes", "total_votes"]);
    assert_eq!(notices[0]["message_reference"]["message_id"], asked["id"]);
}

#[tokio::test]
async fn polls_in_direct_messages_and_their_votes_have_intents_of_their_own() {
    let sim = Sim::start().await;
    let wanted = Intents::DIRECT_MESSAGES | Intents::GUILDS | Intents::DIRECT_MESSAGE_POLLS;
    let mut bot = Bot::connect(&sim, wanted | Intents::GUILD_MESSAGES).await;
    let asked = sim.ask(poll()).await.1;
    assert_eq!(sim.vote("bob", &asked, 1).await.0, 200);
    let dm = sim.post("/dms", json!({ "user_id": sim.user("bob") })).await["id"].clone();
    let path = format!("/channels/{}/messages", dm.as_str().unwrap());
    let (status, asked) = sim.rest(Method::POST, &path, json!({ "poll": poll() })).await;
    assert_eq!(status, 200, "{asked}");
    assert_eq!(sim.vote("bob", &asked, 2).await.0, 200);
    // The first vote, in the guild, was not told.
    let event = bot.wait_for(|event| matches!(event, Event::MessagePollVoteAdd(_))).await;
    let Event::MessagePollVoteAdd(vote) = event else { unreachable!() };
    assert_eq!((vote.guild_id, vote.answer_id), (None, 2));
}

#[tokio::test]
async fn without_the_intent_for_content_polls_of_others_are_hidden() {
    let sim = Sim::start().await;
    let mut bot = Bot::connect(&sim, Intents::GUILDS | Intents::GUILD_MESSAGES).await;
    let body = json!({ "channel_id": sim.channel("general"), "author_id": sim.user("bob"), "poll": poll() });
    let by_bob = sim.post("/messages", body).await;
    assert_eq!(by_bob["poll"]["question"]["text"], "Soup?");
    assert!(bot.message().await.poll.is_none());
    assert_eq!(sim.ask(poll()).await.0, 200);
    assert!(bot.message().await.poll.is_some());
}

#[tokio::test]
async fn a_world_file_holds_polls_with_their_votes() {
    let sim = Sim::start().await;
    let asked = sim.ask(poll()).await.1;
    assert_eq!(sim.vote("bob", &asked, 2).await.0, 200);
    let told = sim.get("/world?messages=100").await;
    assert!(told.to_string().contains("\"voter_ids\""));
    let again = sim.again_from(&told).await;
    assert_eq!(again.get("/world?messages=100").await, told);
    assert_eq!(again.again(&asked).await["poll"], sim.again(&asked).await["poll"]);
    // It is still open there, and ends there.
    let (status, ended) = again.polled(Method::POST, &asked, "expire").await;
    assert_eq!((status, &ended["poll"]["results"]["is_finalized"]), (200, &json!(true)));
}

#[tokio::test]
async fn an_answer_that_was_waited_for_may_be_a_poll() {
    let sim = Sim::start().await;
    sim.register(json!({ "name": "ask", "description": "Ask people" })).await;
    let mut bot = Bot::connect(&sim, Intents::all()).await;
    let deed = json!({ "type": "command", "command": "ask" });
    assert_eq!(sim.interact("bob", deed).await.0, 201);
    let interaction = heard(&mut bot).await;
    assert_eq!(sim.answer(&interaction, json!({ "type": 5 })).await.0, 204);
    let whole = json!({ "poll": with(&json!({ "duration": 2.0 })) });
    let (status, asked) = sim.open(Method::POST, &responses(&interaction), whole).await;
    assert_eq!((status, &asked["poll"]["question"]["text"]), (200, &json!("Soup?")));
    assert_eq!(sim.vote("bob", &asked, 2).await.0, 200);
    let (status, ended) = sim.polled(Method::POST, &asked, "expire").await;
    assert_eq!((status, &ended["poll"]["results"]["answer_counts"][0]["id"]), (200, &json!(2)));
}
