//! The gateway against a simulated Discord: sessions that are cut, killed, drained, refused.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod platform;
mod stand;

use std::{collections::HashSet, sync::atomic::Ordering, time::Duration};

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::json;
use twilight_model::id::Id;

use ery_clock::UnixMillis;
use ery_event_bus::ResumePoint;
use ery_gateway::{Discord, GatewayError, Settings};
use ery_ids::{ChannelKey, Home};
use ery_sim_discord::World;

use stand::{Stand, eventually};

#[tokio::test]
async fn a_dispatch_is_published_once_in_order_and_as_discord_sent_it() {
    let stand = Stand::new().await;
    let running = stand.connected().await;
    let said = stand.chat(200);
    assert_eq!(stand.until_published(&said).await, said);
    stand.until_saved().await;

    let publishes = stand.platform.publishes();
    let once: HashSet<_> = publishes.iter().collect();
    assert_eq!(once.len(), publishes.len(), "nothing is published twice");
    let events = stand.platform.events();
    let event = events.iter().find(|event| event.id.0 == said[7]).unwrap();
    let guild = stand.sim.world().first_guild().unwrap();
    assert_eq!(event.home, Home::Guild(guild));
    assert_eq!(event.channel, Some(stand.general()));
    assert_eq!(event.bot, stand.sim.world().user_named("Ery").unwrap());
    let payload: serde_json::Value = serde_json::from_slice(&event.payload).unwrap();
    assert_eq!(payload["content"], "message 7 \"with\" ünusual \u{1F600} text");
    assert_eq!(payload["guild_id"], guild.to_string());

    let tasks = stand.platform.tasks();
    let triggers: Vec<_> = tasks.iter().map(|task| task.trigger.to_string()).collect();
    let expected: Vec<_> = said.iter().map(|id| id.replace("mc.", "m.")).collect();
    assert_eq!(triggers, expected);
    assert_eq!(tasks[7].channel, ChannelKey::new(Some(guild), stand.general()));
    assert_eq!(tasks[7].payload, event.payload);
    running.drain().await;
}

#[tokio::test]
async fn guilds_are_told_and_the_beginning_of_a_session_once() {
    let stand = Stand::new().await;
    let running = stand.connected().await;
    stand.until_saved().await;
    let events = stand.platform.events();
    let guild = events.iter().find(|event| event.kind == "guild_create").unwrap();
    let point = stand.platform.point(0, 1).unwrap();
    assert!(guild.id.0.starts_with(&format!("{}.", point.session)), "{}", guild.id);
    let began: Vec<_> = events.iter().filter(|event| event.kind == "ready").collect();
    assert_eq!(began.len(), 1, "for the direct messages");
    assert_eq!(began[0].id.session(), Some(point.session.as_str()));
    running.drain().await;
}

#[tokio::test]
async fn own_messages_are_events_and_no_tasks() {
    let stand = Stand::new().await;
    let running = stand.connected().await;
    let world = stand.sim.world();
    let own = world.say(world.user_named("Ery").unwrap(), stand.general(), "from Ery").unwrap();
    let said = stand.chat(1);
    let published = stand.until_published(&said).await;
    assert_eq!(published, [format!("mc.{own}"), said[0].clone()]);
    let tasks = stand.platform.tasks();
    assert_eq!(tasks.len(), 1);
    assert_eq!(tasks[0].trigger.to_string(), said[0].replace("mc.", "m."));
    running.drain().await;
}

#[tokio::test]
async fn after_a_kill_the_session_is_resumed_and_nothing_is_lost() {
    let stand = Stand::new().await;
    let first = stand.connected().await;
    let mut said = stand.chat(50);
    stand.until_published(&said).await;
    stand.until_saved().await;
    first.kill().await;
    said.extend(stand.chat(50));
    let second = stand.connected().await;
    assert_eq!(stand.until_published(&said).await, said);
    assert_eq!(stand.platform.tasks().len(), said.len());
    assert_eq!(stand.identifies().await, 1, "the session was resumed");
    second.drain().await;
}

#[tokio::test]
async fn a_kill_before_the_acks_repeats_under_the_same_ids() {
    let stand = Stand::new().await;
    let first = stand.connected().await;
    stand.until_saved().await;
    stand.platform.withhold(true);
    let said = stand.chat(30);
    stand.until_published(&said).await;
    first.kill().await;
    stand.platform.withhold(false);
    let second = stand.connected().await;
    stand.until_saved().await;
    assert_eq!(stand.created(), said);
    let publishes = stand.platform.publishes();
    for id in &said {
        let count = publishes.iter().filter(|published| *published == id).count();
        assert_eq!(count, 2, "{id} was not acknowledged, so it is published again");
    }
    second.drain().await;
}

#[tokio::test]
async fn killed_again_and_again_it_loses_and_reorders_nothing() {
    let stand = Stand::new().await;
    let mut running = stand.connected().await;
    stand.until_saved().await;
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut said = Vec::new();
    for _ in 0..10 {
        said.extend(stand.chat(random.random_range(1..40)));
        tokio::time::sleep(Duration::from_millis(random.random_range(0..40))).await;
        said.extend(stand.chat(random.random_range(1..10)));
        running.kill().await;
        running = stand.start();
    }
    assert_eq!(stand.until_published(&said).await, said);
    assert_eq!(stand.platform.tasks().len(), said.len());
    assert_eq!(stand.identifies().await, 1);
    running.drain().await;
}

#[tokio::test]
async fn after_a_drain_nothing_is_published_again() {
    let stand = Stand::new().await;
    let first = stand.connected().await;
    let mut said = stand.chat(20);
    stand.until_published(&said).await;
    first.drain().await;
    let sessions = stand.control("/gateway").await;
    let session = &sessions["sessions"][0];
    assert_eq!(session["connected"], false, "closed so that it can be resumed");
    let point = stand.platform.point(0, 1).unwrap();
    assert_eq!(Some(point.sequence), session["sequence"].as_u64());

    said.extend(stand.chat(20));
    let second = stand.connected().await;
    assert_eq!(stand.until_published(&said).await, said);
    let publishes = stand.platform.publishes();
    assert_eq!(publishes.iter().collect::<HashSet<_>>().len(), publishes.len());
    assert_eq!(stand.identifies().await, 1);
    second.drain().await;
}

#[tokio::test]
async fn the_resume_point_stands_while_acks_are_missing() {
    let stand = Stand::new().await;
    let running = stand.connected().await;
    stand.until_saved().await;
    let before = stand.platform.point(0, 1).unwrap();
    stand.platform.withhold(true);
    let said = stand.chat(10);
    stand.until_published(&said).await;
    // Several saves would have been due by now.
    tokio::time::sleep(10 * Stand::settings().resume_save_interval).await;
    assert_eq!(stand.platform.point(0, 1).unwrap(), before);
    stand.platform.withhold(false);
    stand.until_saved().await;
    assert_eq!(stand.platform.point(0, 1).unwrap().sequence, before.sequence + 10);
    running.drain().await;
}

#[tokio::test]
async fn a_cut_connection_and_a_wish_to_reconnect_are_resumed() {
    let stand = Stand::new().await;
    let running = stand.connected().await;
    let mut said = stand.chat(10);
    for deed in ["drop", "reconnect"] {
        stand.until_published(&said).await;
        stand.disturb(deed).await;
        said.extend(stand.chat(10));
        assert_eq!(stand.until_published(&said).await, said, "{deed}");
        stand.until_sessions(1).await;
    }
    assert_eq!(stand.identifies().await, 1);
    running.drain().await;
}

#[tokio::test]
async fn a_refused_session_is_begun_anew() {
    let stand = Stand::new().await;
    let running = stand.connected().await;
    stand.until_saved().await;
    let before = stand.platform.point(0, 1).unwrap();
    stand.disturb("invalid").await;
    let after = eventually("a new session is saved", || async {
        stand.platform.point(0, 1).filter(|point| point.session != before.session)
    })
    .await;
    assert_eq!(after.bot, before.bot);
    assert_eq!(stand.identifies().await, 2);
    assert_eq!(stand.platform.identifies().len(), 2, "each asked for a slot");
    let said = stand.chat(5);
    assert_eq!(stand.until_published(&said).await, said);
    running.drain().await;
}

#[tokio::test]
async fn two_shards_divide_the_guilds() {
    let stand = Stand::new().await;
    let mut homes = HashSet::from([stand.sim.world().first_guild().unwrap().get()]);
    let is_split = |homes: &HashSet<u64>| {
        homes.iter().map(|guild| (guild >> 22) % 2).collect::<HashSet<_>>().len() == 2
    };
    while !is_split(&homes) {
        let guild = stand.post("/guilds", json!({ "name": "Another", "channels": ["talk"] })).await;
        homes.insert(guild["id"].as_str().unwrap().parse().unwrap());
    }
    let settings = Settings { shards: Some(2), ..Stand::settings() };
    let running = stand.start_with(settings, stand.discord());
    stand.until_sessions(2).await;
    let told = eventually("every guild is told", || async {
        let events = stand.platform.events();
        let guilds = events.iter().filter(|event| event.kind == "guild_create");
        let told: Vec<u64> = guilds.filter_map(|event| Some(event.home.guild()?.get())).collect();
        (told.len() >= homes.len()).then_some(told)
    })
    .await;
    let events = stand.platform.events();
    let began = events.iter().filter(|event| event.kind == "ready").count();
    assert_eq!(began, 1, "direct messages come on the first shard alone");
    assert_eq!(told.len(), homes.len(), "each guild by one shard");
    assert_eq!(told.into_iter().collect::<HashSet<_>>(), homes);
    for number in 0..2 {
        assert!(stand.platform.holder(&format!("gateway-shard:2:{number}")).is_some());
        eventually("the point is saved", || async { stand.platform.point(number, 2) }).await;
    }
    running.drain().await;
    assert_eq!(stand.platform.holder("gateway-shard:2:0"), None);
}

#[tokio::test]
async fn a_second_replica_waits_for_the_claim_and_resumes() {
    let stand = Stand::new().await;
    let first = stand.connected().await;
    let second = stand.start();
    let mut said = stand.chat(10);
    stand.until_published(&said).await;
    assert_eq!(stand.platform.holder("gateway-shard:1:0"), Some(first.replica.clone()));
    first.drain().await;
    said.extend(stand.chat(10));
    assert_eq!(stand.until_published(&said).await, said);
    assert_eq!(stand.platform.holder("gateway-shard:1:0"), Some(second.replica.clone()));
    assert_eq!(stand.identifies().await, 1);
    second.drain().await;
}

#[tokio::test]
async fn a_lost_claim_is_claimed_again_and_resumed() {
    let stand = Stand::new().await;
    let running = stand.connected().await;
    let mut said = stand.chat(10);
    stand.until_published(&said).await;
    stand.until_saved().await;
    stand.platform.revoke("gateway-shard:1:0");
    said.extend(stand.chat(10));
    assert_eq!(stand.until_published(&said).await, said);
    assert_eq!(stand.identifies().await, 1);
    running.drain().await;
}

#[tokio::test]
async fn a_shard_moves_to_the_replica_that_should_have_it() {
    let stand = Stand::new().await;
    let settings = || Settings { rebalance_after: Duration::from_secs(1), ..Stand::settings() };
    let first = stand.start_with(settings(), stand.discord());
    stand.until_sessions(1).await;
    // Of enough replicas one is preferred to the first; its id is taken on by the list alone.
    let mut second = stand.start_with(settings(), stand.discord());
    let is_preferred = |id: &ery_ids::ReplicaId| {
        let replicas = [&first.replica, id].map(|id| ery_membership::Replica {
            id: id.clone(),
            service: ery_ids::ServiceName::Gateway,
            address: String::new(),
        });
        ery_membership::rendezvous(0, &replicas).unwrap().id == *id
    };
    while !is_preferred(&second.replica) {
        second.drain().await;
        second = stand.start_with(settings(), stand.discord());
    }
    let mut said = stand.chat(5);
    stand.until_published(&said).await;
    stand.platform.set_replicas(&[&first.replica, &second.replica]);
    eventually("the shard moves", || async {
        (stand.platform.holder("gateway-shard:1:0")? == second.replica).then_some(())
    })
    .await;
    said.extend(stand.chat(5));
    assert_eq!(stand.until_published(&said).await, said);
    assert_eq!(stand.identifies().await, 1, "it moved by a resume");
    first.drain().await;
    second.drain().await;
}

#[tokio::test]
async fn a_bus_that_takes_nothing_makes_discord_the_buffer() {
    let stand = Stand::new().await;
    let settings = Settings {
        publish_window: 4,
        stall_limit: Duration::from_millis(300),
        ..Stand::settings()
    };
    let running = stand.start_with(settings, stand.discord());
    stand.until_sessions(1).await;
    stand.until_saved().await;
    stand.platform.withhold(true);
    let said = stand.chat(40);
    eventually("the shard is closed", || async {
        let sessions = stand.control("/gateway").await;
        (sessions["sessions"][0]["connected"] == false).then_some(())
    })
    .await;
    assert!(stand.created().len() <= 4, "no more than the window was taken");
    stand.platform.withhold(false);
    assert_eq!(stand.until_published(&said).await, said);
    assert_eq!(stand.identifies().await, 1);
    running.drain().await;
}

#[tokio::test]
async fn another_bots_resume_point_is_left_alone() {
    let stand = Stand::new().await;
    let foreign = ResumePoint {
        session: "another-bots".into(),
        resume_url: stand.sim.gateway_url(),
        sequence: 5,
        bot: Id::new(1),
        saved_at: UnixMillis(0),
    };
    stand.platform.set_point(0, 1, foreign);
    let running = stand.connected().await;
    stand.until_saved().await;
    assert_ne!(stand.platform.point(0, 1).unwrap().session, "another-bots");
    running.drain().await;
}

#[tokio::test]
async fn a_session_that_discord_has_forgotten_is_begun_anew() {
    let stand = Stand::new().await;
    let forgotten = ResumePoint {
        session: "forgotten".into(),
        resume_url: stand.sim.gateway_url(),
        sequence: 5,
        bot: stand.sim.world().user_named("Ery").unwrap(),
        saved_at: UnixMillis(0),
    };
    stand.platform.set_point(0, 1, forgotten);
    let running = stand.connected().await;
    let said = stand.chat(3);
    assert_eq!(stand.until_published(&said).await, said);
    stand.until_saved().await;
    running.drain().await;
}

#[tokio::test]
async fn a_resume_address_that_does_not_answer_gives_way() {
    let stand = Stand::new().await;
    let first = stand.connected().await;
    let mut said = stand.chat(3);
    stand.until_published(&said).await;
    first.drain().await;
    let mut point = stand.platform.point(0, 1).unwrap();
    point.resume_url = "ws://127.0.0.1:1".into();
    stand.platform.set_point(0, 1, point);
    said.extend(stand.chat(3));
    let second = stand.connected().await;
    assert_eq!(stand.until_published(&said).await, said);
    assert_eq!(stand.identifies().await, 1);
    second.drain().await;
}

#[tokio::test]
async fn a_young_session_is_resumed_at_the_address_that_discord_gave_it() {
    let stand = Stand::new().await;
    let detour = stand.detour().await;
    let discord = Discord { gateway_url: Some(detour.url.clone()), ..stand.discord() };
    let first = stand.start_with(Stand::settings(), discord);
    stand.until_sessions(1).await;
    let mut said = stand.chat(3);
    stand.until_published(&said).await;
    first.drain().await;
    assert_eq!(stand.platform.point(0, 1).unwrap().resume_url, detour.url);

    let second = stand.connected().await;
    // Each time within its first ten seconds.
    for resumed in [3, 4] {
        stand.disturb("drop").await;
        said.extend(stand.chat(3));
        assert_eq!(stand.until_published(&said).await, said);
        assert_eq!(detour.connections.load(Ordering::SeqCst), resumed);
    }
    assert_eq!(stand.identifies().await, 1);
    second.drain().await;
}

#[tokio::test]
async fn the_gateways_address_is_discords_where_none_is_set() {
    let stand = Stand::new().await;
    let discord = Discord { gateway_url: None, ..stand.discord() };
    let running = stand.start_with(Stand::settings(), discord);
    stand.until_sessions(1).await;
    running.drain().await;
}

#[tokio::test]
async fn a_refused_token_is_said_in_one_line() {
    let stand = Stand::new().await;
    let discord = Discord { token: "wrong".to_owned().into(), ..stand.discord() };
    let error = stand.start_with(Stand::settings(), discord).error().await;
    assert!(error.is_bad_settings());
    assert_eq!(error.to_string(), "Discord refused the token: check ERY_DISCORD__TOKEN");
}

#[tokio::test]
async fn refused_intents_say_what_to_enable() {
    let stand = Stand::new().await;
    let mut world = stand.control("/world").await;
    world["bots"][0]["privileged_intents"] = json!(false);
    let world = World::from_json(&serde_json::to_vec(&world).unwrap(), UnixMillis(0)).unwrap();
    let stand = Stand::in_world(Some(world)).await;
    let error = stand.start().error().await;
    assert!(matches!(error, GatewayError::PrivilegedIntents), "{error}");
    assert!(error.to_string().contains("developer portal"), "{error}");
}

#[tokio::test]
async fn a_discord_that_cannot_be_reached_is_named_after_a_while() {
    let stand = Stand::new().await;
    let discord = Discord { api_url: "http://127.0.0.1:1/api/v10".into(), ..stand.discord() };
    let error = stand.start_with(Stand::settings(), discord).error().await;
    assert!(!error.is_bad_settings());
    assert_eq!(error.to_string(), "Discord at 127.0.0.1:1 could not be reached for 2s");
}

#[tokio::test]
async fn addresses_that_are_none_are_named() {
    let stand = Stand::new().await;
    let bad_api = Discord { api_url: stand.sim.control_url(), ..stand.discord() };
    let bad_gateway = Discord { gateway_url: Some("http://127.0.0.1".into()), ..stand.discord() };
    for (discord, key) in [(bad_api, "discord.api_url"), (bad_gateway, "discord.gateway_url")] {
        let error = stand.start_with(Stand::settings(), discord).error().await;
        assert!(error.is_bad_settings());
        assert!(error.to_string().contains(key), "{error}");
    }
}

#[tokio::test]
async fn a_drain_during_the_start_ends_at_once() {
    let stand = Stand::new().await;
    let discord = Discord { api_url: "http://127.0.0.1:1/api/v10".into(), ..stand.discord() };
    let settings = Settings { start_patience: Duration::from_mins(10), ..Stand::settings() };
    stand.start_with(settings, discord).drain().await;
}
