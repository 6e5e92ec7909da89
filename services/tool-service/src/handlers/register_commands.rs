use serde_json::Value;
use twilight_model::id::{
    Id,
    marker::{ApplicationMarker, GuildMarker},
};

use ery_proto::tool::v1::{RegisterCommandsRequest, RegisterCommandsResponse};

use crate::{
    adapters::discord::{Method, Request, RestError},
    domain::commands,
    error::CallError,
    service::Shared,
};

/// Makes Discord's list of commands equal to the one given; writes nothing where it is so already.
///
/// Invariant: one request replaces them all, so that a command is never there by half, and one that
/// is no more offered goes with it.
pub(super) async fn handle(
    shared: &Shared,
    request: &RegisterCommandsRequest,
) -> Result<RegisterCommandsResponse, CallError> {
    let wanted: Vec<Value> = serde_json::from_str(&request.commands)
        .map_err(|_| CallError::Invalid("the commands are no JSON list".into()))?;
    let identity = shared.guilds.identity();
    let application = identity.application().await?;
    match register(shared, application, request.guild_id, &wanted).await {
        // It may not be ours any more.
        Err(error @ RestError::Refused { status: 403 | 404, .. }) => {
            match identity.application_anew().await? {
                ours if ours == application => Err(error.into()),
                ours => Ok(register(shared, ours, request.guild_id, &wanted).await?),
            }
        }
        registered => Ok(registered?),
    }
}

async fn register(
    shared: &Shared,
    application: Id<ApplicationMarker>,
    guild_id: u64,
    wanted: &[Value],
) -> Result<RegisterCommandsResponse, RestError> {
    let guild = Id::<GuildMarker>::new_checked(guild_id);
    let (route, wanted) = match guild {
        Some(guild) => {
            let route = format!("applications/{application}/guilds/{guild}/commands");
            (route, commands::of_guild(wanted))
        }
        None => (format!("applications/{application}/commands"), wanted.to_vec()),
    };
    let (home, send_by) = (guild_id, || shared.discord.send_by());
    let path = format!("{route}?with_localizations=true");
    let read = Request::new(Method::Get, route.clone(), path, home, send_by()).in_background();
    let registered: Vec<Value> = shared.discord.repeatedly(&read).await?.json()?;
    let response = |is_changed| RegisterCommandsResponse {
        is_changed,
        commands: u32::try_from(wanted.len()).unwrap_or(u32::MAX),
    };
    if commands::are_alike(&wanted, &registered, guild.is_some()) {
        return Ok(response(false));
    }
    let write = async |commands: &[Value]| {
        let request = Request::new(Method::Put, route.clone(), route.clone(), home, send_by());
        let request = request.json(&Value::Array(commands.to_vec())).in_background();
        shared.discord.repeatedly(&request).await.map(|_| ())
    };
    match write(&wanted).await {
        // One field that is not known refuses all of them, and a server that speaks Discord's API may know
        // those alone that were there first.
        Err(error @ RestError::Refused { status: 400, .. }) => {
            tracing::warn!(
                error = %error,
                "the commands are refused; they are registered without what Discord came to know late"
            );
            let plain = commands::in_old_terms(&wanted);
            if commands::are_alike(&plain, &registered, guild.is_some()) {
                return Ok(response(false));
            }
            write(&plain).await?;
        }
        written => written?,
    }
    tracing::info!(guild.id = guild_id, commands = wanted.len(), "commands registered");
    Ok(response(true))
}
