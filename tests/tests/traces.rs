//! Traces, as a collector gets them by OTLP.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};

use ery_tests::{
    CollectedSpan, Collector, Ery, Platform, ScriptedModel, Shape, Sim, SpanKind, connected,
    eventually,
};

/// What stands in nothing that is collected.
const SAID: &str = "who rules this place";

async fn model() -> ScriptedModel {
    let calls = [("get_server_info", json!({})), ("get_channel_info", json!({}))];
    ScriptedModel::start_with(calls.to_vec()).await.unwrap()
}

fn variables<'a>(collector: &'a str, model: &'a ScriptedModel) -> [(&'a str, &'a str); 4] {
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector),
        ("ERY_AI__PROVIDER", "openai"),
        ("ERY_AI__BASE_URL", model.base_url()),
        ("ERY_AI__MODEL", "m"),
    ]
}

/// Waits for the whole trace of the one task thread that ran in a channel.
async fn trace_of(collector: &Collector, channel: &str) -> Vec<CollectedSpan> {
    let trace = eventually("a whole trace", Duration::from_secs(30), async || {
        let spans = collector.spans();
        let is_thread = |span: &&CollectedSpan| {
            span.name == "orchestrator.task_thread.run" && span.attributes["channel.id"] == channel
        };
        let Some(thread) = spans.iter().find(is_thread) else { return Ok(None) };
        let trace: Vec<_> =
            spans.iter().filter(|span| span.trace == thread.trace).cloned().collect();
        Ok((connected(&trace).is_ok() && is_served(&trace)).then_some(trace))
    });
    trace.await.unwrap_or_else(|error| panic!("{error}: {:#?}", collector.spans()))
}

/// Whether each call between processes is told by both: what a process did before, it has told then.
fn is_served(trace: &[CollectedSpan]) -> bool {
    let is_call = |span: &&CollectedSpan| {
        span.kind == SpanKind::Client && span.attributes.contains_key("rpc.method")
    };
    trace.iter().filter(is_call).all(|call| trace.iter().any(|span| span.parent == call.id))
}

fn named<'a>(trace: &'a [CollectedSpan], name: &str) -> Vec<&'a CollectedSpan> {
    trace.iter().filter(|span| span.name == name).collect()
}

/// Returns the names from a span up to the beginning of its trace.
fn path<'a>(trace: &'a [CollectedSpan], span: &'a CollectedSpan) -> Vec<&'a str> {
    let up = |span: &&'a CollectedSpan| trace.iter().find(|it| it.id == span.parent);
    std::iter::successors(Some(span), up).map(|span| span.name.as_str()).collect()
}

/// Refuses a trace in which anything is missing between the dispatch and the reply.
fn tells_it_all(trace: &[CollectedSpan]) {
    connected(trace).unwrap();
    let root = trace.iter().find(|span| span.parent.is_empty()).unwrap();
    assert_eq!(root.name, "gateway.dispatch.publish");
    assert_eq!(root.attributes["dispatch.kind"], "message_create");
    for (name, count) in [
        ("orchestrator.task_thread.run", 1),
        ("orchestrator.model.ask", 2),
        ("chat m", 2),
        ("execute_tool get_server_info", 1),
        ("execute_tool get_channel_info", 1),
        ("orchestrator.task_thread.finish", 1),
    ] {
        assert_eq!(named(trace, name).len(), count, "{name}: {trace:#?}");
    }
    // The reply is the end of one unbroken way from the dispatch.
    let reply = named(trace, "POST /channels/{id}/messages");
    let [reply] = &reply[..] else { panic!("{reply:#?}") };
    let way = path(trace, reply);
    for name in [
        "execute_tool send_message",
        "ery.tool.v1.ToolService/CallTool",
        "orchestrator.answer.send",
        "orchestrator.task_thread.run",
        "gateway.dispatch.publish",
    ] {
        assert!(way.contains(&name), "{name} is not in {way:?}");
    }
    assert_eq!(reply.attributes["http.request.method"], "POST");
    assert_eq!(reply.attributes["url.template"], "/channels/{id}/messages");
    assert_eq!(reply.attributes["http.response.status_code"], "200");

    for chat in named(trace, "chat m") {
        assert_eq!(chat.attributes["gen_ai.operation.name"], "chat");
        assert_eq!(chat.attributes["gen_ai.provider.name"], "openai");
        assert_eq!(chat.attributes["gen_ai.request.model"], "m");
        assert!(chat.attributes.contains_key("gen_ai.usage.input_tokens"), "{chat:#?}");
        assert!(path(trace, chat).contains(&"ery.ai.v1.AiService/RunModelTurn"));
    }
    // What the store wrote belongs to the step for which it did.
    let writes: BTreeSet<&str> = named(trace, "store.shard.write")
        .into_iter()
        .flat_map(|write| path(trace, write))
        .filter(|name| name.starts_with("ery.store.v1."))
        .collect();
    for rpc in ["BeginThread", "AppendSteps", "BeginExecution", "EndExecution", "FinishThread"] {
        let rpc = format!("ery.store.v1.StoreService/{rpc}");
        assert!(writes.contains(rpc.as_str()), "{rpc} is not in {writes:?}");
    }
    assert!(trace.iter().all(|span| !span.is_error), "{trace:#?}");
    let text = format!("{trace:?}");
    assert!(!text.contains(SAID) && !text.contains("platform-test"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_with_two_tool_calls_is_one_trace_over_all_services() {
    let (collector, model) = (Collector::start().await.unwrap(), model().await);
    let shape = Shape { orchestrators: 1, tool_services: 1, ai_services: 1 };
    let platform = Platform::start(shape, &variables(collector.url(), &model)).await.unwrap();
    let (_, channels, members) = platform.sim.make_guild(1, 1).await.unwrap();
    platform.sim.say(&channels[0], &members[0], &format!("Ery, {SAID}?")).await.unwrap();

    let trace = trace_of(&collector, &channels[0]).await;

    tells_it_all(&trace);
    // From a bucket of a histogram one gets to the trace.
    let stands_for = format!("trace_id=\"{}\"", trace[0].trace);
    for (process, name) in [
        (&platform.orchestrators[0], "ery_orchestrator_stage_duration_seconds_bucket"),
        (&platform.tool_services[0], "ery_tool_call_seconds_bucket"),
        (&platform.ai_services[0], "ery_ai_model_turn_duration_seconds_bucket"),
        (&platform.store, "ery_rpc_server_seconds_bucket"),
    ] {
        let metrics = process.open_metrics().await.unwrap();
        assert!(metrics.ends_with("# EOF\n"));
        let mut buckets = metrics.lines().filter(|line| line.starts_with(name));
        assert!(buckets.any(|line| line.contains(&stands_for)), "{name}: {metrics}");
    }
    let services: BTreeSet<&str> = trace.iter().map(|span| span.service.as_str()).collect();
    let all = ["ai-service", "gateway", "orchestrator", "store", "tool-service"];
    assert_eq!(services, BTreeSet::from(all));
    // Each call is told by whoever makes it, and by whoever serves it.
    let begun = named(&trace, "ery.store.v1.StoreService/BeginThread");
    let told: BTreeSet<_> = begun.iter().map(|span| span.service.as_str()).collect();
    assert_eq!(told, BTreeSet::from(["orchestrator", "store"]));
}

struct Playground {
    process: Ery,
    sim: Sim,
    channel: String,
    member: String,
    _folder: tempfile::TempDir,
}

impl Playground {
    async fn start(variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut process = Ery::start_playground(Some(folder.path()), variables).unwrap();
        let sim = Sim::new(&process.line_after("The simulated Discord is at").await.unwrap());
        let guild = sim.world().await.unwrap().guilds.into_iter().next().unwrap();
        let channel = guild.channel("general").unwrap().to_owned();
        let member = guild.member("bob").unwrap().to_owned();
        Self { process, sim, channel, member, _folder: folder }
    }

    /// Lets somebody speak to Ery, and waits for her reply.
    async fn ask(&self, text: &str) -> Value {
        let said = self.sim.say(&self.channel, &self.member, text).await.unwrap().to_string();
        let reply = eventually("a reply", Duration::from_secs(20), async || {
            let messages = self.sim.messages(&self.channel).await?;
            let is_reply = |it: &Value| it["message_reference"]["message_id"] == said;
            Ok(messages.into_iter().find(is_reply))
        });
        reply.await.unwrap_or_else(|error| panic!("{error}\n{}", self.process.output()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn within_one_process_a_message_is_one_trace_too_and_logs_tell_of_it() {
    let (collector, model) = (Collector::start().await.unwrap(), model().await);
    let mut with_logs = variables(collector.url(), &model).to_vec();
    with_logs.push(("ERY_TELEMETRY__LOG", "info,ery_orchestrator=debug,ery_tool_service=debug"));
    let mut playground = Playground::start(&with_logs).await;
    playground.ask(&format!("Ery, {SAID}?")).await;
    // What is left is sent at the end, last of all.
    playground.process.signal("TERM").await.unwrap();
    let status = playground.process.end(Duration::from_secs(30)).await.unwrap();
    assert!(status.success(), "{}", playground.process.output());

    let trace = trace_of(&collector, &playground.channel).await;

    tells_it_all(&trace);
    assert!(trace.iter().all(|span| span.service == "ery"));
}

/// Waits for the spans of two task threads of a channel, and refuses any but two traces of which the
/// second is linked to the first.
async fn second_is_linked_to_first(collector: &Collector, channel: &str) {
    let threads = eventually("two task threads", Duration::from_secs(30), async || {
        let spans = collector.spans().into_iter();
        let threads: Vec<_> = spans
            .filter(|span| span.name == "orchestrator.task_thread.run")
            .filter(|span| span.attributes["channel.id"] == channel)
            .collect();
        Ok((threads.len() > 1).then_some(threads))
    });
    let threads = threads.await.unwrap();
    let [first, second] = &threads[..] else { panic!("{threads:#?}") };
    assert_ne!(first.trace, second.trace);
    assert_eq!(second.links, std::slice::from_ref(&first.trace), "{second:#?}");
    assert!(second.parent.is_empty(), "{second:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_done_at_its_time_is_linked_to_the_trace_in_which_it_was_planned() {
    let collector = Collector::start().await.unwrap();
    let plan = json!({
        "tool": "send_message", "arguments": { "content": "water the plants" }, "in_seconds": 2,
    });
    let model = ScriptedModel::start("schedule_action", plan).await.unwrap();
    let playground = Playground::start(&variables(collector.url(), &model)).await;
    playground.ask("Ery, remind us").await;

    second_is_linked_to_first(&collector, &playground.channel).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thread_that_goes_on_after_a_click_is_linked_to_the_trace_that_proposed_it() {
    let collector = Collector::start().await.unwrap();
    let arguments = json!({ "member": "bob", "duration_seconds": 60 });
    let model = ScriptedModel::start("timeout_member", arguments).await.unwrap();
    let playground = Playground::start(&variables(collector.url(), &model)).await;
    let Playground { sim, channel, .. } = &playground;
    let world = sim.world().await.unwrap();
    let owner = world.guilds[0].owner_id.clone();
    sim.say(channel, &owner, "Ery, what is the weather like?").await.unwrap();
    let proposal = eventually("a proposal", Duration::from_secs(20), async || {
        let messages = sim.messages(channel).await?;
        let is_proposal = |it: &Value| it["components"][0]["components"].is_array();
        Ok(messages.into_iter().find(is_proposal))
    });
    let proposal = proposal.await.unwrap();
    let buttons = proposal["components"][0]["components"].as_array().unwrap();
    let approve = buttons.iter().find(|button| button["label"] == "Approve").unwrap();
    let press = json!({
        "type": "button", "user_id": owner, "channel_id": channel, "message_id": proposal["id"],
        "custom_id": approve["custom_id"], "wait": true,
    });
    sim.post("/sim/v1/interactions", &press).await.unwrap();

    second_is_linked_to_first(&collector, channel).await;
    let click = collector.trace_with("dispatch.kind", "interaction_create");
    connected(&click).unwrap();
    assert!(click.iter().any(|span| span.name == "ery.tool.v1.ToolService/ClickApproval"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_not_there_stops_nothing_and_is_counted() {
    let nobody = format!("http://127.0.0.1:{}", ery_tests::free_port().unwrap());
    let model = model().await;
    let mut with_logs = variables(&nobody, &model).to_vec();
    with_logs.push(("ERY_TELEMETRY__LOG", "info"));
    let mut playground = Playground::start(&with_logs).await;
    playground.ask("Ery, are you there?").await;
    ery_tests::ready(&mut playground.process).await.unwrap();
    let counted = eventually("failed spans", Duration::from_secs(30), async || {
        let metrics = playground.process.metrics().await?;
        let failed = metrics.lines().find(|line| {
            line.starts_with("ery_telemetry_spans_total") && line.contains(r#"outcome="failed""#)
        });
        Ok(failed.map(str::to_owned))
    });
    counted.await.unwrap();
    playground.ask("Ery, and now?").await;
    playground.process.signal("TERM").await.unwrap();
    let status = playground.process.end(Duration::from_secs(30)).await.unwrap();
    assert!(status.success(), "{}", playground.process.output());
}
