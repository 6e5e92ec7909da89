//! The same conversation and the same faults through every provider, streamed and not.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use serde_json::{Value, json};
use tonic::{Code, Status};

use ery_ai_service::{PriceSettings, ProviderKind, Settings};
use ery_proto::ai::v1::{
    AssistantTurn, Finished, Image, RunModelTurnRequest, StopReason, ToolCall, ToolResult,
    ToolResults, Turn, run_model_turn_response::Kind, turn,
};

use crate::support::{Answer, Fake, SECRET_TEXT, client, fake, run, settings, tool, turn};

/// A provider's API, as a server speaks it.
#[derive(Clone, Copy, Debug)]
struct Wire {
    kind: ProviderKind,
    is_streamed: bool,
}

fn wires() -> impl Iterator<Item = Wire> {
    let kinds =
        [ProviderKind::OpenAi, ProviderKind::Anthropic, ProviderKind::Gemini, ProviderKind::Ollama];
    let wire = |kind| [true, false].map(|is_streamed| Wire { kind, is_streamed });
    kinds.into_iter().flat_map(wire)
}

/// How an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Done,
    Calls,
    Length,
    Refused,
}

impl Wire {
    fn settings(self, base_url: &str) -> Settings {
        let (provider, streaming) = (self.kind, self.is_streamed);
        Settings { provider, streaming, pictures: true, ..settings(base_url) }
    }

    fn end(self, end: End) -> &'static str {
        let words = match self.kind {
            ProviderKind::OpenAi => ["stop", "tool_calls", "length", "content_filter"],
            ProviderKind::Anthropic => ["end_turn", "tool_use", "max_tokens", "refusal"],
            ProviderKind::Gemini => ["STOP", "STOP", "MAX_TOKENS", "SAFETY"],
            ProviderKind::Ollama => ["stop", "stop", "length", "stop"],
            ProviderKind::Builtin => unreachable!("it has no wire"),
        };
        match end {
            End::Done => words[0],
            End::Calls => words[1],
            End::Length => words[2],
            End::Refused => words[3],
        }
    }

    /// Writes an answer with 11 tokens in, 5 of them cached, and 3 out: its frames in a stream, or
    /// the one body.
    fn frames(self, text: &str, calls: &[(&str, Value)], end: End) -> Vec<Value> {
        let word = self.end(end);
        let (first, second) = text.split_at(text.len() / 2);
        let texts = if self.is_streamed { vec![first, second] } else { vec![text] };
        match self.kind {
            ProviderKind::OpenAi => {
                let usage = json!({"prompt_tokens": 11, "completion_tokens": 3,
                    "prompt_tokens_details": {"cached_tokens": 5}});
                let calls: Vec<Value> = calls
                    .iter()
                    .enumerate()
                    .map(|(index, (name, arguments))| {
                        json!({"index": index, "id": format!("id_{index}"), "type": "function",
                            "function": {"name": name, "arguments": written(arguments)}})
                    })
                    .collect();
                let key = if self.is_streamed { "delta" } else { "message" };
                let mut frames: Vec<Value> = texts
                    .iter()
                    .map(|text| {
                        json!({"id": "body-id", "model": "fake-1",
                        "choices": [{key: {"content": text}, "finish_reason": null}]})
                    })
                    .collect();
                let mut last = json!({"choices": [{key: {"tool_calls": calls},
                    "finish_reason": word}], "usage": usage});
                if !self.is_streamed {
                    last = frames.remove(0);
                    last["choices"][0][key]["tool_calls"] = json!(calls);
                    last["choices"][0]["finish_reason"] = json!(word);
                    last["usage"] = usage;
                }
                frames.push(last);
                frames
            }
            ProviderKind::Anthropic => self.anthropic(text, &texts, calls, word),
            ProviderKind::Gemini => {
                let mut parts: Vec<Value> = Vec::new();
                for (index, (name, arguments)) in calls.iter().enumerate() {
                    let mut part = json!({"functionCall": {"name": name, "args": arguments}});
                    if index == 0 {
                        part["thoughtSignature"] = json!("c2lnbmVk");
                    }
                    parts.push(part);
                }
                let thought = json!({"text": "let me think", "thought": true});
                let says = |text: &&str| json!({"text": text});
                let texts: Vec<Value> = texts.iter().map(says).collect();
                let usage = json!({"promptTokenCount": 11, "candidatesTokenCount": 2,
                    "thoughtsTokenCount": 1, "cachedContentTokenCount": 5});
                let frame = |parts: Vec<Value>| {
                    json!({"modelVersion": "fake-1",
                    "responseId": "body-id", "candidates": [{"content": {"parts": parts}}]})
                };
                let mut frames = if self.is_streamed {
                    vec![frame(vec![thought]), frame(texts), frame(parts)]
                } else {
                    vec![frame([vec![thought], texts, parts].concat())]
                };
                let last = frames.last_mut().unwrap();
                last["candidates"][0]["finishReason"] = json!(word);
                last["usageMetadata"] = usage;
                frames
            }
            ProviderKind::Ollama => {
                let call = |(name, arguments): &(&str, Value)| json!({"function": {"name": name, "arguments": arguments}});
                let calls: Vec<Value> = calls.iter().map(call).collect();
                let mut frames: Vec<Value> = texts
                    .iter()
                    .map(|text| {
                        json!({"model": "fake-1", "done": false,
                        "message": {"role": "assistant", "content": text}})
                    })
                    .collect();
                frames[0]["message"]["tool_calls"] = json!(calls);
                if self.is_streamed {
                    frames.push(json!({"model": "fake-1", "message": {"content": ""}}));
                }
                let last = frames.last_mut().unwrap();
                last["done"] = json!(true);
                last["done_reason"] = json!(word);
                last["prompt_eval_count"] = json!(11);
                last["eval_count"] = json!(3);
                frames
            }
            ProviderKind::Builtin => unreachable!("it has no wire"),
        }
    }

    fn anthropic(
        self,
        text: &str,
        texts: &[&str],
        calls: &[(&str, Value)],
        word: &str,
    ) -> Vec<Value> {
        let usage = json!({"input_tokens": 6, "cache_read_input_tokens": 5, "output_tokens": 3});
        if !self.is_streamed {
            let text = json!({"type": "text", "text": text});
            let call = |(index, (name, arguments)): (usize, &(&str, Value))| {
                let id = format!("id_{index}");
                json!({"type": "tool_use", "id": id, "name": name, "input": arguments})
            };
            let calls = calls.iter().enumerate().map(call);
            let content: Vec<Value> = [text].into_iter().chain(calls).collect();
            return vec![json!({"id": "body-id", "type": "message", "model": "fake-1",
                "content": content, "stop_reason": word, "usage": usage})];
        }
        let mut frames = vec![
            json!({"type": "message_start", "message": {"id": "body-id", "model": "fake-1",
                "content": [], "stop_reason": null,
                "usage": {"input_tokens": 6, "cache_read_input_tokens": 5, "output_tokens": 1}}}),
            json!({"type": "content_block_start", "index": 0,
                "content_block": {"type": "text", "text": ""}}),
            json!({"type": "ping"}),
        ];
        frames.extend(texts.iter().map(|text| {
            json!({"type": "content_block_delta", "index": 0,
                "delta": {"type": "text_delta", "text": text}})
        }));
        for (index, (name, arguments)) in calls.iter().enumerate() {
            frames.push(json!({"type": "content_block_start", "index": index + 1, "content_block":
                {"type": "tool_use", "id": format!("id_{index}"), "name": name, "input": {}}}));
            let arguments = written(arguments);
            let (first, second) = arguments.split_at(arguments.len() / 2);
            frames.extend([first, second].map(|piece| {
                json!({"type": "content_block_delta", "index": index + 1,
                    "delta": {"type": "input_json_delta", "partial_json": piece}})
            }));
            frames.push(json!({"type": "content_block_stop", "index": index + 1}));
        }
        frames.push(json!({"type": "message_delta", "delta": {"stop_reason": word},
            "usage": {"output_tokens": 3}}));
        frames.push(json!({"type": "message_stop"}));
        frames
    }

    /// Writes frames as they go over the wire.
    fn pieces(self, frames: &[Value]) -> Vec<String> {
        let piece = |frame: &Value| match self.kind {
            _ if !self.is_streamed => frame.to_string(),
            ProviderKind::Ollama => format!("{frame}\n"),
            ProviderKind::Anthropic => {
                let event = frame["type"].as_str().unwrap_or("error");
                format!("event: {event}\ndata: {frame}\n\n")
            }
            _ => format!("data: {frame}\n\n"),
        };
        let mut pieces: Vec<String> = frames.iter().map(piece).collect();
        if self.is_streamed && matches!(self.kind, ProviderKind::OpenAi) {
            pieces.push("data: [DONE]\n\n".into());
        }
        pieces
    }

    fn answers(self, text: &str, calls: &[(&str, Value)], end: End) -> Answer {
        let header = match self.kind {
            ProviderKind::Anthropic => "request-id",
            _ => "x-request-id",
        };
        let body = self.pieces(&self.frames(text, calls, end)).concat();
        Answer::Status(200, vec![(header, "header-id".into())], body)
    }

    fn hello(self) -> Answer {
        self.answers("hello", &[], End::Done)
    }

    /// Asks once, with a hello behind whatever the server does first.
    async fn ask(self, first: Answer) -> (Arc<Fake>, Result<Finished, Status>) {
        // Only a server that never goes on has to be given up; a slow machine is no fault.
        let is_silent = matches!(first, Answer::Silence | Answer::Stall(_));
        let patience = Duration::from_secs(if is_silent { 1 } else { 15 });
        let (fake, base_url) = fake([first, self.hello(), self.hello()]).await;
        let settings = Settings {
            first_byte_timeout: patience,
            read_timeout: patience,
            ..self.settings(&base_url)
        };
        let finished = run(&mut client(&settings), turn(SECRET_TEXT)).await;
        if let Err(status) = &finished {
            let shown = format!("{status:?}");
            assert!(!shown.contains("hunter2") && !shown.contains("secret"), "{shown}");
        }
        (fake, finished)
    }
}

/// Writes arguments as a model does; a text is what it wrote, be it JSON or not.
fn written(arguments: &Value) -> String {
    arguments.as_str().map_or_else(|| arguments.to_string(), str::to_owned)
}

fn conversation() -> RunModelTurnRequest {
    let mut request = RunModelTurnRequest { prompt: "conversation".into(), ..turn("look at this") };
    let Some(turn::Kind::Members(members)) = &mut request.turns[0].kind else { unreachable!() };
    let (message_id, media_type) = (10, "image/png".to_owned());
    members.images.push(Image {
        message_id,
        media_type,
        data: b"picture".to_vec(),
        url: String::new(),
    });
    request
}

fn answered(request: &mut RunModelTurnRequest, finished: &Finished) {
    let result = |(index, call): (usize, &ToolCall)| ToolResult {
        call_id: call.call_id.clone(),
        tool: call.tool.clone(),
        content: json!({ "ok": index == 0 }).to_string(),
        is_error: index != 0,
    };
    let results = finished.tool_calls.iter().enumerate().map(result).collect();
    let text = finished.text.clone();
    let tool_calls = finished.tool_calls.clone();
    request.turns.extend([
        Turn { kind: Some(turn::Kind::Assistant(AssistantTurn { text, tool_calls })) },
        Turn { kind: Some(turn::Kind::ToolResults(ToolResults { results })) },
        Turn { kind: Some(turn::Kind::Note("be brief".into())) },
    ]);
}

#[tokio::test]
async fn a_conversation_with_two_tool_calls_works_everywhere() {
    for wire in wires() {
        let calls =
            [("timeout_member", json!({"member": "2"})), ("unheard_of", json!({"member": "3"}))];
        let script = [wire.answers("wait", &calls, End::Calls), wire.hello()];
        let (fake, base_url) = fake(script).await;
        let price =
            PriceSettings { input: 3.0, output: 15.0, cached_input: Some(0.3), cache_write: None };
        let prices = [("some::model-high".to_owned(), price)].into();
        let settings = Settings { prices, temperature: Some(0.5), ..wire.settings(&base_url) };
        let mut client = client(&settings);
        let mut request = conversation();
        let first = run(&mut client, request.clone()).await.unwrap();
        assert_eq!(first.text, "wait", "{wire:?}");
        assert_eq!(first.stop_reason(), StopReason::ToolCalls, "{wire:?}");
        let called: Vec<_> =
            first.tool_calls.iter().map(|c| (c.tool.as_str(), c.arguments.as_str())).collect();
        // A tool that was not offered is passed on: the tool-service says so to the model.
        let expected =
            [("timeout_member", r#"{"member":"2"}"#), ("unheard_of", r#"{"member":"3"}"#)];
        assert_eq!(called, expected, "{wire:?}");
        assert_ne!(first.tool_calls[0].call_id, first.tool_calls[1].call_id, "{wire:?}");
        let usage = first.usage.unwrap();
        let cached = if matches!(wire.kind, ProviderKind::Ollama) { 0 } else { 5 };
        let counted = (usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens);
        assert_eq!(counted, (11, 3, cached), "{wire:?}");
        let cost = if cached == 0 { 33 + 45 } else { 18 + 2 + 45 };
        assert_eq!(first.cost_micros, Some(cost), "{wire:?}");
        assert_eq!(first.model, "fake-1", "{wire:?}");
        let id = match wire.kind {
            ProviderKind::Gemini => "body-id",
            ProviderKind::Ollama => "",
            _ => "header-id",
        };
        assert_eq!(first.provider_request_id, id, "{wire:?}");
        assert_eq!(first.prompt_version, "conversation-1");

        answered(&mut request, &first);
        let second = run(&mut client, request).await.unwrap();
        assert_eq!((second.text.as_str(), second.stop_reason()), ("hello", StopReason::Done));
        let asked = fake.asked.lock().unwrap();
        let (path, key) = match wire.kind {
            ProviderKind::OpenAi => ("/v1/chat/completions", "authorization"),
            ProviderKind::Anthropic => ("/v1/messages", "x-api-key"),
            ProviderKind::Gemini if wire.is_streamed => {
                ("/v1beta/models/some::model-high:streamGenerateContent?alt=sse", "x-goog-api-key")
            }
            ProviderKind::Gemini => {
                ("/v1beta/models/some::model-high:generateContent", "x-goog-api-key")
            }
            _ => ("/api/chat", "authorization"),
        };
        assert_eq!(asked[1].path, path);
        assert!(asked[1].headers[key].to_str().unwrap().ends_with("sk-hunter2-hunter2"));
        judge_body(wire, &asked[1].body);
    }
}

/// Judges the second request of a conversation: everything stands where the API wants it.
fn judge_body(wire: Wire, body: &Value) {
    let text = body.to_string();
    for part in ["You are Ery, a community manager", "look at this", "cGljdHVyZQ==", "be brief"] {
        assert!(text.contains(part), "{wire:?}: no {part} in {body:#}");
    }
    let roles = |list: &Value| -> Vec<String> {
        let roles = list.as_array().unwrap().iter().map(|m| m["role"].as_str().unwrap().to_owned());
        roles.collect()
    };
    match wire.kind {
        ProviderKind::OpenAi => {
            let messages = &body["messages"];
            assert_eq!(roles(messages), ["system", "user", "assistant", "tool", "tool", "user"]);
            assert_eq!(messages[2]["tool_calls"][0]["function"]["arguments"], r#"{"member":"2"}"#);
            assert_eq!(messages[2]["tool_calls"][1]["id"], messages[4]["tool_call_id"]);
            let url = &messages[1]["content"][1]["image_url"]["url"];
            assert_eq!(url, "data:image/png;base64,cGljdHVyZQ==");
            assert_eq!((&body["max_tokens"], &body["temperature"]), (&json!(500), &json!(0.5)));
        }
        ProviderKind::Anthropic => {
            let messages = &body["messages"];
            assert_eq!(roles(messages), ["user", "assistant", "user"]);
            assert_eq!(messages[1]["content"][1]["input"], json!({"member": "2"}));
            let results = &messages[2]["content"];
            assert_eq!(results[0]["tool_use_id"], messages[1]["content"][1]["id"]);
            assert_eq!(
                (&results[0]["is_error"], &results[1]["is_error"]),
                (&Value::Null, &json!(true))
            );
            assert_eq!(results[2]["type"], "text");
            assert_eq!(messages[0]["content"][1]["source"]["media_type"], "image/png");
            assert_eq!(body["system"][0]["cache_control"]["type"], "ephemeral");
            assert_eq!(body["system"][1]["cache_control"], Value::Null);
            assert_eq!(body["tools"][0]["input_schema"]["type"], "object");
            assert_eq!(body["max_tokens"], 500);
        }
        ProviderKind::Gemini => {
            let contents = &body["contents"];
            assert_eq!(roles(contents), ["user", "model", "user", "user"]);
            let calls = &contents[1]["parts"];
            assert_eq!(calls[1]["functionCall"]["args"], json!({"member": "2"}));
            assert_eq!(calls[1]["thoughtSignature"], "c2lnbmVk");
            assert_eq!(calls[2]["thoughtSignature"], Value::Null);
            let results = &contents[2]["parts"];
            assert_eq!(results[1]["functionResponse"]["name"], "unheard_of");
            assert_eq!(results[0]["functionResponse"]["response"], json!({"ok": true}));
            assert_eq!(contents[0]["parts"][1]["inlineData"]["mimeType"], "image/png");
            let declared = &body["tools"][0]["functionDeclarations"][0];
            assert_eq!(declared["parametersJsonSchema"]["type"], "object");
            assert_eq!(
                body["generationConfig"],
                json!({"maxOutputTokens": 500, "temperature": 0.5})
            );
        }
        _ => {
            let messages = &body["messages"];
            assert_eq!(roles(messages), ["system", "user", "assistant", "tool", "tool", "user"]);
            let call = &messages[2]["tool_calls"][0]["function"];
            assert_eq!(call["arguments"], json!({"member": "2"}));
            assert_eq!(messages[4]["tool_name"], "unheard_of");
            assert_eq!(messages[1]["images"], json!(["cGljdHVyZQ=="]));
            assert_eq!(
                body["options"],
                json!({"num_predict": 500, "temperature": 0.5, "num_ctx": 8_192})
            );
        }
    }
    let streams = body["stream"].as_bool().unwrap_or(false);
    assert!(streams == wire.is_streamed || matches!(wire.kind, ProviderKind::Gemini));
}

#[tokio::test]
async fn ollama_is_told_how_large_a_window_to_make() {
    let ollama = Wire { kind: ProviderKind::Ollama, is_streamed: false };
    for (context_window, text, expected) in [
        (None, "hi".to_owned(), 8_192),
        (None, "word ".repeat(9_000), 16_384),
        (None, "word ".repeat(400_000), 131_072),
        (Some(4_096), "word ".repeat(9_000), 4_096),
    ] {
        let (fake, base_url) = fake([ollama.hello()]).await;
        let settings = Settings { context_window, ..ollama.settings(&base_url) };
        run(&mut client(&settings), turn(&text)).await.unwrap();
        let asked = fake.asked.lock().unwrap();
        assert_eq!(asked[0].body["options"]["num_ctx"], expected, "{context_window:?}");
    }
}

#[tokio::test]
async fn faults_are_asked_again_and_waits_are_kept() {
    let trials = wires().map(|wire| async move {
        let whole = wire.pieces(&wire.frames("never whole", &[], End::Done));
        let half =
            || if wire.is_streamed { vec![whole[0].clone()] } else { vec![whole[0][..9].into()] };
        let error = json!({"type": "error", "error": {"type": "overloaded_error", "code": 503}});
        let seconds = vec![("retry-after", "1".to_owned())];
        // A date that has passed asks for no wait.
        let date = vec![("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT".to_owned())];
        for (name, fault, wait) in [
            ("429 with seconds", Answer::Status(429, seconds, String::new()), 1_000),
            ("429 with a date", Answer::Status(429, date, String::new()), 0),
            ("429 without", Answer::Status(429, vec![], "{}".into()), 0),
            ("500", Answer::Status(500, vec![], SECRET_TEXT.into()), 0),
            ("529", Answer::Status(529, vec![], String::new()), 0),
            ("silence", Answer::Silence, 0),
            ("a stall", Answer::Stall(half()), 0),
            ("a cut stream", Answer::Raw(half()), 0),
            ("a broken connection", Answer::Abort(half()), 0),
            ("nothing", Answer::Raw(vec![]), 0),
            ("HTML", Answer::Status(200, vec![], "<html>busy</html>\n\n".into()), 0),
            ("an error in the answer", Answer::Raw(wire.pieces(&[error])), 0),
        ] {
            let (fake, finished) = wire.ask(fault).await;
            let finished = finished.unwrap_or_else(|status| panic!("{wire:?}, {name}: {status}"));
            assert_eq!(finished.text, "hello", "{wire:?}, {name}");
            let asked = fake.asked.lock().unwrap();
            let is_silent = matches!(name, "silence" | "a stall");
            assert!(asked.len() == 2 || (is_silent && asked.len() == 3), "{wire:?}, {name}");
            let waited = asked[1].at - asked[0].at;
            assert!(waited >= Duration::from_millis(wait), "{wire:?}, {name}: {waited:?}");
        }
    });
    join_all(trials).await;
}

#[tokio::test]
async fn a_stream_that_broke_behind_its_reason_to_stop_is_no_answer() {
    for wire in wires().filter(|wire| wire.is_streamed) {
        let mut pieces = wire.pieces(&wire.frames("never whole", &[], End::Done));
        // Gemini tells no end but the connection's own.
        if !matches!(wire.kind, ProviderKind::Gemini) {
            pieces.pop();
        }
        let (fake, finished) = wire.ask(Answer::Abort(pieces)).await;
        assert_eq!((finished.unwrap().text.as_str(), fake.attempts()), ("hello", 2), "{wire:?}");
    }
}

#[tokio::test]
async fn what_a_model_does_wrong_is_passed_on_or_calls_nothing() {
    for wire in wires() {
        // Only these send arguments as text, or in pieces.
        let is_text = match wire.kind {
            ProviderKind::OpenAi => true,
            ProviderKind::Anthropic => wire.is_streamed,
            _ => false,
        };
        let arguments = if is_text { json!("{\"member\": oops") } else { json!("oops") };
        let calls = [("timeout_member", arguments.clone())];
        let (fake, finished) = wire.ask(wire.answers("", &calls, End::Calls)).await;
        let finished = finished.unwrap();
        assert_eq!(finished.tool_calls[0].arguments, written(&arguments), "{wire:?}");
        assert_eq!(fake.attempts(), 1, "{wire:?}");

        let (fake, finished) = wire.ask(wire.answers("", &[], End::Done)).await;
        let finished = finished.unwrap();
        let silent = (finished.text.as_str(), finished.stop_reason(), fake.attempts());
        assert_eq!(silent, ("", StopReason::Done, 1), "{wire:?}: the model may be silent");

        let sound = [("timeout_member", json!({"member": "2"}))];
        let (_, finished) = wire.ask(wire.answers("half", &sound, End::Length)).await;
        let finished = finished.unwrap();
        let cut = (finished.stop_reason(), finished.tool_calls.len());
        assert_eq!(cut, (StopReason::Length, 0), "{wire:?}");

        if !matches!(wire.kind, ProviderKind::Ollama) {
            let (fake, finished) = wire.ask(wire.answers("", &sound, End::Refused)).await;
            let finished = finished.unwrap();
            let refused = (finished.stop_reason(), finished.tool_calls.len(), fake.attempts());
            assert_eq!(refused, (StopReason::Refused, 0, 1), "{wire:?}");
        }
    }
}

#[tokio::test]
async fn what_will_not_change_is_final_everywhere() {
    for wire in wires() {
        for (status, code) in [
            (400, Code::InvalidArgument),
            (401, Code::FailedPrecondition),
            (402, Code::FailedPrecondition),
            (404, Code::FailedPrecondition),
            (413, Code::InvalidArgument),
        ] {
            let body = json!({"error": {"message": SECRET_TEXT}}).to_string();
            let (fake, finished) = wire.ask(Answer::Status(status, vec![], body)).await;
            assert_eq!(finished.unwrap_err().code(), code, "{wire:?}, {status}");
            assert_eq!(fake.attempts(), 1, "{wire:?}, {status}");
        }
    }
}

#[tokio::test]
async fn what_each_api_has_of_its_own_is_understood() {
    let gemini = Wire { kind: ProviderKind::Gemini, is_streamed: true };
    let blocked = json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}});
    let (_, finished) = gemini.ask(Answer::Raw(gemini.pieces(&[blocked]))).await;
    assert_eq!(finished.unwrap().stop_reason(), StopReason::Refused);
    let key = json!({"error": {"code": 400, "details": [{"reason": "API_KEY_INVALID"}]}});
    let (_, finished) = gemini.ask(Answer::Status(400, vec![], key.to_string())).await;
    assert!(finished.unwrap_err().message().contains("API key"));
    let limited = json!({"error": {"code": 429, "details": [{"retryDelay": "0.5s"}]}});
    let (fake, finished) = gemini.ask(Answer::Status(429, vec![], limited.to_string())).await;
    finished.unwrap();
    {
        let asked = fake.asked.lock().unwrap();
        assert!(asked[1].at - asked[0].at >= Duration::from_millis(500));
    }
    let malformed = json!({"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL"}]});
    let (fake, finished) = gemini.ask(Answer::Raw(gemini.pieces(&[malformed]))).await;
    assert_eq!((finished.unwrap().text.as_str(), fake.attempts()), ("hello", 2));

    let openai = Wire { kind: ProviderKind::OpenAi, is_streamed: true };
    let refusal =
        json!({"choices": [{"delta": {"refusal": "I cannot."}, "finish_reason": "stop"}]});
    let (_, finished) = openai.ask(Answer::Raw(openai.pieces(&[refusal]))).await;
    let finished = finished.unwrap();
    let refused = (finished.text.as_str(), finished.stop_reason());
    assert_eq!(refused, ("I cannot.", StopReason::Refused));

    let ollama = Wire { kind: ProviderKind::Ollama, is_streamed: false };
    let loaded = json!({"message": {"content": ""}, "done": true, "done_reason": "load"});
    let (fake, finished) = ollama.ask(Answer::Raw(ollama.pieces(&[loaded]))).await;
    assert_eq!((finished.unwrap().text.as_str(), fake.attempts()), ("hello", 2));
}

#[tokio::test]
async fn whoever_wants_deltas_sees_an_answer_grow_and_begin_anew() {
    for wire in wires().filter(|wire| wire.is_streamed) {
        let frames = wire.frames("void", &[], End::Done);
        let mut cut = wire.pieces(&frames);
        let behind_the_text = if matches!(wire.kind, ProviderKind::Gemini) { 1 } else { 2 };
        cut.truncate(cut.len() - behind_the_text);
        let script = [Answer::Abort(cut), wire.answers("hello there", &[], End::Done)];
        let (_, base_url) = fake(script).await;
        let mut client = client(&wire.settings(&base_url));
        let request = RunModelTurnRequest { wants_deltas: true, ..turn("hi") };
        let mut stream = client.run_model_turn(request).await.unwrap().into_inner();
        let (mut text, mut pieces, mut restarts) = (String::new(), 0, 0);
        let finished = loop {
            match stream.message().await.unwrap().unwrap().kind.unwrap() {
                Kind::TextDelta(delta) => {
                    pieces += 1;
                    text.push_str(&delta);
                }
                Kind::Restarted(_) => {
                    assert!(!text.is_empty(), "{wire:?}");
                    (pieces, restarts) = (0, restarts + 1);
                    text.clear();
                }
                Kind::SpentInVain(_) => {}
                Kind::Finished(finished) => break finished,
            }
        };
        assert!(stream.message().await.unwrap().is_none());
        assert_eq!((text.as_str(), restarts), ("hello there", 1), "{wire:?}");
        assert_eq!(finished.text, text, "{wire:?}");
        assert!(pieces >= 2 || matches!(wire.kind, ProviderKind::Gemini), "{wire:?}");
    }
}

#[tokio::test]
async fn a_request_that_names_no_prompt_or_no_picture_is_refused() {
    let mut client = client(&Settings::default());
    let no_prompt = RunModelTurnRequest { prompt: "other".into(), ..turn("hi") };
    let mut no_picture = conversation();
    let Some(turn::Kind::Members(members)) = &mut no_picture.turns[0].kind else { unreachable!() };
    members.images[0].media_type = "text/html".into();
    for request in [no_prompt, no_picture] {
        let error = run(&mut client, request).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{error}");
    }
    assert_eq!(tool().name, "timeout_member");
}

#[tokio::test]
async fn prompts_may_stand_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { prompts_dir: Some(folder.path().into()), ..Settings::default() };
    let turn = RunModelTurnRequest { prompt: "conversation".into(), ..turn("hi") };
    let built_in = run(&mut client(&settings), turn.clone()).await.unwrap();
    assert_eq!(built_in.prompt_version, "conversation-1");
    let file = folder.path().join("conversation.txt");
    std::fs::write(&file, "version: house-7\n\nBe {name}.").unwrap();
    let own = run(&mut client(&settings), turn).await.unwrap();
    assert_eq!(own.prompt_version, "conversation-house-7");
    std::fs::write(&file, "Be {name}.").unwrap();
    let clock = Arc::new(ery_clock::SystemClock);
    let ports = ery_ai_service::Ports { clock };
    let error = ery_ai_service::Service::new(&settings, ports).unwrap_err().to_string();
    assert!(error.contains("conversation.txt") && error.contains("version"), "{error}");
}
