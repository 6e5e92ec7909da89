//! The control API, `/sim/v1`: the hand that lets people speak, sets up the world, orders faults and
//! looks at what was done. `openapi.json` beside this module describes it.

mod clock;
mod commands;
mod emojis;
mod error;
mod faults;
mod guilds;
mod interactions;
mod invites;
mod log;
mod members;
mod messages;
mod polls;
mod scheduled_events;
mod settings;
mod stickers;
mod threads;
mod users;
mod watch;
mod webhooks;
mod world;

use std::sync::Arc;

use axum::{
    Router,
    extract::Request,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{delete, get, patch, post, put},
};
use http::{HeaderValue, Method, StatusCode, header};
use serde::Deserialize;

use crate::{domain::UserId, shared::Shared};

use error::{ControlError, Reply, read};

const OPENAPI: &str = include_str!("control/openapi.json");

/// Who does it, with their rights; the operator where it is not said.
#[derive(Debug, Deserialize)]
struct By {
    #[serde(default)]
    user_id: Option<UserId>,
}

/// Returns everything below `/sim/v1`.
pub(crate) fn router() -> Router<Arc<Shared>> {
    let api = Router::new()
        .route("/world", get(world::show))
        .route("/users", post(members::create_user))
        .route("/users/{user}", patch(users::update))
        .route("/presences/{user}", put(users::show))
        .route("/dms", post(messages::open_dm))
        .route("/messages", post(messages::speak))
        .route("/messages/{channel}/{message}", patch(messages::edit).delete(messages::delete))
        .route("/reactions", post(messages::react).delete(messages::unreact))
        .route("/poll-votes", post(polls::vote).delete(polls::unvote))
        .route("/interactions", post(interactions::interact))
        .route("/interactions/{interaction}", get(interactions::show))
        .route("/typing", post(messages::start_typing))
        .route("/members", post(members::create))
        .route("/members/{guild}/{user}", patch(members::update).delete(members::remove))
        .route("/bans/{guild}/{user}", put(members::ban).delete(members::unban))
        .route("/guilds", post(guilds::create))
        .route("/generate", post(world::generate))
        .route("/guilds/{guild}", get(guilds::show).delete(guilds::delete))
        .route("/guilds/{guild}/availability", put(guilds::set_available))
        .route("/command-permissions/{guild}/{command}", put(commands::set_permissions))
        .route("/roles", post(guilds::create_role))
        .route("/roles/{guild}/{role}", patch(guilds::update_role).delete(guilds::delete_role))
        .route("/channels", post(guilds::create_channel))
        .route("/channels/{channel}", patch(guilds::update_channel).delete(guilds::delete_channel))
        .route("/channels/{channel}/messages", get(messages::list))
        .route("/threads", post(threads::create))
        .route("/threads/{thread}", patch(threads::update).delete(threads::delete))
        .route("/threads/{thread}/members/{user}", put(threads::join).delete(threads::leave))
        .route("/emojis", post(emojis::create))
        .route("/emojis/{guild}/{emoji}", delete(emojis::delete))
        .route("/stickers", post(stickers::create))
        .route("/stickers/{guild}/{sticker}", delete(stickers::delete))
        .route("/scheduled-events", post(scheduled_events::create))
        .route(
            "/scheduled-events/{guild}/{event}",
            patch(scheduled_events::update).delete(scheduled_events::delete),
        )
        .route(
            "/scheduled-events/{guild}/{event}/users/{user}",
            put(scheduled_events::subscribe).delete(scheduled_events::unsubscribe),
        )
        .route("/invites", get(invites::list).post(invites::create))
        .route("/invites/{code}", delete(invites::delete))
        .route("/invites/{code}/uses", post(invites::accept))
        .route("/webhooks", post(webhooks::create))
        .route("/webhooks/{webhook}", delete(webhooks::delete))
        .route("/faults", get(faults::list).post(faults::order).delete(faults::clear))
        .route("/faults/{fault}", delete(faults::withdraw))
        .route("/clock", get(clock::show).post(clock::jump).delete(clock::set_right))
        .route("/gateway", get(faults::sessions).post(faults::disturb))
        .route("/log", get(log::read_log))
        .route("/events", get(watch::events))
        .route("/settings", get(settings::show).patch(settings::update))
        .route("/openapi.json", get(openapi))
        .fallback(no_such_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn(open_to_pages));
    Router::new().nest("/sim/v1", api)
}

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

async fn no_such_route() -> ControlError {
    ControlError::from(crate::domain::Refusal::NoSuchRoute)
}

async fn wrong_method() -> ControlError {
    ControlError::from(crate::domain::Refusal::MethodNotAllowed)
}

/// Lets pages of any origin use the API, and answers their preflights.
async fn open_to_pages(request: Request, next: Next) -> Response {
    let mut response = if request.method() == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    let open = [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT, PATCH, DELETE, OPTIONS"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "*"),
    ];
    for (name, value) in open {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Map, Value};

    use super::OPENAPI;

    const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

    fn document() -> Value {
        serde_json::from_str(OPENAPI).unwrap()
    }

    /// Returns every operation of the document: method, path, and what is said of it.
    fn operations(document: &Value) -> Vec<(String, String, &Map<String, Value>)> {
        let mut operations = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                if METHODS.contains(&method.as_str()) {
                    let operation = operation.as_object().unwrap();
                    operations.push((method.clone(), path.clone(), operation));
                }
            }
        }
        operations
    }

    /// Returns the lines of this module that make routes, as method and path: a router cannot be
    /// asked for them.
    fn routes() -> BTreeSet<(String, String)> {
        let code = include_str!("control.rs").split("#[cfg(test)]").next().unwrap();
        let mut routes = BTreeSet::new();
        for line in code.split(".route(").skip(1) {
            let line = line.split(".fallback").next().unwrap();
            let path = line.split('"').nth(1).unwrap();
            for method in METHODS {
                let makes = [format!(" {method}("), format!(".{method}("), format!("\n{method}(")];
                if makes.iter().any(|makes| line.contains(makes.as_str())) {
                    routes.insert((method.to_owned(), format!("/sim/v1{path}")));
                }
            }
        }
        routes
    }

    #[test]
    fn every_route_is_described_and_nothing_else_is() {
        let document = document();
        let described: BTreeSet<(String, String)> = operations(&document)
            .into_iter()
            .map(|(method, path, _)| (method, path))
            // The health of the whole server is described here too, and served elsewhere.
            .filter(|(_, path)| path != "/sim/v1/openapi.json" && path != "/healthz")
            .collect();
        let mut routes = routes();
        routes.remove(&("get".to_owned(), "/sim/v1/openapi.json".to_owned()));
        assert!(routes.len() > 30, "{routes:?}");
        assert_eq!(described, routes);
    }

    #[test]
    fn the_description_is_an_openapi_document() {
        let document = document();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
        assert!(document["info"]["title"].is_string() && document["info"]["version"].is_string());
        let mut names = BTreeSet::new();
        for (method, path, operation) in operations(&document) {
            let place = format!("{method} {path}");
            assert!(operation["summary"].is_string(), "{place}");
            let name = operation["operationId"].as_str().unwrap().to_owned();
            assert!(names.insert(name.clone()), "{name} is there twice");
            let responses = operation["responses"].as_object().unwrap();
            assert!(!responses.is_empty(), "{place}");
            for (status, response) in responses {
                let is_status =
                    status.len() == 3 && status.starts_with(|it| ('1'..='5').contains(&it));
                assert!(is_status && response["description"].is_string(), "{place} {status}");
            }
            let of_path = document["paths"][&path]["parameters"].as_array().into_iter();
            let of_operation = operation.get("parameters").and_then(Value::as_array).into_iter();
            let parameters: Vec<&Value> = of_path.chain(of_operation).flatten().collect();
            let declared: BTreeSet<&str> = parameters
                .iter()
                .filter(|one| one["in"] == "path")
                .map(|one| {
                    assert_eq!(one["required"], true, "{place}");
                    one["name"].as_str().unwrap()
                })
                .collect();
            let in_path: BTreeSet<&str> = path
                .split('/')
                .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
                .collect();
            assert_eq!(declared, in_path, "{place}");
            assert!(parameters.iter().all(|one| one["schema"].is_object()), "{place}");
        }
        references_lead_somewhere(&document, &document);
    }

    fn references_lead_somewhere(document: &Value, part: &Value) {
        match part {
            Value::Object(fields) => {
                if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                    let pointer = reference.strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
                }
                for value in fields.values() {
                    references_lead_somewhere(document, value);
                }
            }
            Value::Array(items) => {
                for value in items {
                    references_lead_somewhere(document, value);
                }
            }
            _ => {}
        }
    }
}
