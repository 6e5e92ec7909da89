use std::{net::SocketAddr, path::PathBuf};

use axum::http::{Uri, uri::Authority};
use clap::{Args, Parser, Subcommand};

use ery_settings::Sources;
use ery_sim_discord::Generator;

use crate::failure::Told;

/// Ery, an AI community manager for Discord.
#[derive(Debug, Parser)]
#[command(name = "ery", version, about, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// The settings file [default: ery.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Where state is kept, over `data_dir` in the settings
    #[arg(long, global = true, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    pub(crate) fn sources(&self) -> Sources {
        let mut sources = Sources::from_environment(self.settings.clone());
        if let Some(folder) = &self.data_dir {
            sources.flags.push(("data_dir".into(), folder.display().to_string()));
        }
        sources
    }

    /// Returns who is told of failures.
    pub(crate) fn told(&self) -> Told {
        match &self.command {
            Command::Ctl(Ctl { json: true, .. }) => Told::Program,
            _ => Told::Person,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Keep Discord's sessions, and put every dispatch on the bus
    Gateway,
    /// Run task threads, and the handlers of events
    Orchestrator,
    /// Run model turns over any provider
    AiService,
    /// Check and carry out tool calls
    ToolService,
    /// Keep all durable state, in files partitioned by guild
    Store,
    /// Serve MCP clients: the HTTP front door
    Console,
    /// Run every service in this process, with one data folder and nothing else
    All,
    /// Run everything with a simulated Discord and a chat page: no token, no account
    Playground(Playground),
    /// Serve a simulated Discord
    SimDiscord(SimDiscord),
    /// Serve the playground's chat page beside services that run apart
    Page(Page),
    /// Ask a process on this machine whether it is ready; for health checks of containers
    Probe(Probe),
    /// Look into a running installation
    Ctl(Ctl),
    /// Check or show the settings
    #[command(subcommand)]
    Settings(SettingsCommand),
}

#[derive(Debug, Args)]
pub(crate) struct Playground {
    /// Where the chat page is served
    #[arg(long, default_value = "127.0.0.1:8710", value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,
    /// Where the simulated Discord is served
    #[arg(long, default_value = "127.0.0.1:8711", value_name = "ADDRESS")]
    pub(crate) sim_listen: SocketAddr,
    /// The simulated world [default: a small community]
    #[arg(long, value_name = "FILE")]
    pub(crate) world: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct SimDiscord {
    /// Where it is served
    #[arg(long, default_value = "127.0.0.1:8711", value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,
    /// The simulated world [default: a small community]
    #[arg(long, value_name = "FILE")]
    pub(crate) world: Option<PathBuf>,
    /// Make up a world, as `guilds=2000,members=100000`; also channels, roles, messages, seed
    #[arg(long, value_name = "SIZES", conflicts_with = "world")]
    pub(crate) generate: Option<Generator>,
    /// The bot's token
    #[arg(long, value_name = "TOKEN")]
    pub(crate) token: Option<String>,
    /// Do not limit the rate of requests
    #[arg(long)]
    pub(crate) no_rate_limits: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Page {
    /// Where the chat page is served
    #[arg(long, default_value = "127.0.0.1:8710", value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,
    /// Where the simulated Discord is reached
    #[arg(long, default_value = "127.0.0.1:8711", value_name = "HOST:PORT")]
    pub(crate) sim: Authority,
}

#[derive(Debug, Args)]
pub(crate) struct Probe {
    /// What is asked instead of `/readyz` at `admin.listen`
    #[arg(value_name = "URL")]
    pub(crate) url: Option<Uri>,
}

#[derive(Debug, Args)]
pub(crate) struct Ctl {
    /// JSON for programs instead of tables for people
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: CtlCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CtlCommand {
    /// Task threads
    #[command(subcommand)]
    Threads(Threads),
    /// Executions of tools: the audit
    #[command(subcommand)]
    Executions(Executions),
    /// Dead letters: what was given up after its last try
    #[command(subcommand)]
    Dead(Dead),
    /// Acts that are to be done at a time
    #[command(subcommand)]
    Schedule(Schedule),
    /// What model turns have cost
    Usage(Usage),
    /// The files in which everything is kept
    #[command(subcommand)]
    Store(Store),
    /// Credentials of MCP clients
    #[command(subcommand)]
    Mcp(Mcp),
    /// Servers' own keys for the model providers of `ai.providers`
    #[command(subcommand)]
    Keys(Keys),
    /// Backups, where `store.backup.url` says
    #[command(subcommand)]
    Backup(Backup),
    /// What a person can have: a copy, the deletion of what is kept, no learning
    #[command(subcommand)]
    Privacy(Privacy),
    /// What the installation and its communities are set to
    #[command(subcommand)]
    Config(Config),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// What holds in a place, and which layer says so; without a place, for the installation
    Get {
        /// Only this key, or all below it
        path: Option<String>,
        #[command(flatten)]
        place: ConfigPlace,
    },
    /// Set a value; it holds everywhere within a second
    Set {
        /// Which, by `ery ctl config keys`
        path: String,
        /// Lists with commas between
        #[arg(allow_negative_numbers = true)]
        value: String,
        #[command(flatten)]
        place: ConfigPlace,
    },
    /// Set a value no longer: what the layer above says holds again
    Reset {
        path: String,
        #[command(flatten)]
        place: ConfigPlace,
    },
    /// Who set what and when, the newest first
    History {
        /// The server [default: the installation]
        #[arg(long, value_name = "ID", value_parser = id)]
        guild: Option<u64>,
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Make the config what it was at a version, by the first column of the history
    Rollback {
        version: u64,
        /// The server [default: the installation]
        #[arg(long, value_name = "ID", value_parser = id)]
        guild: Option<u64>,
    },
    /// Write what is set as a file, but for what members set for themselves
    Export {
        /// The server [default: the installation]
        #[arg(long, value_name = "ID", value_parser = id)]
        guild: Option<u64>,
        #[arg(long, value_enum, default_value_t = ConfigFormat::Toml)]
        format: ConfigFormat,
    },
    /// Set exactly what a file says: show what would change, and with --yes do it
    Import {
        /// TOML or JSON; `-` for the standard input
        file: PathBuf,
        /// The server [default: the installation]
        #[arg(long, value_name = "ID", value_parser = id)]
        guild: Option<u64>,
        #[arg(long)]
        yes: bool,
    },
    /// Set a server to what fits its kind: show what would change, and with --yes do it
    Preset {
        /// Which, by `ery ctl config presets`
        name: String,
        #[arg(long, value_name = "ID", value_parser = id)]
        guild: u64,
        #[arg(long)]
        yes: bool,
    },
    /// The presets there are
    Presets,
    /// Everything that can be set, where, and to what
    Keys,
    /// The JSON Schema of everything that can be set
    Schema,
}

/// Reads an id of Discord's: 0 is none, and would be taken for the installation, or for nobody.
fn id(text: &str) -> Result<u64, &'static str> {
    match text.parse() {
        Ok(0) => Err("there is nothing with the id 0; leave the option out where none is meant"),
        Ok(id) => Ok(id),
        Err(_) => Err("an id of Discord's is a whole number"),
    }
}

/// Where something is set.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct ConfigPlace {
    /// The server [default: the installation]
    #[arg(long, value_name = "ID", value_parser = id)]
    pub(crate) guild: Option<u64>,
    #[arg(long, value_name = "ID", requires = "guild", value_parser = id)]
    pub(crate) channel: Option<u64>,
    /// For one member themselves
    #[arg(long, value_name = "ID", requires = "guild", value_parser = id)]
    pub(crate) user: Option<u64>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum ConfigFormat {
    Toml,
    Json,
}

impl ConfigFormat {
    pub(crate) fn into_file(self) -> ery_community_config::File {
        match self {
            Self::Toml => ery_community_config::File::Toml,
            Self::Json => ery_community_config::File::Json,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Privacy {
    /// Write what is kept of a person into an archive (ZIP), without what others wrote
    Export {
        #[command(flatten)]
        person: Person,
        /// The archive; none may be there yet
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Forget a person: count what it reaches, and with --yes do it
    Delete {
        #[command(flatten)]
        person: Person,
        /// Really delete; there is no way back
        #[arg(long)]
        yes: bool,
        /// A name of your own for it, by which a repeat is known as one [default: a random one]
        #[arg(long, value_name = "ID")]
        id: Option<String>,
    },
    /// Deletions, the newest first
    List {
        /// Only this person's, also after they are confirmed
        #[arg(long, value_name = "ID", value_parser = id)]
        user: Option<u64>,
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// How a deletion stands: requested, erased, confirmed
    Status {
        /// Which, by the first column of the list
        id: String,
    },
    /// Learn nothing from a person any more, in one server or anywhere
    OptOut(Person),
    /// Take an opt-out back
    OptIn(Person),
    /// Whether anything may be learnt from a person
    Preferences(Person),
}

/// Whose data, and of which server.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Person {
    /// The person
    #[arg(long, value_name = "ID", value_parser = id)]
    pub(crate) user: u64,
    /// Only what is of this server [default: everything, direct messages too]
    #[arg(long, value_name = "ID", value_parser = id)]
    pub(crate) guild: Option<u64>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Backup {
    /// Back up now, while others go on
    Create {
        /// Only the shard that is home to this guild
        #[arg(long, value_name = "ID", value_parser = id)]
        guild: Option<u64>,
    },
    /// The backups there are, the newest first
    List,
    /// Fetch a backup and read it back, without putting it anywhere
    Verify {
        id: String,
        /// The store that made it [default: every one that has made one of this id]
        #[arg(long, value_name = "STORE")]
        of: Option<String>,
    },
    /// Bring a backup back, while other shards go on; what it replaces is backed up first
    #[command(group = clap::ArgGroup::new("what").required(true).args(["guild", "all"]))]
    Restore {
        id: String,
        /// Only the shard that is home to this guild, with the other guilds in it
        #[arg(long, value_name = "ID", value_parser = id)]
        guild: Option<u64>,
        /// Every shard that the backup holds
        #[arg(long)]
        all: bool,
        /// The store that made it [default: for each shard its store, else any that has it in a backup of
        /// this id]
        #[arg(long, value_name = "STORE")]
        of: Option<String>,
        /// Take a backup in the clear into a store that has a key; whoever can write to the place for
        /// backups may have made it
        #[arg(long)]
        unsealed: bool,
    },
    /// Delete the backups that are past their time
    Prune,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Store {
    /// How each shard file stands
    Status,
    /// Read all of a shard file, or of every one, and say what is wrong
    Check {
        /// The shard's number [default: all]
        shard: Option<u32>,
    },
    /// Write a shard file, or every one, anew without its free pages
    ///
    /// Writes to the shard wait meanwhile. It needs as much room on the disk as the file.
    Vacuum {
        /// The shard's number [default: all]
        shard: Option<u32>,
    },
    /// Move shards between stores, while Ery runs: one, all of one store, or as many as even them out
    Rebalance {
        /// Only this shard
        #[arg(long, value_name = "NUMBER", requires = "to")]
        shard: Option<u32>,
        /// The store that is to have it
        #[arg(long, value_name = "STORE", requires = "shard")]
        to: Option<String>,
        /// Give every shard of this store to the others, so that it can be taken away
        #[arg(long, value_name = "STORE", conflicts_with = "shard")]
        drain: Option<String>,
    },
    /// Take a shard from a store that is lost for good
    ///
    /// A shard that was on its way to that store stays with the one that it came from; what the lost store
    /// may have taken in since is lost with it. With --to, a shard that the lost store had begins empty
    /// in another one: restore it from a backup afterwards. A store that runs keeps what it has; one that
    /// comes back all the same gives the shard up, and puts its file aside.
    Settle {
        /// The shard's number
        #[arg(long, value_name = "NUMBER")]
        shard: u32,
        /// The store that will never come back
        #[arg(long, value_name = "STORE")]
        lost: String,
        /// The store that begins the shard anew
        #[arg(long, value_name = "STORE")]
        to: Option<String>,
    },
    /// Give every file of the data folder the key in the settings; Ery must be stopped
    ///
    /// Files that are not under `store.encryption.key` yet are read under
    /// `store.encryption.previous_key`, or as they are if they are not encrypted. May be killed and
    /// run again.
    Rekey {
        /// Leave the files in the clear, where no `store.encryption.key` is set
        #[arg(long)]
        decrypt: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Mcp {
    /// Make a credential, and show its token, once
    Create {
        /// The server in which it acts
        #[arg(long, value_name = "ID", value_parser = id)]
        guild: u64,
        /// The member for whom it acts: it may do what they may do by hand
        #[arg(long, value_name = "ID", value_parser = id)]
        user: u64,
        /// The channel that is "here" for its calls, and where its proposals are shown
        #[arg(long, value_name = "ID", value_parser = id)]
        channel: u64,
        /// A tool that it may call; may be given several times [default: every tool]
        #[arg(long = "tool", value_name = "NAME")]
        tools: Vec<String>,
        /// What people call it
        #[arg(long, default_value = "")]
        name: String,
    },
    /// Credentials, the newest first; never their tokens
    List {
        #[arg(long, value_name = "ID", value_parser = id)]
        guild: Option<u64>,
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Take a credential back: its clients are let in no more, and what it proposed is void
    Revoke {
        /// Which, by the first column of the list
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Keep a server's own key, in place of the one before; it is asked with from the next message on
    Set {
        /// The server
        #[arg(value_name = "GUILD", value_parser = id)]
        guild: u64,
        /// The provider, by its name in `ai.providers`, or the kind of the only one
        #[arg(long, value_name = "NAME")]
        provider: String,
        /// Where the key stands; `-` for standard input. Not the key itself, which others would see
        #[arg(long, value_name = "FILE")]
        key_file: PathBuf,
    },
    /// Which keys there are, by whom and since when; never the keys
    List {
        /// Only those of a server
        #[arg(value_name = "GUILD", value_parser = id)]
        guild: Option<u64>,
    },
    /// Forget a key: with its last one gone, the server is asked for on the operator's keys again
    Remove {
        /// The server
        #[arg(value_name = "GUILD", value_parser = id)]
        guild: u64,
        #[arg(long, value_name = "NAME")]
        provider: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Schedule {
    /// What is planned, the next due first
    List {
        #[arg(long, value_name = "ID", value_parser = id)]
        guild: Option<u64>,
        #[arg(long, default_value_t = 20)]
        limit: u32,
        /// Those that were done or cancelled, too
        #[arg(long)]
        all: bool,
    },
    /// Take one back, so that it is not done
    Cancel {
        /// Which, by the first column of the list
        id: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Usage {
    /// Of this server alone
    #[arg(long, value_name = "ID", value_parser = id)]
    pub(crate) guild: Option<u64>,
    /// For this member alone
    #[arg(long, value_name = "ID", value_parser = id)]
    pub(crate) user: Option<u64>,
    /// In which time, by UTC
    #[arg(long, value_enum, default_value_t = UsageWindow::Month)]
    pub(crate) window: UsageWindow,
    /// How many servers, channels and members are listed, those that cost most first
    #[arg(long, default_value_t = 20)]
    pub(crate) limit: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum UsageWindow {
    Day,
    Month,
    LastMonth,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Threads {
    /// The newest threads
    List {
        #[command(flatten)]
        place: Place,
        #[arg(long, default_value_t = 20)]
        limit: u32,
        /// Only those that run now
        #[arg(long)]
        running: bool,
    },
    /// One thread, with its steps and executions
    Show { thread: String },
    /// Why a message was answered, or not: its thread, what sent it, or why it was turned away
    Why {
        /// The message's id, or a link to it
        message: String,
    },
    /// Run threads' journals once more with another model or prompt, and compare
    ///
    /// Nothing is looked up or done: results of tools come from the journal. The model is that of the
    /// settings (`[ai]`, `ERY_AI__…`), and is paid for; no budget counts it.
    Replay(Replayed),
}

#[derive(Debug, Args)]
pub(crate) struct Replayed {
    /// Which, by `ery ctl threads list`
    #[arg(required = true)]
    pub(crate) threads: Vec<String>,
    /// The provider of the settings that is asked; the first, if none is named
    #[arg(long, value_name = "NAME")]
    pub(crate) provider: Option<String>,
    /// Another model at that provider
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<String>,
    /// A folder with another `conversation.txt`, as `ai.prompts_dir`
    #[arg(long, value_name = "FOLDER")]
    pub(crate) prompts: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Executions {
    /// The newest executions
    List {
        #[command(flatten)]
        place: Place,
        /// Only those of this thread
        #[arg(long)]
        thread: Option<String>,
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// All executions of a guild as lines of JSON, the newest first
    Export {
        #[arg(long, value_name = "ID", value_parser = id)]
        guild: u64,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Dead {
    /// The newest dead letters
    List {
        #[command(flatten)]
        place: Place,
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// One dead letter, with its payload
    Show { id: String },
    /// Try dead letters again, each as a new thread
    #[command(group = clap::ArgGroup::new("which").required(true).args(["ids", "all"]))]
    Retry {
        /// Which, by the first column of the list
        #[arg(value_name = "ID")]
        ids: Vec<String>,
        /// All of a guild, or of a channel, that can be tried again
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        place: Place,
        /// Who tries it again, as the dead letter keeps it
        #[arg(long, value_name = "NAME", default_value = "ery ctl")]
        by: String,
    },
}

/// Where to look; everywhere if neither is given.
#[derive(Debug, Args)]
pub(crate) struct Place {
    #[arg(long, value_name = "ID", value_parser = id)]
    pub(crate) guild: Option<u64>,
    #[arg(long, value_name = "ID", value_parser = id)]
    pub(crate) channel: Option<u64>,
}

#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum SettingsCommand {
    /// Say whether the settings are right
    Check,
    /// Show the settings in force, without secrets
    Show,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_commands_are_declared_soundly() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_value_may_be_a_negative_number() {
        for value in ["-5", "-0.5"] {
            let command = ["ery", "ctl", "config", "set", "limits.steps", value, "--guild", "5"];
            assert!(Cli::try_parse_from(command).is_ok(), "{value}");
        }
    }

    #[test]
    fn zero_is_nobodys_id_and_never_the_installation() {
        for arguments in [
            "ctl config set paused true --guild 0",
            "ctl config get --guild 5 --channel 0",
            "ctl config reset paused --guild 5 --user 0",
            "ctl config import - --guild 0",
            "ctl threads list --guild 0",
            "ctl privacy preferences --user 0",
            "ctl keys list 0",
        ] {
            let read = Cli::try_parse_from(["ery"].into_iter().chain(arguments.split(' ')));
            let said = read.map(|_| ()).unwrap_err().to_string();
            assert!(said.contains("there is nothing with the id 0"), "{arguments}: {said}");
        }
        let read = Cli::try_parse_from(["ery", "ctl", "config", "get", "--guild", "5"]);
        assert!(read.is_ok());
    }
}
