use twilight_model::id::Id;

use ery_proto::tool::v1::{DescribeChannelRequest, DescribeChannelResponse};

use super::channel_key;
use crate::{domain::guild::Channel, error::CallError, service::Shared};

/// Tells of which channel a channel is a thread.
pub(super) async fn handle(
    shared: &Shared,
    request: &DescribeChannelRequest,
) -> Result<DescribeChannelResponse, CallError> {
    let channel = channel_key(request.guild_id, request.channel_id)?;
    let Some(guild) = channel.guild() else {
        return Ok(DescribeChannelResponse { is_known: true, parent_channel_id: 0 });
    };
    let found = shared.guilds.own_channel(guild, channel.channel).await?;
    let parent = found.as_ref().and_then(Channel::thread_of);
    Ok(DescribeChannelResponse {
        is_known: found.is_some(),
        parent_channel_id: parent.map_or(0, Id::get),
    })
}
