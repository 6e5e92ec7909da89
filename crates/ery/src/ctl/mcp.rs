//! `ery ctl mcp`: credentials of MCP clients.

use serde::Serialize;
use twilight_model::id::{Id, marker::GuildMarker};

use ery_console::Token;
use ery_proto::store::v1::{
    CreateMcpCredentialRequest, ListMcpCredentialsRequest, McpCredential,
    RevokeMcpCredentialRequest,
};
use ery_rpc::{Transport, within};

use super::{Output, Row, TIMEOUT, answered, client, refused, view::moment};
use crate::{cli::Mcp, failure::Failure};

pub(super) async fn run(
    command: &Mcp,
    stores: &[Transport],
    output: &Output,
) -> Result<(), Failure> {
    match command {
        Mcp::Create { guild, user, channel, tools, name } => {
            let credential = McpCredential {
                guild_id: *guild,
                user_id: *user,
                channel_id: *channel,
                name: name.clone(),
                tools: tools.clone(),
                ..McpCredential::default()
            };
            create(credential, stores, output).await
        }
        Mcp::List { guild, limit } => {
            let (guild_id, limit) = (guild.unwrap_or(0), *limit);
            let request = ListMcpCredentialsRequest {
                guild_id,
                limit,
                ..ListMcpCredentialsRequest::default()
            };
            let credentials = list(stores, request).await?;
            output.list(&credentials.iter().map(CredentialView::from).collect::<Vec<_>>())
        }
        Mcp::Revoke { id } => revoke(id, stores, output).await,
    }
}

async fn create(
    mut credential: McpCredential,
    stores: &[Transport],
    output: &Output,
) -> Result<(), Failure> {
    if let Some(unknown) = credential.tools.iter().find(|tool| !ery_tool_service::is_tool(tool)) {
        return Err(Failure::internal(format!(
            "there is no tool `{unknown}`; docs/tools.md lists them"
        )));
    }
    let guild: Id<GuildMarker> = Id::new_checked(credential.guild_id)
        .ok_or_else(|| Failure::internal("--guild is 0, which is no server's id"))?;
    // The token is made here, and only its hash leaves this process but for the screen.
    let token = Token::random(guild);
    token.credential().clone_into(&mut credential.credential_id);
    let request = CreateMcpCredentialRequest {
        credential: Some(credential),
        token_hash: token.hash().to_vec(),
    };
    // A guild's store answers; another one of a cluster refuses what is not its own.
    let mut last = None;
    for store in stores {
        let answer = client(store).create_mcp_credential(within(TIMEOUT, request.clone())).await;
        match answer {
            Ok(answer) => {
                let Some(made) = answer.into_inner().credential else { continue };
                return show(&made, &token, output);
            }
            Err(status) => last = Some(refused(&status)),
        }
    }
    Err(last.unwrap_or_else(|| Failure::unavailable("no store took the credential")))
}

/// Shows a new credential with its token.
fn show(made: &McpCredential, token: &Token, output: &Output) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Made<'a> {
        #[serde(flatten)]
        credential: CredentialView,
        token: &'a str,
    }
    let view = CredentialView::from(made);
    if output.json {
        return Output::json(&Made { credential: view, token: token.expose() });
    }
    output.list(&[view])?;
    Output::write(&format!(
        "\nIts token, which is shown this once and kept nowhere:\n{}\n",
        token.expose()
    ))
}

async fn list(
    stores: &[Transport],
    request: ListMcpCredentialsRequest,
) -> Result<Vec<McpCredential>, Failure> {
    let limit = request.limit;
    let mut credentials = Vec::new();
    for store in stores {
        let answer = client(store).list_mcp_credentials(within(TIMEOUT, request.clone())).await;
        credentials.extend(answered(answer)?.credentials);
    }
    credentials.sort_by_key(|credential| std::cmp::Reverse(credential.created_at_ms));
    if limit > 0 {
        credentials.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    Ok(credentials)
}

async fn revoke(id: &str, stores: &[Transport], output: &Output) -> Result<(), Failure> {
    let unknown =
        || Failure::internal(format!("there is no credential {id}; see `ery ctl mcp list`"));
    let only = ListMcpCredentialsRequest {
        credential_id: id.to_owned(),
        ..ListMcpCredentialsRequest::default()
    };
    let known = list(stores, only).await?.into_iter().next();
    let guild_id = known.ok_or_else(unknown)?.guild_id;
    for store in stores {
        let request = RevokeMcpCredentialRequest { guild_id, credential_id: id.to_owned() };
        let answer = client(store).revoke_mcp_credential(within(TIMEOUT, request)).await;
        let revoked = answered(answer)?.credential;
        if let Some(revoked) = revoked {
            return output.list(&[CredentialView::from(&revoked)]);
        }
    }
    Err(unknown())
}

/// A credential, as a list shows it.
#[derive(Debug, Serialize)]
struct CredentialView {
    id: String,
    guild_id: String,
    user_id: String,
    channel_id: String,
    name: String,
    /// Empty: every tool.
    tools: Vec<String>,
    created_at_ms: i64,
    revoked_at_ms: Option<i64>,
    told_at_ms: Option<i64>,
}

impl From<&McpCredential> for CredentialView {
    fn from(credential: &McpCredential) -> Self {
        let optional = |at: i64| (at != 0).then_some(at);
        Self {
            id: credential.credential_id.clone(),
            guild_id: credential.guild_id.to_string(),
            user_id: credential.user_id.to_string(),
            channel_id: credential.channel_id.to_string(),
            name: credential.name.clone(),
            tools: credential.tools.clone(),
            created_at_ms: credential.created_at_ms,
            revoked_at_ms: optional(credential.revoked_at_ms),
            told_at_ms: optional(credential.told_at_ms),
        }
    }
}

impl Row for CredentialView {
    const HEADERS: &'static [&'static str] =
        &["ID", "GUILD", "USER", "CHANNEL", "CREATED", "REVOKED", "TOOLS", "NAME"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.guild_id.clone(),
            self.user_id.clone(),
            self.channel_id.clone(),
            moment(self.created_at_ms),
            self.revoked_at_ms.map_or_else(|| "-".to_owned(), moment),
            if self.tools.is_empty() { "all".to_owned() } else { self.tools.join(",") },
            self.name.clone(),
        ]
    }
}
