//! `/schedule`: what is planned, listed and cancelled by the same rights as the model's own calls.

use serde_json::{Value, json};
use twilight_model::util::Timestamp;

use crate::{
    adapters::interactions::Plan,
    domain::{
        commands::{
            asked::{Deed, cancel_button},
            interaction::Interaction,
            pages::{List, Paged},
            reply::{Button, Choice, Message, quoted, shortened},
        },
        planned::{self, TOOL},
        texts::{Language, refusals::Refusal},
        tool::CallOutcome,
    },
    error::CallError,
    handlers::holder::Holder,
};

/// How much is shown of what is to be said.
const EXCERPT: usize = 80;

/// Lists what whoever asks may see, each with a button that takes it back.
pub(super) async fn list(
    holder: &Holder,
    it: &Interaction,
    page: usize,
) -> Result<Message, CallError> {
    let plans = holder.tools.list_plans(it).await?;
    let language = it.language;
    if plans.is_empty() {
        return Ok(Message::of(language.word("schedule-none")));
    }
    let heading = language.say("schedule-heading", &[("count", plans.len().into())]);
    let mut paged = Paged::new(List::Plans, page).under(heading);
    paged.add_pressable(plans.iter().enumerate().map(|(index, plan)| {
        let number = (index + 1).to_string();
        let label = language.say("schedule-cancel-button", &[("number", (&number).into())]);
        let button = Button { custom_id: cancel_button(&plan.id), label };
        (format!("{number}. {}", item(plan, language)), Some(button))
    }));
    Ok(paged.message(language))
}

/// Cancels a plan, if whoever asks may do that.
pub(super) async fn cancel(
    holder: &Holder,
    it: &Interaction,
    deed: &Deed,
    id: &str,
) -> Result<Message, CallError> {
    let arguments = json!({ "action": "cancel", "id": id });
    let called = holder.tools.carry_out(it, deed, TOOL, &arguments).await?;
    if called.outcome != CallOutcome::Done {
        let is_failed = matches!(called.outcome, CallOutcome::Failed | CallOutcome::Denied);
        let content: Value = serde_json::from_str(&called.content).unwrap_or_default();
        let is_of_rights = Refusal::in_content(&content).of_rights(it.language).is_some();
        if is_failed && !is_of_rights {
            let plans = holder.tools.list_plans(it).await?;
            if !plans.iter().any(|plan| plan.id == id) {
                return Ok(Message::of(it.language.word("schedule-unknown")));
            }
        }
        return Ok(Message::of(super::not_done(it.language, &called)));
    }
    let act: Value = serde_json::from_str(&called.arguments).unwrap_or_default();
    let tool = match act["tool"].as_str() {
        Some(TOOL) => it.language.word("schedule-prompt"),
        tool => quoted(tool.unwrap_or(TOOL), 64),
    };
    Ok(Message::of(it.language.say("schedule-cancelled", &[("tool", (&tool).into())])))
}

/// Returns the plans that fit what is being typed, of those that whoever types may see.
pub(super) async fn choices(
    holder: &Holder,
    it: &Interaction,
    typed: &str,
) -> Result<Vec<Choice>, CallError> {
    let plans = holder.tools.list_plans(it).await?;
    let typed = typed.trim().to_lowercase();
    let choices = plans.into_iter().map(|plan| {
        let due = moment(plan.due_at.as_secs());
        let detail = detail(&plan.arguments);
        let tool = match planned::words(&plan.arguments) {
            Some(_) => it.language.word("schedule-prompt"),
            None => plan.tool.replace('_', " "),
        };
        let values =
            [("tool", (&tool).into()), ("due", (&due).into()), ("detail", (&detail).into())];
        Choice { name: it.language.say("schedule-choice", &values), value: plan.id }
    });
    let fits = |choice: &Choice| {
        choice.name.to_lowercase().contains(&typed) || choice.value.starts_with(&typed)
    };
    Ok(choices.filter(fits).collect())
}

fn item(plan: &Plan, language: Language) -> String {
    let prompt = planned::words(&plan.arguments);
    let tool = match &prompt {
        Some(_) => language.word("schedule-prompt"),
        None => quoted(&plan.tool, 64),
    };
    let id = quoted(&plan.id, 64);
    let due = format!("<t:{0}:f> (<t:{0}:R>)", plan.due_at.as_secs());
    let channel = format!("<#{}>", plan.channel);
    let values = [
        ("tool", (&tool).into()),
        ("due", (&due).into()),
        ("channel", (&channel).into()),
        ("id", (&id).into()),
    ];
    let mut line = language.say("schedule-item", &values);
    let by = match plan.planned_by {
        Some(person) => {
            let person = format!("<@{person}>");
            language.say("schedule-by", &[("person", (&person).into())])
        }
        None => language.word("schedule-ends"),
    };
    line.push_str(", ");
    line.push_str(&by);
    // A prompt is shown whole: nothing else tells what will be answered.
    let (detail, most) = match prompt {
        Some(words) => (words, planned::LONGEST),
        None => (detail(&plan.arguments), EXCERPT),
    };
    if !detail.is_empty() {
        line.push_str(": ");
        line.push_str(&quoted(&detail, most));
    }
    line
}

/// Returns what of a call's arguments tells it apart from others: what is to be said, or about whom.
fn detail(arguments: &str) -> String {
    let arguments: Value = serde_json::from_str(arguments).unwrap_or_default();
    let first = ["content", "prompt", "reason", "member", "user", "name"]
        .into_iter()
        .find_map(|field| arguments[field].as_str().filter(|text| !text.is_empty()));
    let words: Vec<&str> = first.unwrap_or_default().split_whitespace().collect();
    shortened(&words.join(" "), EXCERPT)
}

/// Writes a moment where Discord's own marks of time are not shown.
fn moment(seconds: i64) -> String {
    let Ok(at) = Timestamp::from_secs(seconds) else { return String::new() };
    let text = at.iso_8601().to_string();
    let minutes: String = text.chars().take("2030-01-31T18:00".len()).collect();
    format!("{} UTC", minutes.replace('T', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_told_apart_by_what_is_said_or_about_whom() {
        assert_eq!(detail(r#"{"content":"water\n the plants","channel":"1"}"#), "water the plants");
        assert_eq!(detail(r#"{"member":"5"}"#), "5");
        assert_eq!(
            detail(r#"{"action":"answer","prompt":"what did we miss?"}"#),
            "what did we miss?"
        );
        assert_eq!(detail("{"), "");
        assert_eq!(moment(1_893_456_000), "2030-01-01 00:00 UTC");
    }

    #[test]
    fn of_a_planned_prompt_all_words_are_shown() {
        let words = "what happened? ".repeat(60);
        let plan = Plan {
            id: "abc".into(),
            tool: TOOL.into(),
            arguments: json!({ "action": "answer", "prompt": words.trim() }).to_string(),
            due_at: ery_clock::UnixMillis(0),
            channel: twilight_model::id::Id::new(5),
            planned_by: Some(twilight_model::id::Id::new(7)),
        };
        let shown = item(&plan, Language::English);
        assert!(shown.starts_with("an answer of mine at <t:0:f>"), "{shown}");
        assert!(shown.ends_with(&format!("planned by <@7>: `{}`", words.trim())), "{shown}");
    }
}
