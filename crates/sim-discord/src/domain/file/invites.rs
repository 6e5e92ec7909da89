//! Invites in a world file.

use serde::{Deserialize, Serialize};

use ery_clock::UnixMillis;

use crate::{
    domain::{ChannelId, Guild, GuildId, Invite, RoleId, UserId, World},
    wire::{Iso, parse_iso},
};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InviteFile {
    code: String,
    channel_id: ChannelId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    inviter_id: Option<UserId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
    /// In seconds; 0, and for ever, where it is not said.
    #[serde(default)]
    max_age: u32,
    #[serde(default)]
    max_uses: u32,
    #[serde(default)]
    uses: u32,
    #[serde(default)]
    temporary: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    role_ids: Vec<RoleId>,
}

impl World {
    pub(super) fn invite_files(&self, guild: GuildId) -> Vec<InviteFile> {
        let of_guild = self.invites.values().filter(|invite| invite.guild == guild);
        let file = |invite: &Invite| InviteFile {
            code: invite.code.clone(),
            channel_id: invite.channel,
            inviter_id: invite.inviter,
            created_at: Some(Iso(invite.created).to_string()),
            max_age: invite.max_age,
            max_uses: invite.max_uses,
            uses: invite.uses,
            temporary: invite.is_temporary,
            role_ids: invite.roles.clone(),
        };
        of_guild.map(file).collect()
    }

    pub(super) fn load_invite(
        &mut self,
        guild: &Guild,
        file: InviteFile,
        now: UnixMillis,
    ) -> Result<(), String> {
        let code = file.code;
        if code.is_empty() || self.invites.contains_key(&code) {
            return Err(format!("the invite's code `{code}` is empty or another's"));
        }
        if !guild.channels.contains(&file.channel_id) {
            return Err(format!(
                "the invite `{code}` is into the channel {}, which is not there",
                file.channel_id
            ));
        }
        let created = match &file.created_at {
            Some(text) => parse_iso(text)
                .ok_or_else(|| format!("the invite `{code}`: `{text}` is no moment in ISO 8601"))?,
            None => now,
        };
        let invite = Invite {
            code: code.clone(),
            guild: guild.id,
            channel: file.channel_id,
            inviter: file.inviter_id,
            created,
            max_age: file.max_age,
            max_uses: file.max_uses,
            uses: file.uses,
            is_temporary: file.temporary,
            roles: file.role_ids,
        };
        self.invites.insert(code, invite);
        Ok(())
    }
}
