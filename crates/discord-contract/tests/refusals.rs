//! What the check accepts and what it refuses, against Discord's document itself.

use std::sync::Arc;

use ery_discord_contract::{Contract, Exchange, Requests, contract, report};
use serde_json::{Value, json};

/// Breaks an answer.
type Change = fn(&mut Value);

/// Runs a test on the document, if there is one.
fn with_document(test: impl FnOnce(&Contract)) {
    let contract: Option<Arc<Contract>> = contract();
    if let Some(contract) = contract {
        test(&contract);
    }
}

fn exchange(method: &str, path: &str, body: Value, status: u16, response: Value) -> Exchange {
    Exchange {
        method: method.to_owned(),
        path: format!("/api/v10{path}"),
        body,
        status,
        response,
        ..Exchange::default()
    }
}

fn user() -> Value {
    json!({
        "id": "80351110224678912", "username": "ada", "avatar": null, "discriminator": "0",
        "public_flags": 0, "flags": 0, "global_name": null, "primary_guild": null
    })
}

fn message() -> Value {
    json!({
        "id": "334385199974967042", "channel_id": "290926798999357250", "type": 0, "author": user(),
        "content": "hi", "mentions": [], "mention_roles": [], "mention_everyone": false,
        "attachments": [], "embeds": [], "components": [], "pinned": false, "tts": false,
        "timestamp": "2026-07-11T17:27:07.299000+00:00", "edited_timestamp": null, "flags": 0
    })
}

fn sent(body: Value) -> Exchange {
    exchange("POST", "/channels/290926798999357250/messages", body, 200, message())
}

/// Returns where the exchange is refused, as `part at`.
fn refused(contract: &Contract, exchange: &Exchange, requests: Requests) -> Vec<String> {
    let violations = contract.check(exchange, requests);
    violations
        .iter()
        .map(|found| format!("{} {}", found.part, found.at).trim().to_owned())
        .collect()
}

#[test]
fn a_faithful_exchange_is_accepted() {
    with_document(|contract| {
        for exchange in [
            sent(json!({ "content": "hi" })),
            // What nobody knows is ignored, numbers may be ids, digits may be numbers.
            sent(json!({ "content": "hi", "unheard_of": 1, "sticker_ids": [5], "flags": "4" })),
            exchange("GET", "/channels/1/messages?limit=5&before=7", Value::Null, 200, json!([])),
            exchange(
                "GET",
                "/guilds/1?with_counts=1",
                Value::Null,
                404,
                json!({ "code": 10004, "message": "Unknown Guild" }),
            ),
            exchange("DELETE", "/guilds/1/bans/2", Value::Null, 204, Value::Null),
            exchange(
                "PUT",
                "/channels/1/messages/2/reactions/%F0%9F%91%8D/@me",
                Value::Null,
                204,
                Value::Null,
            ),
            exchange(
                "GET",
                "/users/@me/guilds",
                Value::Null,
                503,
                json!({ "code": 0, "message": "503" }),
            ),
            exchange("POST", "/channels/1/typing", Value::Null, 0, Value::Null),
        ] {
            let violations = contract.check(&exchange, Requests::All);
            assert!(violations.is_empty(), "{}", report(&violations));
        }
    });
}

#[test]
fn a_broken_request_is_refused_by_its_place() {
    with_document(|contract| {
        let embeds = json!({ "embeds": [{}, { "title": "x".repeat(257) }] });
        let table = [
            (sent(json!({ "content": 5 })), "request body /content"),
            (sent(json!({ "content": "x".repeat(2_001) })), "request body /content"),
            (sent(embeds), "request body /embeds/1/title"),
            (sent(json!({ "sticker_ids": ["five"] })), "request body /sticker_ids/0"),
            (sent(json!({ "tts": "yes" })), "request body /tts"),
            (sent(Value::Null), "request body"),
            (sent("no object".into()), "request body"),
        ];
        for (exchange, place) in table {
            assert_eq!(refused(contract, &exchange, Requests::NotRefused), [place], "{exchange:?}");
        }
    });
}

#[test]
fn a_broken_path_or_query_is_refused() {
    with_document(|contract| {
        let asked = |path: &str| exchange("GET", path, Value::Null, 200, json!([]));
        for (path, place) in [
            ("/channels/1/messages?limit=101", "query parameter `limit`"),
            ("/channels/1/messages?before=first", "query parameter `before`"),
            ("/channels/general/messages", "path parameter `channel_id`"),
            ("/guilds/1/members/search?limit=2", "query parameter `query`"),
            ("/nothing/here", "route"),
        ] {
            assert_eq!(refused(contract, &asked(path), Requests::All), [place], "{path}");
        }
        let unknown =
            exchange("PUT", "/users/@me", Value::Null, 405, json!({ "code": 0, "message": "405" }));
        assert_eq!(refused(contract, &unknown, Requests::NotRefused), ["route"]);
    });
}

#[test]
fn a_broken_answer_is_refused_by_its_place() {
    with_document(|contract| {
        let answered = |change: Change| {
            let mut exchange = sent(json!({ "content": "hi" }));
            change(&mut exchange.response);
            exchange
        };
        let table: [(Change, &str); 7] = [
            (|message| message["id"] = json!(5), "response 200 /id"),
            (|message| message["id"] = json!("01"), "response 200 /id"),
            (
                |message| message["author"]["global_name"] = json!(1),
                "response 200 /author/global_name",
            ),
            (|message| message["timestamp"] = json!("yesterday"), "response 200 /timestamp"),
            (|message| message["type"] = json!(999), "response 200 /type"),
            (|message| message["components"] = Value::Null, "response 200 /components"),
            (|message| drop(message.as_object_mut().unwrap().remove("pinned")), "response 200"),
        ];
        for (change, place) in table {
            assert_eq!(refused(contract, &answered(change), Requests::All), [place]);
        }
    });
}

#[test]
fn a_status_and_a_body_go_together() {
    with_document(|contract| {
        let pin = "/channels/1/messages/pins/2";
        for (exchange, place) in [
            (exchange("PUT", pin, Value::Null, 200, json!({})), "response 200"),
            (exchange("PUT", pin, Value::Null, 204, json!({})), "response 204"),
            (exchange("GET", "/users/@me", Value::Null, 200, Value::Null), "response 200"),
        ] {
            assert_eq!(refused(contract, &exchange, Requests::All), [place]);
        }
    });
}

#[test]
fn a_refusal_has_its_shape_and_excuses_only_the_request() {
    with_document(|contract| {
        let error =
            json!({ "_errors": [{ "code": "BASE_TYPE_MAX_LENGTH", "message": "too long" }] });
        let body = json!({ "code": 50035, "message": "Invalid Form Body", "errors": { "content": error } });
        let mut tried = sent(json!({ "content": "x".repeat(2_001) }));
        (tried.status, tried.response) = (400, body);
        assert!(refused(contract, &tried, Requests::NotRefused).is_empty());
        assert_eq!(refused(contract, &tried, Requests::All), ["request body /content"]);
        tried.response = json!({ "error": "too long" });
        assert_eq!(
            refused(contract, &tried, Requests::NotRefused),
            ["response 400", "response 400"]
        );

        let limited = |body: Value| {
            let exchange = exchange("GET", "/users/@me", Value::Null, 429, body);
            refused(contract, &exchange, Requests::NotRefused)
        };
        let whole = json!({ "message": "slowly", "retry_after": 0.5, "global": false });
        assert!(limited(whole).is_empty());
        assert_eq!(limited(json!({ "message": "slowly", "global": false })), ["response 429"]);
    });
}

#[test]
fn a_file_is_checked_by_its_payload() {
    with_document(|contract| {
        let mut exchange = sent(Value::Null);
        let content_type = "multipart/form-data; boundary=b".to_owned();
        exchange.headers.insert("content-type".to_owned(), content_type);
        let body = |payload: &str| {
            let payload = format!(
                "--b\r\nContent-Disposition: form-data; name=\"payload_json\"\r\n\r\n{payload}\r\n"
            );
            Value::String(format!(
                "{payload}--b\r\nContent-Disposition: form-data; name=\"files[0]\"; \
                filename=\"a.txt\"\r\n\r\nhello\r\n--b--\r\n"
            ))
        };
        exchange.body = body(r#"{"content":"see"}"#);
        assert!(refused(contract, &exchange, Requests::All).is_empty());
        exchange.body = body(r#"{"content":7}"#);
        assert_eq!(refused(contract, &exchange, Requests::All), ["request body /content"]);
        exchange.body = "no part at all".into();
        assert!(refused(contract, &exchange, Requests::All).is_empty(), "an empty form is one");
        exchange.body = body("{");
        assert_eq!(refused(contract, &exchange, Requests::All), ["request body"]);
    });
}

#[test]
fn a_violation_says_what_was_wanted() {
    with_document(|contract| {
        let mut exchange = sent(json!({ "content": "hi" }));
        exchange.seq = 7;
        exchange.response["author"]["id"] = json!("x");
        let violations = contract.check(&exchange, Requests::All);
        let words = report(&violations);
        assert!(
            words.starts_with("#7 POST /api/v10/channels/290926798999357250/messages"),
            "{words}"
        );
        assert!(words.contains("POST /channels/{channel_id}/messages, create_message"), "{words}");
        assert!(words.contains("response 200 at /author/id"), "{words}");
        assert!(words.contains("\"x\""), "{words}");
    });
}

#[test]
fn dispatches_are_made_of_the_same_objects() {
    with_document(|contract| {
        let places = |name: &str, d: &Value| {
            let violations = contract.check_dispatch(name, d);
            violations.into_iter().map(|found| found.at).collect::<Vec<_>>()
        };
        let mut d = message();
        assert!(places("MESSAGE_CREATE", &d).is_empty());
        // A member stands beside its user here, and not around it.
        d["member"] = json!({
            "avatar": null, "banner": null, "communication_disabled_until": null, "flags": 0,
            "joined_at": "2026-07-11T17:27:07.299000+00:00", "nick": null, "pending": false,
            "premium_since": null, "roles": [], "mute": false, "deaf": false
        });
        assert!(places("MESSAGE_CREATE", &d).is_empty());
        assert_eq!(
            places("GUILD_MEMBERS_CHUNK", &json!({ "members": [d["member"]] })),
            ["/members/0"]
        );
        d["author"]["id"] = json!(5);
        d["member"]["roles"] = json!([1]);
        assert_eq!(places("MESSAGE_CREATE", &d), ["/author/id", "/member/roles/0"]);
        assert!(places("RESUMED", &Value::Null).is_empty());
    });
}
