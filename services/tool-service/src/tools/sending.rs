//! Sends one message under a nonce, and finds it again where nobody told how it went.

use serde_json::{Map, Value, json};
use twilight_model::{
    guild::Permissions,
    id::{
        Id,
        marker::{ChannelMarker, MessageMarker, UserMarker},
    },
};

use super::{
    Done, Run,
    embeds::Embed,
    files::TextFile,
    polls::Poll,
    stickers::{self, Sticker},
};
use crate::{
    adapters::discord::{
        Answer, Method, Request, RestError,
        wire::{RawMessage, Readable, snowflake_at},
    },
    domain::{execution::NONCE_LIFE, flow, output::MAX_CONTENT, reference},
};

/// Discord's flag for a message without previews of its links.
pub(super) const SUPPRESS_EMBEDS: u64 = 1 << 2;

/// Discord's answer to a repeated send whose first message is there no more.
pub(super) const UNKNOWN_MESSAGE: u64 = 10_008;

/// How many of the messages after the opening are looked through for the one in doubt.
const MAX_PAGES: usize = 5;

/// How far Discord's clock may be behind ours.
const CLOCK_SKEW: std::time::Duration = std::time::Duration::from_secs(5);

/// A message to be sent, whole.
pub(super) struct Outgoing<'a> {
    pub(super) channel: Id<ChannelMarker>,
    pub(super) content: &'a str,
    pub(super) embeds: &'a [Embed],
    pub(super) poll: Option<&'a Poll>,
    pub(super) files: &'a [TextFile],
    pub(super) stickers: &'a [Sticker],
    pub(super) reply_to: Option<Id<MessageMarker>>,
    pub(super) mention_users: &'a [Id<UserMarker>],
    pub(super) suppress_embeds: bool,
    /// Buttons, as Discord takes them.
    pub(super) components: Option<&'a Value>,
}

/// A message that stands.
pub(super) struct Sent {
    pub(super) message: RawMessage,
    pub(super) status: u16,
}

impl Outgoing<'_> {
    /// Sends it; whatever is not certain is looked for.
    pub(super) async fn send(&self, run: &Run<'_>) -> Result<Sent, Done> {
        let replies_to = self.reply_to.filter(|_| self.may_reply(run));
        let request = self.request(run, self.content, replies_to);
        match run.discord.repeatedly(&request).await {
            Ok(answer) => self.stands(run, &answer).await,
            // A fault that passes costs no reference: what is made again is tried with it again, once.
            Err(error @ RestError::ServerError { .. })
                if replies_to.is_some() && (run.is_repeat || !run.is_made_again) =>
            {
                self.send_unattached(run, &error).await
            }
            Err(error) if error.is_in_doubt() => self.settle(run, &error).await,
            // Under its nonce the first one stood, and was deleted since.
            Err(RestError::Refused { code: UNKNOWN_MESSAGE, status }) => {
                Err(Done::ok(status, "It was sent, and deleted since.", Map::new()))
            }
            Err(error) => Err(Done::of_write(&error)),
        }
    }

    /// Sends it without its reference: not everybody who speaks Discord's API can reply to whatever it is,
    /// and what is said matters more. Under its nonce it stands once, whichever comes through.
    async fn send_unattached(&self, run: &Run<'_>, error: &RestError) -> Result<Sent, Done> {
        match self.find(run).await {
            Ok(Found::Message(message)) => Ok(Sent { message: *message, status: 200 }),
            Ok(Found::Nothing) => {
                let request = self.request(run, &self.unattached(run), None);
                match run.discord.repeatedly(&request).await {
                    Ok(answer) => self.stands(run, &answer).await,
                    Err(_) => self.settle(run, error).await,
                }
            }
            Ok(Found::Unclear) | Err(_) => self.settle(run, error).await,
        }
    }

    async fn stands(&self, run: &Run<'_>, answer: &Answer) -> Result<Sent, Done> {
        match answer.json::<RawMessage>() {
            Ok(message) => Ok(Sent { message, status: answer.status }),
            Err(error) => self.settle(run, &error).await,
        }
    }

    /// Finds out whether it was sent, where it must not be sent again.
    pub(super) async fn look_up(&self, run: &Run<'_>) -> Result<Sent, Done> {
        match self.find(run).await {
            Ok(Found::Message(message)) => Ok(Sent { message: *message, status: 200 }),
            // While it may still be repeated elsewhere, that it is not there says nothing.
            Ok(Found::Nothing) if run.now >= run.opened_at + NONCE_LIFE + run.request_timeout => {
                Err(Done::failed(0, "The message did not get to Discord."))
            }
            Ok(Found::Nothing | Found::Unclear) => Err(Done::in_doubt(0)),
            Err(error) => {
                tracing::warn!(error = %error, "cannot look up whether a message was sent");
                let done = Done::in_doubt(error.status());
                Err(if error.is_in_doubt() || error.passes() { done.unsettled() } else { done })
            }
        }
    }

    /// Looks whether a send without a clear answer got through. That it is not there yet does not
    /// mean that it will not be.
    async fn settle(&self, run: &Run<'_>, error: &RestError) -> Result<Sent, Done> {
        tracing::warn!(error = %error, "a send has no clear answer; looking for it");
        match self.find(run).await {
            Ok(Found::Message(message)) => Ok(Sent { message: *message, status: error.status() }),
            Ok(Found::Nothing | Found::Unclear) | Err(_) => {
                Err(Done::in_doubt(error.status()).unsettled())
            }
        }
    }

    /// Returns the text that stands without the reference: a link tells what it replies to, where there is
    /// room for one.
    fn unattached(&self, run: &Run<'_>) -> String {
        let Some(reply_to) = self.reply_to else { return self.content.to_owned() };
        let link = reference::link_to(run.guild(), self.channel, reply_to);
        let with_link = format!("{}\n-# ↪ {link}", self.content);
        if with_link.chars().count() > MAX_CONTENT { self.content.to_owned() } else { with_link }
    }

    fn request(
        &self,
        run: &Run<'_>,
        content: &str,
        reply_to: Option<Id<MessageMarker>>,
    ) -> Request {
        let mut body = json!({
            "content": content,
            "nonce": run.nonce,
            "enforce_nonce": true,
            "allowed_mentions": {
                "parse": [],
                "users": self.mention_users,
                "replied_user": false,
            },
        });
        if !self.embeds.is_empty() {
            body["embeds"] = self.embeds.iter().map(Embed::as_discord_has_it).collect();
        }
        if let Some(poll) = self.poll {
            body["poll"] = poll.as_discord_has_it();
        }
        if !self.stickers.is_empty() {
            body["sticker_ids"] = stickers::ids(self.stickers);
        }
        // Without the right to read the history Discord refuses replies; the answer matters more.
        if let Some(reply_to) = reply_to {
            body["message_reference"] = json!({
                "message_id": reply_to,
                "fail_if_not_exists": false,
            });
        }
        if self.suppress_embeds {
            body["flags"] = json!(SUPPRESS_EMBEDS);
        }
        if let Some(components) = self.components {
            body["components"] = components.clone();
        }
        let path = format!("channels/{}/messages", self.channel);
        let request = Request::new(Method::Post, path.clone(), path, run.home.key(), run.send_by);
        if self.files.is_empty() {
            return request.json(&body).send();
        }
        let sent: Vec<_> = self.files.iter().map(TextFile::as_sent).collect();
        request.with_files(&body, &sent).send()
    }

    fn may_reply(&self, run: &Run<'_>) -> bool {
        run.bot_may(self.channel, Permissions::READ_MESSAGE_HISTORY)
    }

    /// Looks for the message among what was written since its execution was opened.
    async fn find(&self, run: &Run<'_>) -> Result<Found, RestError> {
        if !run.bot_may(self.channel, flow::TO_READ) {
            // Discord shows her an empty channel then, which says nothing.
            return Ok(Found::Unclear);
        }
        let mut after = snowflake_at(run.opened_at - CLOCK_SKEW);
        let no_later_than = run.opened_at + NONCE_LIFE + CLOCK_SKEW;
        for _ in 0..MAX_PAGES {
            let route = format!("channels/{}/messages", self.channel);
            let path = format!("{route}?limit=100&after={after}");
            let send_by = run.discord.send_by();
            let request = Request::new(Method::Get, route, path, run.home.key(), send_by);
            let page: Readable<RawMessage> = run.discord.repeatedly(&request).await?.json()?;
            let (count, page) = (page.listed, page.items);
            let newest = page.iter().map(|message| message.id.get()).max();
            let is_over = page.iter().any(|message| message.created_at() > no_later_than);
            if let Some(found) = page.into_iter().find(|message| self.is_it(message, run)) {
                return Ok(Found::Message(Box::new(found)));
            }
            match newest {
                Some(newest) if count == 100 && !is_over => after = newest,
                _ => return Ok(Found::Nothing),
            }
        }
        Ok(Found::Unclear)
    }

    fn is_it(&self, message: &RawMessage, run: &Run<'_>) -> bool {
        message.author.id == run.bot
            && match &message.nonce {
                Some(nonce) => nonce == run.nonce,
                None => {
                    // It may stand without the reference, where that was not taken.
                    (message.content == self.content || message.content == self.unattached(run))
                        && (message.reply_to().is_none() || message.reply_to() == self.reply_to)
                        && message.embeds.len() == self.embeds.len()
                        && self.embeds.iter().zip(&message.embeds).all(|(own, of)| own.is(of))
                        && match (self.poll, &message.poll) {
                            (Some(own), Some(of)) => own.is(of),
                            (own, of) => own.is_none() && of.is_none(),
                        }
                        && message.sticker_items.len() == self.stickers.len()
                        && self
                            .stickers
                            .iter()
                            .zip(&message.sticker_items)
                            .all(|(own, of)| own.is(of))
                        && message.attachments.len() == self.files.len()
                        && self.files.iter().zip(&message.attachments).all(|(own, of)| own.is(of))
                }
            }
    }
}

enum Found {
    Message(Box<RawMessage>),
    Nothing,
    /// More was written since than is looked through, or she may not read there.
    Unclear,
}
