//! The table of endpoints.

use std::sync::LazyLock;

use http::{HeaderValue, Method};
use sha2::{Digest, Sha256};

use super::{
    answer::Answer, call::Call, channels, commands, emojis, guild_settings, guilds, interactions,
    invites, members, messages, polls, rate_limits::Bucket, reactions, scheduled_events, stickers,
    threads, users, webhooks,
};
use crate::{domain::Refusal, percent};

pub(super) type Handler = fn(&mut Call<'_>) -> Result<Answer, Refusal>;

/// One line of the table.
#[derive(Debug)]
struct Endpoint(Verb, &'static str, &'static Bucket, Handler);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Verb {
    fn method(self) -> Method {
        match self {
            Self::Get => Method::GET,
            Self::Post => Method::POST,
            Self::Put => Method::PUT,
            Self::Patch => Method::PATCH,
            Self::Delete => Method::DELETE,
        }
    }
}

// Discord tells no numbers in advance; these are such as its headers have shown.
static GATEWAY: Bucket = Bucket::new("gateway", 2, 5_000);
static ME: Bucket = Bucket::new("users/@me", 5, 5_000);
static EDIT_ME: Bucket = Bucket::new("users/@me/edit", 2, 60_000);
static USER: Bucket = Bucket::new("users", 30, 30_000);
static OPEN_DM: Bucket = Bucket::new("users/@me/channels", 10, 10_000);
static CHANNEL: Bucket = Bucket::new("channels", 10, 10_000);
// Names and topics may be changed twice in ten minutes, whoever does it.
static EDIT_CHANNEL: Bucket =
    Bucket::new("channels/edit", 5, 15_000).with_long_window(2, 600_000, &["name", "topic"]);
static CREATE_CHANNEL: Bucket = Bucket::new("guilds/channels", 10, 15_000);
static TYPING: Bucket = Bucket::new("channels/typing", 5, 5_000);
static READ_MESSAGES: Bucket = Bucket::new("channels/messages/read", 5, 5_000);
static CREATE_MESSAGE: Bucket = Bucket::new("channels/messages/create", 5, 5_000);
static EXPIRE_POLL: Bucket = Bucket::new("channels/polls/expire", 5, 5_000);
static EDIT_MESSAGE: Bucket = Bucket::new("channels/messages/edit", 5, 5_000);
static DELETE_MESSAGE: Bucket = Bucket::new("channels/messages/delete", 5, 1_000);
static BULK_DELETE: Bucket = Bucket::new("channels/messages/bulk-delete", 1, 1_000);
static REACT: Bucket = Bucket::new("channels/messages/reactions", 1, 250).shared();
static READ_REACTIONS: Bucket = Bucket::new("channels/messages/reactions/read", 5, 5_000);
static PINS: Bucket = Bucket::new("channels/pins", 5, 5_000);
static CREATE_THREAD: Bucket = Bucket::new("channels/threads/create", 10, 10_000);
static READ_THREADS: Bucket = Bucket::new("channels/threads/read", 10, 10_000);
static THREAD_MEMBERS: Bucket = Bucket::new("channels/thread-members", 10, 10_000);
static INVITES: Bucket = Bucket::new("invites", 10, 10_000);
static EMOJIS: Bucket = Bucket::new("guilds/emojis", 5, 5_000);
static STICKERS: Bucket = Bucket::new("guilds/stickers", 5, 5_000);
static EVENTS: Bucket = Bucket::new("guilds/scheduled-events", 5, 5_000);
static EDIT_GUILD: Bucket = Bucket::new("guilds/edit", 5, 15_000);
static GUILD: Bucket = Bucket::new("guilds", 10, 10_000);
static READ_MEMBERS: Bucket = Bucket::new("guilds/members/read", 10, 10_000);
static EDIT_MEMBER: Bucket = Bucket::new("guilds/members/edit", 10, 10_000);
static MEMBER_ROLES: Bucket = Bucket::new("guilds/members/roles", 10, 10_000);
static REMOVE_MEMBER: Bucket = Bucket::new("guilds/members/remove", 5, 1_000);
static BANS: Bucket = Bucket::new("guilds/bans", 5, 1_000);
static BULK_BAN: Bucket = Bucket::new("guilds/bulk-ban", 5, 1_000);
static AUDIT_LOG: Bucket = Bucket::new("guilds/audit-logs", 5, 5_000);
static SEARCH: Bucket = Bucket::new("guilds/search", 5, 5_000);
static COMMANDS: Bucket = Bucket::new("applications/commands", 10, 10_000);
static INTERACTIONS: Bucket = Bucket::new("interactions", 5, 5_000).outside_global();
static WEBHOOKS: Bucket = Bucket::new("webhooks", 5, 5_000).outside_global();
static MANAGE_WEBHOOKS: Bucket = Bucket::new("channels/webhooks", 5, 5_000);
static WEBHOOK_MESSAGES: Bucket = Bucket::new("webhooks/messages", 5, 2_000).outside_global();
static ROLES: Bucket = Bucket::new("guilds/roles", 10, 10_000);

/// Templates with a literal stand before those with a parameter in the same place.
#[rustfmt::skip]
static ENDPOINTS: &[Endpoint] = {
    use Verb::{Delete, Get, Patch, Post, Put};
    &[
        Endpoint(Get, "/gateway", &GATEWAY, users::gateway),
        Endpoint(Get, "/gateway/bot", &GATEWAY, users::gateway_bot),
        Endpoint(Get, "/oauth2/applications/@me", &ME, users::application),
        Endpoint(Get, "/applications/@me", &ME, users::application),
        Endpoint(Get, "/users/@me", &ME, users::me),
        Endpoint(Patch, "/users/@me", &EDIT_ME, users::update_me),
        Endpoint(Get, "/users/{user_id}", &USER, users::get),
        Endpoint(Get, "/users/@me/guilds", &ME, users::guilds),
        Endpoint(Delete, "/users/@me/guilds/{guild_id}", &ME, users::leave_guild),
        Endpoint(Get, "/users/@me/channels", &OPEN_DM, users::list_dms),
        Endpoint(Post, "/users/@me/channels", &OPEN_DM, users::open_dm),

        Endpoint(Get, "/channels/{channel_id}", &CHANNEL, channels::get),
        Endpoint(Patch, "/channels/{channel_id}", &EDIT_CHANNEL, channels::update),
        Endpoint(Delete, "/channels/{channel_id}", &EDIT_CHANNEL, channels::delete),
        Endpoint(Post, "/channels/{channel_id}/typing", &TYPING, channels::typing),
        Endpoint(Put, "/channels/{channel_id}/permissions/{overwrite_id}", &EDIT_CHANNEL, channels::set_overwrite),
        Endpoint(Delete, "/channels/{channel_id}/permissions/{overwrite_id}", &EDIT_CHANNEL, channels::delete_overwrite),

        Endpoint(Get, "/channels/{channel_id}/messages", &READ_MESSAGES, messages::list),
        Endpoint(Post, "/channels/{channel_id}/messages", &CREATE_MESSAGE, messages::create),
        Endpoint(Post, "/channels/{channel_id}/messages/bulk-delete", &BULK_DELETE, messages::bulk_delete),
        Endpoint(Get, "/channels/{channel_id}/messages/pins", &PINS, reactions::list_pins),
        Endpoint(Put, "/channels/{channel_id}/messages/pins/{message_id}", &PINS, reactions::pin),
        Endpoint(Delete, "/channels/{channel_id}/messages/pins/{message_id}", &PINS, reactions::unpin),
        Endpoint(Get, "/channels/{channel_id}/pins", &PINS, reactions::list_pins_as_before),
        Endpoint(Put, "/channels/{channel_id}/pins/{message_id}", &PINS, reactions::pin),
        Endpoint(Delete, "/channels/{channel_id}/pins/{message_id}", &PINS, reactions::unpin),
        Endpoint(Get, "/channels/{channel_id}/messages/{message_id}", &READ_MESSAGES, messages::get),
        Endpoint(Patch, "/channels/{channel_id}/messages/{message_id}", &EDIT_MESSAGE, messages::update),
        Endpoint(Delete, "/channels/{channel_id}/messages/{message_id}", &DELETE_MESSAGE, messages::delete),

        Endpoint(Post, "/channels/{channel_id}/messages/{message_id}/crosspost", &CREATE_MESSAGE, messages::crosspost),

        Endpoint(Delete, "/channels/{channel_id}/messages/{message_id}/reactions", &REACT, reactions::clear),
        Endpoint(Get, "/channels/{channel_id}/messages/{message_id}/reactions/{emoji_name}", &READ_REACTIONS, reactions::users),
        Endpoint(Delete, "/channels/{channel_id}/messages/{message_id}/reactions/{emoji_name}", &REACT, reactions::clear_emoji),
        Endpoint(Put, "/channels/{channel_id}/messages/{message_id}/reactions/{emoji_name}/@me", &REACT, reactions::add),
        Endpoint(Delete, "/channels/{channel_id}/messages/{message_id}/reactions/{emoji_name}/@me", &REACT, reactions::remove_own),
        Endpoint(Delete, "/channels/{channel_id}/messages/{message_id}/reactions/{emoji_name}/{user_id}", &REACT, reactions::remove),

        Endpoint(Post, "/channels/{channel_id}/messages/{message_id}/threads", &CREATE_THREAD, threads::create_from_message),
        Endpoint(Post, "/channels/{channel_id}/threads", &CREATE_THREAD, threads::create),
        Endpoint(Get, "/channels/{channel_id}/threads/archived/public", &READ_THREADS, threads::archived_public),
        Endpoint(Get, "/channels/{channel_id}/threads/archived/private", &READ_THREADS, threads::archived_private),
        Endpoint(Get, "/channels/{channel_id}/users/@me/threads/archived/private", &READ_THREADS, threads::archived_joined),
        Endpoint(Get, "/channels/{channel_id}/thread-members", &READ_THREADS, threads::members),
        Endpoint(Put, "/channels/{channel_id}/thread-members/@me", &THREAD_MEMBERS, threads::join),
        Endpoint(Delete, "/channels/{channel_id}/thread-members/@me", &THREAD_MEMBERS, threads::leave),
        Endpoint(Get, "/channels/{channel_id}/thread-members/{user_id}", &READ_THREADS, threads::get_member),
        Endpoint(Put, "/channels/{channel_id}/thread-members/{user_id}", &THREAD_MEMBERS, threads::add_member),
        Endpoint(Delete, "/channels/{channel_id}/thread-members/{user_id}", &THREAD_MEMBERS, threads::remove_member),

        Endpoint(Get, "/channels/{channel_id}/polls/{message_id}/answers/{answer_id}", &READ_MESSAGES, polls::voters),
        Endpoint(Post, "/channels/{channel_id}/polls/{message_id}/expire", &EXPIRE_POLL, polls::expire),

        Endpoint(Get, "/channels/{channel_id}/invites", &INVITES, invites::of_channel),
        Endpoint(Post, "/channels/{channel_id}/invites", &INVITES, invites::create),
        Endpoint(Get, "/guilds/{guild_id}/invites", &INVITES, invites::of_guild),
        Endpoint(Get, "/invites/{code}", &INVITES, invites::get),
        Endpoint(Delete, "/invites/{code}", &INVITES, invites::delete),

        Endpoint(Get, "/guilds/{guild_id}/emojis", &EMOJIS, emojis::list),
        Endpoint(Post, "/guilds/{guild_id}/emojis", &EMOJIS, emojis::create),
        Endpoint(Get, "/guilds/{guild_id}/emojis/{emoji_id}", &EMOJIS, emojis::get),
        Endpoint(Patch, "/guilds/{guild_id}/emojis/{emoji_id}", &EMOJIS, emojis::update),
        Endpoint(Delete, "/guilds/{guild_id}/emojis/{emoji_id}", &EMOJIS, emojis::delete),
        Endpoint(Get, "/guilds/{guild_id}/stickers", &STICKERS, stickers::list),
        Endpoint(Get, "/guilds/{guild_id}/stickers/{sticker_id}", &STICKERS, stickers::get),

        Endpoint(Get, "/guilds/{guild_id}/scheduled-events", &EVENTS, scheduled_events::list),
        Endpoint(Post, "/guilds/{guild_id}/scheduled-events", &EVENTS, scheduled_events::create),
        Endpoint(Get, "/guilds/{guild_id}/scheduled-events/{guild_scheduled_event_id}", &EVENTS, scheduled_events::get),
        Endpoint(Patch, "/guilds/{guild_id}/scheduled-events/{guild_scheduled_event_id}", &EVENTS, scheduled_events::update),
        Endpoint(Delete, "/guilds/{guild_id}/scheduled-events/{guild_scheduled_event_id}", &EVENTS, scheduled_events::delete),
        Endpoint(Get, "/guilds/{guild_id}/scheduled-events/{guild_scheduled_event_id}/users", &EVENTS, scheduled_events::users),
        Endpoint(Get, "/applications/{application_id}/commands", &COMMANDS, commands::list),
        Endpoint(Post, "/applications/{application_id}/commands", &COMMANDS, commands::create),
        Endpoint(Put, "/applications/{application_id}/commands", &COMMANDS, commands::set),
        Endpoint(Get, "/applications/{application_id}/commands/{command_id}", &COMMANDS, commands::get),
        Endpoint(Patch, "/applications/{application_id}/commands/{command_id}", &COMMANDS, commands::update),
        Endpoint(Delete, "/applications/{application_id}/commands/{command_id}", &COMMANDS, commands::delete),
        Endpoint(Get, "/applications/{application_id}/guilds/{guild_id}/commands", &COMMANDS, commands::list),
        Endpoint(Post, "/applications/{application_id}/guilds/{guild_id}/commands", &COMMANDS, commands::create),
        Endpoint(Put, "/applications/{application_id}/guilds/{guild_id}/commands", &COMMANDS, commands::set),
        Endpoint(Get, "/applications/{application_id}/guilds/{guild_id}/commands/permissions", &COMMANDS, commands::list_permissions),
        Endpoint(Get, "/applications/{application_id}/guilds/{guild_id}/commands/{command_id}", &COMMANDS, commands::get),
        Endpoint(Patch, "/applications/{application_id}/guilds/{guild_id}/commands/{command_id}", &COMMANDS, commands::update),
        Endpoint(Delete, "/applications/{application_id}/guilds/{guild_id}/commands/{command_id}", &COMMANDS, commands::delete),
        Endpoint(Get, "/applications/{application_id}/guilds/{guild_id}/commands/{command_id}/permissions", &COMMANDS, commands::get_permissions),
        Endpoint(Put, "/applications/{application_id}/guilds/{guild_id}/commands/{command_id}/permissions", &COMMANDS, commands::set_permissions),

        Endpoint(Post, "/interactions/{interaction_id}/{interaction_token}/callback", &INTERACTIONS, interactions::answer),
        Endpoint(Get, "/channels/{channel_id}/webhooks", &MANAGE_WEBHOOKS, webhooks::of_channel),
        Endpoint(Post, "/channels/{channel_id}/webhooks", &MANAGE_WEBHOOKS, webhooks::create),
        Endpoint(Get, "/guilds/{guild_id}/webhooks", &MANAGE_WEBHOOKS, webhooks::of_guild),
        Endpoint(Get, "/webhooks/{webhook_id}", &WEBHOOKS, webhooks::get),
        Endpoint(Patch, "/webhooks/{webhook_id}", &WEBHOOKS, webhooks::update),
        Endpoint(Delete, "/webhooks/{webhook_id}", &WEBHOOKS, webhooks::delete),
        Endpoint(Get, "/webhooks/{webhook_id}/{webhook_token}", &WEBHOOKS, webhooks::get_by_token),
        Endpoint(Patch, "/webhooks/{webhook_id}/{webhook_token}", &WEBHOOKS, webhooks::update_by_token),
        Endpoint(Delete, "/webhooks/{webhook_id}/{webhook_token}", &WEBHOOKS, webhooks::delete_by_token),
        Endpoint(Post, "/webhooks/{webhook_id}/{webhook_token}", &WEBHOOK_MESSAGES, webhooks::execute),
        Endpoint(Get, "/webhooks/{webhook_id}/{webhook_token}/messages/{message_id}", &WEBHOOK_MESSAGES, webhooks::get_message),
        Endpoint(Patch, "/webhooks/{webhook_id}/{webhook_token}/messages/{message_id}", &WEBHOOK_MESSAGES, webhooks::update_message),
        Endpoint(Delete, "/webhooks/{webhook_id}/{webhook_token}/messages/{message_id}", &WEBHOOK_MESSAGES, webhooks::delete_message),

        Endpoint(Get, "/guilds/{guild_id}", &GUILD, guilds::get),
        Endpoint(Patch, "/guilds/{guild_id}", &EDIT_GUILD, guild_settings::update),
        Endpoint(Get, "/guilds/{guild_id}/preview", &GUILD, guild_settings::preview),
        Endpoint(Get, "/guilds/{guild_id}/regions", &GUILD, guild_settings::guild_regions),
        Endpoint(Get, "/voice/regions", &ME, guild_settings::regions),
        Endpoint(Patch, "/guilds/{guild_id}/channels", &EDIT_CHANNEL, guild_settings::move_channels),
        Endpoint(Patch, "/guilds/{guild_id}/roles", &ROLES, guild_settings::move_roles),
        Endpoint(Post, "/guilds/{guild_id}/bulk-ban", &BULK_BAN, members::bulk_ban),
        Endpoint(Get, "/users/@me/guilds/{guild_id}/member", &ME, members::own),
        Endpoint(Get, "/guilds/{guild_id}/channels", &GUILD, guilds::channels),
        Endpoint(Post, "/guilds/{guild_id}/channels", &CREATE_CHANNEL, guilds::create_channel),
        Endpoint(Get, "/guilds/{guild_id}/threads/active", &GUILD, threads::active),
        Endpoint(Get, "/guilds/{guild_id}/roles", &ROLES, guilds::roles),
        Endpoint(Post, "/guilds/{guild_id}/roles", &ROLES, guilds::create_role),
        Endpoint(Get, "/guilds/{guild_id}/roles/member-counts", &ROLES, guilds::role_member_counts),
        Endpoint(Get, "/guilds/{guild_id}/roles/{role_id}", &ROLES, guilds::get_role),
        Endpoint(Patch, "/guilds/{guild_id}/roles/{role_id}", &ROLES, guilds::update_role),
        Endpoint(Delete, "/guilds/{guild_id}/roles/{role_id}", &ROLES, guilds::delete_role),
        Endpoint(Get, "/guilds/{guild_id}/audit-logs", &AUDIT_LOG, guilds::audit_log),
        Endpoint(Get, "/guilds/{guild_id}/messages/search", &SEARCH, guilds::search),

        Endpoint(Get, "/guilds/{guild_id}/members", &READ_MEMBERS, members::list),
        Endpoint(Get, "/guilds/{guild_id}/members/search", &READ_MEMBERS, members::search),
        Endpoint(Patch, "/guilds/{guild_id}/members/@me", &EDIT_MEMBER, members::update_own),
        Endpoint(Get, "/guilds/{guild_id}/members/{user_id}", &READ_MEMBERS, members::get),
        Endpoint(Patch, "/guilds/{guild_id}/members/{user_id}", &EDIT_MEMBER, members::update),
        Endpoint(Delete, "/guilds/{guild_id}/members/{user_id}", &REMOVE_MEMBER, members::kick),
        Endpoint(Put, "/guilds/{guild_id}/members/{user_id}/roles/{role_id}", &MEMBER_ROLES, members::give_role),
        Endpoint(Delete, "/guilds/{guild_id}/members/{user_id}/roles/{role_id}", &MEMBER_ROLES, members::take_role),
        Endpoint(Get, "/guilds/{guild_id}/bans", &BANS, members::bans),
        Endpoint(Get, "/guilds/{guild_id}/bans/{user_id}", &BANS, members::get_ban),
        Endpoint(Put, "/guilds/{guild_id}/bans/{user_id}", &BANS, members::ban),
        Endpoint(Delete, "/guilds/{guild_id}/bans/{user_id}", &BANS, members::unban),
    ]
};

#[derive(Debug)]
enum Segment {
    Literal(&'static str),
    Param(&'static str),
}

/// An endpoint, ready to be found.
#[derive(Debug)]
pub(super) struct Route {
    method: Method,
    segments: Vec<Segment>,
    pub(super) template: &'static str,
    pub(super) bucket: &'static Bucket,
    pub(super) bucket_header: HeaderValue,
    pub(super) handler: Handler,
    /// Whether a token in the path stands in for a bot's.
    pub(super) has_own_token: bool,
}

/// A route that was found, and what its parameters stand for.
#[derive(Debug)]
pub(super) struct Match {
    pub(super) route: &'static Route,
    pub(super) params: Vec<(&'static str, String)>,
}

impl Match {
    /// Returns the top-level id, by which rate limits are counted apart; of a webhook with its token,
    /// since each interaction's has a limit of its own.
    ///
    /// Source: Discord Docs, Rate Limits: `webhook_id`, or `webhook_id` and `webhook_token`.
    pub(super) fn major(&self) -> u64 {
        let is_major = |name: &str| {
            matches!(name, "channel_id" | "guild_id" | "webhook_id" | "interaction_id")
        };
        let major = self.params.first().filter(|(name, _)| is_major(name));
        let id = major.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
        match self.params.get(1) {
            Some(("webhook_token", token)) => {
                let hash = Sha256::digest(token.as_bytes());
                hash.iter().take(8).fold(id, |mixed, byte| mixed.rotate_left(8) ^ u64::from(*byte))
            }
            _ => id,
        }
    }
}

/// Routes by the number of segments of their paths.
static ROUTES: LazyLock<Vec<Vec<Route>>> = LazyLock::new(|| {
    let mut routes: Vec<Vec<Route>> = Vec::new();
    for Endpoint(verb, template, bucket, handler) in ENDPOINTS {
        let segments: Vec<Segment> = template
            .split('/')
            .skip(1)
            .map(|part| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
                Some(name) => Segment::Param(name),
                None => Segment::Literal(part),
            })
            .collect();
        let count = segments.len();
        if routes.len() <= count {
            routes.resize_with(count + 1, Vec::new);
        }
        routes[count].push(Route {
            method: verb.method(),
            segments,
            template,
            bucket,
            bucket_header: bucket_header(bucket.name),
            handler: *handler,
            has_own_token: template.contains("_token}"),
        });
    }
    routes
});

/// Discord's bucket names are opaque; ours are hashes too, so that nobody builds on their words.
fn bucket_header(name: &str) -> HeaderValue {
    use std::fmt::Write as _;
    let hash = Sha256::digest(name.as_bytes());
    let mut text = String::with_capacity(32);
    for byte in &hash[..16] {
        let _infallible = write!(text, "{byte:02x}");
    }
    HeaderValue::from_str(&text).expect("hexadecimal digits may stand in a header")
}

/// Finds the route of a path below the version, as it was written.
pub(super) fn find(method: &Method, path: &str) -> Result<Match, Refusal> {
    let parts: Vec<&str> = path.trim_end_matches('/').split('/').skip(1).collect();
    let candidates = ROUTES.get(parts.len()).map_or(&[][..], Vec::as_slice);
    let mut has_path = false;
    for route in candidates {
        let Some(params) = matched(&route.segments, &parts) else { continue };
        if route.method == *method {
            return Ok(Match { route, params });
        }
        has_path = true;
    }
    Err(if has_path { Refusal::MethodNotAllowed } else { Refusal::NoSuchRoute })
}

fn matched(segments: &[Segment], parts: &[&str]) -> Option<Vec<(&'static str, String)>> {
    let mut params = Vec::new();
    for (segment, part) in segments.iter().zip(parts) {
        match segment {
            Segment::Literal(literal) if literal == part => {}
            Segment::Literal(literal) if *literal == "@me" && percent::decode(part) == "@me" => {}
            Segment::Literal(_) => return None,
            Segment::Param(name) => params.push((*name, percent::decode(part).into_owned())),
        }
    }
    Some(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(path: &str) -> &'static str {
        find(&Method::GET, path).unwrap().route.template
    }

    #[test]
    fn literals_win_over_parameters() {
        assert_eq!(template("/users/@me"), "/users/@me");
        assert_eq!(template("/users/%40me"), "/users/@me");
        assert_eq!(template("/users/5"), "/users/{user_id}");
        let search = "/guilds/{guild_id}/members/search";
        assert_eq!(template("/guilds/1/members/search"), search);
        let pins = "/channels/{channel_id}/messages/pins";
        assert_eq!(template("/channels/1/messages/pins"), pins);
    }

    #[test]
    fn parameters_are_decoded_and_the_top_level_id_is_known() {
        let path = "/channels/7/messages/8/reactions/%F0%9F%91%8D/@me";
        let found = find(&Method::PUT, path).unwrap();
        assert_eq!(found.params[2], ("emoji_name", "👍".to_owned()));
        assert_eq!(found.major(), 7);
        assert_eq!(find(&Method::GET, "/users/5").unwrap().major(), 0);
        let of = |path: &str| find(&Method::PATCH, path).unwrap().major();
        assert_ne!(
            of("/webhooks/9/one/messages/@original"),
            of("/webhooks/9/two/messages/@original")
        );
        assert_eq!(of("/webhooks/9/one/messages/@original"), of("/webhooks/9/one/messages/8"));
    }

    #[test]
    fn an_unknown_path_and_a_wrong_method_are_told_apart() {
        assert_eq!(find(&Method::GET, "/nothing").unwrap_err(), Refusal::NoSuchRoute);
        assert_eq!(find(&Method::PUT, "/users/@me").unwrap_err(), Refusal::MethodNotAllowed);
    }
}
