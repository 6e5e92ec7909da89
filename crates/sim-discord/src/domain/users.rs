//! Accounts, bots, and the direct messages between two people.

use ery_clock::UnixMillis;

use super::{
    Audience, Bot, Channel, ChannelId, ChannelKind, Dispatch, Effect, GuildId, Outcome, Refusal,
    User, UserId, World,
};
use crate::wire;

/// A change of an account; what is none stays.
#[derive(Clone, Debug, Default)]
pub(crate) struct UserChange {
    pub(crate) username: Option<String>,
    pub(crate) global_name: Option<Option<String>>,
    pub(crate) accepts_dms: Option<bool>,
}

impl World {
    /// Changes an account: every guild that it is in is told, and the account itself.
    pub(crate) fn update_user(&mut self, user: UserId, change: UserChange) -> Outcome<()> {
        if let Some(name) = &change.username {
            check_username(name)?;
        }
        let account = self.users.get_mut(&user).ok_or(Refusal::UnknownUser)?;
        if let Some(name) = change.username {
            account.username = name;
        }
        if let Some(name) = change.global_name {
            account.global_name = name.filter(|name| !name.is_empty());
        }
        account.accepts_dms = change.accepts_dms.unwrap_or(account.accepts_dms);
        let is_bot = account.is_bot;
        let mut dispatches = Vec::new();
        if is_bot {
            let body = wire::render(&wire::MeView::new(account));
            dispatches.push(Dispatch::shared("USER_UPDATE", Audience::Account(user), body));
        }
        let guilds: Vec<GuildId> = self
            .guilds
            .values()
            .filter(|guild| guild.members.contains_key(&user))
            .map(|guild| guild.id)
            .collect();
        for guild in guilds {
            self.dispatch_member_update(guild, user, &mut dispatches);
        }
        Ok(Effect::new((), dispatches))
    }

    /// Makes an account.
    pub(crate) fn create_user(
        &mut self,
        username: &str,
        global_name: Option<&str>,
        is_bot: bool,
        now: UnixMillis,
    ) -> UserId {
        let id = self.mint.next(now);
        let user = User {
            id,
            username: username.to_owned(),
            global_name: global_name.map(str::to_owned),
            is_bot,
            accepts_dms: true,
        };
        self.users.insert(id, user);
        id
    }

    /// Makes a bot's account, which logs in with `token`.
    pub(crate) fn create_bot(
        &mut self,
        username: &str,
        token: &str,
        owner: Option<UserId>,
        now: UnixMillis,
    ) -> UserId {
        let user = self.create_user(username, None, true, now);
        // The application of a bot has, since years, the same id as the bot.
        let application = user.cast();
        let token = token.to_owned();
        self.bots.push(Bot { user, application, token, owner, privileged_intents: true });
        user
    }

    /// Opens the direct message of two people; it is the same one each time.
    pub(crate) fn open_dm(
        &mut self,
        from: UserId,
        to: UserId,
        now: UnixMillis,
    ) -> Outcome<ChannelId> {
        if from == to || !self.users.contains_key(&to) {
            return Err(Refusal::InvalidRecipient);
        }
        let pair = (from.min(to), from.max(to));
        if let Some(channel) = self.dms.get(&pair) {
            return Ok(Effect::none(*channel));
        }
        let id: ChannelId = self.mint.next(now);
        let mut channel = Channel::new(id, None, ChannelKind::DM, String::new());
        channel.recipients = vec![from, to];
        self.channels.insert(id, channel);
        self.dms.insert(pair, id);
        Ok(Effect::none(id))
    }

    /// Tells whether two people are in some guild together.
    pub(crate) fn share_a_guild(&self, one: UserId, other: UserId) -> bool {
        self.guilds
            .values()
            .any(|guild| guild.members.contains_key(&one) && guild.members.contains_key(&other))
    }

    /// Checks that `from` may write to the other one of a direct message.
    pub(super) fn check_dm(&self, from: UserId, channel: &Channel) -> Result<(), Refusal> {
        let other = channel.recipients.iter().find(|user| **user != from);
        let other = other.and_then(|user| self.users.get(user)).ok_or(Refusal::UnknownUser)?;
        let from = self.user(from)?;
        if from.is_bot && (other.is_bot || !other.accepts_dms) {
            return Err(Refusal::CannotMessageUser);
        }
        if from.is_bot && !self.share_a_guild(from.id, other.id) {
            return Err(Refusal::NoMutualGuilds);
        }
        Ok(())
    }
}

/// Checks a name's length: 2 to 32 characters.
fn check_username(name: &str) -> Result<(), Refusal> {
    if (2..=32).contains(&name.chars().count()) {
        return Ok(());
    }
    let message = "Must be between 2 and 32 in length.";
    Err(Refusal::field(&["username"], "BASE_TYPE_BAD_LENGTH", message))
}
