//! Application commands.

use serde_json::Value;

use super::{answer::Answer, call::Call};
use crate::{
    domain::{CommandChange, CommandId, CommandScope, GuildId, Refusal, change_of},
    form::read_list,
    wire::{self, CommandView},
};

fn scope(call: &Call<'_>) -> Result<CommandScope, Refusal> {
    let application = call.id("application_id")?;
    let guild = if call.param("guild_id").is_empty() { None } else { Some(call.id("guild_id")?) };
    call.state.world.command_scope(call.bot, application, guild)
}

fn shown(call: &Call<'_>, scope: CommandScope, id: CommandId) -> Result<Answer, Refusal> {
    let command = call.state.world.commands.get(scope, id)?;
    Ok(Answer::json(&CommandView::new(command, true)))
}

fn all(call: &Call<'_>, scope: CommandScope, with_localizations: bool) -> Answer {
    let commands = call.state.world.commands.of(scope);
    let views: Vec<_> =
        commands.map(|command| CommandView::new(command, with_localizations)).collect();
    Answer::json(&views)
}

pub(super) fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let with_localizations = call.query_flag("with_localizations").unwrap_or(false);
    Ok(all(call, scope(call)?, with_localizations))
}

pub(super) fn get(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    shown(call, scope(call)?, call.id("command_id")?)
}

fn read(call: &Call<'_>) -> Result<CommandChange, Refusal> {
    let mut form = call.form()?;
    let change = change_of(&mut form);
    form.finish()?;
    Ok(change)
}

pub(super) fn create(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let scope = scope(call)?;
    let change = read(call)?;
    let registered = call.state.world.create_command(scope, change, call.now)?;
    let status = if registered.is_new { 201 } else { 200 };
    Ok(Answer { status, ..shown(call, scope, registered.id)? })
}

pub(super) fn update(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (scope, id) = (scope(call)?, call.id("command_id")?);
    let change = read(call)?;
    call.state.world.update_command(scope, id, change, call.now)?;
    shown(call, scope, id)
}

pub(super) fn delete(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (scope, id) = (scope(call)?, call.id("command_id")?);
    call.state.world.delete_command(scope, id)?;
    Ok(Answer::no_content())
}

pub(super) fn set(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    const MOST: usize = 130;
    let scope = scope(call)?;
    let list = call.list_body()?;
    if list.len() > MOST {
        let message = format!("Must be {MOST} or fewer in length.");
        return Err(Refusal::field(&[], "BASE_TYPE_MAX_LENGTH", message));
    }
    let changes = read_list(list, change_of)?;
    call.state.world.set_commands(scope, changes, call.now)?;
    Ok(all(call, scope, true))
}

pub(super) fn list_permissions(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let scope = scope(call)?;
    let guild: GuildId = call.id("guild_id")?;
    let set = call.state.world.commands.permissions_in(scope.application, guild);
    let view = |(about, permissions)| {
        wire::command_permissions_view(scope.application, guild, about, permissions)
    };
    Ok(Answer::json(&set.map(view).collect::<Vec<Value>>()))
}

pub(super) fn get_permissions(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let scope = scope(call)?;
    let (guild, command): (GuildId, CommandId) = (call.id("guild_id")?, call.id("command_id")?);
    let permissions = call.state.world.commands.permissions_of(guild, command)?;
    let (application, about) = (scope.application, command.get());
    let view = wire::command_permissions_view(application, guild, about, permissions);
    Ok(Answer::json(&view))
}

/// Only people who manage a guild set them, with a token of their own.
pub(super) fn set_permissions(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    scope(call)?;
    Err(Refusal::NotForBots)
}
