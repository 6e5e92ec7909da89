use bytes::Bytes;
use twilight_model::id::{
    Id,
    marker::{MessageMarker, UserMarker},
};

use ery_clock::UnixMillis;
use ery_enclosures::Enclosure;

/// What a model is asked, once.
#[derive(Clone, Debug)]
pub(crate) struct TurnRequest {
    pub(crate) instructions: String,
    pub(crate) turns: Vec<Turn>,
    pub(crate) tools: Vec<ToolSpec>,
    /// `None`: the provider's own bound.
    pub(crate) max_output_tokens: Option<u32>,
    /// Stands in front of member text, which cannot contain it.
    pub(crate) marker: String,
    pub(crate) place: Place,
}

/// Where a conversation takes place, and who Ery is there.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) bot: Option<Id<UserMarker>>,
    pub(crate) bot_name: String,
    pub(crate) now: UnixMillis,
}

/// A tool that the model may call.
#[derive(Clone, Debug)]
pub(crate) struct ToolSpec {
    pub(crate) name: String,
    pub(crate) description: String,
    /// JSON Schema of the arguments, as text.
    pub(crate) parameters: String,
}

/// A part of the conversation.
#[derive(Clone, Debug)]
pub(crate) enum Turn {
    Members(Vec<MemberMessage>),
    /// Pictures that belong to messages before.
    Images(Vec<Image>),
    /// Texts of files that belong to messages before.
    Files(Vec<TextFile>),
    Assistant {
        text: String,
        calls: Vec<ToolCall>,
    },
    Results(Vec<ToolResult>),
    /// By Ery's own code.
    Note(String),
    /// What was said before.
    Summary(Summary),
}

/// What a model made of people's messages: data, as they are.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    pub(crate) text: String,
    /// The times of the first and the last message that it was made of.
    pub(crate) from: UnixMillis,
    pub(crate) until: UnixMillis,
    pub(crate) messages: u32,
}

/// A message as a member wrote it: data, whatever it says.
#[derive(Clone, Debug)]
pub(crate) struct MemberMessage {
    pub(crate) id: Id<MessageMarker>,
    pub(crate) author: Id<UserMarker>,
    pub(crate) author_name: String,
    pub(crate) rights: String,
    pub(crate) text: String,
    pub(crate) at: UnixMillis,
    pub(crate) reply_to: Option<Id<MessageMarker>>,
    pub(crate) reply_to_author: Option<Id<UserMarker>>,
    pub(crate) mentions: Vec<Mention>,
    pub(crate) attachments: Vec<Attachment>,
    /// What it shows beside its text; not its author's own words.
    pub(crate) enclosures: Vec<Enclosure>,
    pub(crate) is_to_be_answered: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Mention {
    pub(crate) user: Id<UserMarker>,
    pub(crate) name: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Attachment {
    pub(crate) filename: String,
    pub(crate) content_type: String,
    pub(crate) size_bytes: u64,
}

/// A picture that belongs to a message.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) message: Id<MessageMarker>,
    pub(crate) media_type: String,
    /// Empty until it is fetched.
    pub(crate) data: Bytes,
    /// Where it is fetched.
    pub(crate) url: String,
}

/// The text of a file that belongs to a message: data, whatever it says.
#[derive(Clone, Debug)]
pub(crate) struct TextFile {
    pub(crate) message: Id<MessageMarker>,
    pub(crate) filename: String,
    /// Where it is fetched.
    pub(crate) url: String,
    /// As much of its beginning as the model is given.
    pub(crate) max_bytes: usize,
    /// Empty until it is fetched.
    pub(crate) text: String,
    pub(crate) is_cut: bool,
}

/// A call as the model wrote it; its arguments are possibly no JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ToolCall {
    pub(crate) id: String,
    pub(crate) tool: String,
    pub(crate) arguments: String,
    /// The provider's own; goes back to it with the call.
    pub(crate) signature: String,
}

/// What became of a call.
#[derive(Clone, Debug)]
pub(crate) struct ToolResult {
    pub(crate) call_id: String,
    pub(crate) tool: String,
    pub(crate) content: String,
    pub(crate) is_error: bool,
}

/// What a model answered, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) calls: Vec<ToolCall>,
    pub(crate) stop: Stop,
    pub(crate) usage: Usage,
    /// As the provider named it in the answer.
    pub(crate) model: String,
    pub(crate) provider_request_id: String,
}

/// Why a model stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Done,
    ToolCalls,
    /// The output reached its bound; calls that stood in it are left out, for they may be cut.
    Length,
    Refused,
}

/// Tokens that an answer cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) prompt: u64,
    pub(crate) completion: u64,
    /// Part of `prompt`: read from the provider's cache.
    pub(crate) cached: u64,
    /// Part of `prompt`: written to the provider's cache.
    pub(crate) cache_written: u64,
}

/// An act that a message orders, its targets as the text names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) tool: String,
    pub(crate) arguments: String,
}
