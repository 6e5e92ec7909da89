use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use twilight_model::id::{
    Id,
    marker::{ChannelMarker, RoleMarker, UserMarker},
};

use ery_channel_queue::{ChannelQueue, Task};
use ery_clock::{Clock, UnixMillis};
use ery_community_config::{Budgets, ConfigCache, Effective, Place, StoredConfig};
use ery_ids::{ChannelKey, Home};

use crate::{
    adapters::{ai::Ai, broadcaster::Broadcaster, keys::GuildKeys, store::Store, tools::Tools},
    domain::{budgets, gate::GateRules, message::Message, people::Person},
    error::{CallError, with_causes},
    handlers::{
        changes::Watched, keys::KeyCache, parents::Parents, quotas::Quotas, spending::Installation,
        summaries::Summaries, verdicts::Verdicts,
    },
    metrics::Metrics,
    settings::Settings,
};

/// How long the roles of Ery in a guild are taken for granted.
const ROLES_KNOWN: Duration = Duration::from_mins(5);

/// Of how many guilds the roles are remembered; past it all are asked for anew.
const ROLES_OF_GUILDS: usize = 10_000;

/// Of how many guilds it is remembered what was read back; past it all are asked for anew.
const READ_BACKS: usize = 10_000;

/// Of how many channels it is remembered that their history was read; past it all are forgotten.
const HISTORIES: usize = 100_000;

/// This process as a holder of channels: what all its holdings work with.
pub(crate) struct Holder {
    pub(crate) settings: Settings,
    pub(crate) config: Arc<ConfigCache>,
    pub(crate) stored_config: StoredConfig,
    pub(crate) queue: Arc<dyn ChannelQueue>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) store: Store,
    pub(crate) ai: Ai,
    pub(crate) tools: Tools,
    pub(crate) broadcaster: Broadcaster,
    pub(crate) watched: Arc<Watched>,
    pub(crate) roles: BotRoles,
    pub(crate) parents: Parents,
    pub(crate) histories: Histories,
    pub(crate) read_backs: ReadBacks,
    pub(crate) judging: Arc<Judging>,
    pub(crate) quotas: Quotas,
    pub(crate) installation: Installation,
    pub(crate) summaries: Summaries,
    pub(crate) verdicts: Verdicts,
    pub(crate) keys: Arc<KeyCache>,
    pub(crate) metrics: Metrics,
    pub(crate) draining: CancellationToken,
}

impl Holder {
    pub(crate) fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    /// Returns the guild's own keys; a direct message has none.
    ///
    /// # Errors
    ///
    /// If nobody can tell now whose key is to be taken.
    pub(crate) async fn keys(&self, channel: ChannelKey) -> Result<Arc<GuildKeys>, CallError> {
        self.keys.get(channel.home, |guild| self.store.provider_keys(guild)).await
    }

    /// Returns whether the operator has set a cheaper model, which can be asked on these keys.
    pub(crate) fn has_cheaper(&self, keys: &GuildKeys) -> bool {
        !self.installation.models().on(keys).cheaper.is_empty()
    }

    /// Returns the budgets that hold.
    pub(crate) fn budgets(&self, effective: &Effective) -> Budgets {
        budgets::in_force(effective, self.installation.models().are_own())
    }

    /// Returns what holds in a channel, for a person where one is named.
    ///
    /// # Errors
    ///
    /// If nothing is known of it and the store cannot be asked now, or, of a thread, nobody can tell
    /// where it hangs.
    pub(crate) async fn config(
        &self,
        channel: ChannelKey,
        user: Option<Id<UserMarker>>,
    ) -> Result<Arc<Effective>, CallError> {
        let snapshot = self.config.get(channel.home).await.map_err(|error| {
            let status = Box::new(tonic::Status::unavailable(error.0));
            CallError::Unavailable { call: "GetConfig", status }
        })?;
        let parent = if snapshot.is_set_by_channel() {
            self.parents.of(channel, &self.tools).await?
        } else {
            None
        };
        let place = Place { channel: channel.channel.get(), parent: parent.map_or(0, Id::get) };
        Ok(snapshot.effective(place, user.map_or(0, Id::get)))
    }

    /// Returns what the gate goes by for a message.
    ///
    /// # Errors
    ///
    /// As [`Self::config`].
    pub(crate) async fn rules_for(&self, message: &Message) -> Result<GateRules, CallError> {
        let effective = self.config(message.channel, Some(message.author)).await?;
        Ok(GateRules::of(&effective.config, &message.author_roles))
    }

    /// Returns Ery's roles where a message mentions any role, since one of them may be hers.
    ///
    /// Where the tool-service knows no such guild, she has none.
    ///
    /// # Errors
    ///
    /// If nobody can tell now.
    pub(crate) async fn roles_for(
        &self,
        message: &Message,
        bot: Id<UserMarker>,
    ) -> Result<Arc<[Id<RoleMarker>]>, CallError> {
        let channel = message.channel;
        if message.mentioned_roles.is_empty() || channel.guild().is_none() {
            return Ok(Arc::default());
        }
        if let Some(roles) = self.roles.get(channel.home) {
            return Ok(roles);
        }
        match self.tools.describe_people(channel, &[bot]).await {
            Ok(people) => {
                for (user, person) in &people {
                    self.learn_roles(channel, *user, bot, person);
                }
                Ok(self.roles.get(channel.home).unwrap_or_default())
            }
            Err(error @ (CallError::Unavailable { .. } | CallError::Fenced { .. })) => Err(error),
            Err(error @ (CallError::Refused { .. } | CallError::Unreadable { .. })) => {
                tracing::debug!(error = with_causes(&error), channel.id = %channel.channel,
                    "Ery has no roles here");
                Ok(Arc::default())
            }
        }
    }

    /// Returns the session for which a task waits until what was missed before it is read back.
    fn session_waited_for<'a>(&self, task: &'a Task) -> Option<&'a str> {
        let settings = &self.settings;
        let is_waited_for = settings.read_back_messages > 0 && !settings.read_back_wait.is_zero();
        task.session.as_deref().filter(|_| is_waited_for)
    }

    /// Returns whether it was known before `moment` that everything older than the task, which no session
    /// brought, stands in the queue.
    pub(crate) fn was_read_back(&self, task: &Task, moment: Instant) -> bool {
        self.session_waited_for(task).is_none_or(|session| {
            let since = self.read_backs.known_since(task.channel.home, session);
            since.is_some_and(|since| since < moment)
        })
    }

    /// Returns whether everything older than the task, which no session brought, stands in the queue.
    ///
    /// # Errors
    ///
    /// If the store cannot tell now.
    pub(crate) async fn is_read_back(&self, task: &Task) -> Result<bool, CallError> {
        let home = task.channel.home;
        let Some(session) = self.session_waited_for(task) else { return Ok(true) };
        if self.read_backs.known_since(home, session).is_some() {
            return Ok(true);
        }
        match self.store.is_read_back(home, session, task.received_at).await {
            Ok(false) => Ok(false),
            Ok(true) => {
                self.read_backs.set_known(home, session);
                Ok(true)
            }
            Err(error @ (CallError::Unavailable { .. } | CallError::Fenced { .. })) => Err(error),
            Err(error @ (CallError::Refused { .. } | CallError::Unreadable { .. })) => {
                tracing::warn!(error = with_causes(&error), channel.id = %task.channel.channel,
                    "it is not known whether what was missed is read back");
                Ok(true)
            }
        }
    }

    /// Remembers Ery's roles where `person` is herself.
    pub(crate) fn learn_roles(
        &self,
        channel: ChannelKey,
        user: Id<UserMarker>,
        bot: Id<UserMarker>,
        person: &Person,
    ) {
        if user == bot && channel.guild().is_some() {
            self.roles.insert(channel.home, &person.roles);
        }
    }
}

/// Ery's roles in guilds, remembered for a while.
#[derive(Debug, Default)]
pub(crate) struct BotRoles {
    known: Mutex<HashMap<Home, Known>>,
}

#[derive(Debug)]
struct Known {
    since: Instant,
    roles: Arc<[Id<RoleMarker>]>,
}

impl BotRoles {
    fn get(&self, home: Home) -> Option<Arc<[Id<RoleMarker>]>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get(&home)?;
        (known.since.elapsed() < ROLES_KNOWN).then(|| Arc::clone(&known.roles))
    }

    fn insert(&self, home: Home, roles: &[Id<RoleMarker>]) {
        let everyone = home.key();
        let roles = roles.iter().copied().filter(|role| role.get() != everyone).collect();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= ROLES_OF_GUILDS && !known.contains_key(&home) {
            known.retain(|_, known| known.since.elapsed() < ROLES_KNOWN);
            if known.len() >= ROLES_OF_GUILDS {
                known.clear();
            }
        }
        known.insert(home, Known { since: Instant::now(), roles });
    }
}

/// The last session of each home before which all that was missed is known to be read back.
#[derive(Debug, Default)]
pub(crate) struct ReadBacks {
    known: Mutex<HashMap<Home, (Box<str>, Instant)>>,
}

impl ReadBacks {
    fn known_since(&self, home: Home, session: &str) -> Option<Instant> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&home).filter(|(known, _)| **known == *session).map(|(_, since)| *since)
    }

    pub(crate) fn set_known(&self, home: Home, session: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= READ_BACKS && !known.contains_key(&home) {
            known.clear();
        }
        known.insert(home, (session.into(), Instant::now()));
    }
}

/// The channels for which a wake-up is being judged, and may take them.
#[derive(Debug, Default)]
pub(crate) struct Judging {
    channels: Mutex<HashMap<ChannelKey, usize>>,
}

impl Judging {
    /// Takes note of one more, until what is returned is dropped.
    pub(crate) fn begin(self: &Arc<Self>, channel: ChannelKey) -> Judged {
        *self.lock().entry(channel).or_insert(0) += 1;
        Judged { judging: Arc::clone(self), channel }
    }

    /// Returns whether any is being judged.
    pub(crate) fn is_any(&self, channel: ChannelKey) -> bool {
        self.lock().contains_key(&channel)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ChannelKey, usize>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A wake-up that is being judged.
#[derive(Debug)]
pub(crate) struct Judged {
    judging: Arc<Judging>,
    channel: ChannelKey,
}

impl Drop for Judged {
    fn drop(&mut self) {
        let mut channels = self.judging.lock();
        if let Some(count) = channels.get_mut(&self.channel) {
            *count -= 1;
            if *count == 0 {
                channels.remove(&self.channel);
            }
        }
    }
}

/// The channels whose history was read from Discord by this process, which is done once.
#[derive(Debug, Default)]
pub(crate) struct Histories {
    read: Mutex<HashSet<Id<ChannelMarker>>>,
}

impl Histories {
    pub(crate) fn is_read(&self, channel: ChannelKey) -> bool {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.contains(&channel.channel)
    }

    pub(crate) fn set_read(&self, channel: ChannelKey) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.len() >= HISTORIES {
            read.clear();
        }
        read.insert(channel.channel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn roles_are_known_for_a_while_and_everyone_is_none_of_them() {
        let roles = BotRoles::default();
        let home = Home::Guild(Id::new(10));
        assert_eq!(roles.get(home), None);
        roles.insert(home, &[Id::new(10), Id::new(31)]);
        assert_eq!(roles.get(home).as_deref(), Some(&[Id::new(31)][..]));
        tokio::time::advance(ROLES_KNOWN).await;
        assert_eq!(roles.get(home), None);
    }

    #[test]
    fn a_channel_is_judged_as_long_as_anything_of_it_is() {
        let judging = Arc::new(Judging::default());
        let [here, there] = [1, 2].map(|id| ChannelKey::from_raw(1, id).unwrap());
        let (first, second) = (judging.begin(here), judging.begin(here));
        assert!(judging.is_any(here) && !judging.is_any(there));
        drop(first);
        assert!(judging.is_any(here));
        drop(second);
        assert!(!judging.is_any(here) && judging.lock().is_empty());
    }

    #[tokio::test]
    async fn what_is_remembered_is_bounded() {
        let roles = BotRoles::default();
        for id in 1..=ROLES_OF_GUILDS as u64 + 5 {
            roles.insert(Home::Guild(Id::new(id)), &[]);
        }
        assert!(roles.known.lock().unwrap().len() <= ROLES_OF_GUILDS);

        let histories = Histories::default();
        let channel = |id: u64| ChannelKey::from_raw(1, id).unwrap();
        histories.set_read(channel(1));
        assert!(histories.is_read(channel(1)) && !histories.is_read(channel(2)));
        for id in 1..=HISTORIES as u64 + 5 {
            histories.set_read(channel(id));
        }
        assert!(histories.read.lock().unwrap().len() <= HISTORIES);
    }
}
