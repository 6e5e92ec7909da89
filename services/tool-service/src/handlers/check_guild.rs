use twilight_model::id::Id;

use ery_proto::tool::v1::{CheckGuildRequest, CheckGuildResponse};

use crate::{
    domain::{permissions, staff},
    error::CallError,
    service::Shared,
};

/// Tells where Ery introduces herself in a server, and what she lacks there.
pub(super) async fn handle(
    shared: &Shared,
    request: &CheckGuildRequest,
) -> Result<CheckGuildResponse, CallError> {
    let guild = Id::new_checked(request.guild_id)
        .ok_or_else(|| CallError::Invalid("only a server is checked".into()))?;
    let now = shared.clock.now();
    let state = shared.guilds.state(guild, &[]).await?;
    let missing = staff::missing(&state, now);
    Ok(CheckGuildResponse {
        channel_id: staff::introduction(&state, now).map_or(0, Id::get),
        missing: permissions::constants(missing).into_iter().map(str::to_owned).collect(),
        is_lowest: staff::is_lowest(&state),
        owner_id: state.guild.owner.get(),
    })
}
