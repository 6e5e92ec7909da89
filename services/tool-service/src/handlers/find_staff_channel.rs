use twilight_model::id::Id;

use ery_proto::tool::v1::{FindStaffChannelRequest, FindStaffChannelResponse};

use crate::{domain::staff, error::CallError, service::Shared};

/// Finds where a server's staff is told of something.
pub(super) async fn handle(
    shared: &Shared,
    request: &FindStaffChannelRequest,
) -> Result<FindStaffChannelResponse, CallError> {
    let guild = Id::new_checked(request.guild_id)
        .ok_or_else(|| CallError::Invalid("staff is of a server".into()))?;
    let state = shared.guilds.state(guild, &[]).await?;
    let channel = staff::channel(&state, shared.clock.now());
    Ok(FindStaffChannelResponse { channel_id: channel.map_or(0, Id::get) })
}
