use async_trait::async_trait;

use crate::domain::{
    builtin,
    conversation::{Answer, TurnRequest},
};

use super::{Deltas, Provider, ProviderError};

/// Answers without a model and without a network.
#[derive(Debug)]
pub(crate) struct BuiltinProvider;

#[async_trait]
impl Provider for BuiltinProvider {
    fn name(&self) -> &str {
        builtin::NAME
    }

    fn model(&self) -> &str {
        builtin::NAME
    }

    async fn ask(&self, request: &TurnRequest, deltas: &Deltas) -> Result<Answer, ProviderError> {
        let answer = builtin::answer(request);
        deltas.say(&answer.text);
        Ok(answer)
    }
}
