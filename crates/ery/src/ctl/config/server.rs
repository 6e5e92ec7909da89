//! What the server itself has, as far as that can be asked: whether what is set names something.

use std::{collections::BTreeSet, fmt::Write as _, time::Duration};

use serde_json::Value;
use twilight_model::id::Id;

use ery_community_config::{Difference, Named, Present, Subject, keys};
use ery_ids::{Home, ServiceName};
use ery_proto::tool::v1::{DescribeGuildRequest, tool_service_client::ToolServiceClient};
use ery_rpc::within;

use super::invalid;
use crate::{ctl::connection, failure::Failure, settings::Settings};

/// How long it is waited for: what cannot be asked is not in the way.
const PATIENCE: Duration = Duration::from_secs(5);

/// A change was compared with what the server has.
#[derive(Debug, Default)]
pub(super) struct Checked {
    named: BTreeSet<(Subject, String)>,
    untold: BTreeSet<(Subject, String)>,
    /// Why nothing could be compared.
    because: Option<String>,
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
        checked.because = present.err().filter(|_| !checked.untold.is_empty());
        Ok(checked)
    }

    /// Returns whether what a change names is known to be there; none where it names nothing.
    pub(super) fn is_checked(&self, difference: &Difference) -> Option<bool> {
        let of = (difference.subject, difference.path.clone());
        self.named.contains(&of).then(|| !self.untold.contains(&of))
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

/// Returns which roles and channels the server has, or why that cannot be told.
pub(super) async fn present(
    home: u64,
    ids: &[(Named, u64)],
    settings: &Settings,
) -> Result<Present, String> {
    let Some(guild) = Id::new_checked(home).filter(|_| !ids.is_empty()) else {
        return Ok(Present::default());
    };
    let asked = async {
        let tools = connection::peers(settings, ServiceName::ToolService)
            .await
            .map_err(|failure| failure.text().to_owned())?;
        let channels = ids.iter().filter(|(named, _)| *named == Named::Channel).map(|(_, id)| *id);
        let request =
            DescribeGuildRequest { guild_id: home, user_id: 0, channel_ids: channels.collect() };
        let mut client = ToolServiceClient::new(tools.of(Home::Guild(guild)));
        let told = client.describe_guild(within(PATIENCE, request)).await;
        let told = told.map_err(|status| format!("the tool-service says: {}", status.message()))?;
        Ok(Present::from(&told.into_inner()))
    };
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(answer) => answer,
        Err(_) => Err("the tool-service does not answer".to_owned()),
    }
}
