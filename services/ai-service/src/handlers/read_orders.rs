use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

use ery_proto::ai::v1::{Order as ProtoOrder, ReadOrdersRequest, ReadOrdersResponse};

use crate::{
    adapters::{Chain, Deltas, Spent},
    domain::{
        builtin,
        conversation::{Answer, MemberMessage, Order, Stop, ToolSpec, Turn, TurnRequest},
        grounds,
        prompts::{self, Prompts},
    },
    error::CallError,
    metrics::Metrics,
};

use super::parse;

/// How many acts one message may order.
const MOST_ORDERS: usize = 10;

/// Enough for every call that is allowed, and no room for more.
const MOST_OUTPUT_TOKENS: u32 = 1_000;

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
    readers: Option<&Chain>,
    prompts: &Prompts,
    metrics: &Metrics,
    request: ReadOrdersRequest,
    within: Option<Duration>,
) -> Result<ReadOrdersResponse, CallError> {
    let message = request.message.ok_or(CallError::Missing { field: "message" })?;
    let message = parse::member_message_of(message, "member".to_owned(), true)?;
    let place = parse::place(request.bot_id, request.bot_name, request.now_ms);
    let tools = parse::tools(request.tools);
    let orders = builtin::orders(&message, &place, &tools);
    let readers = readers.filter(|_| {
        orders.is_empty() && !tools.is_empty() && !builtin::withholds(&message, &place)
    });
    let own_words = builtin::own_words(&message.text, &place);
    let prompt = prompts.get(prompts::ORDERS);
    let Some(((readers, own_words), prompt)) = readers.zip(own_words).zip(prompt) else {
        metrics.orders(builtin::NAME, orders.len());
        return Ok(response(orders, builtin::NAME.to_owned(), Vec::new()));
    };
    // Nor is what it shows beside its text the asker's: a forward is somebody else's words.
    let message = MemberMessage { text: own_words, enclosures: Vec::new(), ..message };
    let turn = TurnRequest {
        instructions: prompt.fill(&place.bot_name, false),
        turns: vec![Turn::Members(vec![message.clone()])],
        tools,
        max_output_tokens: Some(MOST_OUTPUT_TOKENS),
        marker: Uuid::new_v4().simple().to_string(),
        place,
    };
    let (orders, read_by, spent) = match readers.ask(&turn, &Deltas::default(), within).await {
        Ok(answered) => {
            let orders = orders_of(answered.answer, &turn.tools, &message);
            (orders, answered.model.to_owned(), answered.spent)
        }
        Err(error) => {
            tracing::warn!(error = %error, "could not ask the model for a message's orders; reading none");
            let asked = readers.providers().next().map(|(_, model)| model.to_owned());
            (Vec::new(), asked.unwrap_or_default(), error.spent)
        }
    };
    metrics.orders("model", orders.len());
    Ok(response(orders, read_by, spent))
}

/// Takes the calls that are sound: offered, whole, with an object for arguments, and told by the
/// message itself, whose text is without quotes.
fn orders_of(answer: Answer, tools: &[ToolSpec], message: &MemberMessage) -> Vec<Order> {
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
        .filter(|order| {
            let is_told = grounds::stands_in(order, message, &message.text);
            if !is_told {
                tracing::debug!(
                    tool = order.tool,
                    message.id = %message.id,
                    "the model read an order that the message does not hold; it needs a click"
                );
            }
            is_told
        })
        .take(MOST_ORDERS)
        .collect()
}

fn response(orders: Vec<Order>, read_by: String, spent: Vec<Spent>) -> ReadOrdersResponse {
    let orders = orders
        .into_iter()
        .map(|order| ProtoOrder { tool: order.tool, arguments: order.arguments })
        .collect();
    let spent = spent.into_iter().map(Into::into).collect();
    ReadOrdersResponse { orders, read_by, spent }
}
