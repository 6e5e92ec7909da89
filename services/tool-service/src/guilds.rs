//! What is known of guilds: filled by events, read by REST where they told nothing yet.
//!
//! Invariant: nothing is read by REST before events are followed, and what an event tells while a
//! read is under way is applied after it; so what is kept is never older than the last event.

mod change;
mod many;
mod recent;
mod slot;
mod strangers;
mod thread_members;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::StreamExt;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use twilight_model::id::{
    Id,
    marker::{ChannelMarker, GuildMarker, RoleMarker, UserMarker},
};

use ery_event_bus::{Event, EventBus, Followed};
use ery_ids::{ForgottenPerson, Home};

use crate::{
    adapters::discord::{
        Discord, Method, Request, RestError,
        wire::{RawChannel, RawGuild, RawMember, RawThreads},
    },
    domain::{
        guild::{Channel, Guild, GuildState, Member, Role},
        text,
    },
    error::StateError,
    identity::Identity,
    metrics,
    settings::Settings,
};

use change::Change;
use slot::Slot;
use strangers::Strangers;

/// How long a call waits for the bus before it is told to try again.
const FOLLOW_TIMEOUT: Duration = Duration::from_secs(5);

/// How many members are read at once.
const MEMBERS_AT_ONCE: usize = 8;

/// The most that Discord gives for one search of members.
const MAX_FOUND_MEMBERS: usize = 100;

/// How new what is known of members must be.
#[derive(Clone, Copy)]
enum Freshness {
    /// As events told.
    AsKnown,
    Anew,
}

/// All guilds that this replica knows.
pub(crate) struct Guilds {
    discord: Arc<Discord>,
    slots: Mutex<HashMap<Id<GuildMarker>, Arc<Slot>>>,
    uses: AtomicU64,
    capacity: usize,
    most_members: usize,
    identity: Identity,
    is_following: watch::Sender<bool>,
    strangers: Strangers,
}

impl Guilds {
    pub(crate) fn new(settings: &Settings, discord: Arc<Discord>) -> Self {
        Self {
            identity: Identity::new(Arc::clone(&discord)),
            discord,
            slots: Mutex::default(),
            strangers: Strangers::default(),
            uses: AtomicU64::new(0),
            capacity: settings.guilds,
            most_members: settings.members_per_guild,
            is_following: watch::Sender::new(false),
        }
    }

    /// Follows whether events are followed.
    pub(crate) fn following(&self) -> watch::Receiver<bool> {
        self.is_following.subscribe()
    }

    /// Follows the bus until the process drains; through outages, too.
    pub(crate) async fn follow(&self, bus: &dyn EventBus, draining: CancellationToken) {
        let mut wait = Duration::from_millis(100);
        while !draining.is_cancelled() {
            match bus.follow(change::KINDS).await {
                Ok(mut events) => {
                    wait = Duration::from_millis(100);
                    self.forget_all();
                    self.is_following.send_replace(true);
                    while let Some(followed) = tokio::select! {
                        biased;
                        () = draining.cancelled() => return,
                        followed = events.next() => followed,
                    } {
                        match followed {
                            Followed::Event(event) => self.see(&event),
                            Followed::Gap => {
                                tracing::warn!("events may be missing; forgetting all guilds");
                                self.forget_all();
                            }
                        }
                    }
                    tracing::warn!("the bus stopped telling events; following anew");
                }
                Err(error) => tracing::warn!(error = %error, "cannot follow events yet"),
            }
            self.is_following.send_replace(false);
            self.forget_all();
            tokio::select! {
                () = draining.cancelled() => return,
                () = tokio::time::sleep(wait) => wait = (wait * 2).min(Duration::from_secs(5)),
            }
        }
    }

    /// Lets go of a person who is to be forgotten.
    pub(crate) fn forget_person(&self, person: ForgottenPerson) {
        for (guild, slot) in &*self.slots.lock().unwrap_or_else(PoisonError::into_inner) {
            if person.is_sought_in(Home::Guild(*guild)) {
                slot.forget(person.user);
            }
        }
    }

    /// Returns Ery's own user.
    pub(crate) async fn bot(&self) -> Result<Id<UserMarker>, StateError> {
        Ok(self.identity.bot().await?)
    }

    /// Returns who Ery is to Discord.
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Returns a guild with these members and the bot's own.
    pub(crate) async fn state(
        &self,
        guild: Id<GuildMarker>,
        users: &[Id<UserMarker>],
    ) -> Result<GuildState, StateError> {
        self.state_by(guild, users, Freshness::AsKnown).await
    }

    /// Returns a guild with these members read anew, and the bot's own.
    pub(crate) async fn state_anew(
        &self,
        guild: Id<GuildMarker>,
        users: &[Id<UserMarker>],
    ) -> Result<GuildState, StateError> {
        self.state_by(guild, users, Freshness::Anew).await
    }

    async fn state_by(
        &self,
        guild: Id<GuildMarker>,
        users: &[Id<UserMarker>],
        freshness: Freshness,
    ) -> Result<GuildState, StateError> {
        let bot = self.bot().await?;
        let (slot, known) = self.loaded(guild).await?;
        let mut wanted: Vec<_> = users.iter().copied().chain([bot]).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let slot = &slot;
        let mut to_read = wanted.clone();
        to_read.retain(|user| match freshness {
            Freshness::Anew => *user != bot,
            Freshness::AsKnown => slot.known(*user).is_none(),
        });
        let mut members = self.many(guild, slot, &to_read).await?;
        wanted.retain(|user| !members.contains_key(user));
        let mut reads = futures::stream::iter(wanted)
            .map(|user| async move {
                let member = match freshness {
                    Freshness::Anew if user != bot => self.member_anew(guild, slot, user).await,
                    Freshness::Anew | Freshness::AsKnown => self.member(guild, slot, user).await,
                };
                (user, member)
            })
            .buffer_unordered(MEMBERS_AT_ONCE);
        while let Some((user, member)) = reads.next().await {
            members.insert(user, member?);
        }
        drop(reads);
        // The newest, in case events told more while members were read.
        let guild = slot.guild().unwrap_or(known);
        let outside = slot.outside(users);
        Ok(GuildState { guild, bot, members, outside })
    }

    /// Returns a guild as it is, without members.
    pub(crate) async fn guild(&self, guild: Id<GuildMarker>) -> Result<Arc<Guild>, StateError> {
        Ok(self.loaded(guild).await?.1)
    }

    /// Returns a member if they are in memory; reads nothing.
    pub(crate) fn known_member(
        &self,
        guild: Id<GuildMarker>,
        user: Id<UserMarker>,
    ) -> Option<Arc<Member>> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.get(&guild)?.known(user)?
    }

    /// Takes over what an answer of Discord's said of a member.
    pub(crate) fn saw_member(&self, guild: Id<GuildMarker>, member: Member) {
        self.saw(guild, Change::Member(Box::new(member)));
    }

    /// Takes over that somebody is no member any more.
    pub(crate) fn saw_member_go(&self, guild: Id<GuildMarker>, user: Id<UserMarker>) {
        self.saw(guild, Change::MemberGone(user));
    }

    /// Takes over what an answer of Discord's said of a role.
    pub(crate) fn saw_role(&self, guild: Id<GuildMarker>, role: Role) {
        self.saw(guild, Change::Role(role));
    }

    /// Takes over that a role is gone.
    pub(crate) fn saw_role_go(&self, guild: Id<GuildMarker>, role: Id<RoleMarker>) {
        self.saw(guild, Change::RoleGone(role));
    }

    /// Takes over what an answer of Discord's said of a channel.
    pub(crate) fn saw_channel(&self, guild: Id<GuildMarker>, channel: Channel) {
        self.saw(guild, Change::Channel(Box::new(channel)));
    }

    /// Takes over that a channel is gone.
    pub(crate) fn saw_channel_go(&self, guild: Id<GuildMarker>, channel: Id<ChannelMarker>) {
        self.saw(guild, Change::ChannelGone(channel));
    }

    fn saw(&self, guild: Id<GuildMarker>, change: Change) {
        let slot = {
            let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            slots.get(&guild).cloned()
        };
        if let Some(slot) = slot {
            slot.apply(change);
        }
    }

    /// Returns a channel of the guild, looked for by REST where no event told of it: an archived
    /// thread. None if it is not in this guild.
    pub(crate) async fn channel(
        &self,
        guild: Id<GuildMarker>,
        channel: Id<ChannelMarker>,
    ) -> Result<Option<Channel>, StateError> {
        let (slot, known) = self.loaded(guild).await?;
        if let Some(channel) = known.channels.get(&channel) {
            return Ok(Some(channel.clone()));
        }
        if !self.strangers.admit(guild, channel) {
            return Ok(None);
        }
        self.channel_at_discord(guild, slot, channel).await
    }

    /// Returns whether a channel of the guild is known without asking for it.
    pub(crate) async fn keeps(
        &self,
        guild: Id<GuildMarker>,
        channel: Id<ChannelMarker>,
    ) -> Result<bool, StateError> {
        let (_, known) = self.loaded(guild).await?;
        Ok(known.channels.contains_key(&channel))
    }

    /// Takes as long over a channel of the guild as over one that is not there, and fails as that does: for
    /// whoever is not to know of it, neither must tell it. One that `was_asked_for` has taken as long.
    pub(crate) async fn pass_over(
        &self,
        guild: Id<GuildMarker>,
        channel: Id<ChannelMarker>,
        here: Id<ChannelMarker>,
        was_asked_for: bool,
    ) -> Result<(), StateError> {
        if !was_asked_for && self.strangers.is_news(guild, channel) {
            // What Ery may read for sure: a refusal would count against her.
            let path = format!("channels/{here}");
            let request =
                Request::new(Method::Get, path.clone(), path, guild.get(), self.discord.send_by());
            match self.discord.repeatedly(&request).await {
                Ok(_) | Err(RestError::Refused { .. } | RestError::RefusedBefore { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.strangers.hide(guild, channel);
        Ok(())
    }

    /// Returns the channel where a call is made: whatever else was asked for, it is looked for.
    pub(crate) async fn own_channel(
        &self,
        guild: Id<GuildMarker>,
        channel: Id<ChannelMarker>,
    ) -> Result<Option<Channel>, StateError> {
        let (slot, known) = self.loaded(guild).await?;
        match known.channels.get(&channel) {
            Some(channel) => Ok(Some(channel.clone())),
            None => self.channel_at_discord(guild, slot, channel).await,
        }
    }

    async fn channel_at_discord(
        &self,
        guild: Id<GuildMarker>,
        slot: Arc<Slot>,
        channel: Id<ChannelMarker>,
    ) -> Result<Option<Channel>, StateError> {
        let path = format!("channels/{channel}");
        let request =
            Request::new(Method::Get, path.clone(), path, guild.get(), self.discord.send_by());
        let found: RawChannel = match self.discord.repeatedly(&request).await {
            Ok(answer) => answer.json()?,
            Err(RestError::Refused { status: 403 | 404, .. } | RestError::RefusedBefore { .. }) => {
                self.strangers.learn(guild, channel);
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        if found.guild_id != Some(guild) {
            self.strangers.learn(guild, channel);
            return Ok(None);
        }
        let found = found.channel();
        slot.apply(Change::ChannelFound(Box::new(found.clone())));
        Ok(Some(found))
    }

    /// Returns the members who have exactly this name, as nickname, global name or user name.
    pub(crate) async fn members_named(
        &self,
        guild: Id<GuildMarker>,
        name: &str,
    ) -> Result<Vec<Arc<Member>>, StateError> {
        let (slot, _) = self.loaded(guild).await?;
        let mut found = slot.named(name);
        if !slot.knows_all_members() {
            let path = format!(
                "guilds/{guild}/members/search?query={}&limit={MAX_FOUND_MEMBERS}",
                text::percent_encoded(name)
            );
            let route = format!("guilds/{guild}/members/search");
            let request =
                Request::new(Method::Get, route, path, guild.get(), self.discord.send_by());
            let more: Vec<RawMember> = self.discord.repeatedly(&request).await?.json()?;
            for raw in more {
                let member = raw.member();
                if member.is_named(name) && !found.iter().any(|known| known.user == member.user) {
                    found.push(slot.learn(member));
                }
            }
        }
        found.sort_unstable_by_key(|member| member.user);
        Ok(found)
    }

    /// Applies what an event tells.
    pub(crate) fn see(&self, event: &Event) {
        if self.identity.session_is_of(event.bot) {
            tracing::warn!("the session is another bot's than it was; asking anew who this one is");
            self.forget_all();
        }
        let changes = match change::read(event) {
            Ok(changes) => changes,
            Err(error) => {
                // What it would have told is not known: what is kept may be wrong.
                tracing::warn!(
                    error = %error,
                    kind = event.kind,
                    "an event cannot be read; forgetting its guild"
                );
                match event.home.guild() {
                    Some(guild) => self.forget(guild),
                    None => self.forget_all(),
                }
                return;
            }
        };
        let Some((guild, changes)) = changes else { return };
        for change in changes {
            match change.only_about() {
                Some(user) if self.identity.known_bot() != Some(user) => {
                    self.discord.forget_denials_about(guild.get(), user.get());
                }
                _ => self.discord.forget_denials(Some(guild.get())),
            }
            match change {
                Change::Created(raw) => self.created(guild, &raw),
                Change::Gone => self.forget(guild),
                change => {
                    let slot = {
                        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
                        slots.get(&guild).cloned()
                    };
                    if let Some(slot) = slot {
                        slot.apply(change);
                    }
                }
            }
        }
    }

    fn created(&self, id: Id<GuildMarker>, raw: &RawGuild) {
        match raw.guild() {
            Some(guild) if !raw.unavailable => {
                let members = raw.members.iter().map(RawMember::member).collect();
                self.slot(id).fill(guild, members);
            }
            _ => self.forget(id),
        }
    }

    fn forget(&self, guild: Id<GuildMarker>) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).remove(&guild);
        self.discord.forget_denials(Some(guild.get()));
    }

    fn forget_all(&self) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.discord.forget_denials(None);
    }

    fn slot(&self, guild: Id<GuildMarker>) -> Arc<Slot> {
        let now = self.uses.fetch_add(1, Ordering::Relaxed);
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(&guild) {
            slot.used(now);
            return Arc::clone(slot);
        }
        if slots.len() >= self.capacity
            && let Some(oldest) =
                slots.iter().min_by_key(|(_, slot)| slot.last_used()).map(|(id, _)| *id)
        {
            slots.remove(&oldest);
        }
        let slot = Arc::new(Slot::new(self.most_members, now));
        slots.insert(guild, Arc::clone(&slot));
        slot
    }

    async fn loaded(&self, guild: Id<GuildMarker>) -> Result<(Arc<Slot>, Arc<Guild>), StateError> {
        self.wait_until_following().await?;
        let slot = self.slot(guild);
        if let Some(known) = slot.guild() {
            return Ok((slot, known));
        }
        // Whoever waits here finds what the first one read.
        let loading = slot.loading().await;
        if let Some(known) = slot.guild() {
            drop(loading);
            return Ok((slot, known));
        }
        if let Some(error) = slot.refusal() {
            return Err(error);
        }
        slot.begin_load();
        let read = self.read_guild(guild).await;
        metrics::guild_loaded();
        let known = slot.end_load(read)?;
        drop(loading);
        Ok((slot, known))
    }

    async fn wait_until_following(&self) -> Result<(), StateError> {
        if *self.is_following.borrow() {
            return Ok(());
        }
        let mut following = self.is_following.subscribe();
        let wait = following.wait_for(|is_following| *is_following);
        match tokio::time::timeout(FOLLOW_TIMEOUT, wait).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(StateError::NotFollowing),
        }
    }

    async fn read_guild(&self, guild: Id<GuildMarker>) -> Result<Guild, StateError> {
        let get = |path: String| {
            Request::new(Method::Get, path.clone(), path, guild.get(), self.discord.send_by())
        };
        let requests = [
            get(format!("guilds/{guild}")),
            get(format!("guilds/{guild}/channels")),
            get(format!("guilds/{guild}/threads/active")),
        ];
        let of_guild = async {
            self.discord.repeatedly(&requests[0]).await.map_err(|error| match error {
                RestError::Refused { status: 403 | 404, .. } | RestError::RefusedBefore { .. } => {
                    StateError::NoSuchGuild
                }
                error => error.into(),
            })
        };
        let of_channels =
            async { self.discord.repeatedly(&requests[1]).await.map_err(StateError::from) };
        let of_threads = async {
            match self.discord.repeatedly(&requests[2]).await {
                Ok(answer) => Ok(answer.json::<RawThreads>()?.threads),
                // Each thread is looked for by itself when it is needed.
                Err(RestError::Refused { .. } | RestError::RefusedBefore { .. }) => Ok(Vec::new()),
                Err(error) => Err(error.into()),
            }
        };
        let (of_guild, of_channels, threads) = tokio::try_join!(of_guild, of_channels, of_threads)?;
        let mut raw: RawGuild = of_guild.json()?;
        raw.channels = of_channels.json()?;
        raw.threads = threads;
        if raw.roles.is_empty() {
            // Every guild has @everyone: without its roles nobody would have any right.
            raw.roles =
                self.discord.repeatedly(&get(format!("guilds/{guild}/roles"))).await?.json()?;
        }
        raw.guild().ok_or(StateError::NoSuchGuild)
    }

    async fn member(
        &self,
        guild: Id<GuildMarker>,
        slot: &Slot,
        user: Id<UserMarker>,
    ) -> Result<Option<Arc<Member>>, StateError> {
        if let Some(known) = slot.known(user) {
            return Ok(known);
        }
        let fetching = slot.begin_member(user).await;
        if let Some(known) = slot.known(user) {
            slot.end_member(user, fetching, None);
            return Ok(known);
        }
        match self.read_member(guild, user).await {
            Ok(member) => Ok(slot
                .end_member(user, fetching, Some(member))
                .expect("a member that was read is kept")),
            Err(error) => {
                slot.end_member(user, fetching, None);
                Err(error.into())
            }
        }
    }

    /// Reads a member whatever is known of them, and keeps what was read unless an event told
    /// something else meanwhile.
    async fn member_anew(
        &self,
        guild: Id<GuildMarker>,
        slot: &Slot,
        user: Id<UserMarker>,
    ) -> Result<Option<Arc<Member>>, StateError> {
        let fetching = slot.begin_member(user).await;
        let known = slot.known(user);
        let read = self.read_member(guild, user).await;
        slot.end_reread(user, fetching, known.as_ref(), read.as_ref().ok());
        Ok(read?)
    }

    async fn read_member(
        &self,
        guild: Id<GuildMarker>,
        user: Id<UserMarker>,
    ) -> Result<Option<Arc<Member>>, RestError> {
        let path = format!("guilds/{guild}/members/{user}");
        let route = format!("guilds/{guild}/members");
        let request = Request::new(Method::Get, route, path, guild.get(), self.discord.send_by());
        metrics::member_loaded();
        match self.discord.repeatedly(&request).await {
            Ok(answer) => answer.json::<RawMember>().map(|raw| Some(Arc::new(raw.member()))),
            Err(RestError::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
