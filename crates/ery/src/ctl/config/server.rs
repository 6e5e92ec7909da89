//! What the server itself has, as far as that can be asked: whether what is set names something.

use std::{
    collections::BTreeSet,
    fmt::{self, Write as _},
    time::Duration,
};

use serde_json::Value;
use tonic::Code;
use twilight_model::id::Id;

use ery_community_config::{Difference, Named, Present, Subject, keys};
use ery_ids::{Home, ServiceName};
use ery_proto::tool::v1::{DescribeGuildRequest, tool_service_client::ToolServiceClient};
use ery_rpc::within;

use super::invalid;
use crate::{ctl::connection, failure::Failure, settings::Settings};

/// How long it is waited for: what cannot be asked is not in the way.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long it is waited for where something is told besides.
const SOON: Duration = Duration::from_secs(2);

/// Why it is not known what a server has.
#[derive(Debug)]
pub(super) enum NotTold {
    /// There is none of that id, or Ery is not in it.
    UnknownServer(u64),
    Unavailable(String),
}

impl fmt::Display for NotTold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownServer(id) => write!(
                f,
                "Ery is in no server with the id {id} (Discord shows a server's id by “Copy Server \
                 ID” in its menu, once Developer Mode is on in the settings, under Advanced)"
            ),
            Self::Unavailable(why) => f.write_str(why),
        }
    }
}

/// A change was compared with what the server has.
#[derive(Debug, Default)]
pub(super) struct Checked {
    named: BTreeSet<(Subject, String)>,
    untold: BTreeSet<(Subject, String)>,
    /// Why nothing could be compared.
    because: Option<NotTold>,
}

impl Checked {
    /// Compares what is to be set.
    ///
    /// # Errors
    ///
    /// Names a role or a channel that is not there, or is of a kind that does not fit.
    pub(super) async fn of<'a>(
        home: u64,
        set: impl IntoIterator<Item = (Subject, &'a str, &'a Value)>,
        settings: &Settings,
    ) -> Result<Self, Failure> {
        if home == 0 {
            // The installation names nothing of a server.
            return Ok(Self::default());
        }
        let set: Vec<_> = set.into_iter().collect();
        let ids: Vec<_> =
            set.iter().flat_map(|(subject, path, it)| keys().ids(*subject, path, it)).collect();
        let present = present(home, &ids, settings).await;
        let mut checked = Self::default();
        for (subject, path, value) in set {
            if keys().ids(subject, path, value).is_empty() {
                continue;
            }
            let is_told = match &present {
                Ok(present) => keys()
                    .check_present(subject, path, value, present)
                    .map_err(|error| invalid(&error))?,
                Err(_) => false,
            };
            checked.named.insert((subject, path.to_owned()));
            if !is_told {
                checked.untold.insert((subject, path.to_owned()));
            }
        }
        checked.because = present.err();
        Ok(checked)
    }

    /// Returns whether what a change names is known to be there; none where it names nothing.
    pub(super) fn is_checked(&self, difference: &Difference) -> Option<bool> {
        let of = (difference.subject, difference.path.clone());
        self.named.contains(&of).then(|| !self.untold.contains(&of))
    }

    /// Returns whether it was asked what the server has, and not told.
    pub(super) fn is_untold(&self) -> bool {
        self.because.is_some()
    }

    /// Says what could not be compared, and why.
    pub(super) fn remark(&self) -> String {
        let mut text = String::new();
        for (_, path) in &self.untold {
            let because = match &self.because {
                Some(because) => format!(": {because}"),
                None => ": Discord does not tell of it now".to_owned(),
            };
            writeln!(text, "`{path}` could not be compared with what the server has{because}.")
                .ok();
        }
        text
    }
}

/// Says that Ery is in no such server, where that is so: what is set for it would do nothing.
pub(super) async fn remark_on(home: u64, settings: &Settings) -> Option<String> {
    match tokio::time::timeout(SOON, described(home, &[], settings)).await {
        Ok(Err(unknown @ NotTold::UnknownServer(_))) => Some(format!("{unknown}.\n")),
        Ok(Ok(_) | Err(NotTold::Unavailable(_))) | Err(_) => None,
    }
}

/// Returns which roles and channels the server has, or why that cannot be told.
pub(super) async fn present(
    home: u64,
    ids: &[(Named, u64)],
    settings: &Settings,
) -> Result<Present, NotTold> {
    if ids.is_empty() {
        return Ok(Present::default());
    }
    described(home, ids, settings).await
}

async fn described(
    home: u64,
    ids: &[(Named, u64)],
    settings: &Settings,
) -> Result<Present, NotTold> {
    let Some(guild) = Id::new_checked(home) else { return Ok(Present::default()) };
    let asked = async {
        let tools = connection::peers(settings, ServiceName::ToolService)
            .await
            .map_err(|failure| NotTold::Unavailable(failure.text().to_owned()))?;
        let channels = ids.iter().filter(|(named, _)| *named == Named::Channel).map(|(_, id)| *id);
        let request =
            DescribeGuildRequest { guild_id: home, user_id: 0, channel_ids: channels.collect() };
        let mut client = ToolServiceClient::new(tools.of(Home::Guild(guild)));
        let told = client.describe_guild(within(PATIENCE, request)).await;
        let told = told.map_err(|status| match status.code() {
            Code::NotFound | Code::PermissionDenied => NotTold::UnknownServer(home),
            _ => NotTold::Unavailable(format!("the tool-service says: {}", status.message())),
        })?;
        Ok(Present::from(&told.into_inner()))
    };
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(answer) => answer,
        Err(_) => Err(NotTold::Unavailable("the tool-service does not answer".to_owned())),
    }
}
