use super::{chat::Chat, gathered::Gathered};
use crate::{
    adapters::{Deltas, ProviderError},
    domain::conversation::{Answer, Usage},
};

/// How many bytes of text have a token at the least.
const BYTES_OF_A_TOKEN: usize = 3;

/// One request to a provider, which is paid for however it ends.
///
/// What an attempt cost that brings no answer is counted when it ends, and when it is dropped in its
/// midst: its time is over, and nobody tells what it cost.
pub(super) struct Attempt<'a> {
    pub(super) answer: Gathered,
    pub(super) deltas: &'a Deltas,
    /// What it costs at the most, where nobody tells; none once it is settled.
    bound: Option<Usage>,
}

impl<'a> Attempt<'a> {
    /// Begins an attempt that is about to be sent.
    pub(super) fn begin(deltas: &'a Deltas, chat: &Chat, max_output_tokens: Option<u32>) -> Self {
        let prompt = tokens(chat.bytes);
        let bound = Usage {
            prompt,
            completion: max_output_tokens.map_or(prompt, u64::from),
            ..Usage::default()
        };
        Self { answer: Gathered::default(), deltas, bound: Some(bound) }
    }

    /// Settles an attempt that has come to its end.
    pub(super) fn ended(mut self, answered: &Result<Answer, ProviderError>) {
        let is_paid_in_vain = match answered {
            // The answer itself tells what it cost.
            Ok(_) => false,
            Err(error) => self.answer.has_begun() || may_be_billed(error),
        };
        if !is_paid_in_vain {
            self.bound = None;
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let Some(bound) = self.bound.take() else { return };
        match self.answer.usage {
            // Some count what is written only at the end.
            Some(told) => {
                let written = self.answer.written().div_ceil(4);
                let written = u64::try_from(written).unwrap_or(u64::MAX);
                let completion = told.completion.max(written);
                self.deltas.spent_in_vain(Usage { completion, ..told }, false);
            }
            None => self.deltas.spent_in_vain(bound, true),
        }
    }
}

/// Whether a provider may send a bill for a request of which it told nothing else: it was sent, and
/// not refused.
fn may_be_billed(error: &ProviderError) -> bool {
    match error {
        ProviderError::Silent
        | ProviderError::BrokeOff
        | ProviderError::Nonsense
        | ProviderError::TooLong => true,
        ProviderError::ToolSchema { .. }
        | ProviderError::Key { .. }
        | ProviderError::Credit { .. }
        | ProviderError::NotFound { .. }
        | ProviderError::Moved { .. }
        | ProviderError::Refused { .. }
        | ProviderError::Limited { .. }
        | ProviderError::Failed { .. }
        | ProviderError::Unreachable => false,
    }
}

/// Returns a bound for the tokens of as much text.
pub(super) fn tokens(bytes: usize) -> u64 {
    u64::try_from(bytes.div_ceil(BYTES_OF_A_TOKEN)).unwrap_or(u64::MAX)
}
