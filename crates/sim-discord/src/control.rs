//! The control API, `/sim/v1`: the hand that lets people speak, sets up the world, orders faults and
//! looks at what was done. `openapi.json` beside this module describes it.

mod clock;
mod emojis;
mod error;
mod faults;
mod guilds;
mod invites;
mod log;
mod members;
mod messages;
mod scheduled_events;
mod settings;
mod threads;
mod users;
mod watch;
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

use crate::shared::Shared;

use error::{ControlError, Reply, read};

const OPENAPI: &str = include_str!("control/openapi.json");

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
        .route("/typing", post(messages::start_typing))
        .route("/members", post(members::create))
        .route("/members/{guild}/{user}", patch(members::update).delete(members::remove))
        .route("/bans/{guild}/{user}", put(members::ban).delete(members::unban))
        .route("/guilds", post(guilds::create))
        .route("/guilds/{guild}", get(guilds::show).delete(guilds::delete))
        .route("/guilds/{guild}/availability", put(guilds::set_available))
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
