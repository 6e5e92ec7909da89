//! Webhooks, and what an application says with the token of an interaction: both have the same
//! paths, in which the id of the application stands in place of a webhook's.

use super::{
    answer::Answer,
    call::Call,
    form::Form,
    interactions,
    messages::{draft_of, edit_of},
};
use crate::{
    domain::{
        ApplicationId, ChannelId, GuildId, MessageId, Posted, Posting, Refusal, Webhook,
        WebhookChange, WebhookId, World,
    },
    wire::{self, MessageView, Sight, WebhookDetail, WebhookView},
};

/// Whose token the path has.
enum Holder {
    Webhook(WebhookId),
    Application(ApplicationId),
}

fn holder(call: &Call<'_>) -> Result<Holder, Refusal> {
    let id: WebhookId = call.id("webhook_id")?;
    let world = &call.state.world;
    if world.webhook(id).is_ok() {
        return Ok(Holder::Webhook(id));
    }
    let application: ApplicationId = id.cast();
    world
        .bot_of(application)
        .map(|_| Holder::Application(application))
        .ok_or(Refusal::UnknownWebhook)
}

/// Returns how much of a webhook the bot may know: its own application's tokens and those of people,
/// not those of other applications.
fn detail(call: &Call<'_>, webhook: &Webhook) -> WebhookDetail {
    let own = call.state.world.bot(call.bot).map(|bot| bot.application);
    if webhook.application.is_none() || webhook.application == own {
        WebhookDetail::Whole
    } else {
        WebhookDetail::WithoutToken
    }
}

/// Answers with views of webhooks, whose tokens the log does not tell.
fn shown<T: serde::Serialize>(
    call: &Call<'_>,
    view: impl Fn(&dyn Fn(&Webhook) -> WebhookDetail) -> T,
) -> Answer {
    let told = view(&|webhook| detail(call, webhook));
    let logged = view(&|webhook| match detail(call, webhook) {
        WebhookDetail::Whole => WebhookDetail::Redacted,
        other => other,
    });
    Answer { logged: Some(wire::render(&logged)), ..Answer::json(&told) }
}

fn one_shown(call: &Call<'_>, webhook: &Webhook) -> Answer {
    let world = &call.state.world;
    shown(call, |detail| WebhookView::new(world, webhook, detail(webhook)))
}

fn all_shown(call: &Call<'_>, webhooks: &[&Webhook]) -> Answer {
    let world = &call.state.world;
    shown(call, |detail| {
        let views =
            webhooks.iter().map(|webhook| WebhookView::new(world, webhook, detail(webhook)));
        views.collect::<Vec<_>>()
    })
}

fn shown_by_token(world: &World, webhook: &Webhook) -> Answer {
    let told = WebhookView::new(world, webhook, WebhookDetail::ByToken);
    let logged = WebhookView::new(world, webhook, WebhookDetail::Redacted);
    Answer { logged: Some(wire::render(&logged)), ..Answer::json(&told) }
}

pub(super) fn create(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let channel: ChannelId = call.id("channel_id")?;
    let mut form = call.form()?;
    let name = form.text("name");
    if name.is_none() {
        form.require("name");
    }
    let avatar = form.nullable_text("avatar").flatten();
    form.finish()?;
    let (actor, reason, now) = (call.actor(), call.reason.clone(), call.now);
    let (name, avatar) = (name.unwrap_or_default(), avatar.as_deref());
    let world = &mut call.state.world;
    let effect = world.create_webhook(actor, channel, &name, avatar, reason.as_deref(), now)?;
    let id = call.apply(effect);
    Ok(one_shown(call, call.state.world.webhook(id)?))
}

pub(super) fn of_channel(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let channel: ChannelId = call.id("channel_id")?;
    let webhooks = call.state.world.channel_webhooks(call.bot, channel, call.now)?;
    Ok(all_shown(call, &webhooks))
}

pub(super) fn of_guild(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guild: GuildId = call.id("guild_id")?;
    let webhooks = call.state.world.guild_webhooks(call.bot, guild, call.now)?;
    Ok(all_shown(call, &webhooks))
}

pub(super) fn get(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = call.id("webhook_id")?;
    Ok(one_shown(call, call.state.world.managed_webhook(call.actor(), id, call.now)?))
}

pub(super) fn get_by_token(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let world = &call.state.world;
    let webhook = world.webhook_by_token(call.id("webhook_id")?, call.param("webhook_token"))?;
    Ok(shown_by_token(world, webhook))
}

fn change_of(form: &mut Form) -> WebhookChange {
    WebhookChange {
        name: form.nullable_text("name").flatten(),
        avatar: form.nullable_text("avatar"),
        channel: form.nullable_id("channel_id").flatten(),
    }
}

pub(super) fn update(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id: WebhookId = call.id("webhook_id")?;
    let mut form = call.form()?;
    let change = change_of(&mut form);
    form.finish()?;
    let (actor, reason, now) = (call.actor(), call.reason.clone(), call.now);
    let effect = call.state.world.update_webhook(actor, id, &change, reason.as_deref(), now)?;
    call.apply(effect);
    Ok(one_shown(call, call.state.world.webhook(id)?))
}

pub(super) fn update_by_token(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id: WebhookId = call.id("webhook_id")?;
    let token = call.param("webhook_token").to_owned();
    call.state.world.webhook_by_token(id, &token)?;
    let mut form = call.form()?;
    let change = change_of(&mut form);
    form.finish()?;
    let effect = call.state.world.update_webhook_by_token(id, &token, change, call.now)?;
    call.apply(effect);
    let world = &call.state.world;
    Ok(shown_by_token(world, world.webhook(id)?))
}

pub(super) fn delete(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id: WebhookId = call.id("webhook_id")?;
    let (actor, reason, now) = (call.actor(), call.reason.clone(), call.now);
    let effect = call.state.world.delete_webhook(actor, id, reason.as_deref(), now)?;
    call.apply(effect);
    Ok(Answer::no_content())
}

pub(super) fn delete_by_token(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id: WebhookId = call.id("webhook_id")?;
    let token = call.param("webhook_token").to_owned();
    let effect = call.state.world.delete_webhook_by_token(id, &token, call.now)?;
    call.apply(effect);
    Ok(Answer::no_content())
}

pub(super) fn execute(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = match holder(call)? {
        Holder::Webhook(id) => id,
        Holder::Application(application) => return interactions::follow_up(call, application),
    };
    let token = call.param("webhook_token").to_owned();
    call.state.world.webhook_by_token(id, &token)?;
    let (mut form, files) = call.form_and_files()?;
    let posting = Posting {
        username: form.nullable_text("username").flatten(),
        avatar_url: form.nullable_text("avatar_url").flatten().filter(|url| !url.is_empty()),
        thread: call.query_id("thread_id")?,
        thread_name: form.nullable_text("thread_name").flatten(),
        applied_tags: form.ids("applied_tags").unwrap_or_default(),
        with_components: call.query_flag("with_components") == Some(true),
        draft: draft_of(&mut form, files),
    };
    form.finish()?;
    let effect = call.state.world.execute_webhook(id, &token, posting, call.now)?;
    let posted = call.apply(effect);
    if call.query_flag("wait") == Some(true) {
        message_shown(&call.state.world, posted)
    } else {
        Ok(Answer::no_content())
    }
}

fn message_shown(world: &World, posted: Posted) -> Result<Answer, Refusal> {
    let message = world.channel(posted.channel)?.message(posted.message)?;
    Ok(Answer::json(&MessageView::rest(world, message, None, Sight::Full)))
}

/// Reads which message of a webhook is meant: its id, and the thread that it is in.
fn which(call: &Call<'_>) -> Result<(MessageId, Option<ChannelId>), Refusal> {
    Ok((call.id("message_id")?, call.query_id("thread_id")?))
}

pub(super) fn get_message(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = match holder(call)? {
        Holder::Webhook(id) => id,
        Holder::Application(application) => return interactions::get_response(call, application),
    };
    let (message, thread) = which(call)?;
    let world = &call.state.world;
    let found = world.webhook_message(id, call.param("webhook_token"), message, thread)?;
    Ok(Answer::json(&MessageView::rest(world, found, None, Sight::Full)))
}

pub(super) fn update_message(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = match holder(call)? {
        Holder::Webhook(id) => id,
        Holder::Application(application) => return interactions::edit_response(call, application),
    };
    let which = which(call)?;
    let token = call.param("webhook_token").to_owned();
    let (mut form, files) = call.form_and_files()?;
    let edit = edit_of(&mut form, files);
    form.finish()?;
    let with_components = call.query_flag("with_components") == Some(true);
    let world = &mut call.state.world;
    let effect = world.edit_webhook_message(id, &token, which, edit, with_components, call.now)?;
    let edited = call.apply(effect);
    message_shown(&call.state.world, edited)
}

pub(super) fn delete_message(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = match holder(call)? {
        Holder::Webhook(id) => id,
        Holder::Application(application) => {
            return interactions::delete_response(call, application);
        }
    };
    let (message, thread) = which(call)?;
    let token = call.param("webhook_token").to_owned();
    let effect = call.state.world.delete_webhook_message(id, &token, message, thread)?;
    call.apply(effect);
    Ok(Answer::no_content())
}
