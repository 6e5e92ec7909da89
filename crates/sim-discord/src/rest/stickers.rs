//! The stickers of a guild: they are read; how they are made is not simulated.

use twilight_model::guild::Permissions;

use super::{answer::Answer, call::Call};
use crate::{
    domain::{GuildId, Refusal},
    wire::StickerView,
};

fn own_guild(call: &Call<'_>) -> Result<GuildId, Refusal> {
    let guild = call.id("guild_id")?;
    call.state.world.require_in_guild(call.bot, guild, Permissions::empty(), call.now)?;
    Ok(guild)
}

pub(super) fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guild = own_guild(call)?;
    Ok(Answer::json(&StickerView::all(call.state.world.guild(guild)?)))
}

pub(super) fn get(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guild = own_guild(call)?;
    let id = call.id("sticker_id")?;
    let stickers = &call.state.world.guild(guild)?.stickers;
    let sticker = stickers.get(&id).ok_or(Refusal::UnknownSticker)?;
    Ok(Answer::json(&StickerView::new(guild, sticker)))
}
