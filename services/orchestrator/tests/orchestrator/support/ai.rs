use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

use ery_proto::{
    ai::v1::{ai_service_server::AiService, *},
    common::v1::{Spent, Usage},
};

/// What the model does next.
#[derive(Clone)]
pub(crate) enum Reply {
    Text(&'static str),
    /// Says this, and then may say no more.
    Short(&'static str),
    Calls(Vec<(&'static str, &'static str)>),
    Fail(Status),
    /// The stream ends without its end.
    Cut,
    /// Waits until the gate is opened, and repeats then what it is asked.
    Behind(Arc<Semaphore>),
    Never,
    /// Writes this piece by piece, and the last one only once the gate is opened.
    Writes(Vec<&'static str>, Arc<Semaphore>),
    /// Tells of an attempt that cost this and brought nothing, and then nothing more.
    Spends(Spent),
}

/// An ai-service that answers as it is told, and else repeats what it is asked.
#[derive(Default)]
pub(crate) struct FakeAi {
    replies: Mutex<VecDeque<Reply>>,
    requests: Mutex<Vec<RunModelTurnRequest>>,
    orders: Mutex<Vec<ReadOrdersRequest>>,
    /// Which models it tells of.
    pub(crate) models: Mutex<DescribeModelsResponse>,
    /// What reading a message's orders costs.
    pub(crate) orders_cost: Mutex<Vec<Spent>>,
    running: Arc<AtomicUsize>,
    most_running: AtomicUsize,
}

/// Counts a stream that somebody listens to.
struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl FakeAi {
    /// Says what the next turns bring; behind them, each repeats what it is asked.
    pub(crate) fn replies(&self, replies: impl IntoIterator<Item = Reply>) {
        self.replies.lock().unwrap().extend(replies);
    }

    pub(crate) fn requests(&self) -> Vec<RunModelTurnRequest> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn order_requests(&self) -> Vec<ReadOrdersRequest> {
        self.orders.lock().unwrap().clone()
    }

    /// Returns how many streams are listened to.
    pub(crate) fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }

    /// Returns how many streams were listened to at most.
    pub(crate) fn most_running(&self) -> usize {
        self.most_running.load(Ordering::SeqCst)
    }
}

/// Returns the texts that a request is to answer.
pub(crate) fn to_be_answered(request: &RunModelTurnRequest) -> Vec<String> {
    members(request, true)
}

/// Returns the texts of a request that are context.
pub(crate) fn context(request: &RunModelTurnRequest) -> Vec<String> {
    members(request, false)
}

/// Returns the notes of a request.
pub(crate) fn notes(request: &RunModelTurnRequest) -> Vec<String> {
    let note = |turn: &Turn| match &turn.kind {
        Some(turn::Kind::Note(note)) => Some(note.clone()),
        _ => None,
    };
    request.turns.iter().filter_map(note).collect()
}

fn members(request: &RunModelTurnRequest, is_to_be_answered: bool) -> Vec<String> {
    let of_turn = |turn: &Turn| match &turn.kind {
        Some(turn::Kind::Members(members)) => members.messages.clone(),
        _ => Vec::new(),
    };
    let members = request.turns.iter().flat_map(of_turn);
    let members = members.filter(|member| member.is_to_be_answered == is_to_be_answered);
    members.map(|member| member.message.unwrap().content).collect()
}

#[expect(clippy::unnecessary_wraps, reason = "a stream carries results")]
fn finished(finished: Finished) -> Result<RunModelTurnResponse, Status> {
    let kind = run_model_turn_response::Kind::Finished(Finished {
        usage: Some(Usage { prompt_tokens: 10, completion_tokens: 2, cached_tokens: 0 }),
        provider: "fake".into(),
        model: "echo".into(),
        ..finished
    });
    Ok(RunModelTurnResponse { kind: Some(kind) })
}

fn says(text: String) -> Result<RunModelTurnResponse, Status> {
    finished(Finished { text, stop_reason: StopReason::Done.into(), ..Finished::default() })
}

#[async_trait]
impl AiService for FakeAi {
    type RunModelTurnStream = BoxStream<'static, Result<RunModelTurnResponse, Status>>;

    async fn run_model_turn(
        &self,
        request: Request<RunModelTurnRequest>,
    ) -> Result<Response<Self::RunModelTurnStream>, Status> {
        let request = request.into_inner();
        let echo = format!("echo: {}", to_be_answered(&request).join(" + "));
        self.requests.lock().unwrap().push(request);
        let now_running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_running.fetch_max(now_running, Ordering::SeqCst);
        let running = Running(Arc::clone(&self.running));
        let reply = self.replies.lock().unwrap().pop_front();
        let stream = match reply {
            None => stream::iter([says(echo)]).boxed(),
            Some(Reply::Text(text)) => stream::iter([says(text.to_owned())]).boxed(),
            Some(Reply::Short(text)) => {
                let stop_reason = StopReason::Length.into();
                let turn = Finished { text: text.to_owned(), stop_reason, ..Finished::default() };
                stream::iter([finished(turn)]).boxed()
            }
            Some(Reply::Calls(calls)) => {
                let call = |(index, (tool, arguments)): (usize, (&str, &str))| ToolCall {
                    call_id: format!("c{index}"),
                    tool: tool.to_owned(),
                    arguments: arguments.to_owned(),
                    signature: String::new(),
                };
                let tool_calls = calls.into_iter().enumerate().map(call).collect();
                let stop_reason = StopReason::ToolCalls.into();
                let turn = Finished { tool_calls, stop_reason, ..Finished::default() };
                stream::iter([finished(turn)]).boxed()
            }
            Some(Reply::Fail(status)) => return Err(status),
            Some(Reply::Cut) => {
                let delta = run_model_turn_response::Kind::TextDelta("half".into());
                stream::iter([Ok(RunModelTurnResponse { kind: Some(delta) })]).boxed()
            }
            Some(Reply::Behind(gate)) => stream::once(async move {
                gate.acquire().await.unwrap().forget();
                says(echo)
            })
            .boxed(),
            Some(Reply::Never) => stream::pending().boxed(),
            Some(Reply::Writes(pieces, gate)) => {
                let delta = |piece: &&str| {
                    let kind = run_model_turn_response::Kind::TextDelta((*piece).to_owned());
                    Ok(RunModelTurnResponse { kind: Some(kind) })
                };
                let first: Vec<_> = pieces[..pieces.len() - 1].iter().map(delta).collect();
                let whole = pieces.concat();
                let rest = stream::once(async move {
                    // The gate may be closed for good: then no provider answers.
                    match gate.acquire().await {
                        Ok(pass) => pass.forget(),
                        Err(_) => return Err(Status::resource_exhausted("all tried")),
                    }
                    says(whole)
                });
                stream::iter(first).chain(rest).boxed()
            }
            Some(Reply::Spends(spent)) => {
                let told = SpentInVain { spent: vec![spent], ..SpentInVain::default() };
                let kind = Some(run_model_turn_response::Kind::SpentInVain(told));
                stream::iter([Ok(RunModelTurnResponse { kind })]).chain(stream::pending()).boxed()
            }
        };
        let counted = stream.map(move |piece| {
            let _running = &running;
            piece
        });
        Ok(Response::new(counted.boxed()))
    }

    async fn read_orders(
        &self,
        request: Request<ReadOrdersRequest>,
    ) -> Result<Response<ReadOrdersResponse>, Status> {
        let request = request.into_inner();
        let content = request.message.clone().unwrap_or_default().content;
        self.orders.lock().unwrap().push(request);
        let order = |target: &str| Order {
            tool: "timeout_member".into(),
            arguments: format!(r#"{{"member":"{target}"}}"#),
        };
        let orders = content.split("timeout ").skip(1).map(order).collect();
        Ok(Response::new(ReadOrdersResponse {
            orders,
            read_by: "fake".into(),
            spent: self.orders_cost.lock().unwrap().clone(),
        }))
    }

    async fn describe_models(
        &self,
        _: Request<DescribeModelsRequest>,
    ) -> Result<Response<DescribeModelsResponse>, Status> {
        Ok(Response::new(self.models.lock().unwrap().clone()))
    }
}
