use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::extract::{Path, State};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value};
use twilight_model::id::{Id, marker::GenericMarker};

use super::{ControlError, Reply, messages::AttachedFile, read};
use crate::{
    domain::{
        ApplicationId, ChannelId, CommandUse, Deed, InteractionId, LOCALES, MessageId,
        NewAttachment, UserId,
    },
    shared::{Shared, State as WorldState},
    wire,
};

/// The language of clients that say nothing else.
const DEFAULT_LOCALE: &str = "en-US";

/// How long an answer is waited for unless told otherwise, and at most.
const WAIT: Duration = Duration::from_secs(5);
const MAX_WAIT: Duration = Duration::from_mins(1);

#[derive(Debug, Deserialize)]
pub(super) struct Interacting {
    user_id: UserId,
    channel_id: ChannelId,
    /// Whose command it is; whoever offers it where it is not said.
    #[serde(default)]
    application_id: Option<ApplicationId>,
    /// The language of the person's client; American English where it is not said.
    #[serde(default)]
    locale: Option<String>,
    #[serde(flatten)]
    deed: Doing,
    /// Whether to wait for the bot's answer.
    #[serde(default)]
    wait: bool,
    #[serde(default)]
    wait_ms: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Doing {
    Command {
        command: String,
        #[serde(default)]
        options: Map<String, Value>,
        #[serde(default)]
        target_id: Option<Id<GenericMarker>>,
    },
    Autocomplete {
        command: String,
        #[serde(default)]
        options: Map<String, Value>,
        focused: String,
    },
    Button {
        message_id: MessageId,
        custom_id: String,
    },
    Select {
        message_id: MessageId,
        custom_id: String,
        #[serde(default)]
        values: Vec<String>,
    },
    Modal {
        interaction_id: InteractionId,
        #[serde(default)]
        fields: Map<String, Value>,
    },
}

type Files = HashMap<String, Vec<NewAttachment>>;

/// Takes the files out of what was given: objects with a `filename`, or lists of them.
fn take_files(fields: &mut Map<String, Value>) -> Result<Files, ControlError> {
    let is_file = |value: &Value| value.get("filename").is_some();
    let is_files = |value: &Value| {
        is_file(value)
            || value.as_array().is_some_and(|list| !list.is_empty() && list.iter().all(is_file))
    };
    let names: Vec<String> =
        fields.iter().filter(|(_, value)| is_files(value)).map(|(name, _)| name.clone()).collect();
    let mut files = Files::new();
    for name in names {
        let given = match fields.remove(&name) {
            Some(Value::Array(list)) => list,
            one => one.into_iter().collect(),
        };
        let mut read = Vec::with_capacity(given.len());
        for file in given {
            let file: AttachedFile = serde_json::from_value(file)
                .map_err(|error| ControlError::bad_request(format!("{name}: {error}")))?;
            read.push(file.read()?);
        }
        files.insert(name, read);
    }
    Ok(files)
}

impl Doing {
    fn read(self) -> Result<Deed, ControlError> {
        Ok(match self {
            Self::Command { command, mut options, target_id } => {
                let files = take_files(&mut options)?;
                let target = target_id.map(Id::get);
                Deed::Command(CommandUse { command, options, files, target, focused: None })
            }
            Self::Autocomplete { command, mut options, focused } => {
                let files = take_files(&mut options)?;
                let focused = Some(focused);
                Deed::Command(CommandUse { command, options, files, target: None, focused })
            }
            Self::Button { message_id: message, custom_id } => {
                Deed::Component { message, custom_id, values: Vec::new() }
            }
            Self::Select { message_id: message, custom_id, values } => {
                Deed::Component { message, custom_id, values }
            }
            Self::Modal { interaction_id: opened_by, mut fields } => {
                let files = take_files(&mut fields)?;
                Deed::Modal { opened_by, fields, files }
            }
        })
    }
}

/// `POST /sim/v1/interactions`: somebody uses a command, presses, chooses, or sends a form off.
pub(super) async fn interact(
    State(shared): State<Arc<Shared>>,
    body: Bytes,
) -> Result<Reply, ControlError> {
    let interacting: Interacting = read(&body)?;
    let wait = match (interacting.wait_ms, interacting.wait) {
        (Some(ms), _) => Duration::from_millis(ms).min(MAX_WAIT),
        (None, true) => WAIT,
        (None, false) => Duration::ZERO,
    };
    let deed = interacting.deed.read()?;
    let (user, channel) = (interacting.user_id, interacting.channel_id);
    let application = interacting.application_id;
    let locale = match interacting.locale.as_deref() {
        None => DEFAULT_LOCALE,
        Some(asked) => LOCALES.into_iter().find(|known| *known == asked).ok_or_else(|| {
            ControlError::bad_request(format!("{asked} is no language: {LOCALES:?}"))
        })?,
    };
    let mut answers = shared.lock().answers();
    let id =
        shared.act(|world, now| world.interact(user, channel, (application, locale), deed, now))?;
    let is_answered = |state: &WorldState| {
        state.world.interactions.get(id).is_ok_and(|found| found.answer.is_some())
    };
    // Running out of time is an answer too: the state tells that none came.
    let _out_of_time = tokio::time::timeout(wait, async {
        while !is_answered(&shared.lock()) {
            if answers.changed().await.is_err() {
                break;
            }
        }
    })
    .await;
    told(&shared, id).map(|value| Reply::created(&value))
}

fn told(shared: &Shared, id: InteractionId) -> Result<Value, ControlError> {
    let state = shared.lock();
    let interaction = state.world.interactions.get(id)?;
    Ok(wire::interaction_state(&state.world, interaction, shared.clock.now()))
}

/// `GET /sim/v1/interactions/{interaction}`: how it was answered so far.
pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<InteractionId>,
) -> Result<Reply, ControlError> {
    told(&shared, id).map(|value| Reply::json(&value))
}
