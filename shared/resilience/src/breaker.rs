//! Circuit breaker: keeps requests from waiting for a dependency that is known to be down.

use std::error::Error;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry::metrics::Gauge;
use opentelemetry::{KeyValue, global};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::error_chain;

/// Consecutive failures that open the breaker.
const FAILURES_MAX: u32 = 5;

/// Time for which an open breaker admits nothing; then one request tries. A try that takes longer is followed
/// by another.
const PAUSE: Duration = Duration::from_secs(1);

/// Circuit breaker in front of one dependency. Logs when the dependency goes and when it is back, once each,
/// and exports its state as the metric `toolweaver_breaker_state`.
///
/// ```text
///            5 failures in a row            1 s                    answer
/// closed ────────────────────────▶ open ─────────▶ half-open ────────────────▶ closed
///                                   ▲                  │ failure
///                                   └──────────────────┘       no word within 1 s: another one tries
/// ```
#[derive(Debug)]
pub struct Breaker {
    dependency: &'static str,
    phase: Mutex<Phase>,
    gauge: Gauge<u64>,
}

/// State of a [`Breaker`]. The numbers are those of the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Every call is admitted.
    Closed = 0,
    /// One call tries whether the dependency is back; the others are not admitted.
    HalfOpen = 1,
    /// No call is admitted.
    Open = 2,
}

/// Error of a call behind a [`Breaker`].
#[derive(Debug, thiserror::Error)]
pub enum BreakerError<E: Error + 'static> {
    /// The call was not made.
    #[error("not called, because it is known to be down")]
    Open,
    /// The call was made and failed.
    #[error("the call failed")]
    Failed(#[source] E),
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Closed { failures: u32 },
    HalfOpen { next_try: Instant },
    Open { next_try: Instant },
}

impl Breaker {
    /// Creates a closed breaker, after telemetry was started. `dependency` is its name in logs and in the
    /// metric.
    pub fn new(dependency: &'static str) -> Self {
        let gauge = global::meter("toolweaver.breaker")
            .u64_gauge("toolweaver_breaker_state")
            .with_description("Whether a dependency is called: 0 closed, 1 half-open, 2 open")
            .build();
        let breaker = Self { dependency, phase: Mutex::new(Phase::Closed { failures: 0 }), gauge };
        breaker.enter(&mut breaker.phase(), Phase::Closed { failures: 0 });
        breaker
    }

    /// Makes the call if the breaker admits it, and counts its result. A call that is cancelled counts as
    /// neither.
    pub async fn guard<T, E: Error + 'static>(
        &self,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, BreakerError<E>> {
        if !self.admits() {
            return Err(BreakerError::Open);
        }
        match call.await {
            Ok(value) => {
                self.succeeded();
                Ok(value)
            }
            Err(error) => {
                self.failed(&error);
                Err(BreakerError::Failed(error))
            }
        }
    }

    /// Returns whether a call may be made. The caller then reports its result: [`Self::succeeded`] or
    /// [`Self::failed`].
    pub fn admits(&self) -> bool {
        self.admits_at(Instant::now())
    }

    /// Counts a call that the dependency answered.
    pub fn succeeded(&self) {
        let mut phase = self.phase();
        if !matches!(*phase, Phase::Closed { .. }) {
            info!(dependency = self.dependency, "the dependency answers again");
        }
        self.enter(&mut phase, Phase::Closed { failures: 0 });
    }

    /// Counts a call that the dependency did not answer.
    pub fn failed(&self, error: &dyn Error) {
        self.failed_at(Instant::now(), error);
    }

    /// Returns the current state.
    pub fn state(&self) -> BreakerState {
        self.phase().state()
    }

    fn admits_at(&self, now: Instant) -> bool {
        let mut phase = self.phase();
        match *phase {
            Phase::Closed { .. } => true,
            Phase::HalfOpen { next_try } | Phase::Open { next_try } if now >= next_try => {
                // The others keep out until this one knows; but should it never tell, not forever.
                self.enter(&mut phase, Phase::HalfOpen { next_try: now + PAUSE });
                true
            }
            Phase::HalfOpen { .. } | Phase::Open { .. } => false,
        }
    }

    fn failed_at(&self, now: Instant, error: &dyn Error) {
        let mut phase = self.phase();
        let next = match *phase {
            Phase::Closed { failures } if failures + 1 < FAILURES_MAX => {
                Phase::Closed { failures: failures + 1 }
            }
            Phase::Closed { .. } => {
                let (dependency, error) = (self.dependency, error_chain(error));
                warn!(dependency, %error, "the dependency does not answer: going on without it");
                Phase::Open { next_try: now + PAUSE }
            }
            Phase::HalfOpen { .. } => Phase::Open { next_try: now + PAUSE },
            // Asked before the breaker opened, and late: the next try is not put off for that.
            open @ Phase::Open { .. } => open,
        };
        self.enter(&mut phase, next);
    }

    fn enter(&self, phase: &mut Phase, next: Phase) {
        *phase = next;
        // The label is older than the word: queries and alerts of operators know it.
        self.gauge.record(next.state() as u64, &[KeyValue::new("part", self.dependency)]);
    }

    fn phase(&self) -> MutexGuard<'_, Phase> {
        // No code that can panic runs under this lock.
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Phase {
    fn state(self) -> BreakerState {
        match self {
            Self::Closed { .. } => BreakerState::Closed,
            Self::HalfOpen { .. } => BreakerState::HalfOpen,
            Self::Open { .. } => BreakerState::Open,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Error as Late;

    use super::*;

    /// Creates a breaker that opened at this time.
    fn open_since(now: Instant) -> Breaker {
        let breaker = Breaker::new("test");
        for _ in 0..FAILURES_MAX {
            assert!(breaker.admits_at(now));
            breaker.failed_at(now, &Late);
        }
        assert_eq!(breaker.state(), BreakerState::Open);
        breaker
    }

    #[test]
    fn opens_after_some_failures_lets_one_try_and_closes_on_success() {
        let now = Instant::now();
        let breaker = open_since(now);
        assert!(!breaker.admits_at(now));

        let later = now + PAUSE;
        assert!(breaker.admits_at(later), "one may try");
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        assert!(!breaker.admits_at(later), "only one");
        breaker.failed_at(later, &Late);
        assert_eq!(breaker.state(), BreakerState::Open);
        assert!(!breaker.admits_at(later));

        assert!(breaker.admits_at(later + PAUSE));
        breaker.succeeded();
        assert_eq!(breaker.state(), BreakerState::Closed);
        assert!(breaker.admits_at(later + PAUSE));
    }

    #[test]
    fn a_success_between_failures_keeps_it_closed() {
        let breaker = Breaker::new("test");
        for _ in 0..3 {
            for _ in 1..FAILURES_MAX {
                breaker.failed(&Late);
            }
            breaker.succeeded();
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn a_try_that_never_tells_is_followed_by_another() {
        let now = Instant::now();
        let breaker = open_since(now);
        assert!(breaker.admits_at(now + PAUSE));
        assert!(!breaker.admits_at(now + PAUSE * 3 / 2));
        assert!(breaker.admits_at(now + PAUSE * 2));
    }

    #[test]
    fn late_failures_do_not_put_the_next_try_off() {
        let now = Instant::now();
        let breaker = open_since(now);
        breaker.failed_at(now + PAUSE / 2, &Late);
        assert!(breaker.admits_at(now + PAUSE));
    }

    #[tokio::test(start_paused = true)]
    async fn a_guarded_call_is_not_made_while_the_dependency_is_down() {
        let breaker = Breaker::new("test");
        for _ in 0..FAILURES_MAX {
            let failed = breaker.guard(async { Err::<(), _>(Late) }).await;
            assert!(matches!(failed, Err(BreakerError::Failed(Late))));
        }
        let mut was_called = false;
        let call = async {
            was_called = true;
            Ok::<_, Late>(())
        };
        assert!(matches!(breaker.guard(call).await, Err(BreakerError::Open)));
        assert!(!was_called);

        tokio::time::advance(PAUSE).await;
        assert!(breaker.guard(async { Ok::<_, Late>(()) }).await.is_ok());
        assert_eq!(breaker.state(), BreakerState::Closed);
    }
}
