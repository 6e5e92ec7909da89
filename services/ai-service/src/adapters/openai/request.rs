use std::collections::HashSet;

use genai::chat::{
    ChatMessage, ChatRequest, ContentPart, MessageContent, Tool, ToolCall as GenaiCall, ToolName,
    ToolResponse,
};
use serde_json::{Value, json};

use crate::{
    adapters::ProviderError,
    domain::{
        conversation::{ToolCall, ToolResult, ToolSpec, Turn, TurnRequest},
        spotlight,
    },
};

/// Renders a conversation for OpenAI's protocol, and tells about how many bytes it has.
///
/// Holds to what strict servers demand: neighbouring texts of people are one message, every tool
/// call has exactly one result right behind it, and a call's arguments are an object.
pub(super) fn chat(request: &TurnRequest) -> Result<(ChatRequest, usize), ProviderError> {
    let mut chat = Rendered { marker: &request.marker, ..Rendered::default() };
    for turn in &request.turns {
        match turn {
            Turn::Members(messages) => {
                chat.add_people(&spotlight::render(messages, &request.marker));
            }
            Turn::Note(note) => chat.add_people(&spotlight::render_note(note, &request.marker)),
            Turn::Assistant { text, calls } => chat.add_assistant(text, calls),
            Turn::Results(results) => chat.add_results(results),
        }
    }
    chat.close_calls();
    chat.close_people();
    let tools = request.tools.iter().map(tool).collect::<Result<Vec<_>, _>>()?;
    // The marker changes with each thread, so it comes last: what stands before can be cached.
    let system = format!("{}\n\n{}", request.instructions, spotlight::explain(&request.marker));
    let bytes = system.len()
        + chat.messages.iter().map(ChatMessage::size).sum::<usize>()
        + tools.iter().map(Tool::size).sum::<usize>();
    let mut rendered = ChatRequest::from_messages(chat.messages).with_system(system);
    if !tools.is_empty() {
        rendered = rendered.with_tools(tools);
    }
    Ok((rendered, bytes))
}

fn tool(spec: &ToolSpec) -> Result<Tool, ProviderError> {
    let Ok(schema @ Value::Object(_)) = serde_json::from_str(&spec.parameters) else {
        return Err(ProviderError::ToolSchema { tool: spec.name.clone() });
    };
    let tool = Tool::new(ToolName::Custom(spec.name.clone()));
    Ok(tool.with_description(spec.description.as_str()).with_schema(schema))
}

#[derive(Default)]
struct Rendered<'a> {
    marker: &'a str,
    messages: Vec<ChatMessage>,
    /// People's text that is not yet a message.
    people: String,
    /// Calls that still want a result, in their order.
    open_calls: Vec<String>,
}

impl Rendered<'_> {
    fn add_people(&mut self, text: &str) {
        self.close_calls();
        if !self.people.is_empty() {
            self.people.push('\n');
        }
        self.people.push_str(text);
    }

    fn close_people(&mut self) {
        if !self.people.is_empty() {
            self.messages.push(ChatMessage::user(std::mem::take(&mut self.people)));
        }
    }

    fn add_assistant(&mut self, text: &str, calls: &[ToolCall]) {
        self.close_calls();
        self.close_people();
        let mut parts = Vec::new();
        if !text.is_empty() || calls.is_empty() {
            parts.push(ContentPart::Text(text.to_owned()));
        }
        let mut seen = HashSet::new();
        for call in calls.iter().filter(|call| seen.insert(call.id.as_str())) {
            self.open_calls.push(call.id.clone());
            parts.push(ContentPart::ToolCall(GenaiCall {
                call_id: call.id.clone(),
                fn_name: function_name(&call.tool),
                fn_arguments: object(&call.arguments),
                thought_signatures: None,
            }));
        }
        self.messages.push(ChatMessage::assistant(MessageContent::from_parts(parts)));
    }

    fn add_results(&mut self, results: &[ToolResult]) {
        let mut strays = Vec::new();
        for result in results {
            let content = spotlight::neutralise(&result.content, self.marker);
            if let Some(index) = self.open_calls.iter().position(|id| *id == result.call_id) {
                self.open_calls.remove(index);
                let response = ToolResponse::new(result.call_id.as_str(), content);
                self.messages.push(ChatMessage::tool(MessageContent::from_tool_responses(vec![
                    response.with_fn_name(function_name(&result.tool)),
                ])));
            } else {
                let note = format!("result of an earlier call of {}: {content}", result.tool);
                strays.push(spotlight::render_note(&note, self.marker));
            }
        }
        for stray in strays {
            self.add_people(&stray);
        }
    }

    /// Gives calls without a result one that says so.
    fn close_calls(&mut self) {
        for id in std::mem::take(&mut self.open_calls) {
            let content = json!({
                "ok": false,
                "error": "not_run",
                "reason": "This call was not carried out.",
            });
            let response = ToolResponse::new(id, content.to_string());
            let content = MessageContent::from_tool_responses(vec![response]);
            self.messages.push(ChatMessage::tool(content));
        }
    }
}

/// Returns a name that servers take, whatever a model once made up.
fn function_name(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let name: String = name.chars().take(64).map(|c| if fits(c) { c } else { '_' }).collect();
    if name.is_empty() { "unnamed".into() } else { name }
}

/// Returns a call's arguments as an object; servers that render them refuse anything else.
fn object(arguments: &str) -> Value {
    match serde_json::from_str(arguments) {
        Ok(object @ Value::Object(_)) => object,
        Ok(_) | Err(_) => json!({ "malformed_arguments": arguments }),
    }
}

#[cfg(test)]
mod tests {
    use twilight_model::id::Id;

    use super::*;
    use crate::domain::conversation::{MemberMessage, Place};
    use ery_clock::UnixMillis;

    fn members(text: &str) -> Turn {
        Turn::Members(vec![MemberMessage {
            id: Id::new(1),
            author: Id::new(2),
            author_name: "bob".into(),
            rights: "member".into(),
            text: text.into(),
            at: UnixMillis(0),
            reply_to: None,
            reply_to_author: None,
            mentions: Vec::new(),
            attachments: Vec::new(),
            is_to_be_answered: true,
        }])
    }

    fn call(id: &str, arguments: &str) -> ToolCall {
        ToolCall { id: id.into(), tool: "who".into(), arguments: arguments.into() }
    }

    fn result(id: &str) -> ToolResult {
        let content = "{\"ok\":true,\"text\":\"<|im_start|>\"}".into();
        ToolResult { call_id: id.into(), tool: "who".into(), content, is_error: false }
    }

    fn rendered(turns: Vec<Turn>) -> Value {
        let request = TurnRequest {
            instructions: "Be kind.".into(),
            turns,
            tools: Vec::new(),
            max_output_tokens: None,
            marker: "M1".into(),
            place: Place { bot: None, bot_name: "Ery".into(), now: UnixMillis(0) },
        };
        serde_json::to_value(chat(&request).unwrap().0.messages).unwrap()
    }

    fn roles(messages: &Value) -> Vec<&str> {
        messages.as_array().unwrap().iter().map(|m| m["role"].as_str().unwrap()).collect()
    }

    #[test]
    fn neighbouring_texts_of_people_are_one_message() {
        let messages = rendered(vec![
            members("a"),
            Turn::Note("cut".into()),
            members("b"),
            Turn::Assistant { text: "c".into(), calls: Vec::new() },
            members("d"),
        ]);
        assert_eq!(roles(&messages), ["User", "Assistant", "User"]);
    }

    #[test]
    fn every_call_has_exactly_one_result_right_behind_it() {
        let messages = rendered(vec![
            members("a"),
            Turn::Assistant { text: String::new(), calls: vec![call("1", "{}"), call("2", "{}")] },
            Turn::Results(vec![result("2"), result("2"), result("9")]),
            members("b"),
        ]);
        assert_eq!(roles(&messages), ["User", "Assistant", "Tool", "Tool", "User"]);
        let text = messages.to_string();
        assert!(text.contains("not_run") && text.contains("earlier call"), "{text}");
        assert!(!text.contains("<|im_start"), "{text}");
    }

    #[test]
    fn malformed_arguments_are_shown_as_an_object() {
        assert_eq!(object("{\"a\":1}"), json!({"a": 1}));
        assert_eq!(object("{\"a\":"), json!({"malformed_arguments": "{\"a\":"}));
        assert_eq!(object("[1]"), json!({"malformed_arguments": "[1]"}));
    }

    #[test]
    fn names_that_servers_refuse_are_made_fit() {
        assert_eq!(function_name("ban_member"), "ban_member");
        assert_eq!(function_name("ban member!"), "ban_member_");
        assert_eq!(function_name(""), "unnamed");
    }
}
