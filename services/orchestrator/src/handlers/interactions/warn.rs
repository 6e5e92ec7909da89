//! `/warn` and “Warn…”: a warning, by the same tool as the model's own calls.

use serde_json::{Value, json};

use crate::{
    domain::{
        commands::{
            asked::{Deed, Warning},
            interaction::Interaction,
            reply::Message,
        },
        tool::CallOutcome,
    },
    error::CallError,
    handlers::holder::Holder,
};

const TOOL: &str = "warn_member";

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
