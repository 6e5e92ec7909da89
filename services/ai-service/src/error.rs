use std::path::PathBuf;

use prost::Message as _;
use tonic::{Code, Status};

use ery_proto::ai::v1::{KeyTrouble as ProtoTrouble, RefusedKey as ProtoRefusedKey, SpentInVain};
use ery_settings::InvalidSetting;

use crate::{
    adapters::{GuildKeys, KeyTrouble, ProviderError, RefusedKey, Spent, TurnError, Unanswered},
    domain::prompts::PromptProblem,
};

/// Why the service could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AiError {
    #[error(transparent)]
    Setting(#[from] InvalidSetting),
    #[error("the prompt `{}` cannot be used: {reason}", path.display())]
    Prompt { path: PathBuf, reason: PromptProblem },
    #[error("could not make the HTTP client of the model provider")]
    Client(#[source] reqwest::Error),
}

/// Why a call was not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("`{field}` is missing or zero")]
    Missing { field: &'static str },
    #[error("`marker` must have at least 8 letters or digits, and nothing else")]
    Marker,
    #[error("`images` must be png, jpeg, gif or webp, with either data or an address")]
    Image,
    #[error("there is no prompt of the name that `prompt` gives")]
    Prompt,
    #[error("no model is set, and the built-in commands cannot do this")]
    NoModel,
    #[error("`keys` must be of visible ASCII characters alone")]
    Key,
    #[error("there is no provider that takes one of the server's own keys")]
    KeysNotTaken { keys: Vec<RefusedKey> },
    #[error(transparent)]
    Turn(#[from] Unanswered),
}

impl CallError {
    pub(crate) fn keys_not_taken(keys: &GuildKeys) -> Self {
        let refused = |(provider, _): &(String, _)| RefusedKey {
            provider: provider.clone(),
            trouble: KeyTrouble::NoProvider,
        };
        Self::KeysNotTaken { keys: keys.keys.iter().map(refused).collect() }
    }

    /// Says what the caller may do.
    ///
    /// `UNAVAILABLE` is not among them: it means trouble on the way to this service, which the
    /// transport reports; a provider that cannot be reached is `RESOURCE_EXHAUSTED`, try later.
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Missing { .. } | Self::Marker | Self::Image | Self::Prompt | Self::Key => {
                Code::InvalidArgument
            }
            Self::NoModel | Self::KeysNotTaken { .. } => Code::FailedPrecondition,
            Self::Turn(Unanswered { error: TurnError::Final(error), .. }) => match error {
                ProviderError::Key { .. }
                | ProviderError::Credit { .. }
                | ProviderError::NotFound { .. }
                | ProviderError::Moved { .. } => Code::FailedPrecondition,
                ProviderError::ToolSchema { .. } | ProviderError::Refused { .. } => {
                    Code::InvalidArgument
                }
                ProviderError::Limited { .. }
                | ProviderError::Failed { .. }
                | ProviderError::Unreachable
                | ProviderError::Silent
                | ProviderError::BrokeOff
                | ProviderError::Nonsense
                | ProviderError::TooLong => Code::ResourceExhausted,
            },
            Self::Turn(Unanswered {
                error:
                    TurnError::Exhausted { .. }
                    | TurnError::BreakerOpen { .. }
                    | TurnError::QuietAsked { .. }
                    | TurnError::OutOfTime { .. },
                ..
            }) => Code::ResourceExhausted,
        }
    }

    /// Returns what the call cost although it brought nothing, and which of the guild's keys are why.
    fn details(&self) -> (&[Spent], &[RefusedKey]) {
        match self {
            Self::Turn(unanswered) => (&unanswered.spent, &unanswered.refused_keys),
            Self::KeysNotTaken { keys } => (&[], keys),
            Self::Missing { .. }
            | Self::Marker
            | Self::Image
            | Self::Prompt
            | Self::NoModel
            | Self::Key => (&[], &[]),
        }
    }
}

impl From<CallError> for Status {
    fn from(error: CallError) -> Self {
        let (spent, refused_keys) = error.details();
        let details = SpentInVain {
            spent: spent.iter().cloned().map(Into::into).collect(),
            refused_keys: refused_keys.iter().map(refused_key).collect(),
            is_out_of_time: matches!(
                &error,
                CallError::Turn(Unanswered { error: TurnError::OutOfTime { .. }, .. })
            ),
        };
        let (code, message) = (error.code(), error.to_string());
        if details == SpentInVain::default() {
            return Self::new(code, message);
        }
        Self::with_details(code, message, details.encode_to_vec().into())
    }
}

fn refused_key(refused: &RefusedKey) -> ProtoRefusedKey {
    let trouble = match refused.trouble {
        KeyTrouble::NotAccepted => ProtoTrouble::NotAccepted,
        KeyTrouble::NoCredit => ProtoTrouble::NoCredit,
        KeyTrouble::NoModel => ProtoTrouble::NoModel,
        KeyTrouble::NoProvider => ProtoTrouble::NoProvider,
    };
    ProtoRefusedKey { provider: refused.provider.clone(), trouble: trouble.into() }
}
