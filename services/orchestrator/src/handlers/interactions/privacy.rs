//! `/privacy`: what a person can have of what is kept of them; each for themselves.

use std::{collections::BTreeMap, time::Duration};

use tonic::Status;

use ery_proto::store::v1::{
    CountPersonRequest, ExportPersonRequest, RequestDeletionRequest, SetLearningOptOutRequest,
    privacy_service_client::PrivacyServiceClient,
};
use ery_rpc::{Transport, within};

use crate::{
    domain::{
        commands::{
            interaction::Interaction,
            privacy::{PrivacyDeed, Scope, forget_button},
            reply::{Attached, Button, Message, quoted},
        },
        texts::Language,
    },
    error::CallError,
    handlers::holder::Holder,
};

/// How large an archive may be that Discord takes with an answer; its bound is 10 MiB for all files.
const LARGEST_ARCHIVE: usize = 9 << 20;

/// Every shard is looked through.
const LONG: Duration = Duration::from_mins(2);

/// What is kept, by the names that the store gives it.
const KINDS: &[(&str, &str)] = &[
    ("messages", "kept-messages"),
    ("names", "kept-names"),
    ("threads", "kept-threads"),
    ("executions", "kept-executions"),
    ("cases", "kept-cases"),
    ("approvals", "kept-approvals"),
    ("scheduled_actions", "kept-scheduled-actions"),
    ("learning_data", "kept-learning-data"),
    ("direct_channels", "kept-direct-channels"),
    ("config", "kept-config"),
    ("usage", "kept-usage"),
    ("mcp_credentials", "kept-mcp-credentials"),
    ("provider_keys", "kept-provider-keys"),
    ("dead_letters", "kept-dead-letters"),
];

/// Carries out what a person asks for themselves.
pub(super) async fn carry_out(
    holder: &Holder,
    it: &Interaction,
    deed: PrivacyDeed,
) -> Result<Message, CallError> {
    let language = it.language;
    let guild = match (deed.scope(), it.channel.guild()) {
        (Scope::Everywhere, _) => 0,
        (Scope::Server, Some(guild)) => guild.get(),
        (Scope::Server, None) => return Ok(Message::of(language.word("privacy-no-server"))),
    };
    let stores: Vec<_> =
        holder.store.peers.each().into_iter().map(PrivacyServiceClient::new).collect();
    if stores.is_empty() {
        return Err(unanswered(Status::unavailable("no store is running")));
    }
    let who = Who { user: it.user.get(), guild };
    match deed {
        PrivacyDeed::Export(_) => export(language, who, stores).await,
        PrivacyDeed::AskForget(scope) => ask_forget(language, who, scope, stores).await,
        PrivacyDeed::Forget(_) => forget(it, who, stores).await,
        PrivacyDeed::OptOut(_) => learn(language, who, true, stores).await,
        PrivacyDeed::OptIn(_) => learn(language, who, false, stores).await,
    }
}

type Client = PrivacyServiceClient<Transport>;

/// Whose data, and of which server; 0 for everything.
#[derive(Clone, Copy)]
struct Who {
    user: u64,
    guild: u64,
}

fn unanswered(status: Status) -> CallError {
    CallError::Unavailable { call: "PrivacyService", status: Box::new(status) }
}

/// Sends each store's archive along.
async fn export(language: Language, who: Who, stores: Vec<Client>) -> Result<Message, CallError> {
    let mut files = Vec::new();
    let mut size = 0;
    for (index, mut store) in stores.into_iter().enumerate() {
        let request = ExportPersonRequest { user_id: who.user, guild_id: who.guild };
        let answer = store.export_person(within(LONG, request)).await.map_err(unanswered)?;
        let mut parts = answer.into_inner();
        let mut bytes = Vec::new();
        loop {
            let Some(part) = parts.message().await.map_err(unanswered)? else {
                return Err(unanswered(Status::unavailable("an archive was broken off")));
            };
            size += part.part.len();
            if size > LARGEST_ARCHIVE {
                return Ok(Message::of(language.word("privacy-too-large")));
            }
            bytes.extend(part.part);
            if part.is_last {
                break;
            }
        }
        let number = if index == 0 { String::new() } else { format!("-{}", index + 1) };
        files.push(Attached { name: format!("ery{number}.zip"), bytes });
    }
    Ok(Message { files, ..Message::of(language.word("privacy-exported")) })
}

/// Says what a deletion would reach, and asks whether that is really wanted.
async fn ask_forget(
    language: Language,
    who: Who,
    scope: Scope,
    stores: Vec<Client>,
) -> Result<Message, CallError> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for mut store in stores {
        let request = CountPersonRequest { user_id: who.user, guild_id: who.guild };
        let answer = store.count_person(within(LONG, request)).await.map_err(unanswered)?;
        for count in answer.into_inner().counts {
            *counts.entry(count.kind).or_default() += count.rows;
        }
    }
    let heading = match scope {
        Scope::Server => language.word("privacy-forget-server"),
        Scope::Everywhere => language.word("privacy-forget-everywhere"),
    };
    let mut lines = vec![heading];
    let found = counts.iter().filter(|(_, rows)| **rows > 0);
    lines.extend(found.map(|(kind, rows)| format!("- {}: {rows}", kept(language, kind))));
    lines.push(language.word("privacy-forget-warning"));
    let label = language.word("privacy-forget-button");
    let button = Button { custom_id: forget_button(scope), label };
    Ok(Message { buttons: vec![button], ..Message::of(lines.join("\n")) })
}

/// Says what is kept; what a newer store keeps has no words here yet.
fn kept(language: Language, kind: &str) -> String {
    let known = KINDS.iter().find(|(of, _)| *of == kind);
    known.map_or_else(|| quoted(kind, 40), |(_, key)| language.word(key))
}

/// Asks every store to forget the person; a repeat of the click asks for the same.
async fn forget(it: &Interaction, who: Who, stores: Vec<Client>) -> Result<Message, CallError> {
    let id = format!("in-{}", it.id);
    for mut store in stores {
        let request = RequestDeletionRequest {
            deletion_id: id.clone(),
            user_id: who.user,
            guild_id: who.guild,
            // Discord's clock may be before ours.
            before_id: 0,
        };
        store.request_deletion(within(LONG, request)).await.map_err(unanswered)?;
    }
    let id = quoted(&id, 64);
    Ok(Message::of(it.language.say("privacy-forgotten", &[("id", (&id).into())])))
}

async fn learn(
    language: Language,
    who: Who,
    is_opted_out: bool,
    stores: Vec<Client>,
) -> Result<Message, CallError> {
    for mut store in stores {
        let request =
            SetLearningOptOutRequest { user_id: who.user, guild_id: who.guild, is_opted_out };
        store.set_learning_opt_out(within(LONG, request)).await.map_err(unanswered)?;
    }
    let key = if is_opted_out { "privacy-opted-out" } else { "privacy-opted-in" };
    Ok(Message::of(language.word(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_called_as_people_read_it() {
        assert_eq!(kept(Language::English, "scheduled_actions"), "planned acts");
        assert_eq!(kept(Language::German, "learning_data"), "Gelerntes");
        assert_eq!(kept(Language::German, "from_the_future"), "`from_the_future`");
    }
}
