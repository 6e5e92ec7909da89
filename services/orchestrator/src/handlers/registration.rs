//! Telling Discord which commands there are: once by whichever replica is to do it, and again when a
//! session begins anew or a server appears.

use std::{convert::Infallible, sync::Arc};

use async_trait::async_trait;
use serde_json::Value;
use tokio::{sync::watch, time::sleep};
use twilight_model::id::{Id, marker::GuildMarker};

use ery_event_bus::Event;
use ery_ids::{Home, ReplicaId};
use ery_membership::{Replica, rendezvous};

use crate::{
    adapters::calls::Pauses,
    domain::commands::list,
    error::{CallError, with_causes},
    handlers::{events::EventHandler, holder::Holder},
    settings::CommandScope,
};

/// By which the replica is chosen that registers the commands of all servers.
const REGISTRAR: u64 = 0x636f_6d6d_616e_6473;

/// How often a failure is repeated with pauses before it is one line of the log.
const TRIES_BETWEEN_LINES: u32 = 4;

/// Registers the commands again when a session of Discord's begins: it may be another Discord.
pub(crate) struct OnSession {
    pub(crate) holder: Arc<Holder>,
}

#[async_trait]
impl EventHandler for OnSession {
    fn name(&self) -> &'static str {
        "orchestrator-commands"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["ready"]
    }

    async fn handle(&self, _: Home, _: &[Event]) -> Result<(), CallError> {
        unless_refused(register(&self.holder, None).await)
    }
}

/// Registers the commands in each server that appears: there they can be used at once.
pub(crate) struct InGuilds {
    pub(crate) holder: Arc<Holder>,
}

#[async_trait]
impl EventHandler for InGuilds {
    fn name(&self) -> &'static str {
        "orchestrator-guild-commands"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["guild_create"]
    }

    async fn handle(&self, home: Home, _: &[Event]) -> Result<(), CallError> {
        match home {
            Home::Guild(guild) => unless_refused(register(&self.holder, Some(guild)).await),
            Home::Dm(_) => Ok(()),
        }
    }
}

/// Registers the commands whenever this replica becomes the one that is to do it, until the drain:
/// at its start, and when it takes over from one that knew other commands.
pub(crate) async fn run(
    holder: Arc<Holder>,
    replica: ReplicaId,
    mut replicas: watch::Receiver<Arc<[Replica]>>,
) -> Result<(), Infallible> {
    let mut is_done = false;
    let mut pauses = Pauses::new();
    let mut tries: u32 = 0;
    while !holder.draining.is_cancelled() {
        let is_ours = {
            let now = replicas.borrow_and_update();
            rendezvous(REGISTRAR, &now).is_some_and(|owner| owner.id == replica)
        };
        is_done &= is_ours;
        if is_ours && !is_done {
            match register(&holder, None).await {
                // What is refused is not asked for again: it is said in the log, and comes again
                // with the next session.
                Ok(()) | Err(CallError::Refused { .. } | CallError::Unreadable { .. }) => {
                    is_done = true;
                    (pauses, tries) = (Pauses::new(), 0);
                }
                Err(CallError::Unavailable { .. } | CallError::Fenced { .. }) => {
                    tries += 1;
                    if tries % TRIES_BETWEEN_LINES == 1 {
                        tracing::warn!(tries, "the commands are not registered yet");
                    }
                }
            }
        }
        tokio::select! {
            () = holder.draining.cancelled() => {}
            () = sleep(pauses.next()), if is_ours && !is_done => {}
            changed = replicas.changed() => if changed.is_err() {
                holder.draining.cancelled().await;
            }
        }
    }
    Ok(())
}

/// What is refused was said in the log; no event is at fault, and none comes again for it.
pub(crate) fn unless_refused(registered: Result<(), CallError>) -> Result<(), CallError> {
    match registered {
        Err(CallError::Refused { .. } | CallError::Unreadable { .. }) => Ok(()),
        registered => registered,
    }
}

/// Makes Discord's list what it is to be, of a server or of all.
async fn register(holder: &Holder, guild: Option<Id<GuildMarker>>) -> Result<(), CallError> {
    let commands: Vec<Value> = match (holder.settings.commands, guild) {
        (CommandScope::Off, _) | (CommandScope::Global, Some(_)) => return Ok(()),
        (CommandScope::Global, None) | (CommandScope::Guilds, Some(_)) => list::bodies(),
        // Each would be there twice.
        (CommandScope::Guilds, None) => Vec::new(),
    };
    let registered = holder.tools.register_commands(guild, &commands).await;
    match &registered {
        Ok(is_changed) => {
            tracing::info!(
                guild.id = guild.map_or(0, Id::get),
                commands = commands.len(),
                is_changed,
                "Discord knows the commands"
            );
        }
        Err(error @ (CallError::Refused { .. } | CallError::Unreadable { .. })) => {
            tracing::error!(
                error = with_causes(error),
                guild.id = guild.map_or(0, Id::get),
                "Discord does not take the commands"
            );
        }
        Err(error) => {
            tracing::debug!(error = with_causes(error), "the commands cannot be registered now");
        }
    }
    registered.map(drop)
}
