//! Every provider against a server of model APIs that others wrote, as `.ci/models.sh` installs it.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::json;
use tokio::{net::TcpListener, time::Instant};

use ery_ai_service::{ProviderKind, Settings};
use ery_proto::ai::v1::{
    AssistantTurn, RunModelTurnRequest, StopReason, ToolCall, ToolResult, ToolResults, Turn, turn,
};

use crate::support::{client, run, settings, turn};

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn program() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.join(".tools/aimock/node_modules/.bin/llmock")
}

/// Calls two tools at once where it is asked to, and says so once it has a result.
fn script() -> String {
    let calls = json!([
        {"id": "call_a", "name": "timeout_member", "arguments": {"member": "2"}},
        {"id": "call_b", "name": "timeout_member", "arguments": {"member": "3"}},
    ]);
    json!({"fixtures": [
        {"match": {"hasToolResult": true}, "response": {"content": "Both are quiet now."}},
        {"match": {"userMessage": "quiet"}, "response": {"toolCalls": calls}},
    ]})
    .to_string()
}

async fn start(folder: &Path) -> (Server, String) {
    let fixtures = folder.join("script.json");
    std::fs::File::create(&fixtures).unwrap().write_all(script().as_bytes()).unwrap();
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let mut command = Command::new(program());
    command.args(["--host", "127.0.0.1", "--port", &port.to_string(), "--fixtures"]);
    command.arg(&fixtures).stdout(Stdio::null()).stderr(Stdio::null());
    let server = Server(command.spawn().expect("`.ci/models.sh` has installed it"));
    let deadline = Instant::now() + Duration::from_secs(30);
    while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        assert!(Instant::now() < deadline, "the server never listens");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    (server, format!("http://127.0.0.1:{port}"))
}

#[tokio::test]
#[ignore = "needs Node.js and `.ci/models.sh`; `make models` runs it"]
async fn the_same_conversation_works_with_a_server_that_others_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, base_url) = start(folder.path()).await;
    for kind in
        [ProviderKind::OpenAi, ProviderKind::Anthropic, ProviderKind::Gemini, ProviderKind::Ollama]
    {
        for streaming in [true, false] {
            let patience = Duration::from_secs(15);
            let settings = Settings {
                provider: kind,
                streaming,
                model: "some-model".into(),
                first_byte_timeout: patience,
                read_timeout: patience,
                ..settings(&base_url)
            };
            let mut client = client(&settings);
            let mut request =
                RunModelTurnRequest { prompt: "conversation".into(), ..turn("make them quiet") };
            let first = run(&mut client, request.clone()).await.unwrap();
            let tried = format!("{kind:?}, streaming {streaming}: {first:?}");
            assert_eq!(first.stop_reason(), StopReason::ToolCalls, "{tried}");
            let called: Vec<_> = first.tool_calls.iter().map(|c| c.arguments.as_str()).collect();
            assert_eq!(called, [r#"{"member":"2"}"#, r#"{"member":"3"}"#], "{tried}");
            let result = |call: &ToolCall| ToolResult {
                call_id: call.call_id.clone(),
                tool: call.tool.clone(),
                content: json!({ "ok": true }).to_string(),
                is_error: false,
            };
            let results = first.tool_calls.iter().map(result).collect();
            let (text, tool_calls) = (first.text.clone(), first.tool_calls.clone());
            request.turns.extend([
                Turn { kind: Some(turn::Kind::Assistant(AssistantTurn { text, tool_calls })) },
                Turn { kind: Some(turn::Kind::ToolResults(ToolResults { results })) },
            ]);
            let second = run(&mut client, request).await.unwrap();
            let said = (second.text.as_str(), second.stop_reason());
            assert_eq!(said, ("Both are quiet now.", StopReason::Done), "{tried}");
        }
    }
}
