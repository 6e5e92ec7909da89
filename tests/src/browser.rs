use std::{process::Stdio, time::Duration};

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::{eventually, free_port};

/// A headless Chromium, driven by the `WebDriver` protocol; ended when dropped.
///
/// Source: W3C, `WebDriver`, sections 8 to 13.
#[derive(Debug)]
pub struct Browser {
    http: reqwest::Client,
    session: String,
    _driver: Child,
    _profile: tempfile::TempDir,
}

/// The key under which the protocol gives an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

impl Browser {
    /// Starts a browser with an empty profile, which asks nothing of the network by itself.
    pub async fn start() -> anyhow::Result<Self> {
        let profile = tempfile::tempdir()?;
        let port = free_port()?;
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("chromedriver is missing: run `make tools`")?;
        let http = crate::sim::http_client();
        let base = format!("http://127.0.0.1:{port}");
        eventually("chromedriver", Duration::from_secs(20), async || {
            let status = http.get(format!("{base}/status")).send().await;
            Ok(status.is_ok_and(|status| status.status().is_success()).then_some(()))
        })
        .await?;
        let user_data = format!("--user-data-dir={}", profile.path().display());
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-sync",
            "--window-size=1280,900",
            &user_data,
        ];
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let answer = command(http.post(format!("{base}/session")).json(&capabilities)).await?;
        let id = answer["sessionId"].as_str().context("a session has an id")?;
        let session = format!("{base}/session/{id}");
        Ok(Self { http, session, _driver: driver, _profile: profile })
    }

    async fn post(&self, path: &str, body: Value) -> anyhow::Result<Value> {
        command(self.http.post(format!("{}{path}", self.session)).json(&body)).await
    }

    pub async fn open(&self, address: &str) -> anyhow::Result<()> {
        self.post("/url", json!({ "url": address })).await.map(drop)
    }

    /// Waits for an element by CSS selector, and returns it.
    pub async fn find(&self, selector: &str) -> anyhow::Result<String> {
        eventually(selector, Duration::from_secs(20), async || {
            let found = self
                .post("/elements", json!({ "using": "css selector", "value": selector }))
                .await?;
            Ok(found[0][ELEMENT].as_str().map(str::to_owned))
        })
        .await
    }

    pub async fn click(&self, selector: &str) -> anyhow::Result<()> {
        let element = self.find(selector).await?;
        self.post(&format!("/element/{element}/click"), json!({})).await.map(drop)
    }

    pub async fn type_into(&self, selector: &str, text: &str) -> anyhow::Result<()> {
        let element = self.find(selector).await?;
        self.post(&format!("/element/{element}/value"), json!({ "text": text })).await.map(drop)
    }

    /// Runs a script in the page, and returns what it returns.
    pub async fn run(&self, script: &str) -> anyhow::Result<Value> {
        self.post("/execute/sync", json!({ "script": script, "args": [] })).await
    }

    /// Waits until a script returns true.
    pub async fn until(&self, what: &str, script: &str) -> anyhow::Result<()> {
        eventually(what, Duration::from_secs(20), async || {
            Ok((self.run(script).await? == Value::Bool(true)).then_some(()))
        })
        .await
    }

    /// Returns what the page logged as errors.
    pub async fn errors(&self) -> anyhow::Result<Vec<String>> {
        let log = self.post("/se/log", json!({ "type": "browser" })).await?;
        let entries = log.as_array().context("a log is a list")?.iter();
        let severe = entries.filter(|entry| entry["level"] == "SEVERE");
        Ok(severe.map(|entry| entry["message"].to_string()).collect())
    }
}

async fn command(request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
    let response = request.send().await?;
    let status = response.status();
    let mut answer: Value = response.json().await?;
    if !status.is_success() {
        bail!("the browser refused: {answer}");
    }
    Ok(answer["value"].take())
}
