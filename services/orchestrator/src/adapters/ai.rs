use std::{error::Error as _, time::Duration};

use futures::FutureExt;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tonic::{Code, Status};
use twilight_model::id::{Id, marker::UserMarker};

use ery_clock::UnixMillis;
use ery_ids::{ChannelKey, TaskThreadId};
use ery_proto::{ai::v1 as proto, common::v1 as common};
use ery_rpc::{Peers, Transport, within};

use crate::{
    adapters::{
        calls::{Fate, Retries, fate},
        convert,
        costs::Costs,
        keys::GuildKeys,
        usage,
    },
    domain::{
        answer::RefusedKey,
        context::Part,
        journal::{ModelTurn, Order, Spent},
        message::Message,
        people::People,
        text,
        tool::Tool,
    },
    error::CallError,
};

/// The largest answer of a model.
const LARGEST_ANSWER: usize = 16 * 1024 * 1024;

/// The largest turn that is gone on with, in bytes: the store's steps hold twice as much.
const LARGEST_TURN: usize = 512 * 1024;

type Client = proto::ai_service_client::AiServiceClient<Transport>;

/// The ai-service, as task threads use it.
#[derive(Clone)]
pub(crate) struct Ai {
    pub(crate) peers: Peers,
    pub(crate) model_timeout: Duration,
    pub(crate) retries: Retries,
}

/// Ery, as the model is told of her.
#[derive(Clone, Debug)]
pub(crate) struct Bot {
    pub(crate) id: Id<UserMarker>,
    pub(crate) name: String,
}

impl Bot {
    /// Returns her by the name that she has among these people.
    pub(crate) fn named(id: Id<UserMarker>, people: &People) -> Self {
        let name = people.get(id).map_or("", |person| &person.name);
        let name = if name.is_empty() { "Ery" } else { name };
        Self { id, name: text::clean(name) }
    }
}

/// What a model turn is asked with.
pub(crate) struct Asking {
    pub(crate) thread: TaskThreadId,
    pub(crate) channel: ChannelKey,
    /// The ai-service's prompt, by its name.
    pub(crate) prompt: &'static str,
    /// What stands behind the prompt.
    pub(crate) instructions: String,
    pub(crate) parts: Vec<Part>,
    pub(crate) tools: Vec<proto::ToolSpec>,
    pub(crate) max_output_tokens: u32,
    pub(crate) marker: String,
    pub(crate) bot: Bot,
    pub(crate) now: UnixMillis,
    /// Whether the cheaper model is asked.
    pub(crate) is_cheaper: bool,
}

/// A model turn ready to be asked, and its hash.
pub(crate) struct ModelRequest {
    request: proto::RunModelTurnRequest,
}

/// Why no model turn came.
#[derive(Debug)]
pub(crate) enum ModelError {
    /// The ai-service gave up after all its providers and retries: a sentence for our records, what it
    /// cost, which of the guild's own keys are why, and whether it was given no more time.
    Failed {
        detail: String,
        spent: Vec<Spent>,
        refused_keys: Vec<RefusedKey>,
        is_out_of_time: bool,
    },
    /// The ai-service cannot be reached.
    Call(CallError),
}

/// What was read from a text that orders acts.
#[derive(Debug)]
pub(crate) struct ReadOrders {
    /// Targets as the text names them.
    pub(crate) orders: Vec<Order>,
    pub(crate) read_by: String,
    /// What it cost.
    pub(crate) spent: Vec<Spent>,
}

impl ModelRequest {
    pub(crate) fn new(asking: Asking) -> Self {
        let request = proto::RunModelTurnRequest {
            thread_id: asking.thread.to_string(),
            guild_id: asking.channel.guild_raw(),
            channel_id: asking.channel.channel.get(),
            instructions: asking.instructions,
            turns: asking.parts.into_iter().map(convert::part).collect(),
            tools: asking.tools,
            max_output_tokens: asking.max_output_tokens,
            marker: asking.marker,
            bot_id: asking.bot.id.get(),
            bot_name: asking.bot.name,
            now_ms: asking.now.0,
            prompt: asking.prompt.to_owned(),
            is_direct_message: asking.channel.guild().is_none(),
            wants_deltas: false,
            is_cheaper: asking.is_cheaper,
            // They are no part of what is hashed.
            keys: Vec::new(),
        };
        Self { request }
    }

    /// Returns the SHA-256 of the request, hex.
    pub(crate) fn hash(&self) -> String {
        use std::fmt::Write;

        use prost::Message;

        let digest = Sha256::digest(self.request.encode_to_vec());
        digest.iter().fold(String::with_capacity(64), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("writing to a string cannot fail");
            hex
        })
    }
}

impl Ai {
    pub(super) fn client(&self) -> Client {
        Client::new(self.peers.any()).max_decoding_message_size(LARGEST_ANSWER)
    }

    /// Asks the model once, on the guild's own keys if there are any; `written` hears the text while it is
    /// written. Dropping the future drops the stream, and with it the turn; what it cost until then stands in
    /// `costs`.
    pub(crate) async fn run_model_turn(
        &self,
        request: &ModelRequest,
        keys: &GuildKeys,
        costs: &Costs,
        written: Option<watch::Sender<String>>,
    ) -> Result<ModelTurn, ModelError> {
        let client = self.client();
        let answer = self
            .retries
            .call("RunModelTurn", self.model_timeout, || {
                let (wants_deltas, keys) = (written.is_some(), keys.to_proto());
                let request =
                    proto::RunModelTurnRequest { wants_deltas, keys, ..request.request.clone() };
                let request = within(self.model_timeout, request);
                let (client, costs, written) = (client.clone(), costs.clone(), written.clone());
                costs.sent();
                async move {
                    match stream(client, request, &costs, written.as_ref()).await {
                        // The ai-service has tried all that it may: asking again brings the same.
                        Err(status) if is_final(&status) => {
                            costs.answered();
                            Ok(Err(status))
                        }
                        Err(status) => {
                            failed_midway(&status, &costs);
                            Err(status)
                        }
                        Ok(turn) => {
                            costs.answered();
                            Ok(Ok(turn))
                        }
                    }
                }
                .boxed()
            })
            .await;
        match answer {
            Ok(Ok(turn)) if size(&turn) > LARGEST_TURN => {
                let detail = "the model wrote more than can be journaled".to_owned();
                Err(ModelError::Failed {
                    detail,
                    spent: turn.spent,
                    refused_keys: Vec::new(),
                    is_out_of_time: false,
                })
            }
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(status)) => Err(failed(&status)),
            Err(CallError::Refused { status, .. }) => Err(failed(&status)),
            Err(error) => Err(ModelError::Call(error)),
        }
    }

    /// Reads which acts a message orders, from its own text alone. What it costs where it is not
    /// answered stands in `costs`.
    #[expect(clippy::too_many_arguments, reason = "each is another part of what is asked")]
    pub(crate) async fn read_orders(
        &self,
        channel: ChannelKey,
        message: &Message,
        tools: &[Tool],
        bot: &Bot,
        now: UnixMillis,
        is_cheaper: bool,
        keys: &GuildKeys,
        costs: &Costs,
    ) -> Result<ReadOrders, CallError> {
        let client = self.client();
        // What it shows beside its text are nobody's orders, and least of all what it forwards.
        let own = common::Message { enclosures: Vec::new(), ..convert::message(message, "") };
        let request = proto::ReadOrdersRequest {
            guild_id: channel.guild_raw(),
            channel_id: channel.channel.get(),
            message: Some(own),
            tools: tools.iter().map(convert::tool).collect(),
            bot_id: bot.id.get(),
            bot_name: bot.name.clone(),
            now_ms: now.0,
            is_cheaper,
            keys: keys.to_proto(),
        };
        let answer = self
            .retries
            .call("ReadOrders", self.model_timeout, || {
                let request = within(self.model_timeout, request.clone());
                let (mut client, costs) = (client.clone(), costs.clone());
                costs.sent();
                async move {
                    let answer = client.read_orders(request).await;
                    match &answer {
                        Ok(_) => costs.answered(),
                        Err(status) => {
                            // The connection broke below a call that had arrived.
                            if status.code() != Code::Unavailable && status.source().is_some() {
                                costs.begun();
                            }
                            failed_midway(status, &costs);
                        }
                    }
                    answer.map(tonic::Response::into_inner)
                }
                .boxed()
            })
            .await?;
        let order = |order: proto::Order| Order { tool: order.tool, arguments: order.arguments };
        Ok(ReadOrders {
            orders: answer.orders.into_iter().map(order).collect(),
            read_by: answer.read_by,
            spent: answer.spent.into_iter().map(usage::spent_from).collect(),
        })
    }
}

async fn stream(
    mut client: Client,
    request: tonic::Request<proto::RunModelTurnRequest>,
    costs: &Costs,
    written: Option<&watch::Sender<String>>,
) -> Result<ModelTurn, Status> {
    use proto::run_model_turn_response::Kind;

    let mut stream = client.run_model_turn(request).await?.into_inner();
    costs.begun();
    let write = |text: Option<&str>| {
        let Some(written) = written else { return };
        written.send_modify(|until_now| match text {
            Some(text) => until_now.push_str(text),
            None => until_now.clear(),
        });
    };
    write(None);
    while let Some(piece) = stream.message().await? {
        match piece.kind {
            Some(Kind::Finished(finished)) => return Ok(convert::model_turn_from(finished)),
            Some(Kind::SpentInVain(told)) => {
                costs.told(told.spent.into_iter().map(usage::spent_from));
            }
            Some(Kind::TextDelta(text)) => write(Some(&text)),
            Some(Kind::Restarted(_)) => write(None),
            None => {}
        }
    }
    // Without its end, the turn did not happen.
    Err(Status::unavailable("the model turn ended without its end"))
}

/// Notes that a call was not answered: its time was over, or whoever worked on it is gone.
fn failed_midway(status: &Status, costs: &Costs) {
    // What took too long was paid for: it is cut off, and counts by its bound.
    if status.code() != Code::DeadlineExceeded {
        costs.broke();
    }
}

fn size(turn: &ModelTurn) -> usize {
    let calls = turn
        .tool_calls
        .iter()
        .map(|call| call.tool.len() + call.arguments.len() + call.signature.len());
    turn.text.len() + calls.sum::<usize>()
}

fn is_final(status: &Status) -> bool {
    match fate(status) {
        // No model turn is fenced; whatever this is, it is no reason to leave the thread.
        Fate::Fenced | Fate::Refused => true,
        Fate::Again => status.code() == Code::ResourceExhausted,
    }
}

fn failed(status: &Status) -> ModelError {
    use prost::Message;

    let told = proto::SpentInVain::decode(status.details()).unwrap_or_default();
    let refused_keys: Vec<_> = told.refused_keys.into_iter().map(convert::refused_key).collect();
    let own = refused_keys.iter().map(ToString::to_string);
    let why = format!("no provider answered: {:?}: {}", status.code(), status.message());
    let detail: Vec<_> = own.chain([why]).collect();
    ModelError::Failed {
        detail: detail.join("; "),
        spent: told.spent.into_iter().map(usage::spent_from).collect(),
        refused_keys,
        is_out_of_time: told.is_out_of_time,
    }
}
