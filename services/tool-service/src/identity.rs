//! Who Ery is to Discord.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use tokio::sync::OnceCell;
use twilight_model::id::{
    Id,
    marker::{ApplicationMarker, UserMarker},
};

use crate::adapters::discord::{Discord, Method, Request, RestError, wire::RawUser};

#[derive(Deserialize)]
struct RawApplication {
    id: Id<ApplicationMarker>,
}

/// Ery's user and application, each asked for once, and anew when there is reason to doubt it: behind
/// the same token there may be another bot, as when a simulated Discord begins anew.
pub(crate) struct Identity {
    discord: Arc<Discord>,
    known: Mutex<Known>,
}

#[derive(Clone, Default)]
struct Known {
    bot: Arc<OnceCell<Id<UserMarker>>>,
    application: Arc<OnceCell<Id<ApplicationMarker>>>,
    /// Who a session was of, when its word was last doubted.
    doubted_for: Option<Id<UserMarker>>,
}

impl Identity {
    pub(crate) fn new(discord: Arc<Discord>) -> Self {
        Self { discord, known: Mutex::default() }
    }

    /// Returns Ery's own user.
    pub(crate) async fn bot(&self) -> Result<Id<UserMarker>, RestError> {
        let known = self.known();
        let bot = known.bot.get_or_try_init(|| async {
            let route = "users/@me";
            let request = Request::new(Method::Get, route, route, 0, self.discord.send_by());
            let user: RawUser = self.discord.repeatedly(&request).await?.json()?;
            Ok::<_, RestError>(user.id)
        });
        Ok(*bot.await?)
    }

    /// Returns Ery's own user if it was asked for.
    pub(crate) fn known_bot(&self) -> Option<Id<UserMarker>> {
        self.locked().bot.get().copied()
    }

    /// Returns Ery's application, whose commands are registered.
    pub(crate) async fn application(&self) -> Result<Id<ApplicationMarker>, RestError> {
        let known = self.known();
        let application = known.application.get_or_try_init(|| async {
            let route = "applications/@me";
            let send_by = self.discord.send_by();
            let request = Request::new(Method::Get, route, route, 0, send_by).in_background();
            let application: RawApplication = self.discord.repeatedly(&request).await?.json()?;
            Ok::<_, RestError>(application.id)
        });
        Ok(*application.await?)
    }

    /// Forgets who Ery is if that is somebody else than whoever the gateway's session is of, and
    /// returns whether it did.
    ///
    /// Once for each of them: where the gateway has another bot's token, asking again is of no use.
    pub(crate) fn session_is_of(&self, bot: Id<UserMarker>) -> bool {
        let mut known = self.locked();
        let is_doubtful =
            known.doubted_for != Some(bot) && known.bot.get().is_some_and(|ours| *ours != bot);
        if is_doubtful {
            *known = Known { doubted_for: Some(bot), ..Known::default() };
        }
        is_doubtful
    }

    /// Returns Ery's application, asked for anew; where that is another one, so is the user.
    pub(crate) async fn application_anew(&self) -> Result<Id<ApplicationMarker>, RestError> {
        let before = self.known().application.get().copied();
        self.locked().application = Arc::default();
        let application = self.application().await?;
        if before.is_some_and(|before| before != application) {
            self.locked().bot = Arc::default();
        }
        Ok(application)
    }

    fn known(&self) -> Known {
        self.locked().clone()
    }

    fn locked(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
