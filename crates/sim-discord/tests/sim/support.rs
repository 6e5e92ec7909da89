//! A simulator, its control API, and a twilight bot that is connected to it.

use std::{sync::Arc, time::Duration};

use ery_clock::{Clock, ManualClock, SystemClock, UnixMillis};
use ery_sim_discord::{DEMO_TOKEN, Options, SimDiscord, World};
use futures::StreamExt;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use twilight_gateway::{
    Config, ConfigBuilder, Event, EventTypeFlags, Intents, Message as Frame, Shard, ShardId,
};
use twilight_model::{
    channel::Message,
    gateway::payload::incoming::GuildCreate,
    guild::Guild,
    id::{
        Id,
        marker::{ChannelMarker, GuildMarker, UserMarker},
    },
};

use crate::contract::Contract;

/// How long anything may take before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What time it is, for all that is not paused.
pub(crate) fn now() -> UnixMillis {
    SystemClock.now()
}

/// An answer's status, and Discord's code if it has one.
pub(crate) fn code(answer: &(u16, Value)) -> (u16, u64) {
    (answer.0, answer.1["code"].as_u64().unwrap_or(0))
}

#[expect(clippy::struct_field_names, reason = "`sim.sim` is the simulator of the test's own `sim`")]
pub(crate) struct Sim {
    pub(crate) sim: SimDiscord,
    pub(crate) client: reqwest::Client,
    /// Judges all that was said, when the test ends.
    pub(crate) contract: Arc<Contract>,
}

impl Sim {
    /// Starts the demo without rate limits.
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Options)) -> Self {
        // The second test of a process finds it installed, which is as good.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut options = Options { rate_limits: false, ..Options::default() };
        change(&mut options);
        let sim = SimDiscord::start(listener, options).await.unwrap();
        let contract = Arc::new(Contract::new(sim.world()));
        Self { sim, client: reqwest::Client::new(), contract }
    }

    /// Starts the demo without rate limits, at a time of day that the test sets.
    pub(crate) async fn start_at(clock: &Arc<ManualClock>) -> Self {
        let clock: Arc<ManualClock> = Arc::clone(clock);
        Self::start_with(|options| options.clock = clock).await
    }

    /// Starts another one with a world as it was told.
    pub(crate) async fn again_from(&self, told: &Value) -> Self {
        let world = World::from_json(told.to_string().as_bytes(), now()).unwrap();
        Self::start_with(|options| options.world = Some(world)).await
    }

    pub(crate) fn user(&self, name: &str) -> Id<UserMarker> {
        self.sim.world().user_named(name).unwrap()
    }

    pub(crate) fn channel(&self, name: &str) -> Id<ChannelMarker> {
        self.sim.world().channel_named(name).unwrap()
    }

    pub(crate) fn guild(&self) -> Id<GuildMarker> {
        self.sim.world().first_guild().unwrap()
    }

    /// Lets somebody speak through the control API; returns the message's id.
    pub(crate) async fn say(&self, who: &str, place: &str, content: &str) -> String {
        let body = json!({
            "channel_id": self.channel(place), "author_id": self.user(who), "content": content
        });
        let message = self.post("/messages", body).await;
        message["id"].as_str().unwrap().to_owned()
    }

    /// Asks the control API, which must agree.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.control(Method::POST, path, body).await;
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
        answer
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.control(Method::GET, path, Value::Null).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    pub(crate) async fn control(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let url = format!("{}{path}", self.sim.control_url());
        let mut request = self.client.request(method, url);
        if !body.is_null() {
            request = request.json(&body);
        }
        read(request.send().await.unwrap()).await
    }

    /// Asks the REST API as the bot.
    pub(crate) async fn rest(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        read(self.raw(method, path, body).await.unwrap()).await
    }

    pub(crate) async fn raw(
        &self,
        method: Method,
        path: &str,
        body: Value,
    ) -> Result<Response, reqwest::Error> {
        let url = format!("{}{path}", self.sim.api_url());
        let mut request =
            self.client.request(method, url).header("authorization", format!("Bot {DEMO_TOKEN}"));
        if !body.is_null() {
            request = request.json(&body);
        }
        request.send().await
    }

    pub(crate) fn http(&self) -> Arc<twilight_http::Client> {
        let client = twilight_http::Client::builder()
            .token(DEMO_TOKEN.to_owned())
            .proxy(self.sim.addr().to_string(), true)
            .build();
        Arc::new(client)
    }
}

async fn read(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    let value = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() };
    (status, value)
}

pub(crate) struct Bot {
    pub(crate) shard: Shard,
    pub(crate) guild: Guild,
    pub(crate) user: Id<UserMarker>,
    contract: Arc<Contract>,
}

impl Bot {
    /// Connects, and waits for the demo's guild.
    pub(crate) async fn connect(sim: &Sim, intents: Intents) -> Self {
        Self::connect_as(sim, DEMO_TOKEN, intents).await
    }

    /// Connects as the bot with this token.
    pub(crate) async fn connect_as(sim: &Sim, token: &str, intents: Intents) -> Self {
        let config: Config =
            ConfigBuilder::new(token.to_owned(), intents).proxy_url(sim.sim.gateway_url()).build();
        let mut shard = Shard::with_config(ShardId::ONE, config);
        let contract = Arc::clone(&sim.contract);
        let mut user = None;
        loop {
            match next(&mut shard, &contract).await {
                Event::Ready(ready) => user = Some(ready.user.id),
                Event::GuildCreate(guild) => {
                    let GuildCreate::Available(guild) = *guild else { panic!("unavailable") };
                    return Self { shard, guild, user: user.unwrap(), contract };
                }
                _ => {}
            }
        }
    }

    pub(crate) async fn event(&mut self) -> Event {
        next(&mut self.shard, &self.contract).await
    }

    pub(crate) async fn wait_for(&mut self, wanted: impl Fn(&Event) -> bool) -> Event {
        loop {
            let event = self.event().await;
            if wanted(&event) {
                return event;
            }
        }
    }

    pub(crate) async fn message(&mut self) -> Message {
        let event = self.wait_for(|event| matches!(event, Event::MessageCreate(_))).await;
        let Event::MessageCreate(message) = event else { unreachable!() };
        message.message
    }
}

/// Returns the next event; one that cannot be read fails the test, a lost connection does not.
async fn next(shard: &mut Shard, contract: &Contract) -> Event {
    loop {
        let frame = tokio::time::timeout(PATIENCE, shard.next()).await;
        match frame.expect("no event came").expect("the shard has ended") {
            Ok(Frame::Close(frame)) => return Event::GatewayClose(frame),
            Ok(Frame::Text(json)) => {
                contract.heard(&json);
                let event = twilight_gateway::parse(json.clone(), EventTypeFlags::all());
                if let Some(event) = event.unwrap_or_else(|error| panic!("{error:?}: {json}")) {
                    return event.into();
                }
            }
            // It connects anew by itself.
            Err(_lost) => {}
        }
    }
}
