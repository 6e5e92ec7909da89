//! `READY`: who the bot is, and where it may resume.

use bytes::Bytes;
use serde::Serialize;

use crate::{
    domain::{ApplicationId, Bot, GuildId, World},
    wire,
};

#[derive(Serialize)]
struct Ready<'a> {
    v: u8,
    user_settings: Empty,
    user: wire::MeView<'a>,
    session_type: &'static str,
    session_id: &'a str,
    resume_gateway_url: &'a str,
    relationships: [(); 0],
    private_channels: [(); 0],
    presences: [(); 0],
    guilds: Vec<UnavailableGuild>,
    guild_join_requests: [(); 0],
    geo_ordered_rtc_regions: [(); 0],
    game_relationships: [(); 0],
    auth: Empty,
    #[serde(skip_serializing_if = "Option::is_none")]
    shard: Option<[u64; 2]>,
    application: ReadyApplication,
    _trace: [&'static str; 1],
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
struct UnavailableGuild {
    id: GuildId,
    unavailable: bool,
}

#[derive(Serialize)]
struct ReadyApplication {
    id: ApplicationId,
    flags: u64,
}

/// Returns the `d` of `READY`.
pub(super) fn body(
    world: &World,
    bot: &Bot,
    session: &str,
    own_url: &str,
    guilds: &[GuildId],
    shard: Option<[u64; 2]>,
) -> Bytes {
    let Some(user) = world.users.get(&bot.user) else { return Bytes::from_static(b"{}") };
    wire::render(&Ready {
        v: 10,
        user_settings: Empty {},
        user: wire::MeView::new(user),
        session_type: "normal",
        session_id: session,
        resume_gateway_url: own_url,
        relationships: [],
        private_channels: [],
        presences: [],
        guilds: guilds.iter().map(|id| UnavailableGuild { id: *id, unavailable: true }).collect(),
        guild_join_requests: [],
        geo_ordered_rtc_regions: [],
        game_relationships: [],
        auth: Empty {},
        shard,
        application: ReadyApplication {
            id: bot.application,
            flags: wire::ApplicationView::flags(bot),
        },
        _trace: ["[\"sim-discord\"]"],
    })
}
