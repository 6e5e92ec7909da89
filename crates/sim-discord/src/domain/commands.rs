//! Application commands: what a bot offers people to use, everywhere or in one guild.
//!
//! Source: Discord Docs, Application Commands.

mod form;
pub(super) mod options;
mod permissions;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::Duration,
};

use serde_json::{Map, Value};
use twilight_model::guild::Permissions;

use ery_clock::UnixMillis;

use super::{
    ApplicationId, Bot, CommandId, CommandVersionId, GuildId, Mint, Refusal, UserId, World,
};

pub(crate) use form::{CommandChange, LOCALES, change_of};
pub(crate) use permissions::{CommandPermission, PermissionTarget};

const MAX_SLASH_COMMANDS: usize = 100;
const MAX_CONTEXT_COMMANDS: usize = 15;
/// The characters of a command in all: names, descriptions and the values of choices.
const MAX_CHARACTERS: usize = 8_000;
/// How many commands may be made anew in a scope and a day.
const DAILY_CREATES: usize = 200;
const DAY: Duration = Duration::from_hours(24);

/// Discord's number for a kind of command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CommandKind(pub(crate) u8);

impl CommandKind {
    pub(crate) const SLASH: Self = Self(1);
    pub(crate) const USER: Self = Self(2);
    pub(crate) const MESSAGE: Self = Self(3);
    pub(crate) const ENTRY_POINT: Self = Self(4);

    fn most(self) -> usize {
        match self {
            Self::SLASH => MAX_SLASH_COMMANDS,
            Self::ENTRY_POINT => 1,
            _ => MAX_CONTEXT_COMMANDS,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Command {
    pub(crate) id: CommandId,
    pub(crate) application: ApplicationId,
    /// None where it is for all guilds and for direct messages.
    pub(crate) guild: Option<GuildId>,
    pub(crate) kind: CommandKind,
    pub(crate) name: String,
    pub(crate) name_localizations: Option<Map<String, Value>>,
    /// Empty where it is in a context menu.
    pub(crate) description: String,
    pub(crate) description_localizations: Option<Map<String, Value>>,
    /// In the form in which Discord gives them back.
    pub(crate) options: Vec<Value>,
    /// What a member needs to use it, unless the guild's admins said otherwise; nothing at all
    /// (an empty set) means that it is for administrators.
    pub(crate) default_member_permissions: Option<Permissions>,
    pub(crate) contexts: Option<Vec<u8>>,
    pub(crate) integration_types: Vec<u8>,
    pub(crate) nsfw: bool,
    pub(crate) dm_permission: bool,
    pub(crate) handler: Option<u8>,
    pub(crate) version: CommandVersionId,
}

impl Command {
    /// Tells whether it can be used in direct messages with its bot.
    pub(crate) fn is_for_dms(&self) -> bool {
        let in_context = self.contexts.as_ref().map(|contexts| contexts.contains(&1));
        self.guild.is_none() && in_context.unwrap_or(self.dm_permission)
    }

    /// Tells whether it can be used in guilds.
    pub(crate) fn is_for_guilds(&self) -> bool {
        self.guild.is_some() || self.contexts.as_ref().is_none_or(|contexts| contexts.contains(&0))
    }

    /// Counts the characters that are held to [`MAX_CHARACTERS`].
    fn characters(&self) -> usize {
        self.name.chars().count()
            + self.description.chars().count()
            + options::characters(&self.options)
    }

    fn is_like(&self, other: &Self) -> bool {
        *self == Self { version: self.version, ..other.clone() }
    }
}

/// Where commands are registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CommandScope {
    pub(crate) application: ApplicationId,
    pub(crate) guild: Option<GuildId>,
}

/// All commands of all applications.
#[derive(Debug, Default)]
pub(crate) struct Commands {
    by_scope: BTreeMap<CommandScope, BTreeMap<CommandId, Command>>,
    /// When commands were made anew in the last day.
    creates: HashMap<CommandScope, VecDeque<UnixMillis>>,
    permissions: BTreeMap<(GuildId, u64), Vec<CommandPermission>>,
}

impl Commands {
    pub(crate) fn of(&self, scope: CommandScope) -> impl Iterator<Item = &Command> {
        self.by_scope.get(&scope).into_iter().flat_map(BTreeMap::values)
    }

    pub(crate) fn get(&self, scope: CommandScope, id: CommandId) -> Result<&Command, Refusal> {
        let found = self.by_scope.get(&scope).and_then(|commands| commands.get(&id));
        found.ok_or(Refusal::UnknownCommand)
    }

    /// Returns all commands of one application, of every scope.
    pub(crate) fn of_application(
        &self,
        application: ApplicationId,
    ) -> impl Iterator<Item = &Command> {
        let scopes = self.by_scope.iter().filter(move |(key, _)| key.application == application);
        scopes.flat_map(|(_, commands)| commands.values())
    }

    fn named(&self, scope: CommandScope, kind: CommandKind, name: &str) -> Option<&Command> {
        self.of(scope).find(|command| command.kind == kind && command.name == name)
    }

    /// Counts commands that are made anew, as many as a day allows.
    fn count_creates(
        &mut self,
        scope: CommandScope,
        count: usize,
        now: UnixMillis,
    ) -> Result<(), Refusal> {
        let creates = self.creates.entry(scope).or_default();
        while creates.front().is_some_and(|at| now.since(*at) >= DAY) {
            creates.pop_front();
        }
        if creates.len() + count > DAILY_CREATES {
            let oldest = creates.front().copied().unwrap_or(now);
            let wait = DAY.saturating_sub(now.since(oldest));
            let retry_after_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            return Err(Refusal::TooManyCommandCreates { retry_after_ms });
        }
        creates.extend(std::iter::repeat_n(now, count));
        Ok(())
    }

    fn put(&mut self, scope: CommandScope, command: Command) {
        self.by_scope.entry(scope).or_default().insert(command.id, command);
    }
}

/// Whether a command was made anew, or took the place of one of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Registered {
    pub(crate) id: CommandId,
    pub(crate) is_new: bool,
}

impl World {
    /// Finds the commands' place: a bot registers only its own, and in guilds only where it is.
    pub(crate) fn command_scope(
        &self,
        bot: UserId,
        application: ApplicationId,
        guild: Option<GuildId>,
    ) -> Result<CommandScope, Refusal> {
        let own = self.bot(bot).ok_or(Refusal::NotYourApplication)?.application;
        if own != application {
            return Err(Refusal::NotYourApplication);
        }
        if guild.is_some_and(|guild| self.member(guild, bot).is_none()) {
            return Err(Refusal::MissingAccess);
        }
        Ok(CommandScope { application, guild })
    }

    /// Registers a command; one of the same name and kind is overwritten, and keeps its id.
    pub(crate) fn create_command(
        &mut self,
        scope: CommandScope,
        change: CommandChange,
        now: UnixMillis,
    ) -> Result<Registered, Refusal> {
        let command = complete(&mut self.mint, scope, change, now, &[])?;
        let former = self.commands.named(scope, command.kind, &command.name);
        let former = former.map(|former| (former.id, former.version));
        let registered =
            Registered { id: former.map_or(command.id, |(id, _)| id), is_new: former.is_none() };
        if registered.is_new {
            let most = command.kind.most();
            let same = self.commands.of(scope).filter(|other| other.kind == command.kind);
            if same.count() >= most {
                return Err(Refusal::TooManyCommands { most });
            }
            self.commands.count_creates(scope, 1, now)?;
        }
        self.commands.put(scope, Command { id: registered.id, ..command });
        Ok(registered)
    }

    /// Changes a command; what is not said stays.
    pub(crate) fn update_command(
        &mut self,
        scope: CommandScope,
        id: CommandId,
        change: CommandChange,
        now: UnixMillis,
    ) -> Result<(), Refusal> {
        let former = self.commands.get(scope, id)?;
        let version = self.mint.next(now);
        let change = CommandChange { kind: Some(former.kind), ..change };
        let command = change.apply(Command { version, ..former.clone() }, &[])?;
        let twin = self.commands.named(scope, command.kind, &command.name);
        if twin.is_some_and(|twin| twin.id != id) {
            return Err(duplicate_name(&["name"]));
        }
        self.commands.put(scope, command);
        Ok(())
    }

    pub(crate) fn delete_command(
        &mut self,
        scope: CommandScope,
        id: CommandId,
    ) -> Result<(), Refusal> {
        let commands = self.commands.by_scope.get_mut(&scope).ok_or(Refusal::UnknownCommand)?;
        commands.remove(&id).ok_or(Refusal::UnknownCommand)?;
        self.commands.permissions.retain(|(_, about), _| *about != id.get());
        Ok(())
    }

    /// Replaces all commands of a scope; those of the same name and kind keep their ids.
    pub(crate) fn set_commands(
        &mut self,
        scope: CommandScope,
        changes: Vec<CommandChange>,
        now: UnixMillis,
    ) -> Result<(), Refusal> {
        let mut commands: Vec<Command> = Vec::with_capacity(changes.len());
        let mut created = 0;
        for (index, change) in changes.into_iter().enumerate() {
            let index = index.to_string();
            let wanted = change.id;
            let mut command = complete(&mut self.mint, scope, change, now, &[&index])?;
            if commands
                .iter()
                .any(|other| (other.kind, &other.name) == (command.kind, &command.name))
            {
                return Err(duplicate_name(&[&index, "name"]));
            }
            let by_id = wanted.and_then(|id| self.commands.get(scope, id).ok());
            let former = by_id
                .filter(|former| former.kind == command.kind)
                .or_else(|| self.commands.named(scope, command.kind, &command.name));
            let free = former.filter(|former| commands.iter().all(|other| other.id != former.id));
            match free {
                Some(former) => {
                    command.id = former.id;
                    if former.is_like(&command) {
                        command.version = former.version;
                    }
                }
                None => created += 1,
            }
            commands.push(command);
        }
        for kind in [CommandKind::SLASH, CommandKind::USER, CommandKind::MESSAGE] {
            let most = kind.most();
            if commands.iter().filter(|command| command.kind == kind).count() > most {
                return Err(Refusal::TooManyCommands { most });
            }
        }
        self.commands.count_creates(scope, created, now)?;
        let commands: BTreeMap<_, _> =
            commands.into_iter().map(|command| (command.id, command)).collect();
        self.commands.by_scope.insert(scope, commands);
        Ok(())
    }

    /// Takes a command of a world file as it is, its id included.
    pub(super) fn load_command(
        &mut self,
        scope: CommandScope,
        change: CommandChange,
        version: Option<CommandVersionId>,
        now: UnixMillis,
    ) -> Result<(), Refusal> {
        let id = change.id;
        let mut command = complete(&mut self.mint, scope, change, now, &[])?;
        if let Some(id) = id {
            self.mint.observe(id, now);
            command.id = id;
        }
        if let Some(version) = version {
            self.mint.observe(version, now);
            command.version = version;
        }
        if self.commands.named(scope, command.kind, &command.name).is_some() {
            return Err(duplicate_name(&["name"]));
        }
        self.commands.put(scope, command);
        Ok(())
    }

    /// Returns the commands that `bot` offers in a guild, or in its direct messages.
    pub(crate) fn commands_offered<'a>(
        &'a self,
        bot: &Bot,
        guild: Option<GuildId>,
    ) -> Vec<&'a Command> {
        let application = bot.application;
        let global = CommandScope { application, guild: None };
        let own = guild.map(|guild| CommandScope { application, guild: Some(guild) });
        let of_guild = own.into_iter().flat_map(|scope| self.commands.of(scope));
        let everywhere = self.commands.of(global).filter(|command| {
            if guild.is_some() { command.is_for_guilds() } else { command.is_for_dms() }
        });
        of_guild.chain(everywhere).collect()
    }
}

/// Makes a whole command of what a request says of it.
fn complete(
    mint: &mut Mint,
    scope: CommandScope,
    change: CommandChange,
    now: UnixMillis,
    path: &[&str],
) -> Result<Command, Refusal> {
    let blank = Command {
        id: mint.next(now),
        application: scope.application,
        guild: scope.guild,
        kind: CommandKind::SLASH,
        name: String::new(),
        name_localizations: None,
        description: String::new(),
        description_localizations: None,
        options: Vec::new(),
        default_member_permissions: None,
        contexts: None,
        integration_types: vec![0],
        nsfw: false,
        dm_permission: true,
        handler: None,
        version: mint.next(now),
    };
    change.apply(blank, path)
}

fn duplicate_name(path: &[&str]) -> Refusal {
    let message = "Application command names must be unique";
    Refusal::field(path, "APPLICATION_COMMANDS_DUPLICATE_NAME", message)
}
