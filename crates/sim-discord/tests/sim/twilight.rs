//! An unmodified twilight logs in, talks, is cut off, and goes on.

use std::time::Duration;

use serde_json::json;

use twilight_gateway::{Event, EventTypeFlags};
use twilight_model::gateway::Intents;

use crate::support::{Bot, Sim, now};

#[tokio::test]
async fn logs_in_over_zstd_hears_a_message_and_replies() {
    let sim = Sim::start().await;
    let mut bot = Bot::connect(&sim, Intents::all()).await;
    let guild = bot.guild.clone();
    assert_eq!(guild.name, "Harbour Café");
    assert_eq!((guild.channels.len(), guild.roles.len(), guild.member_count), (6, 6, Some(8)));

    let said = sim.say("bob", "general", "hello there").await;
    let heard = bot.message().await;
    assert_eq!((heard.id.to_string(), heard.content.as_str()), (said.clone(), "hello there"));
    assert_eq!(heard.author.name, "bob");
    assert_eq!(heard.guild_id, Some(guild.id));
    assert_eq!(heard.member.unwrap().roles.len(), 1);

    let http = sim.http();
    let answer = http
        .create_message(heard.channel_id)
        .content("hello bob")
        .reply(heard.id)
        .await
        .unwrap()
        .model()
        .await
        .unwrap();
    assert_eq!(answer.referenced_message.unwrap().content, "hello there");
    let own = bot.message().await;
    assert_eq!((own.id, own.author.id), (answer.id, bot.user));
    assert_eq!(own.mentions[0].name, "bob");
}

#[tokio::test]
async fn resumes_after_a_cut_without_gap_or_repeat() {
    let sim = Sim::start().await;
    let mut bot = Bot::connect(&sim, Intents::all()).await;
    let before = sim.say("bob", "general", "one").await;
    assert_eq!(bot.message().await.id.to_string(), before);

    sim.post("/gateway", json!({ "do": "drop" })).await;
    let mut missed = Vec::new();
    for index in 0..20 {
        missed.push(sim.say("bob", "general", &format!("missed {index}")).await);
    }
    let mut heard = Vec::new();
    let mut resumed = false;
    while heard.len() < 20 || !resumed {
        match bot.event().await {
            Event::MessageCreate(message) => heard.push(message.id.to_string()),
            Event::Resumed => resumed = true,
            Event::Ready(_) => panic!("it had to identify anew"),
            _ => {}
        }
    }
    assert_eq!(heard, missed);
    let after = sim.say("bob", "general", "after").await;
    assert_eq!(bot.message().await.id.to_string(), after);
    assert_eq!(sim.get("/gateway").await["identifies"], 1);
}

#[tokio::test]
async fn obeys_a_request_to_reconnect_and_resumes() {
    let sim = Sim::start().await;
    let mut bot = Bot::connect(&sim, Intents::all()).await;
    sim.post("/gateway", json!({ "do": "reconnect" })).await;
    bot.wait_for(|event| matches!(event, Event::Resumed)).await;
    let said = sim.say("bob", "general", "still here?").await;
    assert_eq!(bot.message().await.id.to_string(), said);
}

#[tokio::test]
async fn identifies_anew_when_its_session_is_invalid() {
    let sim = Sim::start().await;
    let mut bot = Bot::connect(&sim, Intents::all()).await;
    sim.post("/gateway", json!({ "do": "invalid" })).await;
    bot.wait_for(|event| matches!(event, Event::GatewayInvalidateSession(false))).await;
    bot.wait_for(|event| matches!(event, Event::Ready(_))).await;
    bot.wait_for(|event| matches!(event, Event::GuildCreate(_))).await;
    let said = sim.say("bob", "general", "again").await;
    assert_eq!(bot.message().await.id.to_string(), said);
    assert_eq!(sim.get("/gateway").await["identifies"], 2);
}

#[tokio::test]
async fn every_dispatch_can_be_read_by_the_typed_models() {
    let sim = Sim::start().await;
    let mut bot = Bot::connect(&sim, Intents::all()).await;
    let http = sim.http();
    let (guild, general) = (bot.guild.id, sim.channel("general"));
    let bob = sim.user("bob");
    let said = sim.say("bob", "general", "look").await.parse().unwrap();
    let emoji =
        twilight_http::request::channel::reaction::RequestReactionType::Unicode { name: "👍" };
    http.create_reaction(general, said, &emoji).await.unwrap();
    http.delete_current_user_reaction(general, said, &emoji).await.unwrap();
    http.create_pin(general, said).await.unwrap();
    http.create_typing_trigger(general).await.unwrap();
    let until = twilight_model::util::Timestamp::from_secs(now().as_secs() + 600).unwrap();
    http.update_guild_member(guild, bob).communication_disabled_until(Some(until)).await.unwrap();
    let member = http.guild_member(guild, bob).await.unwrap().model().await.unwrap();
    assert_eq!(member.communication_disabled_until, Some(until));
    http.delete_message(general, said).await.unwrap();
    http.create_ban(guild, bob).await.unwrap();
    http.delete_ban(guild, bob).await.unwrap();
    let joined = json!({ "guild_id": guild, "username": "newcomer" });
    sim.post("/members", joined).await;

    let mut seen = EventTypeFlags::empty();
    let wanted = EventTypeFlags::MESSAGE_CREATE
        | EventTypeFlags::REACTION_ADD
        | EventTypeFlags::REACTION_REMOVE
        | EventTypeFlags::CHANNEL_PINS_UPDATE
        | EventTypeFlags::MESSAGE_UPDATE
        | EventTypeFlags::TYPING_START
        | EventTypeFlags::MEMBER_UPDATE
        | EventTypeFlags::MESSAGE_DELETE
        | EventTypeFlags::BAN_ADD
        | EventTypeFlags::MEMBER_REMOVE
        | EventTypeFlags::BAN_REMOVE
        | EventTypeFlags::GUILD_AUDIT_LOG_ENTRY_CREATE
        | EventTypeFlags::MEMBER_ADD;
    while !seen.contains(wanted) {
        seen |= EventTypeFlags::from(bot.event().await.kind());
    }
    let log = http.audit_log(guild).await.unwrap().model().await.unwrap();
    assert_eq!(log.entries.len(), 5);
    assert!(log.users.iter().any(|user| user.id == bob));
}

#[tokio::test]
async fn a_client_without_heartbeats_is_hung_up_on() {
    let sim =
        Sim::start_with(|options| options.heartbeat_interval = Duration::from_millis(100)).await;
    let mut bot = Bot::connect(&sim, Intents::all()).await;
    // twilight keeps its heartbeats, so that nothing happens to it for many intervals.
    let said = sim.say("bob", "general", "beating").await;
    assert_eq!(bot.message().await.id.to_string(), said);
    sim.post("/gateway", json!({ "do": "stall" })).await;
    // Without answers it finds the connection dead, and resumes by itself.
    bot.wait_for(|event| matches!(event, Event::Resumed)).await;
}
