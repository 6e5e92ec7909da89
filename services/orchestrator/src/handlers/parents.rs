use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use twilight_model::id::{Id, marker::ChannelMarker};

use ery_ids::ChannelKey;

use crate::{
    adapters::tools::{HangsOn, Tools},
    error::CallError,
};

/// Of how many channels it is remembered what they hang on; past it all are asked for anew.
const REMEMBERED: usize = 100_000;

/// The channels that threads hang on: a thread keeps its own for ever.
#[derive(Debug, Default)]
pub(crate) struct Parents {
    known: Mutex<HashMap<ChannelKey, Option<Id<ChannelMarker>>>>,
}

impl Parents {
    /// Returns the channel that a thread hangs on; none for what is no thread.
    ///
    /// # Errors
    ///
    /// If nobody can tell now.
    pub(crate) async fn of(
        &self,
        channel: ChannelKey,
        tools: &Tools,
    ) -> Result<Option<Id<ChannelMarker>>, CallError> {
        if channel.guild().is_none() {
            return Ok(None);
        }
        if let Some(known) = self.lock().get(&channel) {
            return Ok(*known);
        }
        match tools.describe_channel(channel).await {
            Ok(HangsOn::Channel(parent)) => Ok(self.learnt(channel, Some(parent))),
            Ok(HangsOn::Nothing) => Ok(self.learnt(channel, None)),
            Ok(HangsOn::Unknown)
            | Err(CallError::Refused { .. } | CallError::Unreadable { .. }) => Ok(None),
            Err(error @ (CallError::Unavailable { .. } | CallError::Fenced { .. })) => Err(error),
        }
    }

    fn learnt(
        &self,
        channel: ChannelKey,
        parent: Option<Id<ChannelMarker>>,
    ) -> Option<Id<ChannelMarker>> {
        let mut known = self.lock();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(channel, parent);
        parent
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ChannelKey, Option<Id<ChannelMarker>>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
