//! The span of a request to Discord. Its name and its template hold no id, and no token.

use std::fmt::Write as _;

use tracing::{Span, field::Empty};

use super::{Request, RestError};

/// The words of Discord's paths. Whatever else stands in one is an id, or something that is given by
/// whoever asked: emoji, codes, even tokens.
const WORDS: [&str; 60] = [
    "@me",
    "@original",
    "active",
    "answers",
    "applications",
    "archived",
    "audit-logs",
    "auto-moderation",
    "bans",
    "bot",
    "bulk-ban",
    "bulk-delete",
    "callback",
    "channels",
    "commands",
    "crosspost",
    "current-user",
    "emojis",
    "entitlements",
    "expire",
    "followers",
    "gateway",
    "guilds",
    "integrations",
    "interactions",
    "invites",
    "member",
    "members",
    "messages",
    "nick",
    "onboarding",
    "permissions",
    "pins",
    "polls",
    "preview",
    "private",
    "prune",
    "public",
    "reactions",
    "recipients",
    "regions",
    "role-connections",
    "roles",
    "rules",
    "scheduled-events",
    "search",
    "skus",
    "soundboard-sounds",
    "stage-instances",
    "stickers",
    "templates",
    "thread-members",
    "threads",
    "typing",
    "users",
    "vanity-url",
    "voice-states",
    "webhooks",
    "welcome-screen",
    "widget",
];

/// Makes the span of a request to Discord, with all its waits.
///
/// Source: OpenTelemetry's semantic conventions for HTTP clients.
pub(super) fn request(request: &Request) -> Span {
    ery_trace::within(|| {
        let (method, template) = (request.method.name(), template(&request.path));
        tracing::info_span!(
            "tool.discord.request",
            otel.name = format!("{method} {template}"),
            otel.kind = "client",
            otel.status_code = Empty,
            http.request.method = method,
            url.template = template,
            http.response.status_code = Empty,
            error.type = Empty,
            guild.id = request.home,
            channel.id = channel_in(&request.path),
        )
    })
}

/// Notes how a request ended.
pub(super) fn requested(span: &Span, result: Result<u16, &RestError>) {
    match result {
        Ok(status) => {
            span.record("http.response.status_code", status);
        }
        Err(error) => {
            if error.status() != 0 {
                span.record("http.response.status_code", error.status());
            }
            span.record("error.type", error.label());
            span.record("otel.status_code", "ERROR");
        }
    }
}

/// Returns a path without anything that is not Discord's own word: `/channels/{id}/messages`.
fn template(path: &str) -> String {
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    let mut template = String::with_capacity(path.len());
    for part in path.split('/').filter(|part| !part.is_empty()) {
        let is_id = part.bytes().all(|byte| byte.is_ascii_digit());
        let shown = match part {
            _ if is_id => "{id}",
            word if WORDS.binary_search(&word).is_ok() => word,
            _ => "{value}",
        };
        write!(template, "/{shown}").expect("writing to a string cannot fail");
    }
    template
}

fn channel_in(path: &str) -> Option<u64> {
    let (_, rest) = path.split_once("channels/")?;
    rest.split(['/', '?']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_holds_nothing_but_the_words_of_discord() {
        assert!(WORDS.is_sorted());
        for (path, expected) in [
            ("/channels/175928847299117063/messages", "/channels/{id}/messages"),
            ("channels/1/messages?limit=50&around=7", "/channels/{id}/messages"),
            (
                "/channels/1/messages/2/reactions/%F0%9F%94%A5/@me",
                "/channels/{id}/messages/{id}/reactions/{value}/@me",
            ),
            ("/interactions/1/aW50ZXJhY3Rpb246/callback", "/interactions/{id}/{value}/callback"),
            (
                "/webhooks/1/aW50ZXJhY3Rpb246/messages/@original",
                "/webhooks/{id}/{value}/messages/@original",
            ),
            ("/invites/discord-testers", "/invites/{value}"),
        ] {
            assert_eq!(template(path), expected);
        }
        assert_eq!(channel_in("/channels/17/messages?limit=1"), Some(17));
        assert_eq!(channel_in("/guilds/17/channels"), None);
    }
}
