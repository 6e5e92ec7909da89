use serde::Deserialize;
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

#[derive(Deserialize)]
struct RawApplication {
    id: Id<ApplicationMarker>,
}

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
    let guild = Id::<GuildMarker>::new_checked(request.guild_id);
    let application = application(shared).await?;
    let (route, wanted) = match guild {
        Some(guild) => {
            let route = format!("applications/{application}/guilds/{guild}/commands");
            (route, commands::of_guild(&wanted))
        }
        None => (format!("applications/{application}/commands"), wanted),
    };
    let (home, send_by) = (request.guild_id, || shared.discord.send_by());
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
    tracing::info!(guild.id = request.guild_id, commands = wanted.len(), "commands registered");
    Ok(response(true))
}

/// Returns Ery's application, asked for once.
async fn application(shared: &Shared) -> Result<Id<ApplicationMarker>, CallError> {
    let application = shared.application.get_or_try_init(|| async {
        let route = "applications/@me";
        let send_by = shared.discord.send_by();
        let request = Request::new(Method::Get, route, route, 0, send_by).in_background();
        let application: RawApplication = shared.discord.repeatedly(&request).await?.json()?;
        Ok::<_, RestError>(application.id)
    });
    Ok(*application.await?)
}
