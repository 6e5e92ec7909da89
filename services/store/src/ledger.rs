//! The ledger of deletions: who is to be forgotten and who was, by keyed hashes of their ids.

use std::{
    collections::HashMap,
    sync::{
        PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use ring::{
    hmac,
    rand::{SecureRandom as _, SystemRandom},
};
use tokio::sync::Notify;
use twilight_model::id::{
    Id,
    marker::{GuildMarker, MessageMarker, UserMarker},
};

use ery_clock::UnixMillis;

use crate::{
    adapters::{
        global::Global,
        ledger_rows::{self, KeyRow, OptOutRow, Rows},
        seal::hex,
    },
    domain::privacy::{Deletion, Forgotten, OptOut, PSEUDONYM, Person, UserHash},
    error::StoreError,
};

/// What the store knows of deletions and opt-outs: in memory, and in `global.db`.
#[derive(Debug)]
pub(crate) struct Ledger {
    global: Global,
    state: RwLock<State>,
    /// No entry reaches beyond this id, so that what is said now is never looked up.
    newest: AtomicU64,
    /// Something is to be done.
    changed: Notify,
    /// A shard has come in which confirmed deletions may not have been carried out.
    has_new_shard: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    keys: Vec<Key>,
    own: usize,
    deletions: Vec<Deletion>,
    /// Where the entries of a hash stand.
    by_hash: HashMap<UserHash, Vec<usize>>,
    opt_outs: HashMap<(UserHash, u64), OptOutRow>,
}

#[derive(Debug)]
struct Key {
    row: KeyRow,
    hmac: hmac::Key,
}

impl Key {
    fn new(row: KeyRow) -> Self {
        let hmac = hmac::Key::new(hmac::HMAC_SHA256, &row.key);
        Self { row, hmac }
    }

    fn hash(&self, user: Id<UserMarker>) -> UserHash {
        self.sign(b"user", user)
    }

    fn sign(&self, of: &[u8], user: Id<UserMarker>) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.hmac);
        context.update(of);
        context.update(&user.get().to_be_bytes());
        context.sign().as_ref().try_into().expect("SHA-256 has 32 bytes")
    }

    fn pseudonym(&self, user: Id<UserMarker>) -> String {
        format!("{PSEUDONYM}{}", hex(&self.sign(b"pseudonym", user)[..8]))
    }
}

/// Returns a new key, and its name.
fn random_key() -> Result<KeyRow, StoreError> {
    let mut bytes = [0; 48];
    SystemRandom::new().fill(&mut bytes).map_err(|_| StoreError::NoRandomness)?;
    let (name, key) = bytes.split_at(16);
    let key = key.try_into().expect("48 less 16 are 32");
    Ok(KeyRow { id: hex(&name[..8]), key, is_own: true })
}

impl State {
    fn new(rows: Rows) -> Self {
        let keys: Vec<Key> = rows.keys.into_iter().map(Key::new).collect();
        let own = keys.iter().position(|key| key.row.is_own).unwrap_or_default();
        let mut state = Self { keys, own, ..Self::default() };
        for deletion in rows.deletions {
            state.add(deletion);
        }
        let opt_outs = rows.opt_outs.into_iter();
        state.opt_outs.extend(opt_outs.map(|row| ((row.user_hash, row.guild), row)));
        state
    }

    fn add(&mut self, deletion: Deletion) {
        self.by_hash.entry(deletion.user_hash).or_default().push(self.deletions.len());
        self.deletions.push(deletion);
    }

    fn newest(&self) -> u64 {
        self.deletions.iter().map(|deletion| deletion.before).max().unwrap_or(0)
    }

    /// Returns the entries about a person, with the key that each was made under.
    fn of(&self, user: Id<UserMarker>) -> impl Iterator<Item = (&Deletion, &Key)> {
        self.keys.iter().flat_map(move |key| {
            let entries = self.by_hash.get(&key.hash(user)).map_or(&[][..], Vec::as_slice);
            entries.iter().map(move |index| (&self.deletions[*index], key))
        })
    }
}

impl Ledger {
    /// Reads what is known from `global.db`.
    pub(crate) async fn open(global: Global, now: UnixMillis) -> Result<Self, StoreError> {
        let own = random_key()?;
        let rows = global.write(move |connection| ledger_rows::load(connection, &own, now)).await?;
        let state = State::new(rows);
        let newest = AtomicU64::new(state.newest());
        let (changed, has_new_shard) = (Notify::new(), AtomicBool::new(false));
        Ok(Self { global, state: RwLock::new(state), newest, changed, has_new_shard })
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether what an author said in a message is forgotten, and must not be taken in.
    pub(crate) fn holds_off(
        &self,
        author: Id<UserMarker>,
        guild: Option<Id<GuildMarker>>,
        message: Id<MessageMarker>,
    ) -> bool {
        self.may_hold_off(message)
            && self
                .read()
                .of(author)
                .any(|(deletion, _)| message.get() <= deletion.before && deletion.covers(guild))
    }

    /// Returns whether a message is as old as one that is forgotten, whoever wrote it.
    pub(crate) fn may_hold_off(&self, message: Id<MessageMarker>) -> bool {
        message.get() <= self.newest.load(Ordering::Acquire)
    }

    /// Returns a person's entries as a shard is searched for them.
    pub(crate) fn forgotten(&self, user: Id<UserMarker>) -> Vec<Forgotten> {
        let state = self.read();
        state.of(user).map(|(deletion, key)| forgotten(deletion, user, key)).collect()
    }

    /// Returns whether there is any entry.
    pub(crate) fn is_empty(&self) -> bool {
        self.read().deletions.is_empty()
    }

    /// Returns whether nothing was ever asked for.
    pub(crate) fn is_untouched(&self) -> bool {
        let state = self.read();
        state.deletions.is_empty() && state.opt_outs.is_empty()
    }

    /// Returns the ids of the deletions that are confirmed.
    pub(crate) fn confirmed(&self) -> Vec<String> {
        let state = self.read();
        let confirmed = state.deletions.iter().filter(|deletion| deletion.confirmed_at.is_some());
        confirmed.map(|deletion| deletion.id.clone()).collect()
    }

    /// Returns the deletions that are not confirmed yet, the oldest first.
    pub(crate) fn open_deletions(&self) -> Vec<(Deletion, Forgotten)> {
        let state = self.read();
        let open = state.deletions.iter().filter(|deletion| deletion.confirmed_at.is_none());
        open.filter_map(|deletion| {
            let key = state.keys.iter().find(|key| key.row.id == deletion.key_id)?;
            Some((deletion.clone(), forgotten(deletion, deletion.user?, key)))
        })
        .collect()
    }

    /// Returns a deletion.
    pub(crate) fn deletion(&self, id: &str) -> Option<Deletion> {
        self.read().deletions.iter().find(|deletion| deletion.id == id).cloned()
    }

    /// Returns deletions, a person's or everybody's, the newest first.
    pub(crate) fn deletions(&self, user: Option<Id<UserMarker>>, limit: usize) -> Vec<Deletion> {
        let state = self.read();
        let mut found: Vec<Deletion> = match user {
            Some(user) => state.of(user).map(|(deletion, _)| deletion.clone()).collect(),
            None => state.deletions.clone(),
        };
        found.sort_by_key(|deletion| std::cmp::Reverse(deletion.requested_at));
        found.truncate(limit);
        found
    }

    /// Writes down that a person is to be forgotten, unless it is; durable when this answers.
    pub(crate) async fn request(
        &self,
        id: String,
        person: Person,
        before: u64,
        now: UnixMillis,
    ) -> Result<Deletion, StoreError> {
        let deletion = {
            let state = self.read();
            if let Some(known) = state.deletions.iter().find(|deletion| deletion.id == id) {
                return same_request(known, &state, person);
            }
            let own = &state.keys[state.own];
            Deletion {
                id,
                key_id: own.row.id.clone(),
                user_hash: own.hash(person.user),
                guild: person.guild,
                before,
                requested_at: now,
                user: Some(person.user),
                erased_at: None,
                confirmed_by: None,
                confirmed_at: None,
            }
        };
        let written = deletion.clone();
        self.global.write(move |connection| ledger_rows::insert(connection, &written)).await?;
        let mut state = self.lock();
        if let Some(known) = state.deletions.iter().find(|known| known.id == deletion.id) {
            // Asked for twice at once.
            return same_request(known, &state, person);
        }
        state.add(deletion.clone());
        self.newest.fetch_max(before, Ordering::Release);
        drop(state);
        self.changed.notify_one();
        Ok(deletion)
    }

    /// Writes down how a deletion stands now.
    pub(crate) async fn update(&self, deletion: Deletion) -> Result<(), StoreError> {
        let written = deletion.clone();
        self.global.write(move |connection| ledger_rows::update(connection, &written)).await?;
        let mut state = self.lock();
        if let Some(stands) = state.deletions.iter_mut().find(|stands| stands.id == deletion.id) {
            *stands = deletion;
        }
        Ok(())
    }

    /// Has every shard looked at for confirmed deletions that were not carried out in it.
    pub(crate) fn look_again(&self) {
        self.has_new_shard.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    /// Returns whether that was asked for since this was last called.
    pub(crate) fn is_to_look_again(&self) -> bool {
        self.has_new_shard.swap(false, Ordering::AcqRel)
    }

    /// Waits until something is asked for since this was last waited for.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Returns whether anything may be learnt from a person.
    pub(crate) fn opt_out(&self, person: Person) -> OptOut {
        let state = self.read();
        let since = |guild: u64| {
            let hashes = state.keys.iter().map(|key| key.hash(person.user));
            hashes.filter_map(|hash| Some(state.opt_outs.get(&(hash, guild))?.since)).min()
        };
        OptOut { here: person.guild.and_then(|guild| since(guild.get())), everywhere: since(0) }
    }

    /// Opts a person out of learning, or in again; durable when this answers.
    pub(crate) async fn set_opt_out(
        &self,
        person: Person,
        is_out: bool,
        now: UnixMillis,
    ) -> Result<OptOut, StoreError> {
        let guild = person.guild.map_or(0, Id::get);
        let rows: Vec<OptOutRow> = {
            let state = self.read();
            let keys = state.keys.iter().filter(|key| key.row.is_own || !is_out);
            let row = |key: &Key| OptOutRow {
                key_id: key.row.id.clone(),
                user_hash: key.hash(person.user),
                guild,
                since: now,
            };
            keys.map(row).collect()
        };
        let written = rows.clone();
        self.global
            .write(move |connection| {
                let write = if is_out { ledger_rows::opt_out } else { ledger_rows::opt_in };
                written.iter().try_for_each(|row| write(connection, row))
            })
            .await?;
        {
            let mut state = self.lock();
            for row in rows {
                if is_out {
                    state.opt_outs.entry((row.user_hash, guild)).or_insert(row);
                } else {
                    state.opt_outs.remove(&(row.user_hash, guild));
                }
            }
        }
        Ok(self.opt_out(person))
    }

    /// Returns keys and entries, to be kept beside the backups: hashes, and no person's id.
    pub(crate) fn copy(&self) -> Rows {
        let state = self.read();
        let deletions = state.deletions.iter().map(|deletion| {
            // Elsewhere it is an entry to be replayed, and no work under way.
            let at = deletion.confirmed_at.or(Some(deletion.requested_at));
            let erased_at = deletion.erased_at.or(at);
            Deletion { user: None, erased_at, confirmed_at: at, ..deletion.clone() }
        });
        Rows {
            keys: state.keys.iter().map(|key| key.row.clone()).collect(),
            deletions: deletions.collect(),
            opt_outs: state.opt_outs.values().cloned().collect(),
        }
    }

    /// Takes over what a copy beside backups knows and this store does not.
    pub(crate) async fn merge(&self, copy: Rows, now: UnixMillis) -> Result<(), StoreError> {
        let (keys, deletions, opt_outs) = {
            let state = self.read();
            let is_new_key = |key: &KeyRow| !state.keys.iter().any(|known| known.row.id == key.id);
            let is_new =
                |entry: &Deletion| !state.deletions.iter().any(|known| known.id == entry.id);
            let keys: Vec<KeyRow> = copy.keys.into_iter().filter(is_new_key).collect();
            let deletions: Vec<Deletion> = copy.deletions.into_iter().filter(is_new).collect();
            // Of one's own opt-outs the store knows better than any copy: some were taken back since.
            let is_others = |row: &OptOutRow| keys.iter().any(|key| key.id == row.key_id);
            let opt_outs: Vec<OptOutRow> = copy.opt_outs.into_iter().filter(is_others).collect();
            (keys, deletions, opt_outs)
        };
        if keys.is_empty() && deletions.is_empty() {
            return Ok(());
        }
        let (new_keys, new_deletions) = (keys.clone(), deletions.clone());
        let new_opt_outs = opt_outs.clone();
        self.global
            .write(move |connection| {
                for key in &new_keys {
                    ledger_rows::insert_key(connection, key, now)?;
                }
                for entry in &new_deletions {
                    ledger_rows::insert(connection, entry)?;
                }
                new_opt_outs.iter().try_for_each(|row| ledger_rows::opt_out(connection, row))
            })
            .await?;
        let mut state = self.lock();
        for row in keys {
            if !state.keys.iter().any(|known| known.row.id == row.id) {
                state.keys.push(Key::new(KeyRow { is_own: false, ..row }));
            }
        }
        state.opt_outs.extend(opt_outs.into_iter().map(|row| ((row.user_hash, row.guild), row)));
        for deletion in deletions {
            if !state.deletions.iter().any(|known| known.id == deletion.id) {
                self.newest.fetch_max(deletion.before, Ordering::Release);
                state.add(deletion);
            }
        }
        Ok(())
    }
}

fn forgotten(deletion: &Deletion, user: Id<UserMarker>, key: &Key) -> Forgotten {
    Forgotten {
        deletion: deletion.id.clone(),
        person: Person { user, guild: deletion.guild },
        before: deletion.before,
        until: deletion.requested_at,
        pseudonym: key.pseudonym(user),
    }
}

/// Answers a repeat, and refuses another request under the same id.
fn same_request(known: &Deletion, state: &State, person: Person) -> Result<Deletion, StoreError> {
    let is_same_person = state.keys.iter().any(|key| key.hash(person.user) == known.user_hash);
    if is_same_person && known.guild == person.guild {
        Ok(known.clone())
    } else {
        Err(StoreError::invalid("deletion_id", "is that of another deletion"))
    }
}
