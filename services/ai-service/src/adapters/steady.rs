use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::{sync::Semaphore, time::Instant};

use crate::{
    domain::{
        breaker::{Admission, Breaker},
        conversation::{Answer, TurnRequest},
    },
    metrics::Metrics,
    settings::Settings,
};

use super::{Provider, ProviderError};

/// Asks a provider until it answers, within bounds: attempts, time, how many at once, a breaker.
#[derive(Clone, Debug)]
pub(crate) struct SteadyProvider {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    provider: Arc<dyn Provider>,
    breaker: Mutex<Breaker>,
    started: Instant,
    permits: Semaphore,
    turn_timeout: Duration,
    attempts: u32,
    backoff: ExponentialBuilder,
    metrics: Metrics,
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

/// Says that a wait would end after the turn.
struct TurnIsOver;

fn secs(span: Duration) -> String {
    format!("{} s", span.as_millis().div_ceil(1_000))
}

impl SteadyProvider {
    pub(crate) fn new(provider: Arc<dyn Provider>, settings: &Settings, metrics: Metrics) -> Self {
        let backoff = ExponentialBuilder::default()
            .with_min_delay(settings.backoff_base)
            .with_max_delay(settings.backoff_max)
            .with_max_times(usize::try_from(settings.attempts).unwrap_or(usize::MAX))
            .with_jitter();
        let breaker = Breaker::new(settings.breaker_failures, settings.breaker_open);
        Self {
            inner: Arc::new(Inner {
                provider,
                breaker: Mutex::new(breaker),
                started: Instant::now(),
                permits: Semaphore::new(settings.max_parallel),
                turn_timeout: settings.turn_timeout,
                attempts: settings.attempts,
                backoff,
                metrics,
            }),
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.inner.provider.name()
    }

    pub(crate) fn model(&self) -> &str {
        self.inner.provider.model()
    }

    /// Asks for a turn.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the attempt under way; a probe of the breaker is given back.
    ///
    /// # Errors
    ///
    /// When the provider's answer is final, or its bounds are reached.
    pub(crate) async fn ask(&self, request: &TurnRequest) -> Result<Answer, TurnError> {
        let inner = &*self.inner;
        let begun = Instant::now();
        let turn = inner.metrics.turn_began(inner.provider.name());
        let limit = inner.turn_timeout;
        let answered = tokio::time::timeout(limit, inner.ask_until_answered(request, begun)).await;
        let answered = answered.unwrap_or(Err(TurnError::OutOfTime { limit }));
        turn.ended(&answered, begun.elapsed());
        answered
    }
}

impl Inner {
    async fn ask_until_answered(
        &self,
        request: &TurnRequest,
        begun: Instant,
    ) -> Result<Answer, TurnError> {
        let _permit = self.permits.acquire().await.expect("the semaphore is never closed");
        let mut waits = self.backoff.build();
        let mut last = None;
        let mut attempt = 0;
        loop {
            let admission = self.breaker().admit(self.started.elapsed());
            let probe = match admission {
                Admission::Go => Probe { inner: self, is_judged: false },
                Admission::Wait(wait) => {
                    // Those who waited together do not come back together.
                    let jitter = Duration::from_millis(rand::random_range(0..250));
                    self.wait_within_turn(wait + jitter, begun)
                        .await
                        .map_err(|_| TurnError::QuietAsked { wait })?;
                    continue;
                }
                Admission::Refused(wait) => {
                    return Err(match last {
                        Some(last) => TurnError::Exhausted { attempts: attempt, last },
                        None => TurnError::BreakerOpen { wait },
                    });
                }
            };
            attempt += 1;
            let result = self.provider.ask(request).await;
            self.metrics.attempt(self.provider.name(), &result);
            let error = match result {
                Ok(answer) => {
                    probe.succeeded();
                    return Ok(answer);
                }
                Err(error) => error,
            };
            probe.failed(&error);
            tracing::debug!(attempt, error = %error, "an attempt brought no answer");
            if error.is_final() {
                return Err(TurnError::Final(error));
            }
            let wait = waits.next().unwrap_or_default();
            let wait = wait.max(error.retry_after().unwrap_or_default());
            if attempt >= self.attempts {
                return Err(TurnError::Exhausted { attempts: attempt, last: error });
            }
            if self.wait_within_turn(wait, begun).await.is_err() {
                return Err(match error.retry_after() {
                    Some(wait) => TurnError::QuietAsked { wait },
                    None => TurnError::Exhausted { attempts: attempt, last: error },
                });
            }
            last = Some(error);
        }
    }

    /// Waits, unless the turn would be over by then.
    async fn wait_within_turn(&self, wait: Duration, begun: Instant) -> Result<(), TurnIsOver> {
        if begun.elapsed().saturating_add(wait) >= self.turn_timeout {
            return Err(TurnIsOver);
        }
        tokio::time::sleep(wait).await;
        Ok(())
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An attempt under way; the breaker hears of its end, however it ends.
struct Probe<'a> {
    inner: &'a Inner,
    is_judged: bool,
}

impl Probe<'_> {
    fn succeeded(mut self) {
        self.is_judged = true;
        self.inner.breaker().succeeded();
        self.inner.metrics.breaker(self.inner.provider.name(), false);
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
        } else if breaker.failed(now) {
            tracing::warn!(
                provider = self.inner.provider.name(),
                error = %error,
                "the model provider fails repeatedly; leaving it alone for a while"
            );
        }
        let is_open = breaker.is_open();
        drop(breaker);
        self.inner.metrics.breaker(self.inner.provider.name(), is_open);
    }
}

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        if !self.is_judged {
            self.inner.breaker().abandoned(self.inner.started.elapsed());
        }
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

        async fn ask(&self, _: &TurnRequest) -> Result<Answer, ProviderError> {
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

    fn steady(provider: &Arc<ScriptedProvider>, settings: &Settings) -> SteadyProvider {
        let provider: Arc<dyn Provider> = Arc::<ScriptedProvider>::clone(provider);
        SteadyProvider::new(provider, settings, Metrics::new())
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
        let limit = Duration::from_secs(9);
        let begun = Instant::now();
        assert_eq!(
            steady(&provider, &settings).ask(&request()).await,
            Err(TurnError::OutOfTime { limit })
        );
        assert_eq!(begun.elapsed(), limit);
    }

    #[tokio::test(start_paused = true)]
    async fn the_breaker_opens_probes_and_closes() {
        let provider =
            ScriptedProvider::new([Err(FAILED), Err(FAILED), Err(FAILED), Ok(()), Ok(())]);
        let settings = Settings {
            attempts: 1,
            breaker_failures: 2,
            breaker_open: Duration::from_secs(15),
            ..Settings::default()
        };
        let steady = steady(&provider, &settings);
        for _ in 0..2 {
            assert!(matches!(steady.ask(&request()).await, Err(TurnError::Exhausted { .. })));
        }
        let wait = Duration::from_secs(15);
        assert_eq!(steady.ask(&request()).await, Err(TurnError::BreakerOpen { wait }));
        assert_eq!(provider.attempts(), 2);
        // The first probe fails, the second closes it.
        tokio::time::sleep(wait).await;
        assert!(matches!(steady.ask(&request()).await, Err(TurnError::Exhausted { .. })));
        assert!(matches!(steady.ask(&request()).await, Err(TurnError::BreakerOpen { .. })));
        tokio::time::sleep(wait).await;
        steady.ask(&request()).await.unwrap();
        steady.ask(&request()).await.unwrap();
        assert_eq!(provider.attempts(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_does_not_open_the_breaker() {
        let limited = ProviderError::Limited { status: 429, retry_after: None };
        let provider = ScriptedProvider::new(vec![Err(limited); 5]);
        let settings = Settings { attempts: 6, breaker_failures: 2, ..Settings::default() };
        steady(&provider, &settings).ask(&request()).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_is_dropped_leaves_room_for_the_next() {
        let provider = Arc::new(ScriptedProvider {
            script: Mutex::new([Err(FAILED)].into()),
            ..Default::default()
        });
        let settings = Settings {
            attempts: 1,
            breaker_failures: 1,
            breaker_open: Duration::from_secs(1),
            ..Settings::default()
        };
        let steady = steady(&provider, &settings);
        steady.ask(&request()).await.unwrap_err();
        tokio::time::sleep(Duration::from_secs(1)).await;
        // Admitted as the probe, then dropped before it is answered.
        let now = steady.inner.started.elapsed();
        assert_eq!(steady.inner.breaker().admit(now), Admission::Go);
        let probe = Probe { inner: &steady.inner, is_judged: false };
        assert!(matches!(steady.ask(&request()).await, Err(TurnError::BreakerOpen { .. })));
        drop(probe);
        steady.ask(&request()).await.unwrap();
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
