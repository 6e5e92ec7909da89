use serde_json::json;

use super::*;
use crate::domain::{CommandUse, Deed, Draft, World};

/// The demo's bot with one command, and who uses it.
fn begun() -> (World, InteractionId, UnixMillis) {
    let now = UnixMillis(1_760_000_000_000);
    let mut world = World::demo(&ery_clock::ManualClock::at(now));
    let application = world.bots[0].application;
    let scope = crate::domain::CommandScope { application, guild: None };
    let body = json!({ "name": "ask", "description": "x" });
    let mut form = crate::form::Form::new(body.as_object().cloned().unwrap());
    world.create_command(scope, crate::domain::change_of(&mut form), now).unwrap();
    let bob = world.users.values().find(|user| user.username == "bob").unwrap().id;
    let general = world.channels.values().find(|channel| channel.name == "general").unwrap().id;
    let using = CommandUse { command: "ask".to_owned(), ..CommandUse::default() };
    let id =
        world.interact(bob, general, (None, "en-US"), Deed::Command(using), now).unwrap().value;
    (world, id, now)
}

fn said(content: &str) -> Draft {
    Draft { content: content.to_owned(), ..Draft::default() }
}

#[test]
fn the_first_answer_has_three_seconds_and_the_token_fifteen_minutes() {
    let (mut world, id, now) = begun();
    let (application, token) =
        (world.bots[0].application, world.interactions.get(id).unwrap().token.clone());
    let late = now + ANSWER_WITHIN + Duration::from_millis(1);
    let answer = |content: &str| Callback::Message(said(content));
    let refusal = world.answer_interaction(id, &token, answer("late"), late).unwrap_err();
    assert_eq!(refusal, Refusal::UnknownInteraction);
    let in_time = now + ANSWER_WITHIN;
    assert!(world.answer_interaction(id, &token, answer("in time"), in_time).is_ok());
    let refusal = world.answer_interaction(id, &token, answer("again"), in_time).unwrap_err();
    assert_eq!(refusal, Refusal::InteractionAnswered);
    assert!(world.follow_up(application, &token, said("more"), now + TOKEN_LIVES).is_ok());
    let over = now + TOKEN_LIVES + Duration::from_millis(1);
    let refusal = world.follow_up(application, &token, said("over"), over).unwrap_err();
    assert_eq!(refusal, Refusal::InvalidWebhookToken);
}

#[test]
fn an_answer_must_go_with_the_interaction() {
    let (mut world, id, now) = begun();
    let token = world.interactions.get(id).unwrap().token.clone();
    let refusal = world.answer_interaction(id, &token, Callback::DeferredUpdate, now).unwrap_err();
    assert_eq!(refusal.code(), 50_035);
    let empty = Callback::Message(Draft::default());
    let refusal = world.answer_interaction(id, &token, empty, now).unwrap_err();
    assert_eq!(refusal, Refusal::EmptyMessage);
    assert!(world.interactions.get(id).unwrap().answer.is_none(), "it can still be answered");
    let wrong = world.answer_interaction(id, "nonsense", Callback::DeferredUpdate, now);
    assert_eq!(wrong.unwrap_err(), Refusal::InvalidWebhookToken);
}

#[test]
fn all_that_wait_expire_on_order() {
    let (mut world, id, now) = begun();
    assert_eq!((world.interactions.expire(None), world.interactions.expire(None)), (1, 0));
    assert!(!world.interactions.get(id).unwrap().can_be_answered(now));
}
