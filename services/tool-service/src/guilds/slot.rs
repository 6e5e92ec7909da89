//! One guild's place in memory.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::OwnedMutexGuard, time::Instant};
use twilight_model::id::{
    Id,
    marker::{ChannelMarker, UserMarker},
};

use super::{change::Change, recent::Recent};
use crate::{
    domain::guild::{ChannelKind, Guild, Member},
    error::StateError,
};

/// How many changes are kept for a guild that is being read; more, and it is read again later.
const MAX_PENDING: usize = 10_000;

/// How many leavings of threads are remembered.
const MAX_LEFT: usize = 10_000;

/// How many locks of cancelled reads are left lying.
const MAX_IDLE_FETCHES: usize = 64;

/// How long a guild that Discord refused is not asked for again.
const REFUSAL_KEPT: Duration = Duration::from_secs(5);

/// Keeps others from reading the same member at once.
pub(crate) type Fetching = OwnedMutexGuard<()>;

#[derive(Debug)]
pub(crate) struct Slot {
    last_used: AtomicU64,
    loading: tokio::sync::Mutex<()>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    guild: Option<Arc<Guild>>,
    /// Why it could not be read, and when.
    refused: Option<(Instant, StateError)>,
    /// What events told since a read began; none if none is under way.
    pending: Option<Vec<Change>>,
    /// `None`: known to be no member.
    members: Recent<Id<UserMarker>, Option<Arc<Member>>>,
    /// Whether `members` holds every member of the guild.
    knows_all: bool,
    fetching: HashMap<Id<UserMarker>, Arc<tokio::sync::Mutex<()>>>,
    /// Who is being read while an event told something newer of them, and not all: what is read serves
    /// once and is not kept.
    overtaken: HashSet<Id<UserMarker>>,
    /// Who was seen to leave a thread.
    left: HashSet<(Id<ChannelMarker>, Id<UserMarker>)>,
}

impl Slot {
    pub(crate) fn new(max_members: usize, now: u64) -> Self {
        Self {
            last_used: AtomicU64::new(now),
            loading: tokio::sync::Mutex::default(),
            inner: Mutex::new(Inner {
                guild: None,
                refused: None,
                pending: None,
                members: Recent::new(max_members),
                knows_all: false,
                fetching: HashMap::new(),
                overtaken: HashSet::new(),
                left: HashSet::new(),
            }),
        }
    }

    pub(crate) fn used(&self, now: u64) {
        self.last_used.store(now, Ordering::Relaxed);
    }

    pub(crate) fn last_used(&self) -> u64 {
        self.last_used.load(Ordering::Relaxed)
    }

    pub(crate) fn guild(&self) -> Option<Arc<Guild>> {
        self.lock().guild.clone()
    }

    /// Waits until nobody else reads the guild.
    pub(crate) async fn loading(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.loading.lock().await
    }

    /// Returns why the guild was refused a moment ago, where reading it again would tell the same.
    pub(crate) fn refusal(&self) -> Option<StateError> {
        let mut inner = self.lock();
        inner.refused = inner.refused.take().filter(|(at, _)| at.elapsed() < REFUSAL_KEPT);
        inner.refused.as_ref().map(|(_, error)| error.clone())
    }

    pub(crate) fn begin_load(&self) {
        self.lock().pending = Some(Vec::new());
    }

    /// Keeps what was read, with what events told since.
    pub(crate) fn end_load(
        &self,
        read: Result<Guild, StateError>,
    ) -> Result<Arc<Guild>, StateError> {
        let mut inner = self.lock();
        let pending = inner.pending.take();
        // GUILD_CREATE came meanwhile, and is complete.
        if let Some(guild) = &inner.guild {
            return Ok(Arc::clone(guild));
        }
        let mut guild = match read {
            Ok(guild) => Arc::new(guild),
            Err(error) => {
                if error.is_refusal() {
                    inner.refused = Some((Instant::now(), error.clone()));
                }
                return Err(error);
            }
        };
        let Some(pending) = pending else { return Ok(guild) };
        for change in pending {
            change_guild(&mut guild, change);
        }
        inner.guild = Some(Arc::clone(&guild));
        Ok(guild)
    }

    /// Keeps a guild that an event told completely.
    pub(crate) fn fill(&self, guild: Guild, members: Vec<Member>) {
        let mut inner = self.lock();
        inner.members.clear();
        let is_complete =
            guild.member_count.is_some_and(|count| usize::try_from(count) == Ok(members.len()));
        inner.knows_all = is_complete;
        for member in members {
            if inner.members.insert(member.user, Some(Arc::new(member))) {
                inner.knows_all = false;
            }
        }
        inner.guild = Some(Arc::new(guild));
        inner.refused = None;
        inner.pending = None;
    }

    pub(crate) fn apply(&self, change: Change) {
        let inner = &mut *self.lock();
        match change {
            Change::Joined(member) => {
                let is_wanted = inner.knows_all || inner.is_wanted(member.user);
                if is_wanted {
                    inner.keep(member.user, Some(Arc::new(*member)));
                }
            }
            Change::Member(member) => {
                if inner.knows_all || inner.is_wanted(member.user) {
                    inner.keep(member.user, Some(Arc::new(*member)));
                }
            }
            Change::MemberInPart(mut member, unsaid) => {
                if let Some(Some(before)) = inner.members.get(&member.user).cloned() {
                    unsaid.fill(&mut member, &before);
                    inner.keep(member.user, Some(Arc::new(*member)));
                } else if inner.fetching.contains_key(&member.user) {
                    // What is being read may be older than this, which does not tell all.
                    inner.overtaken.insert(member.user);
                }
            }
            Change::ThreadMembers { thread, came, went } => {
                for user in came {
                    inner.left.remove(&(thread, user));
                }
                let known = inner.guild.as_ref().and_then(|guild| guild.channels.get(&thread));
                if known.is_some_and(|known| known.kind != ChannelKind::PrivateThread) {
                    return;
                }
                if inner.left.len() > MAX_LEFT {
                    inner.left.clear();
                }
                inner.left.extend(went.into_iter().map(|user| (thread, user)));
            }
            Change::MemberGone(user) => {
                if inner.is_wanted(user) {
                    inner.keep(user, None);
                }
            }
            change => match (&mut inner.pending, &mut inner.guild) {
                (Some(pending), _) if pending.len() < MAX_PENDING => pending.push(change),
                // Too much happens for what is being read to be kept.
                (pending @ Some(_), _) => *pending = None,
                (None, Some(guild)) => change_guild(guild, change),
                (None, None) => {}
            },
        }
    }

    /// Returns a member in memory; `Some(None)` if known to be none.
    #[expect(clippy::option_option, reason = "not known, known to be absent, known")]
    pub(crate) fn known(&self, user: Id<UserMarker>) -> Option<Option<Arc<Member>>> {
        let mut inner = self.lock();
        let known = inner.members.get(&user).cloned();
        // Where all members are known, everybody else is none.
        known.or_else(|| inner.knows_all.then_some(None))
    }

    /// Returns which threads these people were seen to leave.
    pub(crate) fn outside(
        &self,
        users: &[Id<UserMarker>],
    ) -> HashSet<(Id<ChannelMarker>, Id<UserMarker>)> {
        let left = &self.lock().left;
        if left.is_empty() {
            return HashSet::new();
        }
        left.iter().filter(|(_, user)| users.contains(user)).copied().collect()
    }

    pub(crate) fn knows_all_members(&self) -> bool {
        self.lock().knows_all
    }

    pub(crate) fn named(&self, name: &str) -> Vec<Arc<Member>> {
        let inner = self.lock();
        inner.members.values().flatten().filter(|member| member.is_named(name)).cloned().collect()
    }

    /// Keeps a member found by a search, unless an event told of them.
    pub(crate) fn learn(&self, member: Member) -> Arc<Member> {
        let mut inner = self.lock();
        if let Some(Some(known)) = inner.members.get(&member.user) {
            return Arc::clone(known);
        }
        let member = Arc::new(member);
        inner.keep(member.user, Some(Arc::clone(&member)));
        member
    }

    /// Lets go of what is known of a member, who is read anew when somebody asks.
    pub(crate) fn forget(&self, user: Id<UserMarker>) {
        let mut inner = self.lock();
        if inner.members.remove(&user) {
            // Who is not in memory is not known to be none any more.
            inner.knows_all = false;
        }
    }

    /// Waits until nobody else reads a member.
    pub(crate) async fn begin_member(&self, user: Id<UserMarker>) -> Fetching {
        let lock = {
            let mut inner = self.lock();
            // Those whose readers were cancelled.
            if inner.fetching.len() > MAX_IDLE_FETCHES {
                inner.fetching.retain(|_, lock| Arc::strong_count(lock) > 1);
            }
            Arc::clone(inner.fetching.entry(user).or_default())
        };
        lock.lock_owned().await
    }

    /// Keeps a member that was read, unless an event told of them meanwhile; returns who is kept.
    #[expect(clippy::option_option, reason = "nothing read, read to be absent, read")]
    pub(crate) fn end_member(
        &self,
        user: Id<UserMarker>,
        fetching: Fetching,
        read: Option<Option<Arc<Member>>>,
    ) -> Option<Option<Arc<Member>>> {
        let mut inner = self.lock();
        drop(fetching);
        // Nobody else waits for it if only the map holds it.
        if inner.fetching.get(&user).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            inner.fetching.remove(&user);
        }
        let is_overtaken = inner.overtaken.remove(&user);
        let read = read?;
        if is_overtaken {
            return Some(read);
        }
        if let Some(known) = inner.members.get(&user) {
            return Some(known.clone());
        }
        inner.keep(user, read.clone());
        Some(read)
    }

    /// Keeps what was read of a member of whom `before` was known, unless that changed meanwhile:
    /// then an event told something that may be newer.
    pub(crate) fn end_reread(
        &self,
        user: Id<UserMarker>,
        fetching: Fetching,
        before: Option<&Option<Arc<Member>>>,
        read: Option<&Option<Arc<Member>>>,
    ) {
        let mut inner = self.lock();
        drop(fetching);
        if inner.fetching.get(&user).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            inner.fetching.remove(&user);
        }
        let is_unchanged = match (before.map(Option::as_ref), inner.members.get(&user)) {
            (Some(Some(before)), Some(Some(now))) => Arc::ptr_eq(before, now),
            (Some(None), Some(None)) | (None | Some(None), None) => true,
            _ => false,
        };
        let is_overtaken = inner.overtaken.remove(&user);
        if let Some(read) = read
            && is_unchanged
            && !is_overtaken
        {
            inner.keep(user, read.clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Whether a member is in memory or being read.
    fn is_wanted(&self, user: Id<UserMarker>) -> bool {
        self.members.contains(&user) || self.fetching.contains_key(&user)
    }

    fn keep(&mut self, user: Id<UserMarker>, member: Option<Arc<Member>>) {
        if self.members.insert(user, member) {
            self.knows_all = false;
        }
    }
}

fn change_guild(guild: &mut Arc<Guild>, change: Change) {
    // Copies only while a decision still looks at the former one.
    let guild = Arc::make_mut(guild);
    match change {
        Change::Updated(updated) => {
            guild.name = updated.name;
            guild.owner = updated.owner;
            if !updated.roles.is_empty() {
                guild.roles = updated.roles;
            }
            guild.emojis = updated.emojis;
        }
        Change::Role(role) => {
            guild.roles.insert(role.id, role);
        }
        Change::RoleGone(role) => {
            guild.roles.remove(&role);
        }
        Change::Channel(channel) => {
            guild.channels.insert(channel.id, *channel);
        }
        Change::ChannelFound(channel) => {
            guild.channels.entry(channel.id).or_insert(*channel);
        }
        Change::ChannelGone(channel) => {
            guild.channels.remove(&channel);
        }
        Change::Emojis(emojis) => guild.emojis = emojis,
        Change::ThreadMembers { .. }
        | Change::Created(_)
        | Change::Gone
        | Change::Joined(_)
        | Change::Member(_)
        | Change::MemberInPart(..)
        | Change::MemberGone(_) => {}
    }
}
