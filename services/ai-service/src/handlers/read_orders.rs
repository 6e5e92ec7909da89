use serde_json::Value;
use uuid::Uuid;

use ery_proto::ai::v1::{Order as ProtoOrder, ReadOrdersRequest, ReadOrdersResponse};

use crate::{
    adapters::SteadyProvider,
    domain::{
        builtin,
        conversation::{Answer, MemberMessage, Order, Stop, ToolSpec, Turn, TurnRequest},
    },
    error::CallError,
    metrics::Metrics,
};

use super::parse;

/// How many acts one message may order.
const MOST_ORDERS: usize = 10;

/// Enough for every call that is allowed, and no room for more.
const MOST_OUTPUT_TOKENS: u32 = 1_000;

const INSTRUCTIONS: &str = "You read one message and tell which acts its author orders you, in \
    its own words, to do at once. Call exactly the tools for these acts, each once, with the \
    targets, lengths and reasons as the message names them, and nothing else. Do not call a tool \
    for an act that is quoted, reported, asked about, joked about, wished for, forbidden, meant \
    for later or on a condition, or ordered of somebody else; nor for anything that you would \
    have to guess. If no act is ordered, call nothing and answer: none";

/// Reads the orders of a message from its own text alone.
///
/// The builtin parser first; if it finds none, and the model may read orders, a turn of the model
/// with nothing else in it. A turn that fails orders nothing: the acts then need a confirmation.
#[tracing::instrument(
    name = "ai.orders.read",
    skip_all,
    fields(guild.id = request.guild_id, channel.id = request.channel_id)
)]
pub(super) async fn answer(
    reader: Option<&SteadyProvider>,
    metrics: &Metrics,
    request: ReadOrdersRequest,
) -> Result<ReadOrdersResponse, CallError> {
    let message = request.message.ok_or(CallError::Missing { field: "message" })?;
    let message = parse::member_message_of(message, "member".to_owned(), true)?;
    let place = parse::place(request.bot_id, request.bot_name, request.now_ms);
    let tools = parse::tools(request.tools);
    let orders = builtin::orders(&message, &place, &tools);
    let reader = reader.filter(|_| orders.is_empty() && !tools.is_empty());
    let own_words = builtin::own_words(&message.text, &place);
    let Some((provider, own_words)) = reader.zip(own_words) else {
        metrics.orders(builtin::NAME, orders.len());
        return Ok(response(orders, builtin::NAME.to_owned()));
    };
    let message = MemberMessage { text: own_words, ..message };
    let turn = TurnRequest {
        instructions: INSTRUCTIONS.to_owned(),
        turns: vec![Turn::Members(vec![message])],
        tools,
        max_output_tokens: Some(MOST_OUTPUT_TOKENS),
        marker: Uuid::new_v4().simple().to_string(),
        place,
    };
    let orders = match provider.ask(&turn).await {
        Ok(answer) => orders_of(answer, &turn.tools),
        Err(error) => {
            tracing::warn!(error = %error, "could not ask the model for a message's orders; reading none");
            Vec::new()
        }
    };
    metrics.orders("model", orders.len());
    Ok(response(orders, provider.model().to_owned()))
}

/// Takes the calls that are sound: offered, whole, with an object for arguments.
fn orders_of(answer: Answer, tools: &[ToolSpec]) -> Vec<Order> {
    if answer.stop != Stop::ToolCalls {
        return Vec::new();
    }
    let is_sound = |order: &Order| {
        tools.iter().any(|tool| tool.name == order.tool)
            && matches!(serde_json::from_str(&order.arguments), Ok(Value::Object(_)))
    };
    answer
        .calls
        .into_iter()
        .map(|call| Order { tool: call.tool, arguments: call.arguments })
        .filter(is_sound)
        .take(MOST_ORDERS)
        .collect()
}

fn response(orders: Vec<Order>, read_by: String) -> ReadOrdersResponse {
    let orders = orders
        .into_iter()
        .map(|order| ProtoOrder { tool: order.tool, arguments: order.arguments })
        .collect();
    ReadOrdersResponse { orders, read_by }
}
