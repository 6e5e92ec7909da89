//! Answers that are longer than a message, turned page by page and read whole.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};

use ery_tests::{LogEntry, eventually};

use crate::Stand;

const PATIENCE: Duration = Duration::from_secs(20);

impl Stand {
    /// Lets somebody do something and returns the message that they alone see in the end.
    pub(crate) async fn shown(&self, who: &str, command: &str, options: &Value) -> Value {
        let deed = json!({ "type": "command", "command": command, "options": options });
        let begun = self.begin(who, &deed).await;
        self.end_of(&begun).await
    }

    /// Lets somebody press or choose on a message that they alone see, and returns what it is then.
    pub(crate) async fn changed(&self, who: &str, message: &Value, deed: &Value) -> Value {
        let mut body = deed.clone();
        body["message_id"] = message["id"].clone();
        let begun = self.begin(who, &body).await;
        let path = format!("/sim/v1/interactions/{}", begun["id"].as_str().unwrap());
        let changed = eventually("another page", PATIENCE, async || {
            let now = self.sim.get(&path).await?["response"]["message"].clone();
            assert_eq!(now["id"], message["id"], "it is the same message");
            Ok((now["content"] != message["content"]).then_some(now))
        });
        changed.await.unwrap_or_else(|error| panic!("{error}\n{}", self.process.output()))
    }

    async fn turned(&self, who: &str, message: &Value, label: &str) -> Value {
        let id = button(message, label).unwrap_or_else(|| panic!("no `{label}`: {message}"));
        self.changed(who, message, &json!({ "type": "button", "custom_id": id })).await
    }

    /// Reads a list from its first page to its last.
    async fn pages(&self, who: &str, first: Value) -> Vec<Value> {
        let mut pages = vec![first];
        while let Some(last) = pages.last().filter(|last| button(last, "Next page").is_some()) {
            let next = self.turned(who, last, "Next page").await;
            pages.push(next);
        }
        pages
    }
}

fn button(message: &Value, label: &str) -> Option<String> {
    let rows = message["components"].as_array().into_iter().flatten();
    let mut parts = rows.flat_map(|row| row["components"].as_array().into_iter().flatten());
    let found = parts.find(|part| part["label"] == label)?;
    found["custom_id"].as_str().map(str::to_owned)
}

fn text(message: &Value) -> &str {
    message["content"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_holds_is_turned_page_by_page_by_those_who_may_read_it() {
    let stand = Stand::start(&[]).await;
    let guild = stand.guild.id.clone();
    stand.ctl(&["config", "preset", "strict-moderation", "--guild", &guild, "--yes"]).await;
    let get = json!({});
    let first = stand.shown("mara", "ery config get", &get).await;
    let pages = stand.pages("mara", first).await;
    assert!(pages.len() > 1);
    let count = pages.len();
    for (index, page) in pages.iter().enumerate() {
        assert!(text(page).ends_with(&format!("Page {} of {count}", index + 1)), "{page}");
    }
    let read: BTreeSet<String> = pages
        .iter()
        .flat_map(|page| text(page).lines())
        .filter_map(|line| line.strip_prefix("- `")?.split('`').next().map(str::to_owned))
        .collect();
    let known = stand.ctl(&["config", "get", "--guild", &guild]).await;
    let known: BTreeSet<String> = known
        .as_array()
        .unwrap()
        .iter()
        .map(|value| value["path"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(read, known);
    let back = stand.turned("mara", pages.last().unwrap(), "Previous page").await;
    assert_eq!(text(&back), text(&pages[count - 2]));

    // Whoever may not any more is told so by the next button.
    let world = stand.sim.get("/sim/v1/world").await.unwrap();
    let roles = world["guilds"][0]["roles"].as_array().unwrap();
    let member = roles.iter().find(|role| role["name"] == "Member").unwrap()["id"].clone();
    let role = json!({ "what": "config_admin", "role": member });
    stand.shown("mara", "ery access give", &role).await;
    let first = stand.shown("alice", "ery config get", &get).await;
    assert!(text(&first).contains("Page 1 of"), "{first}");
    stand.shown("mara", "ery access take", &role).await;
    let refused = stand.turned("alice", &first, "Next page").await;
    assert!(text(&refused).contains("Manage server"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_stays_as_it_was_while_it_is_turned_and_long_values_are_read_whole() {
    let stand = Stand::start(&[]).await;
    let guild = stand.guild.id.clone();
    for steps in 1..=25 {
        let number = steps.to_string();
        stand.ctl(&["config", "set", "context.messages", &number, "--guild", &guild]).await;
    }
    let first = stand.shown("mara", "ery config history", &json!({})).await;
    let text_of_value = format!("First line.\n{}", "We love `trains`. ".repeat(100));
    let text_of_value = text_of_value.trim();
    stand.ctl(&["config", "set", "answers.instructions", text_of_value, "--guild", &guild]).await;
    let pages = stand.pages("mara", first).await;
    let versions: Vec<u64> = pages
        .iter()
        .flat_map(|page| text(page).lines())
        .filter_map(|line| line.strip_prefix("**")?.split("**").next()?.parse().ok())
        .collect();
    assert_eq!(versions, (1..=25).rev().collect::<Vec<_>>());

    let key = json!({ "key": "answers.instructions" });
    for (command, options, file) in [
        ("ery config get", key, "answers.instructions.txt"),
        ("ery config history", json!({ "version": 26 }), "version-26.json"),
    ] {
        let shown = stand.shown("mara", command, &options).await;
        let attached = &shown["attachments"][0];
        assert_eq!(attached["filename"], file, "{shown}");
        let url = attached["url"].as_str().unwrap();
        let whole = ery_tests::http_client().get(url).send().await.unwrap().text().await.unwrap();
        let whole = match serde_json::from_str::<Value>(&whole) {
            Ok(changes) => changes[0]["after"].as_str().unwrap().to_owned(),
            Err(_) => whole,
        };
        assert_eq!(whole, text_of_value);
    }
    // Who made a change is mentioned, and nobody is notified.
    let log = stand.sim.log(0).await.unwrap();
    let is_answer = |it: &&LogEntry| {
        // Those with files have parts, of which the log has none.
        it.path.ends_with("/messages/@original") && it.body["content"].is_string()
    };
    let answers: Vec<_> = log.iter().filter(is_answer).collect();
    assert!(!answers.is_empty());
    assert!(answers.iter().all(|it| it.body["allowed_mentions"]["parse"] == json!([])));
}
