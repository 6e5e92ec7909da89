//! The JSON in which Discord speaks: objects as REST answers and dispatches carry them.
//!
//! Fields follow Discord's own description of its API, so that typed clients can read them.

mod command;
mod emoji;
mod guild;
mod interaction;
mod invite;
mod message;
mod poll;
mod presence;
mod scheduled_event;
mod sticker;
mod thread;
mod time;
mod user;
mod webhook;

use bytes::Bytes;
use serde::Serialize;

pub(crate) use command::{CommandView, command_permissions, command_permissions_view};
pub(crate) use emoji::{GuildEmojiView, emojis_update};
pub(crate) use guild::{
    AuditLogView, ChannelView, GuildForm, GuildPreviewView, GuildView, MyGuildView, RoleView,
    Roster, audit_entry_create, channel_event, channel_pins_update, dm_channel, guild_create,
    guild_left, guild_unavailable, guild_update, role_deleted, role_event,
};
pub(crate) use interaction::{callback_response, interaction_create, interaction_state, resolved};
pub(crate) use invite::{InviteDetail, InviteView, invite_create, invite_delete};
pub(crate) use message::{
    MessageView, Sight, dispatched_message, message_delete, message_delete_bulk, reaction_add,
    reaction_remove, reactions_cleared,
};
pub(crate) use poll::poll_vote;
pub(crate) use presence::{PresenceView, presence_update};
pub(crate) use scheduled_event::{EventUserView, ScheduledEventView, event_user, scheduled_event};
pub(crate) use sticker::{StickerView, stickers_update};
pub(crate) use thread::{
    GuildChannelView, ThreadListView, ThreadMemberView, ThreadView, forum_tags, thread_create,
    thread_delete, thread_entered, thread_event, thread_list_sync, thread_member_update,
    thread_members_update,
};
pub(crate) use time::{Iso, parse_iso};
pub(crate) use user::{
    ApplicationView, MeView, MemberView, UserView, member_event, typing_start, user_event,
};
pub(crate) use webhook::{WebhookDetail, WebhookView, webhooks_update};

/// Writes a view as JSON.
pub(crate) fn render(view: &impl Serialize) -> Bytes {
    let mut buffer = Vec::with_capacity(512);
    serde_json::to_writer(&mut buffer, view)
        .expect("views have string keys and write into memory, so that nothing can fail");
    Bytes::from(buffer)
}
