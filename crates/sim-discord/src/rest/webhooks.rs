//! Webhooks, and what an application says with the token of an interaction.

use super::{answer::Answer, call::Call, interactions};
use crate::domain::{ApplicationId, Refusal};

/// Finds the application whose id stands in a webhook's place.
fn application(call: &Call<'_>) -> Result<ApplicationId, Refusal> {
    let id: ApplicationId = call.id("webhook_id")?;
    call.state.world.bot_of(id).map(|_| id).ok_or(Refusal::UnknownWebhook)
}

pub(super) fn execute(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let application = application(call)?;
    interactions::follow_up(call, application)
}

pub(super) fn get_message(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let application = application(call)?;
    interactions::get_response(call, application)
}

pub(super) fn update_message(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let application = application(call)?;
    interactions::edit_response(call, application)
}

pub(super) fn delete_message(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let application = application(call)?;
    interactions::delete_response(call, application)
}
