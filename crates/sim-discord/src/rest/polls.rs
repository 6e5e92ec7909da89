//! Polls.

use serde_json::json;

use super::{answer::Answer, call::Call, form::Form};
use crate::{
    domain::{NewAnswer, NewEmojiChoice, NewPoll, Refusal},
    wire,
};

const MAX_QUESTION: usize = 300;
const MAX_ANSWERS: usize = 10;
const MAX_ANSWER: usize = 55;
const MAX_EMOJI: usize = 32;
const MAX_HOURS: i64 = 32 * 24;
const DEFAULT_HOURS: u32 = 24;
/// The one layout that there is.
const LAYOUTS: [i64; 1] = [1];

/// Reads the `poll` of a message that somebody wants to send.
pub(crate) fn poll_of(form: &mut Form) -> Option<NewPoll> {
    form.object("poll", |form| {
        let question = form.object("question", |form| form.text_within("text", 1..=MAX_QUESTION));
        if question.is_none() {
            form.require("question");
        }
        let answers = form.objects("answers", answer_of);
        match answers.as_ref().map(Vec::len) {
            None => form.require("answers"),
            Some(1..=MAX_ANSWERS) => {}
            Some(_) => {
                let message = format!("Must be between 1 and {MAX_ANSWERS} in length.");
                form.error("answers", "BASE_TYPE_BAD_LENGTH", message);
            }
        }
        form.choice("layout_type", &LAYOUTS);
        NewPoll {
            question: question.unwrap_or_default(),
            answers: answers.unwrap_or_default(),
            hours: hours_of(form).unwrap_or(DEFAULT_HOURS),
            allows_many: form.boolean("allow_multiselect").unwrap_or(false),
        }
    })
}

fn hours_of(form: &mut Form) -> Option<u32> {
    let hours = form.integer("duration")?;
    if hours < 1 {
        let message = "int value should be greater than or equal to 1.";
        form.error("duration", "NUMBER_TYPE_MIN", message);
    } else if hours > MAX_HOURS {
        let message = format!("int value should be less than or equal to {MAX_HOURS}.");
        form.error("duration", "NUMBER_TYPE_MAX", message);
    }
    u32::try_from(hours).ok()
}

fn answer_of(form: &mut Form) -> NewAnswer {
    let answer = form.object("poll_media", |form| NewAnswer {
        text: form.text_within("text", 1..=MAX_ANSWER),
        emoji: form.object("emoji", emoji_of).flatten(),
    });
    if answer.is_none() {
        form.require("poll_media");
    }
    answer.unwrap_or_default()
}

fn emoji_of(form: &mut Form) -> Option<NewEmojiChoice> {
    let (id, name) = (form.id("id"), form.text("name"));
    if let Some(name) = &name {
        form.check_length("name", name, 0..=MAX_EMOJI);
    }
    match id {
        Some(id) => Some(NewEmojiChoice::Custom(id)),
        None => name.map(NewEmojiChoice::Unicode),
    }
}

pub(super) fn voters(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let text = call.param("answer_id");
    let answer = text.parse().map_err(|_| {
        let message = format!("Value \"{text}\" is not int.");
        Refusal::field(&["answer_id"], "NUMBER_TYPE_COERCE", message)
    })?;
    let place = (call.id("channel_id")?, call.id("message_id")?, answer);
    let limit = call.query_number("limit", 1..=100, 25)?;
    let after = call.query_id("after")?;
    let world = &call.state.world;
    let voters = world.voters(call.bot, place, (after, limit), call.now)?;
    let views: Vec<_> = voters.iter().map(|user| wire::UserView::of(world, *user)).collect();
    Ok(Answer::json(&json!({ "users": views })))
}

pub(super) fn expire(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (channel, message) = (call.id("channel_id")?, call.id("message_id")?);
    let effect = call.state.world.expire_poll(call.bot, channel, message, call.now)?;
    call.apply(effect);
    super::messages::shown(call, channel, message)
}
