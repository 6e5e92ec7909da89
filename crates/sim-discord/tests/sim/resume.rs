//! Connections that are cut again and again, in every way in which frames are packed.

use std::io::Write as _;

use ery_sim_discord::DEMO_TOKEN;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    gateway::{Socket, identify},
    support::Sim,
};

const ALL_INTENTS: u64 = 0x1_FFFF;
const CUTS: usize = 3;
const SAID_EACH_TIME: usize = 15;

/// Unpacks one connection's messages; the next connection begins with a new one.
enum Unpacker {
    Plain,
    /// Large frames by themselves.
    Payloads,
    Zlib(flate2::write::ZlibDecoder<Vec<u8>>),
    Zstd(zstd::stream::write::Decoder<'static, Vec<u8>>),
}

impl Unpacker {
    fn new(transport: &str) -> Self {
        match transport {
            "zlib-stream" => Self::Zlib(flate2::write::ZlibDecoder::new(Vec::new())),
            "zstd-stream" => Self::Zstd(zstd::stream::write::Decoder::new(Vec::new()).unwrap()),
            "payloads" => Self::Payloads,
            _ => Self::Plain,
        }
    }

    fn unpack(&mut self, message: &Message) -> String {
        let unpacked = match (self, message) {
            (Self::Plain | Self::Payloads, Message::Text(text)) => return text.to_string(),
            (Self::Payloads, Message::Binary(packed)) => {
                let mut inflate = flate2::write::ZlibDecoder::new(Vec::new());
                inflate.write_all(packed).unwrap();
                inflate.finish().unwrap()
            }
            (Self::Zlib(inflate), Message::Binary(packed)) => {
                assert!(packed.ends_with(&[0, 0, 0xFF, 0xFF]));
                inflate.write_all(packed).unwrap();
                inflate.flush().unwrap();
                std::mem::take(inflate.get_mut())
            }
            (Self::Zstd(inflate), Message::Binary(packed)) => {
                inflate.write_all(packed).unwrap();
                inflate.flush().unwrap();
                std::mem::take(inflate.get_mut())
            }
            (_, other) => panic!("unexpected: {other:?}"),
        };
        String::from_utf8(unpacked).unwrap()
    }
}

struct Connection {
    socket: Socket,
    unpacker: Unpacker,
}

impl Connection {
    /// Connects, and takes HELLO.
    async fn open(sim: &Sim, transport: &str) -> Self {
        let compress = match transport {
            "zlib-stream" | "zstd-stream" => format!("&compress={transport}"),
            _ => String::new(),
        };
        let socket = Socket::connect(sim, &format!("/?v=10&encoding=json{compress}")).await;
        let mut connection = Self { socket, unpacker: Unpacker::new(transport) };
        assert_eq!(connection.frame(sim).await["op"], 10);
        connection
    }

    async fn frame(&mut self, sim: &Sim) -> Value {
        let text = self.unpacker.unpack(&self.socket.message().await);
        sim.contract.heard(&text);
        serde_json::from_str(&text).unwrap()
    }
}

/// What one session has heard over all of its connections.
#[derive(Default)]
struct Heard {
    session: String,
    sequence: u64,
    messages: Vec<String>,
}

impl Heard {
    /// Reads dispatches up to one of this name; none may be missing and none come twice.
    async fn until(&mut self, connection: &mut Connection, sim: &Sim, name: &str) {
        loop {
            let frame = connection.frame(sim).await;
            if frame["op"] != 0 {
                continue;
            }
            self.sequence += 1;
            assert_eq!(frame["s"], self.sequence, "{frame}");
            if frame["t"] == "READY" {
                frame["d"]["session_id"].as_str().unwrap().clone_into(&mut self.session);
            }
            if frame["t"] == "MESSAGE_CREATE" {
                self.messages.push(frame["d"]["id"].as_str().unwrap().to_owned());
            }
            if frame["t"] == name {
                return;
            }
        }
    }
}

/// Cuts a session's connection some times, and each time at another moment of a conversation.
async fn nothing_is_missed_or_repeated_over(transport: &str) {
    let sim = Sim::start().await;
    let mut connection = Connection::open(&sim, transport).await;
    let mut hello = identify(ALL_INTENTS, [0, 1]);
    hello["d"]["compress"] = json!(transport == "payloads");
    connection.socket.send(hello).await;
    let mut heard = Heard::default();
    heard.until(&mut connection, &sim, "GUILD_CREATE").await;

    let mut said = Vec::new();
    for cut in 0..CUTS {
        for index in 0..SAID_EACH_TIME {
            said.push(sim.say("bob", "general", &format!("{cut}: {index}, é 👍")).await);
        }
        // Some of them are on their way when the connection goes, without a farewell.
        for _ in 0..=cut {
            heard.until(&mut connection, &sim, "MESSAGE_CREATE").await;
        }
        drop(connection);
        said.push(sim.say("alice", "general", "while nobody listens").await);
        connection = Connection::open(&sim, transport).await;
        connection
            .socket
            .send(json!({ "op": 6, "d": {
                "token": DEMO_TOKEN, "session_id": heard.session, "seq": heard.sequence
            } }))
            .await;
        heard.until(&mut connection, &sim, "RESUMED").await;
    }
    said.push(sim.say("bob", "general", "the last").await);
    while heard.messages.len() < said.len() {
        heard.until(&mut connection, &sim, "MESSAGE_CREATE").await;
    }
    assert_eq!(heard.messages, said);
    assert_eq!(sim.get("/gateway").await["identifies"], 1);
}

#[tokio::test]
async fn a_plain_session_misses_and_repeats_nothing() {
    nothing_is_missed_or_repeated_over("plain").await;
}

#[tokio::test]
async fn a_session_with_packed_payloads_misses_and_repeats_nothing() {
    nothing_is_missed_or_repeated_over("payloads").await;
}

#[tokio::test]
async fn a_zlib_session_misses_and_repeats_nothing() {
    nothing_is_missed_or_repeated_over("zlib-stream").await;
}

#[tokio::test]
async fn a_zstd_session_misses_and_repeats_nothing() {
    nothing_is_missed_or_repeated_over("zstd-stream").await;
}
