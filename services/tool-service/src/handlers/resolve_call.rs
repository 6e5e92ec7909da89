use std::slice;

use twilight_model::id::Id;

use ery_ids::TriggerId;
use ery_proto::tool::v1::{ResolveCallRequest, ResolveCallResponse};

use super::channel_key;
use crate::{
    error::CallError,
    patience::Question,
    pipeline::UNANSWERED,
    resolve::{Problem, Scene, Sight},
    service::Shared,
    tools,
};

/// Puts a call into its one exact form. Says nothing of whether it is allowed.
pub(super) async fn handle(
    shared: &Shared,
    request: ResolveCallRequest,
) -> Result<ResolveCallResponse, CallError> {
    let channel = channel_key(request.guild_id, request.channel_id)?;
    let problem = |problem: String| ResolveCallResponse { arguments: String::new(), problem };
    let Some(entry) = tools::find(&request.tool) else {
        return Ok(problem("There is no such tool.".into()));
    };
    let parameters = match entry.parse(&request.arguments, shared.settings.max_arguments_bytes) {
        Ok(parameters) => parameters,
        Err(mistake) => return Ok(problem(mistake)),
    };
    let asker = Id::new_checked(request.asker_id);
    let sight = match &asker {
        Some(asker) => Sight::People(slice::from_ref(asker)),
        // A caller of an earlier version: what is not seen is refused when it is called.
        None => Sight::All,
    };
    let scene = Scene {
        discord: &shared.discord,
        guilds: &shared.guilds,
        guild: channel.guild(),
        here: channel.channel,
        sight,
        trigger: request.trigger_id.parse::<TriggerId>().ok().and_then(|it| it.message()),
        filter: &shared.filter,
        executions: &shared.executions,
        now: shared.clock.now(),
    };
    let key = format!("{}/{}/{}", request.trigger_id, request.tool, request.arguments);
    let place = format!("{}/{}", request.tool, channel.home.key());
    let question = Question { key: &key, place };
    let resolved = entry.tool.resolve_json(parameters, &scene).await;
    let unanswered = match &resolved {
        Err(Problem::Unknown(error)) => Some(error.clone()),
        _ => None,
    };
    if let Some(error) = unanswered {
        let error = CallError::from(error);
        return if shared.gives_up(&question, &error) {
            Ok(problem(UNANSWERED.into()))
        } else {
            Err(error)
        };
    }
    shared.patience.answered(&question);
    match resolved {
        Ok(act) => Ok(ResolveCallResponse { arguments: act.to_string(), problem: String::new() }),
        Err(Problem::Unclear(sentence) | Problem::Ambiguous(sentence)) => Ok(problem(sentence)),
        Err(Problem::Unknown(error)) => Err(error.into()),
        Err(Problem::Unread(error)) => Err(CallError::from(error)),
    }
}
