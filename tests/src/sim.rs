use anyhow::{Context, bail};
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::AsyncBufReadExt as _;

/// The simulated Discord's control API, as its description gives it.
#[derive(Clone, Debug)]
pub struct Sim {
    base: String,
    http: reqwest::Client,
}

/// What `GET /sim/v1/world` answers, as far as the tests need it.
#[derive(Clone, Debug, Deserialize)]
pub struct World {
    pub guilds: Vec<Guild>,
    pub bots: Vec<Value>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Guild {
    pub id: String,
    pub name: String,
    pub owner_id: String,
    pub roles: Vec<Value>,
    pub channels: Vec<Channel>,
    pub members: Vec<Value>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Channel {
    pub id: String,
    pub name: Option<String>,
    #[serde(rename = "type", default)]
    pub kind: u64,
}

/// One REST request and its response.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct LogEntry {
    pub seq: u64,
    pub at_ms: i64,
    pub method: String,
    pub path: String,
    #[serde(default)]
    pub body: Value,
    pub status: u16,
    #[serde(default)]
    pub response: Value,
}

impl Guild {
    /// Returns the id of a channel by its name.
    pub fn channel(&self, name: &str) -> anyhow::Result<&str> {
        let found = self.channels.iter().find(|channel| channel.name.as_deref() == Some(name));
        Ok(&found.with_context(|| format!("no channel {name}"))?.id)
    }

    /// Returns the user id of a member by user name.
    pub fn member(&self, name: &str) -> anyhow::Result<&str> {
        let is_it = |member: &&Value| member["user"]["username"] == name;
        let found = self.members.iter().find(is_it).with_context(|| format!("no member {name}"))?;
        found["user"]["id"].as_str().context("a member has an id")
    }
}

impl Sim {
    pub fn new(base: &str) -> Self {
        Self { base: base.trim_end_matches('/').to_owned(), http: http_client() }
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.send(self.http.get(format!("{}{path}", self.base))).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(self.http.post(format!("{}{path}", self.base)).json(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(self.http.put(format!("{}{path}", self.base)).json(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(self.http.patch(format!("{}{path}", self.base)).json(body)).await
    }

    pub async fn delete(&self, path: &str) -> anyhow::Result<Value> {
        self.send(self.http.delete(format!("{}{path}", self.base))).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
        let response = request.send().await?;
        let (status, url) = (response.status(), response.url().to_string());
        let text = response.text().await?;
        if !status.is_success() {
            bail!("{url}: {status}: {text}");
        }
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).with_context(|| format!("{url} answered `{text}`"))
    }

    pub async fn world(&self) -> anyhow::Result<World> {
        Ok(serde_json::from_value(self.get("/sim/v1/world").await?)?)
    }

    /// Makes a guild with this many text channels and members; returns channels and members.
    pub async fn make_guild(
        &self,
        channels: usize,
        members: usize,
    ) -> anyhow::Result<(String, Vec<String>, Vec<String>)> {
        let guild = self.post("/sim/v1/guilds", &json!({ "name": "Load" })).await?;
        let guild = guild["id"].as_str().context("a guild has an id")?.to_owned();
        let mut channel_ids = Vec::new();
        for index in 0..channels {
            let body = json!({ "guild_id": guild, "name": format!("load-{index}"), "type": 0 });
            let channel = self.post("/sim/v1/channels", &body).await?;
            channel_ids.push(channel["id"].as_str().context("a channel has an id")?.to_owned());
        }
        let mut member_ids = Vec::new();
        for index in 0..members {
            let body = json!({ "guild_id": guild, "username": format!("member{index}") });
            let member = self.post("/sim/v1/members", &body).await?;
            member_ids
                .push(member["user"]["id"].as_str().context("a member has an id")?.to_owned());
        }
        Ok((guild, channel_ids, member_ids))
    }

    /// Lets a member speak, and returns the message's id.
    pub async fn say(&self, channel: &str, author: &str, content: &str) -> anyhow::Result<u64> {
        let body = json!({ "channel_id": channel, "author_id": author, "content": content });
        let message = self.post("/sim/v1/messages", &body).await?;
        message["id"].as_str().context("a message has an id")?.parse().context("an id is a number")
    }

    /// Returns a channel's newest messages, newest first.
    pub async fn messages(&self, channel: &str) -> anyhow::Result<Vec<Value>> {
        let answer = self.get(&format!("/sim/v1/channels/{channel}/messages?limit=100")).await?;
        serde_json::from_value(answer).context("messages are a list")
    }

    /// Returns everything that happens in the world from now on.
    pub async fn events(&self) -> anyhow::Result<BoxStream<'static, anyhow::Result<Value>>> {
        let response = self.http.get(format!("{}/sim/v1/events", self.base)).send().await?;
        let bytes = response.error_for_status()?.bytes_stream();
        let lines = tokio_util::io::StreamReader::new(bytes.map_err(std::io::Error::other));
        let lines =
            tokio_stream::wrappers::LinesStream::new(tokio::io::BufReader::new(lines).lines());
        let events = lines.try_filter_map(|line| async move {
            Ok(line.strip_prefix("data:").map(str::trim).map(str::to_owned))
        });
        Ok(events.map(|line| Ok(serde_json::from_str(&line?)?)).boxed())
    }

    /// Returns every REST request after `seq`, as JSON lines.
    pub async fn log_lines(&self, after: u64) -> anyhow::Result<String> {
        let response =
            self.http.get(format!("{}/sim/v1/log?after={after}", self.base)).send().await?;
        Ok(response.error_for_status()?.text().await?)
    }

    /// Returns every REST request after `seq`.
    pub async fn log(&self, after: u64) -> anyhow::Result<Vec<LogEntry>> {
        let text = self.log_lines(after).await?;
        let entries = text.lines().filter(|line| !line.trim().is_empty());
        entries.map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
    }
}

/// Makes an HTTP client; it wants a TLS provider though all our traffic is on loopback.
pub fn http_client() -> reqwest::Client {
    // One may stand already, from another test of this process.
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::new()
}
