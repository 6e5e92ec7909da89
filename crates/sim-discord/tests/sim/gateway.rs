//! The Gateway as bare frames: what it refuses, what it hides, how it packs.

use std::{io::Write as _, sync::Arc, time::Duration};

use ery_sim_discord::DEMO_TOKEN;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, protocol::frame::coding::CloseCode},
};

use crate::{
    contract::Contract,
    support::{PATIENCE, Sim},
};

pub(crate) const ALL_INTENTS: u64 = 0x1_FFFF;
pub(crate) const GUILD_MESSAGES: u64 = 1 << 9;

/// A bare connection to the Gateway.
pub(crate) struct Socket(pub(crate) WebSocketStream<TcpStream>, Arc<Contract>);

impl Socket {
    pub(crate) async fn connect(sim: &Sim, query: &str) -> Self {
        let stream = TcpStream::connect(sim.sim.addr()).await.unwrap();
        let url = format!("{}{query}", sim.sim.gateway_url());
        Self(client_async(url, stream).await.unwrap().0, Arc::clone(&sim.contract))
    }

    /// Connects, and takes HELLO.
    pub(crate) async fn greeted(sim: &Sim) -> Self {
        let mut socket = Self::connect(sim, "/?v=10&encoding=json").await;
        assert_eq!(socket.frame().await["op"], 10);
        socket
    }

    pub(crate) async fn identified(sim: &Sim, intents: u64) -> (Self, Value) {
        let mut socket = Self::greeted(sim).await;
        socket.send(identify(intents, [0, 1])).await;
        let ready = socket.dispatch("READY").await;
        (socket, ready)
    }

    pub(crate) async fn send(&mut self, frame: Value) {
        self.0.send(Message::text(frame.to_string())).await.unwrap();
    }

    pub(crate) async fn message(&mut self) -> Message {
        timeout(PATIENCE, self.0.next()).await.unwrap().unwrap().unwrap()
    }

    pub(crate) async fn frame(&mut self) -> Value {
        let message = self.message().await;
        let text = message.to_text().unwrap();
        self.1.heard(text);
        serde_json::from_str(text).unwrap()
    }

    /// Waits for a dispatch by its name; returns the whole frame.
    pub(crate) async fn dispatch(&mut self, name: &str) -> Value {
        loop {
            let frame = self.frame().await;
            if frame["t"] == name {
                return frame;
            }
        }
    }

    pub(crate) async fn close_code(&mut self) -> u16 {
        loop {
            if let Message::Close(frame) = self.message().await {
                return frame.map_or(0, |frame| frame.code.into());
            }
        }
    }
}

pub(crate) fn identify(intents: u64, shard: [u64; 2]) -> Value {
    let properties = json!({ "os": "linux", "browser": "test", "device": "test" });
    json!({ "op": 2, "d": {
        "token": DEMO_TOKEN, "intents": intents, "shard": shard, "properties": properties
    } })
}

#[tokio::test]
async fn what_is_wrong_is_closed_with_its_code() {
    let sim = Sim::start().await;
    let mut wrong_token = identify(0, [0, 1]);
    wrong_token["d"]["token"] = json!("nobody's");
    let table = [
        (json!({ "op": 77, "d": null }), 4001),
        (json!("no object"), 4002),
        (json!({ "op": 2, "d": { "token": 5 } }), 4002),
        (json!({ "op": 2, "d": { "token": DEMO_TOKEN, "intents": 0 } }), 4002),
        (json!({ "op": 3, "d": null }), 4002),
        (json!({ "op": 3, "d": { "status": "idle", "activities": [] } }), 4003),
        (json!({ "op": 4, "d": { "guild_id": "1", "channel_id": null } }), 4003),
        (json!({ "op": 8, "d": { "guild_id": "1", "query": "", "limit": 0 } }), 4003),
        (wrong_token, 4004),
        (identify(0, [2, 2]), 4010),
        (with_shard(json!("first")), 4010),
        (with_shard(json!([0])), 4010),
        (identify(1 << 40, [0, 1]), 4013),
    ];
    for (frame, code) in table {
        let mut socket = Socket::greeted(&sim).await;
        socket.send(frame.clone()).await;
        assert_eq!(socket.close_code().await, code, "{frame}");
    }
    let (mut socket, _) = Socket::identified(&sim, 0).await;
    socket.send(identify(0, [0, 1])).await;
    assert_eq!(socket.close_code().await, 4005);
}

fn with_shard(shard: Value) -> Value {
    let mut frame = identify(0, [0, 1]);
    frame["d"]["shard"] = shard;
    frame
}

#[tokio::test]
async fn what_is_no_frame_of_json_is_undecodable() {
    let sim = Sim::start().await;
    let long = json!({ "op": 1, "d": null, "x": "x".repeat(4_096) }).to_string();
    let huge = "x".repeat(2 * 1024 * 1024);
    for message in [
        Message::text("{\"op\":1"),
        Message::text("null"),
        Message::text(long),
        Message::text(huge),
        Message::binary(vec![0xFF, 0xFE]),
    ] {
        let mut socket = Socket::greeted(&sim).await;
        // The other side may have hung up on the rest of a huge frame already.
        let sent = socket.0.send(message).await;
        assert_eq!(socket.close_code().await, 4002, "{sent:?}");
    }
}

#[tokio::test]
async fn text_that_is_not_utf8_is_undecodable() {
    let sim = Sim::start().await;
    let mut socket = Socket::greeted(&sim).await;
    // A masked text frame of two bytes, written past the library, which would not.
    let frame = [0x81, 0x82, 0, 0, 0, 0, 0xC3, 0x28];
    socket.0.get_mut().write_all(&frame).await.unwrap();
    assert_eq!(socket.close_code().await, 4002);
}

#[tokio::test]
async fn unknown_ways_of_speaking_are_refused() {
    let sim = Sim::start().await;
    for (query, code) in [
        ("/?v=10&encoding=etf", 4002),
        ("/?v=3&encoding=json", 4012),
        ("/?v=10&encoding=json&compress=brotli", 4002),
    ] {
        assert_eq!(Socket::connect(&sim, query).await.close_code().await, code, "{query}");
    }
    // Two slashes are as good as one.
    assert_eq!(Socket::connect(&sim, "//?v=10&encoding=json").await.frame().await["op"], 10);
}

#[tokio::test]
async fn heartbeats_are_answered_and_missed() {
    let sim =
        Sim::start_with(|options| options.heartbeat_interval = Duration::from_millis(200)).await;
    let mut socket = Socket::connect(&sim, "/").await;
    assert_eq!(socket.frame().await["d"]["heartbeat_interval"], 200);
    socket.send(json!({ "op": 1, "d": null })).await;
    assert_eq!(socket.frame().await["op"], 11);
    assert_eq!(socket.close_code().await, 4009);
}

#[tokio::test]
async fn too_many_frames_are_too_many() {
    let sim = Sim::start().await;
    let mut socket = Socket::greeted(&sim).await;
    for _ in 0..121 {
        socket.send(json!({ "op": 1, "d": null })).await;
    }
    assert_eq!(socket.close_code().await, 4008);
}

#[tokio::test]
async fn ready_says_where_to_resume_and_a_guild_follows() {
    let sim = Sim::start().await;
    let (mut socket, ready) = Socket::identified(&sim, ALL_INTENTS).await;
    assert_eq!((&ready["s"], &ready["op"]), (&json!(1), &json!(0)));
    assert_eq!(ready["d"]["resume_gateway_url"], sim.sim.gateway_url());
    assert_eq!(ready["d"]["guilds"], json!([{ "id": sim.guild(), "unavailable": true }]));
    assert_eq!(ready["d"]["shard"], json!([0, 1]));
    let guild = socket.dispatch("GUILD_CREATE").await;
    assert_eq!(guild["s"], 2);
    assert_eq!(guild["d"]["members"].as_array().unwrap().len(), 8);
}

#[tokio::test]
async fn without_presences_the_bot_alone_is_named() {
    let sim = Sim::start().await;
    let (mut socket, _) = Socket::identified(&sim, ALL_INTENTS & !(1 << 8)).await;
    let guild = socket.dispatch("GUILD_CREATE").await;
    assert_eq!(guild["d"]["members"].as_array().unwrap().len(), 1);
    assert_eq!(guild["d"]["member_count"], 8);
    sim.control(reqwest::Method::PATCH, "/settings", json!({ "full_member_lists": true })).await;
    let (mut socket, _) = Socket::identified(&sim, ALL_INTENTS & !(1 << 8)).await;
    let guild = socket.dispatch("GUILD_CREATE").await;
    assert_eq!(guild["d"]["members"].as_array().unwrap().len(), 8);
}

#[tokio::test]
async fn members_come_in_answer_to_a_request() {
    let sim = Sim::start().await;
    let (mut socket, _) = Socket::identified(&sim, ALL_INTENTS).await;
    let all = json!({ "guild_id": sim.guild(), "query": "", "limit": 0, "nonce": "n" });
    socket.send(json!({ "op": 8, "d": all })).await;
    let chunk = socket.dispatch("GUILD_MEMBERS_CHUNK").await["d"].clone();
    assert_eq!((&chunk["chunk_index"], &chunk["chunk_count"]), (&json!(0), &json!(1)));
    assert_eq!((chunk["members"].as_array().unwrap().len(), &chunk["nonce"]), (8, &json!("n")));
    let one = json!({ "guild_id": sim.guild(), "user_ids": [sim.user("bob"), "7"] });
    socket.send(json!({ "op": 8, "d": one })).await;
    let chunk = socket.dispatch("GUILD_MEMBERS_CHUNK").await["d"].clone();
    assert_eq!(chunk["members"][0]["user"]["username"], "bob");
    assert_eq!(chunk["not_found"], json!(["7"]));
}

#[tokio::test]
async fn content_is_hidden_from_whom_it_does_not_concern() {
    let sim = Sim::start().await;
    let (mut socket, ready) = Socket::identified(&sim, GUILD_MESSAGES).await;
    let bot = ready["d"]["user"]["id"].as_str().unwrap().to_owned();
    sim.say("bob", "general", "a secret").await;
    let hidden = socket.dispatch("MESSAGE_CREATE").await["d"].clone();
    assert_eq!((&hidden["content"], &hidden["embeds"]), (&json!(""), &json!([])));
    assert_eq!(hidden["author"]["username"], "bob");
    sim.say("bob", "general", &format!("<@{bot}> for you")).await;
    let mentioned = socket.dispatch("MESSAGE_CREATE").await["d"].clone();
    assert_eq!(mentioned["content"], format!("<@{bot}> for you"));
    assert_eq!(mentioned["mentions"][0]["member"]["roles"].as_array().unwrap().len(), 1);
    let own = json!({ "content": "mine" });
    sim.rest(reqwest::Method::POST, &format!("/channels/{}/messages", sim.channel("general")), own)
        .await;
    assert_eq!(socket.dispatch("MESSAGE_CREATE").await["d"]["content"], "mine");
}

#[tokio::test]
async fn only_what_the_intents_name_is_heard() {
    let sim = Sim::start().await;
    let (mut socket, _) = Socket::identified(&sim, GUILD_MESSAGES).await;
    let typing = json!({ "channel_id": sim.channel("general"), "user_id": sim.user("bob") });
    sim.post("/typing", typing).await;
    sim.say("bob", "general", "heard").await;
    // The typing came first, and was not for this session.
    assert_eq!(socket.frame().await["t"], "MESSAGE_CREATE");
}

#[tokio::test]
async fn what_the_bot_may_not_see_it_does_not_hear() {
    let sim = Sim::start().await;
    let (mut socket, ready) = Socket::identified(&sim, GUILD_MESSAGES).await;
    let channel = sim.channel("staff");
    let overwrites = json!([{ "id": ready["d"]["user"]["id"], "type": 1, "deny": "1024" }]);
    let change = json!({ "permission_overwrites": overwrites });
    sim.control(reqwest::Method::PATCH, &format!("/channels/{channel}"), change).await;
    sim.say("theo", "staff", "between us").await;
    sim.say("theo", "general", "to all").await;
    assert_eq!(socket.frame().await["d"]["channel_id"], json!(sim.channel("general")));
}

#[tokio::test]
async fn a_direct_message_goes_to_shard_zero_alone() {
    let sim = Sim::start().await;
    let guild_shard = (sim.guild().get() >> 22) % 2;
    let mut sockets = Vec::new();
    for shard in 0..2 {
        let mut socket = Socket::greeted(&sim).await;
        socket.send(identify(ALL_INTENTS, [shard, 2])).await;
        let ready = socket.dispatch("READY").await;
        let guilds = ready["d"]["guilds"].as_array().unwrap().len();
        assert_eq!(guilds, usize::from(shard == guild_shard));
        sockets.push(socket);
    }
    let dm = sim.post("/dms", json!({ "user_id": sim.user("bob") })).await;
    let speech = json!({ "channel_id": dm["id"], "author_id": sim.user("bob"), "content": "psst" });
    sim.post("/messages", speech).await;
    sim.say("bob", "general", "to all").await;
    let heard = sockets[0].dispatch("MESSAGE_CREATE").await["d"].clone();
    assert_eq!((&heard["content"], heard.get("guild_id")), (&json!("psst"), None));
    let other = sockets[usize::try_from(guild_shard).unwrap()].dispatch("MESSAGE_CREATE").await;
    assert_eq!(other["d"]["content"], "to all");
}

#[tokio::test]
async fn a_resume_replays_everything_after_the_sequence() {
    let sim = Sim::start().await;
    let (mut socket, ready) = Socket::identified(&sim, GUILD_MESSAGES).await;
    let session = ready["d"]["session_id"].clone();
    sim.say("bob", "general", "heard").await;
    let last = socket.dispatch("MESSAGE_CREATE").await["s"].as_u64().unwrap();
    drop(socket);
    for index in 0..3 {
        sim.say("bob", "general", &format!("missed {index}")).await;
    }
    let resume = |seq: u64| json!({ "op": 6, "d": { "token": DEMO_TOKEN, "session_id": session, "seq": seq } });
    let mut socket = Socket::greeted(&sim).await;
    socket.send(resume(last)).await;
    for offset in 1..=4 {
        let frame = socket.frame().await;
        assert_eq!(frame["s"].as_u64().unwrap(), last + offset);
        let is_last = offset == 4;
        assert_eq!(frame["t"], if is_last { "RESUMED" } else { "MESSAGE_CREATE" });
    }
    // A second resume takes the session over, and the first connection is cut.
    let mut thief = Socket::greeted(&sim).await;
    thief.send(resume(last + 4)).await;
    assert_eq!(thief.frame().await["t"], "RESUMED");
    let mut future = Socket::greeted(&sim).await;
    future.send(resume(last + 99)).await;
    assert_eq!(future.close_code().await, 4007);
}

#[tokio::test]
async fn dispatches_can_come_twice_on_order() {
    let sim = Sim::start().await;
    let (mut socket, _) = Socket::identified(&sim, GUILD_MESSAGES).await;
    sim.say("bob", "general", "twice").await;
    let once = socket.frame().await;
    sim.post("/gateway", json!({ "do": "repeat", "count": 1 })).await;
    assert_eq!(socket.frame().await, once);
}

#[tokio::test]
async fn a_session_that_was_closed_for_good_is_over() {
    let sim = Sim::start().await;
    let (mut socket, ready) = Socket::identified(&sim, GUILD_MESSAGES).await;
    let frame = tokio_tungstenite::tungstenite::protocol::CloseFrame {
        code: CloseCode::Normal,
        reason: "".into(),
    };
    socket.0.close(Some(frame)).await.unwrap();
    while timeout(PATIENCE, socket.0.next()).await.unwrap().is_some() {}
    let mut socket = Socket::greeted(&sim).await;
    let d = json!({ "token": DEMO_TOKEN, "session_id": ready["d"]["session_id"], "seq": 1 });
    socket.send(json!({ "op": 6, "d": d })).await;
    assert_eq!(socket.frame().await, json!({ "op": 9, "d": false, "s": null, "t": null }));
    // On the same connection it may identify anew.
    socket.send(identify(0, [0, 1])).await;
    assert_eq!(socket.frame().await["t"], "READY");
}

#[tokio::test]
async fn more_than_the_buffer_holds_cannot_be_resumed() {
    let sim = Sim::start_with(|options| options.replay_capacity = 3).await;
    let (socket, ready) = Socket::identified(&sim, GUILD_MESSAGES).await;
    drop(socket);
    for index in 0..4 {
        sim.say("bob", "general", &format!("missed {index}")).await;
    }
    let mut socket = Socket::greeted(&sim).await;
    let d = json!({ "token": DEMO_TOKEN, "session_id": ready["d"]["session_id"], "seq": 1 });
    socket.send(json!({ "op": 6, "d": d })).await;
    assert_eq!(socket.frame().await["op"], 9);
}

#[tokio::test]
async fn a_slow_connection_is_cut_and_may_resume() {
    let sim = Sim::start_with(|options| options.queue_capacity = 4).await;
    let (mut socket, ready) = Socket::identified(&sim, GUILD_MESSAGES).await;
    sim.post("/gateway", json!({ "do": "stall" })).await;
    // Nothing is heard of a stalled session, and its dispatches are kept.
    for index in 0..10 {
        sim.say("bob", "general", &format!("unheard {index}")).await;
    }
    socket.send(json!({ "op": 1, "d": 1 })).await;
    let silent = timeout(Duration::from_millis(300), socket.0.next()).await;
    assert!(silent.is_err(), "{silent:?}");
    let mut socket = Socket::greeted(&sim).await;
    let d = json!({ "token": DEMO_TOKEN, "session_id": ready["d"]["session_id"], "seq": 1 });
    socket.send(json!({ "op": 6, "d": d })).await;
    let mut names = Vec::new();
    for _ in 0..11 {
        names.push(socket.frame().await["t"].as_str().unwrap().to_owned());
    }
    assert_eq!(names.iter().filter(|name| *name == "MESSAGE_CREATE").count(), 10);
    assert_eq!(names[10], "RESUMED");
}

#[tokio::test]
async fn zlib_is_one_stream_for_the_whole_connection() {
    let sim = Sim::start().await;
    let mut socket = Socket::connect(&sim, "/?v=10&encoding=json&compress=zlib-stream").await;
    let mut inflate = flate2::write::ZlibDecoder::new(Vec::new());
    let mut ops = Vec::new();
    for step in 0..3 {
        let Message::Binary(packed) = socket.message().await else { panic!("no binary message") };
        assert!(packed.ends_with(&[0, 0, 0xFF, 0xFF]));
        inflate.write_all(&packed).unwrap();
        inflate.flush().unwrap();
        let frame: Value = serde_json::from_slice(inflate.get_ref()).unwrap();
        inflate.get_mut().clear();
        ops.push(frame["t"].as_str().unwrap_or("HELLO").to_owned());
        if step == 0 {
            socket.send(identify(ALL_INTENTS, [0, 1])).await;
        }
    }
    assert_eq!(ops, ["HELLO", "READY", "GUILD_CREATE"]);
}
