use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};
use tracing::Instrument;

use crate::{
    domain::{
        breaker::{Admission, Attempt, Breaker},
        conversation::{Answer, TurnRequest},
    },
    metrics::Metrics,
    settings::Settings,
};

use super::{Deltas, Provider, ProviderError, traced};

/// How far apart those come back who waited together, in milliseconds.
const SPREAD_MS: u64 = 250;

/// Asks a provider until it answers, within bounds: attempts, time, how many at once, a breaker.
#[derive(Clone, Debug)]
pub(crate) struct SteadyProvider {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    provider: Arc<dyn Provider>,
    breaker: Mutex<Breaker>,
    /// Counts the ends of attempts: those who wait for the breaker look at it anew.
    attempts_ended: watch::Sender<u64>,
    started: Instant,
    permits: Semaphore,
    waiting: Semaphore,
    breaker_wait: Duration,
    attempts: u32,
    backoff: ExponentialBuilder,
    /// Whether the gauge shows this breaker: that of the installation's own key.
    shows_breaker: bool,
    metrics: Metrics,
}

/// How long one provider may keep a turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Until its answer is whole.
    pub(crate) time: Duration,
    /// Until its answer begins, with all its attempts and the waits between them; and the longest silence
    /// within it.
    pub(crate) share: Duration,
    /// The longest wait for anything but an answer.
    pub(crate) wait: Duration,
}

/// Why a turn brought no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TurnError {
    /// Asking again would not help.
    #[error("{0}")]
    Final(ProviderError),
    #[error("gave up after {attempts} attempts: {last}")]
    Exhausted { attempts: u32, last: ProviderError },
    #[error("the model provider failed repeatedly and is left alone for {}", secs(*wait))]
    BreakerOpen { wait: Duration },
    #[error("the model provider asks to be left alone for {}", secs(*wait))]
    QuietAsked { wait: Duration },
    #[error("the model provider gave no whole answer within {}", secs(*limit))]
    OutOfTime { limit: Duration },
}

/// Says that a wait is longer than the turn may be kept.
struct TooLate;

fn secs(span: Duration) -> String {
    format!("{} s", span.as_millis().div_ceil(1_000))
}

impl SteadyProvider {
    pub(crate) fn new(provider: Arc<dyn Provider>, settings: &Settings, metrics: Metrics) -> Self {
        Self::made(provider, settings, metrics, true)
    }

    /// Makes one that asks on a guild's key. How it fares is no sign of how the provider does.
    pub(crate) fn on_guild_key(
        provider: Arc<dyn Provider>,
        settings: &Settings,
        metrics: Metrics,
    ) -> Self {
        Self::made(provider, settings, metrics, false)
    }

    fn made(
        provider: Arc<dyn Provider>,
        settings: &Settings,
        metrics: Metrics,
        shows_breaker: bool,
    ) -> Self {
        let backoff = ExponentialBuilder::default()
            .with_min_delay(settings.backoff_base)
            .with_max_delay(settings.backoff_max)
            .with_max_times(usize::try_from(settings.attempts).unwrap_or(usize::MAX))
            .with_jitter();
        let breaker = Breaker::new(
            settings.breaker_failures,
            settings.breaker_open_first.min(settings.breaker_open),
            settings.breaker_open,
        );
        Self {
            inner: Arc::new(Inner {
                provider,
                breaker: Mutex::new(breaker),
                attempts_ended: watch::Sender::new(0),
                started: Instant::now(),
                permits: Semaphore::new(settings.max_parallel),
                waiting: Semaphore::new(settings.breaker_waiting),
                breaker_wait: settings.breaker_wait,
                attempts: settings.attempts,
                backoff,
                shows_breaker,
                metrics,
            }),
        }
    }

    pub(crate) fn name(&self) -> &str {
        self.inner.provider.name()
    }

    pub(crate) fn model(&self) -> &str {
        self.inner.provider.model()
    }

    /// Returns whether both are one: what is known of the one is known of the other.
    #[cfg(test)]
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// Asks for a turn.
    ///
    /// While the breaker is open the turn waits for trials, as long as its time, `breaker_wait` and
    /// the bound of those who wait allow.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the attempt under way, or the wait; a trial of the breaker is given
    /// back.
    ///
    /// # Errors
    ///
    /// When the provider's answer is final, or its bounds are reached.
    pub(crate) async fn ask(
        &self,
        request: &TurnRequest,
        deltas: &Deltas,
        limits: Limits,
    ) -> Result<Answer, TurnError> {
        let inner = &*self.inner;
        let begun = Instant::now();
        let turn = inner.metrics.turn_began(inner.provider.name());
        let asking = Asking { request, deltas, limits, begun };
        let answered = tokio::time::timeout(limits.time, inner.ask_until_answered(&asking)).await;
        let answered = answered.unwrap_or(Err(TurnError::OutOfTime { limit: limits.time }));
        turn.ended(&answered, begun.elapsed());
        answered
    }
}

/// A turn as one provider has it.
struct Asking<'a> {
    request: &'a TurnRequest,
    deltas: &'a Deltas,
    limits: Limits,
    begun: Instant,
}

impl Asking<'_> {
    /// Returns how long may be waited until another attempt begins.
    fn time_left(&self) -> Duration {
        self.limits.share.saturating_sub(self.begun.elapsed())
    }

    /// Returns once the attempt under way is silent for too long.
    async fn silence(&self) {
        let Limits { share, .. } = self.limits;
        loop {
            let heard = self.deltas.last_heard();
            let until = heard.unwrap_or(self.begun) + share;
            tokio::time::sleep_until(until).await;
            if self.deltas.last_heard() == heard {
                return;
            }
        }
    }

    /// Waits, unless that would take the turn beyond its limits.
    async fn wait(&self, wait: Duration) -> Result<(), TooLate> {
        if wait > self.limits.wait || wait >= self.time_left() {
            return Err(TooLate);
        }
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

impl Inner {
    async fn ask_until_answered(&self, asking: &Asking<'_>) -> Result<Answer, TurnError> {
        let mut permit = Some(self.permit(asking).await?);
        let mut waits = self.backoff.build();
        let mut patience = self.breaker_wait.min(asking.limits.wait);
        let mut last = None;
        let mut attempt = 0;
        loop {
            if permit.is_none() {
                permit = Some(self.permit(asking).await?);
            }
            let mut attempts_ended = self.attempts_ended.subscribe();
            let admission = self.breaker().admit(self.started.elapsed());
            let probe = match admission {
                Admission::Go(attempt) => Probe { inner: self, attempt, is_judged: false },
                Admission::Quiet(wait) => {
                    let waited = asking.wait(wait + spread()).await;
                    waited.map_err(|_| TurnError::QuietAsked { wait })?;
                    continue;
                }
                Admission::Open(_) | Admission::Trial => {
                    // Who waits for the breaker is not with the provider.
                    permit = None;
                    let left = patience.min(asking.time_left());
                    let waited_from = Instant::now();
                    let trial = self.wait_for_trial(admission, &mut attempts_ended, left).await;
                    trial.map_err(|error| match last.take() {
                        Some(last) => TurnError::Exhausted { attempts: attempt, last },
                        None => error,
                    })?;
                    patience = patience.saturating_sub(waited_from.elapsed());
                    continue;
                }
            };
            attempt += 1;
            let attempt_begun = Instant::now();
            let (name, model) = (self.provider.name(), self.provider.model());
            let span = traced::attempt(name, model, attempt);
            let asked = self.provider.ask(asking.request, asking.deltas);
            let result = tokio::select! {
                result = asked.instrument(span.clone()) => result,
                () = asking.silence() => Err(ProviderError::Silent),
            };
            traced::ended(&span, &result);
            self.metrics.attempt(name, model, &result, attempt_begun.elapsed());
            let error = match result {
                Ok(answer) => {
                    probe.succeeded();
                    return Ok(answer);
                }
                Err(error) => error,
            };
            probe.failed(&error);
            asking.deltas.restart();
            tracing::debug!(attempt, error = %error, "an attempt brought no answer");
            if error.is_final() {
                return Err(TurnError::Final(error));
            }
            let wait = waits.next().unwrap_or_default();
            let wait = wait.max(error.retry_after().unwrap_or_default());
            if attempt >= self.attempts {
                return Err(TurnError::Exhausted { attempts: attempt, last: error });
            }
            if asking.wait(wait).await.is_err() {
                return Err(match error.retry_after() {
                    Some(wait) => TurnError::QuietAsked { wait },
                    None => TurnError::Exhausted { attempts: attempt, last: error },
                });
            }
            last = Some(error);
        }
    }

    async fn permit(
        &self,
        asking: &Asking<'_>,
    ) -> Result<tokio::sync::SemaphorePermit<'_>, TurnError> {
        let permit = tokio::time::timeout(asking.time_left(), self.permits.acquire()).await;
        let permit = permit.map_err(|_| TurnError::OutOfTime { limit: asking.limits.share })?;
        Ok(permit.expect("the semaphore is never closed"))
    }

    /// Waits until the breaker has to be looked at anew: the next trial is due, or one has ended.
    ///
    /// # Errors
    ///
    /// [`TurnError::BreakerOpen`] if that is not within `left`, or too many wait already.
    async fn wait_for_trial(
        &self,
        admission: Admission,
        attempts_ended: &mut watch::Receiver<u64>,
        left: Duration,
    ) -> Result<(), TurnError> {
        let due = match admission {
            Admission::Open(due) => Some(due),
            Admission::Go(_) | Admission::Quiet(_) | Admission::Trial => None,
        };
        let refused = TurnError::BreakerOpen { wait: due.unwrap_or_default() };
        if left.is_zero() || due.is_some_and(|due| due >= left) {
            return Err(refused);
        }
        let Ok(_place) = self.waiting.try_acquire() else { return Err(refused) };
        let _counted = Waiting::new(self);
        tokio::select! {
            _ = attempts_ended.changed() => {
                // Where the breaker closed, all who waited are let go at once.
                tokio::time::sleep(spread().min(left)).await;
                Ok(())
            }
            () = tokio::time::sleep(due.unwrap_or(left)) => match due {
                Some(_) => Ok(()),
                None => Err(refused),
            },
        }
    }

    fn show_breaker(&self, is_open: bool) {
        if self.shows_breaker {
            self.metrics.breaker(self.provider.name(), is_open);
        }
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Those who waited together do not come back together.
fn spread() -> Duration {
    Duration::from_millis(rand::random_range(0..SPREAD_MS))
}

/// A turn that waits for a trial, as long as it is counted as such.
struct Waiting<'a>(&'a Inner);

impl<'a> Waiting<'a> {
    fn new(inner: &'a Inner) -> Self {
        inner.metrics.breaker_waiting(inner.provider.name(), 1);
        Self(inner)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.metrics.breaker_waiting(self.0.provider.name(), -1);
    }
}

/// An attempt under way; the breaker hears of its end, however it ends.
struct Probe<'a> {
    inner: &'a Inner,
    attempt: Attempt,
    is_judged: bool,
}

impl Probe<'_> {
    fn succeeded(mut self) {
        self.is_judged = true;
        self.inner.breaker().succeeded();
        self.inner.show_breaker(false);
    }

    fn failed(mut self, error: &ProviderError) {
        self.is_judged = true;
        let now = self.inner.started.elapsed();
        let mut breaker = self.inner.breaker();
        if let Some(wait) = error.retry_after() {
            breaker.keep_quiet(now, wait);
        }
        if !error.is_illness() {
            // It answered, though not as we wished.
            breaker.succeeded();
        } else if breaker.failed(self.attempt, now, rand::random()) {
            tracing::warn!(
                provider = self.inner.provider.name(),
                error = %error,
                "the model provider fails repeatedly; leaving it alone for a while"
            );
        }
        let is_open = breaker.is_open();
        drop(breaker);
        self.inner.show_breaker(is_open);
    }
}

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        if !self.is_judged {
            self.inner.breaker().abandoned(self.attempt, self.inner.started.elapsed());
        }
        self.inner.attempts_ended.send_modify(|count| *count += 1);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use async_trait::async_trait;
    use tokio::sync::Notify;

    use super::*;
    use crate::domain::conversation::{Place, Stop, Usage};

    /// Gives the answers that it was told, one for each attempt, and notes when it was asked.
    #[derive(Debug, Default)]
    struct ScriptedProvider {
        script: Mutex<VecDeque<Result<(), ProviderError>>>,
        asked_at: Mutex<Vec<Instant>>,
        /// Whether it never answers at all.
        is_stalled: bool,
        asked: Notify,
    }

    impl ScriptedProvider {
        fn new(script: impl IntoIterator<Item = Result<(), ProviderError>>) -> Arc<Self> {
            let script = Mutex::new(script.into_iter().collect());
            Arc::new(Self { script, ..Self::default() })
        }

        fn attempts(&self) -> usize {
            self.asked_at.lock().unwrap().len()
        }

        /// Returns the spans between attempts.
        fn waits(&self) -> Vec<Duration> {
            self.asked_at.lock().unwrap().windows(2).map(|pair| pair[1] - pair[0]).collect()
        }
    }

    #[async_trait]
    impl Provider for ScriptedProvider {
        fn name(&self) -> &'static str {
            "scripted"
        }

        fn model(&self) -> &'static str {
            "scripted"
        }

        async fn ask(&self, _: &TurnRequest, _: &Deltas) -> Result<Answer, ProviderError> {
            self.asked_at.lock().unwrap().push(Instant::now());
            self.asked.notify_one();
            if self.is_stalled {
                std::future::pending::<()>().await;
            }
            let next = self.script.lock().unwrap().pop_front().unwrap_or(Ok(()));
            next.map(|()| Answer {
                text: "hello".into(),
                calls: Vec::new(),
                stop: Stop::Done,
                usage: Usage::default(),
                model: String::new(),
                provider_request_id: String::new(),
            })
        }
    }

    fn request() -> TurnRequest {
        TurnRequest {
            instructions: String::new(),
            turns: Vec::new(),
            tools: Vec::new(),
            max_output_tokens: None,
            marker: "M1".into(),
            place: Place { bot: None, bot_name: String::new(), now: ery_clock::UnixMillis(0) },
        }
    }

    fn steady(provider: &Arc<ScriptedProvider>, settings: &Settings) -> Steady {
        let provider: Arc<dyn Provider> = Arc::<ScriptedProvider>::clone(provider);
        let steady = SteadyProvider::new(provider, settings, Metrics::new());
        let time = settings.turn_timeout;
        let limits = Limits { time, share: time, wait: time };
        Steady { steady, limits }
    }

    /// A provider that nothing stands behind.
    struct Steady {
        steady: SteadyProvider,
        limits: Limits,
    }

    impl Steady {
        async fn ask(&self, request: &TurnRequest) -> Result<Answer, TurnError> {
            self.steady.ask(request, &Deltas::default(), self.limits).await
        }
    }

    const FAILED: ProviderError = ProviderError::Failed { status: 500, retry_after: None };

    #[tokio::test(start_paused = true)]
    async fn failures_are_retried_with_growing_waits() {
        let provider = ScriptedProvider::new([Err(FAILED), Err(ProviderError::BrokeOff), Ok(())]);
        let answer = steady(&provider, &Settings::default()).ask(&request()).await.unwrap();
        assert_eq!(answer.text, "hello");
        let waits = provider.waits();
        let bounds = [(500, 1_000), (1_000, 2_000)];
        for (wait, (from, to)) in waits.iter().zip(bounds) {
            assert!((from..=to).contains(&wait.as_millis()), "{waits:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_provider_asks_for_is_waited() {
        let retry_after = Some(Duration::from_secs(7));
        let limited = ProviderError::Limited { status: 429, retry_after };
        let provider = ScriptedProvider::new([Err(limited), Ok(())]);
        steady(&provider, &Settings::default()).ask(&request()).await.unwrap();
        assert!(provider.waits()[0] >= Duration::from_secs(7));
    }

    #[tokio::test(start_paused = true)]
    async fn quiet_that_was_asked_for_holds_for_every_turn() {
        let retry_after = Some(Duration::from_secs(7));
        let limited = ProviderError::Limited { status: 429, retry_after };
        let provider = ScriptedProvider::new([Err(limited)]);
        let settings = Settings { attempts: 1, ..Settings::default() };
        let steady = steady(&provider, &settings);
        let error = steady.ask(&request()).await.unwrap_err();
        assert!(matches!(error, TurnError::Exhausted { attempts: 1, .. }), "{error}");
        steady.ask(&request()).await.unwrap();
        assert!(provider.waits()[0] >= Duration::from_secs(7));
    }

    #[tokio::test(start_paused = true)]
    async fn quiet_beyond_the_turn_is_told_at_once() {
        let wait = Duration::from_hours(1);
        let limited = ProviderError::Limited { status: 429, retry_after: Some(wait) };
        let provider = ScriptedProvider::new([Err(limited)]);
        let steady = steady(&provider, &Settings::default());
        let begun = Instant::now();
        assert_eq!(steady.ask(&request()).await, Err(TurnError::QuietAsked { wait }));
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert_eq!(provider.attempts(), 1);
        assert!(matches!(steady.ask(&request()).await, Err(TurnError::QuietAsked { .. })));
        assert_eq!(provider.attempts(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_final_answer_is_not_asked_for_again() {
        let refused = ProviderError::Key { status: 401 };
        let provider = ScriptedProvider::new([Err(refused.clone())]);
        let error = steady(&provider, &Settings::default()).ask(&request()).await.unwrap_err();
        assert_eq!(error, TurnError::Final(refused));
        assert_eq!(provider.attempts(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_are_bounded() {
        let provider = ScriptedProvider::new(vec![Err(FAILED); 9]);
        let settings = Settings { attempts: 3, ..Settings::default() };
        let error = steady(&provider, &settings).ask(&request()).await.unwrap_err();
        assert_eq!(error, TurnError::Exhausted { attempts: 3, last: FAILED });
        assert_eq!(provider.attempts(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_is_bounded_in_time() {
        let provider = Arc::new(ScriptedProvider { is_stalled: true, ..Default::default() });
        let settings = Settings { turn_timeout: Duration::from_secs(9), ..Settings::default() };
        let begun = Instant::now();
        assert_eq!(
            steady(&provider, &settings).ask(&request()).await,
            Err(TurnError::Exhausted { attempts: 1, last: ProviderError::Silent })
        );
        assert_eq!(begun.elapsed(), Duration::from_secs(9));
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_silent_for_its_share_fails_and_who_speaks_may_end() {
        let stalled = || Arc::new(ScriptedProvider { is_stalled: true, ..Default::default() });
        let limits =
            Limits { time: Duration::from_mins(1), share: Duration::from_secs(20), wait: MINUTE };
        let begun = Instant::now();
        let settings = Settings { breaker_failures: 2, ..Settings::default() };
        let silent = steady(&stalled(), &settings).steady;
        for _ in 0..2 {
            silent.ask(&request(), &Deltas::default(), limits).await.unwrap_err();
        }
        assert_eq!(begun.elapsed(), Duration::from_secs(40));
        assert!(silent.inner.breaker().is_open(), "silence is a failure");

        let begun = Instant::now();
        let speaking = steady(&stalled(), &settings).steady;
        let deltas = Deltas::default();
        let speaks = async {
            for _ in 0..5 {
                tokio::time::sleep(Duration::from_secs(15)).await;
                deltas.heard();
            }
        };
        let request = request();
        let (ended, ()) = tokio::join!(speaking.ask(&request, &deltas, limits), speaks);
        assert_eq!(ended, Err(TurnError::OutOfTime { limit: MINUTE }));
        assert_eq!(begun.elapsed(), Duration::from_secs(75));
    }

    const MINUTE: Duration = Duration::from_mins(1);

    /// Opens after one failure, for a second at first.
    fn touchy() -> Settings {
        Settings {
            attempts: 1,
            breaker_failures: 1,
            breaker_open_first: Duration::from_secs(1),
            breaker_open: Duration::from_secs(8),
            ..Settings::default()
        }
    }

    /// Returns a provider that failed once, and the breaker open because of it.
    async fn opened(
        settings: &Settings,
        then: impl IntoIterator<Item = Result<(), ProviderError>>,
    ) -> (Arc<ScriptedProvider>, Steady) {
        let script = std::iter::once(Err(FAILED)).chain(then);
        let provider = ScriptedProvider::new(script);
        let steady = steady(&provider, settings);
        let error = steady.ask(&request()).await.unwrap_err();
        assert_eq!(error, TurnError::Exhausted { attempts: 1, last: FAILED });
        assert!(steady.steady.inner.breaker().is_open());
        (provider, steady)
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_waits_for_the_next_trial_and_is_answered() {
        let (provider, steady) = opened(&touchy(), []).await;
        steady.ask(&request()).await.unwrap();
        let wait = provider.waits()[0].as_millis();
        assert!((800..=1_200).contains(&wait), "{wait}");
        assert!(!steady.steady.inner.breaker().is_open());
        let begun = Instant::now();
        steady.ask(&request()).await.unwrap();
        assert_eq!(begun.elapsed(), Duration::ZERO, "nobody waits for a closed breaker");
    }

    #[tokio::test(start_paused = true)]
    async fn one_turn_tries_and_the_others_wait_for_what_comes_of_it() {
        // With more turns than may be with the provider: who waits is not with it.
        let settings = Settings { max_parallel: 1, ..touchy() };
        let (provider, steady) = opened(&settings, [Err(FAILED)]).await;
        let turns: Vec<_> = (0..5).map(|_| async { steady.ask(&request()).await }).collect();
        let answered = futures::future::join_all(turns).await;
        let failed = answered.iter().filter(|answered| answered.is_err()).count();
        assert_eq!(failed, 1, "the trial alone was an attempt that failed: {answered:?}");
        // The failure, the trial that failed, the trial that closed it, and the other three.
        assert_eq!(provider.attempts(), 6);
        let waits = provider.waits();
        assert!(waits[0] >= Duration::from_millis(800), "{waits:?}");
        assert!(waits[1] >= Duration::from_millis(1_600), "twice as long: {waits:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn no_turn_waits_for_trials_longer_than_its_bound() {
        let settings = Settings { breaker_wait: Duration::from_secs(5), ..touchy() };
        let (provider, steady) = opened(&settings, vec![Err(FAILED); 99]).await;
        let begun = Instant::now();
        let mut waiting = Vec::new();
        for _ in 0..10 {
            waiting.push(async {
                let error = steady.ask(&request()).await.unwrap_err();
                (error, begun.elapsed())
            });
        }
        let refused = futures::future::join_all(waiting).await;
        let is_refused = |error: &TurnError| matches!(error, TurnError::BreakerOpen { .. });
        assert!(refused.iter().filter(|(error, _)| is_refused(error)).count() >= 7, "{refused:?}");
        assert!(refused.iter().all(|(_, took)| *took <= Duration::from_secs(5)), "{refused:?}");
        assert!(provider.attempts() <= 4, "trials alone");
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_without_time_for_the_next_trial_is_told_at_once() {
        for settings in [
            Settings { breaker_wait: Duration::ZERO, ..touchy() },
            Settings { turn_timeout: Duration::from_millis(700), ..touchy() },
        ] {
            let (provider, steady) = opened(&settings, []).await;
            let begun = Instant::now();
            let refused = steady.ask(&request()).await;
            assert!(matches!(refused, Err(TurnError::BreakerOpen { .. })), "{refused:?}");
            assert_eq!(begun.elapsed(), Duration::ZERO);
            assert_eq!(provider.attempts(), 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_are_bounded_and_who_goes_away_makes_room() {
        let settings = Settings { breaker_waiting: 1, ..touchy() };
        let (_, steady) = opened(&settings, []).await;
        let request = request();
        let mut first = Box::pin(steady.ask(&request));
        assert!(futures::poll!(&mut first).is_pending());
        let refused = steady.ask(&request).await;
        assert!(matches!(refused, Err(TurnError::BreakerOpen { .. })), "{refused:?}");
        drop(first);
        steady.ask(&request).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_failed_before_the_breaker_opened_goes_on_with_the_trial() {
        let provider = ScriptedProvider::new([Err(FAILED), Err(FAILED), Ok(())]);
        let settings = Settings { attempts: 3, breaker_failures: 2, ..touchy() };
        steady(&provider, &settings).ask(&request()).await.unwrap();
        assert_eq!(provider.attempts(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_does_not_open_the_breaker() {
        let limited = ProviderError::Limited { status: 429, retry_after: None };
        let provider = ScriptedProvider::new(vec![Err(limited); 5]);
        let settings = Settings { attempts: 6, breaker_failures: 2, ..Settings::default() };
        steady(&provider, &settings).ask(&request()).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_trial_that_is_dropped_is_made_by_one_who_waits() {
        let (provider, steady) = opened(&touchy(), []).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        // Admitted as the trial, then dropped before it is answered.
        let now = steady.steady.inner.started.elapsed();
        let admission = steady.steady.inner.breaker().admit(now);
        assert_eq!(admission, Admission::Go(Attempt::Trial));
        let probe =
            Probe { inner: &steady.steady.inner, attempt: Attempt::Trial, is_judged: false };
        let request = request();
        let mut waiting = Box::pin(steady.ask(&request));
        assert!(futures::poll!(&mut waiting).is_pending());
        drop(probe);
        waiting.await.unwrap();
        assert_eq!(provider.attempts(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_the_permitted_turns_run_at_once() {
        let provider = Arc::new(ScriptedProvider { is_stalled: true, ..Default::default() });
        let settings = Settings { max_parallel: 1, ..Settings::default() };
        let steady = steady(&provider, &settings);
        let request = request();
        let mut first = Box::pin(steady.ask(&request));
        tokio::select! {
            _ = &mut first => panic!("the provider is stalled"),
            () = provider.asked.notified() => {}
        }
        let limit = settings.turn_timeout;
        assert_eq!(steady.ask(&request).await, Err(TurnError::OutOfTime { limit }));
        assert_eq!(provider.attempts(), 1);
    }
}
