//! `/warn` and “Warn…”: a warning, by the same tool as the model's own calls.

use serde_json::{Value, json};
use twilight_model::{
    guild::Permissions,
    id::{Id, marker::UserMarker},
};

use crate::{
    domain::{
        commands::{
            asked::{Deed, Warning},
            interaction::Interaction,
            reply::Message,
        },
        texts::refusals::Refusal,
        tool::CallOutcome,
    },
    error::CallError,
    handlers::holder::Holder,
};

const TOOL: &str = "warn_member";

/// Returns what is said to somebody who may warn nobody, or not this member, before they write for what.
pub(super) fn refused(it: &Interaction, member: Id<UserMarker>) -> Option<Message> {
    let moderates = Permissions::MODERATE_MEMBERS | Permissions::ADMINISTRATOR;
    let refusal = if !it.permissions.intersects(moderates) {
        let permission = "MODERATE_MEMBERS";
        Refusal { code: "asker_lacks_permission", permission, ..Refusal::default() }
    } else if it.user == member {
        Refusal { code: "target_is_self", ..Refusal::default() }
    } else {
        return None;
    };
    Some(Message::of(super::not_done_because(it.language, refusal)))
}

/// Warns a member, if whoever asks may do that.
pub(super) async fn warn(
    holder: &Holder,
    it: &Interaction,
    deed: &Deed,
    warning: &Warning,
) -> Result<Message, CallError> {
    let mut arguments = json!({ "member": warning.member.to_string(), "notice": warning.notice });
    if let Some(reason) = &warning.reason {
        arguments["reason"] = json!(reason);
    }
    let called = holder.tools.carry_out(it, deed, TOOL, &arguments).await?;
    if called.outcome != CallOutcome::Done {
        return Ok(Message::of(super::not_done(it.language, &called)));
    }
    let result: Value = serde_json::from_str(&called.content).unwrap_or_default();
    let person = format!("<@{}>", warning.member);
    let said = it.language.say("warn-done", &[("person", (&person).into())]);
    let told = match result["notice"].as_str() {
        Some("channel") => it.language.word("warn-told-here"),
        Some("dm") => it.language.word("warn-told-privately"),
        Some("not_wanted") => it.language.word("warn-not-told"),
        Some("failed") => it.language.word("warn-could-not-be-told"),
        _ => it.language.word("warn-perhaps-told"),
    };
    Ok(Message::of(format!("{said} {told}")))
}
