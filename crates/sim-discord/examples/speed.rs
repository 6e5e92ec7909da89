//! How fast the simulator is, so that it is never the bottleneck of what is tried on it: REST calls a
//! second, and dispatches a second to one client. Beside each figure stands the ceiling of the same
//! run, the same bytes over the same sockets with no simulator in between, because both sides share
//! the machine's cores and machines differ.
//!
//! It runs itself once more, as the server, so that each side's processor time is told apart.
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::{io::BufRead as _, net::SocketAddr, process::Stdio, time::Duration};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::Instant,
};

use ery_clock::SystemClock;
use ery_sim_discord::{DEMO_TOKEN, Generator, Options, SimDiscord, World};

const CONNECTIONS: usize = 16;
const CALLS: usize = 40_000;
const DISPATCHES: usize = 100_000;
/// `GUILD_MESSAGES` and `MESSAGE_CONTENT`.
const INTENTS: u64 = (1 << 9) | (1 << 15);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("serve") => serve().await,
        Some("echo") => echo().await,
        Some(other) => bail!("`{other}` is no part of this; run it without arguments"),
        None => measure().await,
    }
}

async fn measure() -> anyhow::Result<()> {
    let large = Generator { guilds: 2_000, members: 100_000, ..Generator::default() };
    let begun = Instant::now();
    let world = World::generate(&large, &SystemClock)?;
    let made = begun.elapsed();
    println!("a world of 2,000 guilds and 100,000 members, made up in {} ms", made.as_millis());
    drop(world);

    let server = Server::start("serve")?;
    let world = json_of(&server.once("GET", "/sim/v1/world", None).await?)?;
    let guild = &world["guilds"][0];
    let channel = named(&guild["channels"], "general").context("the demo has #general")?;
    let bob = member(guild, "bob").context("the demo has bob")?;
    let send = json!({ "content": "a message as people write them, neither short nor long" });
    for (name, method, path, body) in [
        ("GET a channel", "GET", format!("/api/v10/channels/{channel}"), None),
        ("POST a message", "POST", format!("/api/v10/channels/{channel}/messages"), Some(send)),
    ] {
        let request = request(method, &path, body.as_ref());
        rest(&server, name, &request).await?;
    }
    gateway(&server, channel, bob).await
}

/// Asks the same on all connections, over and over.
async fn rest(server: &Server, name: &str, request: &str) -> anyhow::Result<()> {
    let answer = server.ask(request).await?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    ask_all(server.address, request, CONNECTIONS * 50).await?;
    let cpu = server.cpu_seconds()?;
    let took = ask_all(server.address, request, CALLS).await?;
    let cpu = server.cpu_seconds()? - cpu;
    let echo = Server::start("echo")?;
    let echoed = echo_all(echo.address, request.len(), answer.len()).await?;
    let (rate, ceiling) = (per_second(CALLS, took), per_second(CALLS, echoed));
    #[expect(clippy::cast_precision_loss, reason = "some thousand calls")]
    let each = cpu * 1e6 / CALLS as f64;
    println!(
        "{name}: {rate:.0}/s on {CONNECTIONS} connections, {:.2} of the raw sockets' {ceiling:.0}/s; \
         {each:.0} us of the server's processor time each",
        rate / ceiling
    );
    Ok(())
}

/// Lets somebody say very much, and hears it on one connection.
async fn gateway(server: &Server, channel: &str, author: &str) -> anyhow::Result<()> {
    let mut socket = TcpStream::connect(server.address).await?;
    let hello = "GET /?v=10&encoding=json HTTP/1.1\r\nhost: sim\r\nconnection: Upgrade\r\n\
                 upgrade: websocket\r\nsec-websocket-version: 13\r\n\
                 sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    socket.write_all(hello.as_bytes()).await?;
    let properties = json!({ "os": "linux", "browser": "speed", "device": "speed" });
    let identify = json!({ "op": 2, "d": {
        "token": DEMO_TOKEN, "intents": INTENTS, "properties": properties
    } });
    let mut frames = Frames::default();
    frames.after_upgrade(&mut socket).await?;
    socket.write_all(&masked(identify.to_string().as_bytes())).await?;
    frames.count(&mut socket, 2).await?; // HELLO, READY
    let speech = json!({
        "channel_id": channel, "author_id": author, "count": DISPATCHES,
        "content": "a message as people write them, neither short nor long"
    });
    let speech = request("POST", "/sim/v1/messages", Some(&speech));
    let cpu = server.cpu_seconds()?;
    let begun = Instant::now();
    let address = server.address;
    let mut saying = JoinSet::new();
    saying.spawn(async move { ask(address, &speech).await });
    let bytes = frames.count(&mut socket, DISPATCHES).await?;
    let took = begun.elapsed();
    let cpu = server.cpu_seconds()? - cpu;
    while let Some(said) = saying.join_next().await {
        ensure!(said??.starts_with("HTTP/1.1 200"), "the burst was refused");
    }
    let echo = Server::start("echo")?;
    let poured = pour(echo.address, bytes).await?;
    let (rate, ceiling) = (per_second(DISPATCHES, took), per_second(DISPATCHES, poured));
    #[expect(clippy::cast_precision_loss, reason = "some thousand dispatches")]
    let each = cpu * 1e6 / DISPATCHES as f64;
    println!(
        "dispatches to one client: {rate:.0}/s of {} bytes, {:.2} of the raw socket's {ceiling:.0}/s; \
         {each:.0} us of the server's processor time each, saying it included",
        bytes / DISPATCHES,
        rate / ceiling
    );
    Ok(())
}

/// This program once more, with another part to play.
struct Server {
    child: std::process::Child,
    address: SocketAddr,
}

impl Server {
    fn start(part: &str) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("where this program lies")?;
        let mut child = std::process::Command::new(program)
            .arg(part)
            .stdout(Stdio::piped())
            .stdin(Stdio::piped())
            .spawn()
            .context("could not run itself")?;
        let output = child.stdout.take().context("it has an output")?;
        let mut line = String::new();
        std::io::BufReader::new(output).read_line(&mut line)?;
        let address = line.trim().parse().with_context(|| format!("`{line}` is no address"))?;
        Ok(Self { child, address })
    }

    async fn once(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<String> {
        self.ask(&request(method, path, body)).await
    }

    async fn ask(&self, request: &str) -> anyhow::Result<String> {
        ask(self.address, request).await
    }

    /// Returns what it has used, from `/proc/<pid>/stat`, fields 14 and 15; in 1/100 s, as proc(5)
    /// says.
    fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields: Vec<&str> =
            stat.rsplit(')').next().context("a stat line")?.split_whitespace().collect();
        let ticks: u32 = fields[11].parse::<u32>()? + fields[12].parse::<u32>()?;
        Ok(f64::from(ticks) / 100.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait().map(|_| ())) {
            println!("a server could not be ended: {error}");
        }
    }
}

/// Serves the demo, without limits and with the log that it has by default.
async fn serve() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let options = Options { rate_limits: false, ..Options::default() };
    let mut sim = SimDiscord::start(listener, options).await?;
    println!("{}", sim.addr());
    sim.stopped().await;
    Ok(())
}

/// Answers so many bytes with so many; both numbers come first. No answer is asked for by 0.
async fn echo() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let mut serving = JoinSet::new();
    loop {
        let (mut socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        serving.spawn(async move {
            let (asked, answered) = (socket.read_u64().await?, socket.read_u64().await?);
            let mut request = vec![0; usize::try_from(asked)?];
            if request.is_empty() {
                return pour_out(&mut socket, usize::try_from(answered)?).await;
            }
            let answer = vec![b'x'; usize::try_from(answered)?];
            while socket.read_exact(&mut request).await.is_ok() {
                socket.write_all(&answer).await?;
            }
            anyhow::Ok(())
        });
    }
}

async fn pour_out(socket: &mut TcpStream, mut left: usize) -> anyhow::Result<()> {
    let piece = vec![b'x'; 64 * 1024];
    while left > 0 {
        let length = piece.len().min(left);
        socket.write_all(&piece[..length]).await?;
        left -= length;
    }
    Ok(())
}

/// Hears so many bytes from a socket that says nothing else.
async fn pour(address: SocketAddr, bytes: usize) -> anyhow::Result<Duration> {
    let mut socket = TcpStream::connect(address).await?;
    let begun = Instant::now();
    socket.write_u64(0).await?;
    socket.write_u64(bytes as u64).await?;
    let mut buffer = vec![0; 64 * 1024];
    let mut heard = 0;
    while heard < bytes {
        heard += socket.read(&mut buffer).await?;
    }
    Ok(begun.elapsed())
}

async fn echo_all(address: SocketAddr, asked: usize, answered: usize) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let mut asking = JoinSet::new();
    for _ in 0..CONNECTIONS {
        asking.spawn(async move {
            let mut socket = TcpStream::connect(address).await?;
            socket.set_nodelay(true)?;
            socket.write_u64(asked as u64).await?;
            socket.write_u64(answered as u64).await?;
            let (request, mut answer) = (vec![b'x'; asked], vec![0; answered]);
            for _ in 0..CALLS / CONNECTIONS {
                socket.write_all(&request).await?;
                socket.read_exact(&mut answer).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(asked) = asking.join_next().await {
        asked??;
    }
    Ok(begun.elapsed())
}

async fn ask_all(address: SocketAddr, request: &str, calls: usize) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let mut asking = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let request = request.to_owned();
        asking.spawn(async move {
            let mut socket = TcpStream::connect(address).await?;
            socket.set_nodelay(true)?;
            let mut buffer = Vec::with_capacity(64 * 1024);
            for _ in 0..calls / CONNECTIONS {
                answer(&mut socket, &request, &mut buffer).await?;
                ensure!(
                    buffer.starts_with(b"HTTP/1.1 200"),
                    "{}",
                    String::from_utf8_lossy(&buffer)
                );
            }
            anyhow::Ok(())
        });
    }
    while let Some(asked) = asking.join_next().await {
        asked??;
    }
    Ok(begun.elapsed())
}

async fn ask(address: SocketAddr, request: &str) -> anyhow::Result<String> {
    let mut socket = TcpStream::connect(address).await?;
    let mut buffer = Vec::new();
    answer(&mut socket, request, &mut buffer).await?;
    Ok(String::from_utf8(buffer)?)
}

/// Asks once, and reads as much as the answer's head announces.
async fn answer(socket: &mut TcpStream, request: &str, buffer: &mut Vec<u8>) -> anyhow::Result<()> {
    socket.write_all(request.as_bytes()).await?;
    buffer.clear();
    loop {
        ensure!(socket.read_buf(buffer).await? > 0, "the server hung up");
        let Some(head) = find(buffer, b"\r\n\r\n") else { continue };
        let length = find(&buffer[..head], b"content-length: ").context("no length")?;
        let digits = buffer[length + 16..head].iter().take_while(|byte| byte.is_ascii_digit());
        let length = digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'));
        while buffer.len() < head + 4 + length {
            ensure!(socket.read_buf(buffer).await? > 0, "the server hung up");
        }
        return Ok(());
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn request(method: &str, path: &str, body: Option<&Value>) -> String {
    let body = body.map(Value::to_string).unwrap_or_default();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: sim\r\nauthorization: Bot {DEMO_TOKEN}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn json_of(answer: &str) -> anyhow::Result<Value> {
    let (_, body) = answer.split_once("\r\n\r\n").context("an answer has a body")?;
    Ok(serde_json::from_str(body)?)
}

fn named<'a>(things: &'a Value, name: &str) -> Option<&'a str> {
    things.as_array()?.iter().find(|thing| thing["name"] == name)?["id"].as_str()
}

fn member<'a>(guild: &'a Value, name: &str) -> Option<&'a str> {
    let members = guild["members"].as_array()?;
    members.iter().find(|member| member["user"]["username"] == name)?["user"]["id"].as_str()
}

/// Wraps a text into a client's frame, whose mask changes nothing.
fn masked(text: &[u8]) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("a frame of the Gateway is short");
    let mut frame = vec![0x81, 0xFE];
    frame.extend(length.to_be_bytes());
    frame.extend([0; 4]);
    frame.extend(text);
    frame
}

/// The server's frames, of which nothing is read but where each ends.
#[derive(Default)]
struct Frames {
    buffer: Vec<u8>,
}

impl Frames {
    async fn after_upgrade(&mut self, socket: &mut TcpStream) -> anyhow::Result<()> {
        loop {
            ensure!(socket.read_buf(&mut self.buffer).await? > 0, "the server hung up");
            if let Some(head) = find(&self.buffer, b"\r\n\r\n") {
                self.buffer.drain(..head + 4);
                return Ok(());
            }
        }
    }

    /// Waits for so many frames; returns how many bytes they were.
    async fn count(&mut self, socket: &mut TcpStream, wanted: usize) -> anyhow::Result<usize> {
        let (mut frames, mut bytes) = (0, 0);
        loop {
            let mut at = 0;
            while frames < wanted {
                let Some(length) = frame_length(&self.buffer[at..]) else { break };
                ensure!(self.buffer[at] & 0x0F != 8, "the server closed the connection");
                (frames, bytes, at) = (frames + 1, bytes + length, at + length);
            }
            self.buffer.drain(..at);
            if frames == wanted {
                return Ok(bytes);
            }
            self.buffer.reserve(64 * 1024);
            ensure!(socket.read_buf(&mut self.buffer).await? > 0, "the server hung up");
        }
    }
}

/// Returns how long the first frame is, if all of it is there.
fn frame_length(bytes: &[u8]) -> Option<usize> {
    let length = match bytes.get(1)? & 0x7F {
        126 => 4 + usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)),
        127 => 10 + usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?,
        short => 2 + usize::from(short),
    };
    (bytes.len() >= length).then_some(length)
}

#[expect(clippy::cast_precision_loss, reason = "some thousand things")]
fn per_second(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}
