//! Answers to interactions. No bot token is sent here: the interaction's own token is enough.

use super::{
    answer::Answer,
    call::Call,
    messages::{draft_of, edit_of},
};
use crate::{
    domain::{ApplicationId, Callback, Draft, Edit, InteractionId, MessageId, Refusal, Which},
    form::Form,
    wire::{self, MessageView, Sight},
};

/// `POST /interactions/{interaction_id}/{interaction_token}/callback`
pub(super) fn answer(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id: InteractionId = call.id("interaction_id")?;
    let token = call.param("interaction_token").to_owned();
    call.state.world.answerable(id, &token, call.now)?;
    let (mut form, files) = call.form_and_files()?;
    let known = [4, 5, 6, 7, 8, 9];
    let kind = form.choice("type", &known);
    if kind.is_none() && form.is_sound() {
        form.require("type");
    }
    let kind = kind.unwrap_or(0);
    if !form.is_sound() {
        form.finish()?;
        return Err(Refusal::InvalidJson);
    }
    let answer = match kind {
        4 => {
            let mut draft = Draft::default();
            if form.object("data", |form| draft = draft_of(form, files)).is_none() {
                form.require("data");
            }
            form.finish()?;
            Callback::Message(draft)
        }
        5 => {
            let flags = form.object("data", |form| form.integer("flags")).flatten();
            form.finish()?;
            Callback::Deferred {
                flags: flags.and_then(|flags| u64::try_from(flags).ok()).unwrap_or(0),
            }
        }
        6 => Callback::DeferredUpdate,
        7 => {
            let mut edit = Edit::default();
            form.object("data", |form| edit = edit_of(form, files));
            form.finish()?;
            Callback::Update(edit)
        }
        8 => Callback::Choices(form),
        _ => Callback::Modal(form),
    };
    let effect = call.state.world.answer_interaction(id, &token, answer, call.now)?;
    call.apply(effect);
    call.state.tell_answers();
    if call.query_flag("with_response") != Some(true) {
        return Ok(Answer::no_content());
    }
    let world = &call.state.world;
    Ok(Answer::json(&wire::callback_response(world, world.interactions.get(id)?)))
}

/// Finds which of an interaction's messages the path means.
fn which(call: &Call<'_>) -> Result<Which, Refusal> {
    match call.param("message_id") {
        "" | "@original" => Ok(Which::Original),
        _ => call.id("message_id").map(Which::Message),
    }
}

fn shown(call: &Call<'_>, application: ApplicationId, which: Which) -> Result<Answer, Refusal> {
    let token = call.param("webhook_token");
    let world = &call.state.world;
    let message = world.response(application, token, which, call.now)?;
    Ok(Answer::json(&MessageView::rest(world, message, world.bot_of(application), Sight::Full)))
}

pub(super) fn follow_up(
    call: &mut Call<'_>,
    application: ApplicationId,
) -> Result<Answer, Refusal> {
    let (mut form, files) = call.form_and_files()?;
    let draft = draft_of(&mut form, files);
    form.finish()?;
    let token = call.param("webhook_token").to_owned();
    let effect = call.state.world.follow_up(application, &token, draft, call.now)?;
    let id: MessageId = call.apply(effect);
    call.state.tell_answers();
    shown(call, application, Which::Message(id))
}

pub(super) fn get_response(
    call: &mut Call<'_>,
    application: ApplicationId,
) -> Result<Answer, Refusal> {
    shown(call, application, which(call)?)
}

pub(super) fn edit_response(
    call: &mut Call<'_>,
    application: ApplicationId,
) -> Result<Answer, Refusal> {
    let which = which(call)?;
    let (mut form, files): (Form, _) = call.form_and_files()?;
    let edit = edit_of(&mut form, files);
    form.finish()?;
    let token = call.param("webhook_token").to_owned();
    let effect = call.state.world.edit_response(application, &token, which, edit, call.now)?;
    let id = call.apply(effect);
    call.state.tell_answers();
    shown(call, application, Which::Message(id))
}

pub(super) fn delete_response(
    call: &mut Call<'_>,
    application: ApplicationId,
) -> Result<Answer, Refusal> {
    let which = which(call)?;
    let token = call.param("webhook_token").to_owned();
    let effect = call.state.world.delete_response(application, &token, which, call.now)?;
    call.apply(effect);
    Ok(Answer::no_content())
}
