//! A channel put into another category, or above or below another channel.
//!
//! Its overwrites stay as they are: they are changed by `manage_permissions`, under its rules.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use twilight_model::{
    guild::Permissions,
    id::{
        Id,
        marker::{ChannelMarker, GuildMarker, UserMarker},
    },
};

use super::{Parameters, category_named};
use crate::{
    adapters::discord::{Method, Request, RestError, wire::RawChannel},
    domain::{
        guild::{Channel, ChannelKind, Guild},
        ordering, permissions,
        tool::{AlsoIn, Needs},
    },
    resolve::{Problem, Scene},
    tools::{Done, Run},
};

/// Where a channel is put: its category, none for outside of all, and beside which other one.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct To {
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<Id<ChannelMarker>>,
    #[serde(skip_serializing_if = "crate::tools::is_false")]
    out_of_category: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    above_channel: Option<Id<ChannelMarker>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    below_channel: Option<Id<ChannelMarker>>,
}

pub(super) async fn to(
    parameters: &Parameters,
    channel: Id<ChannelMarker>,
    scene: &Scene<'_>,
) -> Result<To, Problem> {
    let named = match &parameters.category {
        Some(category) => Some(category_named(category, scene).await?),
        None => None,
    };
    let other = match (&parameters.above, &parameters.below) {
        (Some(_), Some(_)) => return Err(Problem::unclear("Say either above or below.")),
        (Some(other), None) | (None, Some(other)) => Some(scene.channel_or_category(other).await?),
        (None, None) => None,
    };
    let guild = scene.the_guild().await?;
    let here = |id: Id<ChannelMarker>| {
        let found = guild.channels.get(&id).filter(|it| !it.kind.is_thread());
        found.ok_or_else(|| Problem::unclear("Threads stay with their channel and are not moved."))
    };
    let moved = here(channel)?;
    let is_category = moved.kind == ChannelKind::Holder;
    if is_category && (named.is_some() || parameters.out_of_category) {
        return Err(Problem::unclear("A category stands in no other."));
    }
    if named.is_some() && parameters.out_of_category {
        return Err(Problem::unclear("Say either into which category, or out of it."));
    }
    let Some(other) = other else {
        if named.is_none() && !parameters.out_of_category {
            return Err(Problem::unclear(
                "Say where to: into which category, or above or below which channel.",
            ));
        }
        let out_of_category = parameters.out_of_category;
        return Ok(To { category: named, out_of_category, ..To::default() });
    };
    let beside = here(other)?;
    if other == channel || group(beside.kind) != group(moved.kind) {
        return Err(Problem::unclear(
            "Name another channel of the same kind: voice channels stand below the others, and \
             categories among themselves.",
        ));
    }
    let is_elsewhere = named.is_some_and(|named| beside.parent != Some(named))
        || parameters.out_of_category && beside.parent.is_some();
    if is_elsewhere {
        return Err(Problem::unclear("That other channel does not stand there."));
    }
    Ok(To {
        category: beside.parent,
        out_of_category: beside.parent.is_none() && moved.parent.is_some(),
        above_channel: parameters.above.is_some().then_some(other),
        below_channel: parameters.below.is_some().then_some(other),
    })
}

/// Discord orders categories, channels for text and channels for voice apart.
fn group(kind: ChannelKind) -> u8 {
    match kind {
        ChannelKind::Holder => 0,
        ChannelKind::Voice => 2,
        _ => 1,
    }
}

impl To {
    fn beside(&self) -> Option<Id<ChannelMarker>> {
        self.above_channel.or(self.below_channel)
    }

    /// Needs the right in the channel, its new category, and every channel that gives way: Discord
    /// refuses all of a move of which one part is not allowed.
    pub(super) fn needs(&self, channel: Id<ChannelMarker>, guild: Option<&Guild>) -> Needs {
        let named = [Some(channel), self.category, self.beside()].into_iter().flatten();
        let moved = guild.and_then(|guild| self.places(guild, channel)).unwrap_or_default();
        let places: BTreeSet<_> = named.chain(moved.into_iter().map(|(id, _)| id)).collect();
        let both = |place| AlsoIn::both(place, Permissions::MANAGE_CHANNELS);
        let also_in = places.into_iter().map(both).collect();
        Needs { also_in, ..Needs::in_guild(Permissions::MANAGE_CHANNELS) }
    }

    /// Returns the places that change, as the channels stand now; none if they are not all there.
    pub(super) fn places(
        &self,
        guild: &Guild,
        channel: Id<ChannelMarker>,
    ) -> Option<Vec<(Id<ChannelMarker>, i64)>> {
        let moved = guild.channels.get(&channel)?;
        let Some(beside) = self.beside() else { return Some(Vec::new()) };
        let is_beside = |other: &&Channel| {
            other.parent == self.category
                && group(other.kind) == group(moved.kind)
                && !other.kind.is_thread()
        };
        let mut others: Vec<&Channel> = guild.channels.values().filter(is_beside).collect();
        others.sort_unstable_by_key(|other| (other.position, other.id));
        let items: Vec<_> = others.into_iter().map(|other| (other.id, other.position)).collect();
        ordering::moved(&items, channel, beside, self.below_channel.is_some())
    }

    /// Whether the channel leaves the category in which it stands now, or the outside.
    fn changes_category(&self, guild: &Guild, channel: Id<ChannelMarker>) -> bool {
        let is_moved = self.category.is_some() || self.out_of_category;
        is_moved && guild.channels.get(&channel).is_none_or(|it| it.parent != self.category)
    }
}

/// Moves the channel by where all stand at this moment, which Discord is asked for: what is remembered may be
/// older, and would put others back where they stood then. So does a repeat: what the first attempt did is not
/// done again, nor what people moved meanwhile undone.
pub(super) async fn perform(
    guild: Id<GuildMarker>,
    channel: Id<ChannelMarker>,
    to: &To,
    run: &Run<'_>,
) -> Done {
    let Some(state) = run.state else {
        return Done::failed(0, "I cannot do that in a direct message.");
    };
    let now = match as_they_stand(&state.guild, run).await {
        Ok(now) => now,
        Err(error) => return Done::of_read(&error),
    };
    let is_category = |id| now.channels.get(&id).is_some_and(|it| it.kind == ChannelKind::Holder);
    let places = to.places(&now, channel).filter(|_| to.category.is_none_or(is_category));
    let Some(places) = places else {
        return Done::failed(0, "That channel does not stand there any more.");
    };
    let changes_category = to.changes_category(&now, channel);
    let given_way = places.iter().map(|(id, _)| *id);
    let others = [Some(channel), to.category, to.beside()].into_iter().flatten();
    if !may_all(&now, given_way.chain(others), run) {
        return Done::failed(
            0,
            "The channels stand otherwise than I knew: one that would give way may not be managed by \
             you and me. Say anew where it is to go.",
        );
    }
    let mut moves: Vec<Value> =
        places.iter().map(|(id, place)| json!({ "id": id, "position": place })).collect();
    if changes_category {
        let id = json!(channel);
        let at = moves.iter().position(|it| it["id"] == id).unwrap_or_else(|| {
            moves.push(json!({ "id": id }));
            moves.len() - 1
        });
        moves[at]["parent_id"] = json!(to.category);
        moves[at]["lock_permissions"] = Value::Bool(false);
    }
    let mut fields = Map::new();
    fields.insert("channel".into(), json!(channel.to_string()));
    if moves.is_empty() {
        return Done::ok(200, format!("<#{channel}> stands there already."), fields);
    }
    let path = format!("guilds/{guild}/channels");
    let request = Request::new(Method::Patch, path.clone(), path, guild.get(), run.send_by)
        .json(&Value::Array(moves))
        .reason(run.audit_reason);
    match run.discord.repeatedly(&request).await {
        Ok(answer) => {
            saw(&now, channel, changes_category.then_some(to), &places, run);
            Done::ok(answer.status, format!("<#{channel}> was moved."), fields)
        }
        Err(error) => Done::of_write(&error),
    }
}

/// Reads how all channels stand, and returns the guild with them.
async fn as_they_stand(known: &Guild, run: &Run<'_>) -> Result<Guild, RestError> {
    let guild = known.id;
    let route = format!("guilds/{guild}/channels");
    let look = Request::new(Method::Get, route.clone(), route, guild.get(), run.send_by);
    let read: Vec<RawChannel> = run.discord.repeatedly(&look).await?.json()?;
    let mut now = known.clone();
    // Threads are not among them.
    now.channels.retain(|_, channel| channel.kind.is_thread());
    for channel in read.iter().map(RawChannel::channel) {
        run.guilds.saw_channel(guild, channel.clone());
        now.channels.insert(channel.id, channel);
    }
    Ok(now)
}

/// Whether Ery and everybody who asks may manage all of these: it was decided by what was remembered, and
/// Discord checks Ery alone.
fn may_all(
    now: &Guild,
    mut places: impl Iterator<Item = Id<ChannelMarker>>,
    run: &Run<'_>,
) -> bool {
    let member = |user: &Id<UserMarker>| run.state.and_then(|state| state.member(*user));
    let everybody: Option<Vec<_>> = run.people.iter().chain([&run.bot]).map(member).collect();
    let Some(everybody) = everybody else { return false };
    places.all(|place| {
        let Some(place) = now.channels.get(&place) else { return false };
        everybody.iter().all(|member| {
            let rights = permissions::in_channel(now, member, place, run.now);
            rights.contains(Permissions::MANAGE_CHANNELS)
        })
    })
}

/// The events will tell, too; until then the next decision must know.
fn saw(
    now: &Guild,
    channel: Id<ChannelMarker>,
    into: Option<&To>,
    places: &[(Id<ChannelMarker>, i64)],
    run: &Run<'_>,
) {
    let as_placed = |(id, place): &(Id<ChannelMarker>, i64)| {
        let channel = now.channels.get(id)?;
        Some(Channel { position: *place, ..channel.clone() })
    };
    let mut seen: Vec<Channel> = places.iter().filter_map(as_placed).collect();
    if !seen.iter().any(|seen| seen.id == channel) {
        seen.extend(now.channels.get(&channel).cloned());
    }
    for mut seen in seen {
        if let Some(to) = into
            && seen.id == channel
        {
            seen.parent = to.category;
        }
        run.guilds.saw_channel(now.id, seen);
    }
}
