use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use crate::{domain::Refusal, wire};

/// Why the control API did not do something: Discord's own answer, or what is wrong with the request.
#[derive(Debug)]
pub(super) struct ControlError {
    status: u16,
    body: Bytes,
}

impl ControlError {
    /// Says what is not there.
    pub(super) fn not_found(problem: impl Into<String>) -> Self {
        let body = json!({ "message": problem.into(), "code": 0 });
        Self { status: 404, body: wire::render(&body) }
    }

    /// Says what is wrong with a request.
    pub(super) fn bad_request(problem: impl Into<String>) -> Self {
        let body = json!({ "message": problem.into(), "code": 0 });
        Self { status: 400, body: wire::render(&body) }
    }
}

impl From<Refusal> for ControlError {
    fn from(refusal: Refusal) -> Self {
        Self { status: refusal.status(), body: wire::render(&refusal.body()) }
    }
}

impl IntoResponse for ControlError {
    fn into_response(self) -> Response {
        respond(self.status, self.body)
    }
}

/// What a control request is answered with.
#[derive(Debug)]
pub(super) struct Reply {
    status: u16,
    body: Bytes,
}

impl Reply {
    pub(super) fn json(view: &impl Serialize) -> Self {
        Self { status: 200, body: wire::render(view) }
    }

    pub(super) fn created(view: &impl Serialize) -> Self {
        Self { status: 201, body: wire::render(view) }
    }

    pub(super) fn no_content() -> Self {
        Self { status: 204, body: Bytes::new() }
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        respond(self.status, self.body)
    }
}

fn respond(status: u16, body: Bytes) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if body.is_empty() {
        return status.into_response();
    }
    let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (status, json, body).into_response()
}

/// Reads a body; an empty one is an empty object.
pub(super) fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, ControlError> {
    let body: &[u8] = if body.iter().all(u8::is_ascii_whitespace) { b"{}" } else { body };
    serde_json::from_slice(body)
        .map_err(|error| ControlError::bad_request(format!("the body does not fit: {error}")))
}
