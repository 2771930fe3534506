//! Keeps requests from waiting on a part that is down: Redis here, a vector database elsewhere.

use std::error::Error;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::metrics::Gauge;
use opentelemetry::{KeyValue, global};
use tracing::{info, warn};

/// Failures in a row after which nobody asks any more.
const FAILURES_MAX: u32 = 5;

/// How long nobody asks; then one request tries. Also how long that one may take before another may try in its place.
const PAUSE: Duration = Duration::from_secs(1);

/// A circuit breaker in front of one part. Says in the log when the part goes and when it is back, once each, and
/// in the metric `toolweaver_breaker_state` how it is.
///
/// ```text
///            5 failures in a row            1 s                    answer
/// closed ────────────────────────▶ open ─────────▶ half-open ────────────────▶ closed
///                                   ▲                  │ failure
///                                   └──────────────────┘       no word within 1 s: another one tries
/// ```
#[derive(Debug)]
pub struct Breaker {
    part: &'static str,
    phase: Mutex<Phase>,
    gauge: Gauge<u64>,
}

/// How a [`Breaker`] is. The numbers are those of the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Everybody asks.
    Closed = 0,
    /// One request tries whether the part is back; the others do not ask.
    HalfOpen = 1,
    /// Nobody asks.
    Open = 2,
}

/// Why [`Breaker::guard`] has no value.
#[derive(Debug, thiserror::Error)]
pub enum BreakerError<E: Error + 'static> {
    /// The part was not asked.
    #[error("not asked, because it is known to be down")]
    Open,
    /// The part was asked.
    #[error("asked in vain")]
    Failed(#[source] E),
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Closed { failures: u32 },
    HalfOpen { next_try: Instant },
    Open { next_try: Instant },
}

impl Breaker {
    /// A closed breaker. Create it after telemetry was started. `part` is its name in the log and in the metric.
    pub fn new(part: &'static str) -> Self {
        let gauge = global::meter("toolweaver.breaker")
            .u64_gauge("toolweaver_breaker_state")
            .with_description("Whether a part is asked: 0 closed, 1 half-open, 2 open")
            .build();
        let breaker = Self { part, phase: Mutex::new(Phase::Closed { failures: 0 }), gauge };
        breaker.enter(&mut breaker.phase(), Phase::Closed { failures: 0 });
        breaker
    }

    /// Makes the call if the breaker admits it, and learns from how it ends. A call that is cancelled teaches nothing.
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

    /// Whether this request may ask. Whoever asks then says how it went: [`Self::succeeded`] or [`Self::failed`].
    pub fn admits(&self) -> bool {
        self.admits_at(Instant::now())
    }

    /// The part answered.
    pub fn succeeded(&self) {
        let mut phase = self.phase();
        if !matches!(*phase, Phase::Closed { .. }) {
            info!(part = self.part, "the part answers again");
        }
        self.enter(&mut phase, Phase::Closed { failures: 0 });
    }

    /// The part did not answer.
    pub fn failed(&self, error: &dyn Error) {
        self.failed_at(Instant::now(), error);
    }

    /// How it is.
    pub fn state(&self) -> BreakerState {
        self.phase().state()
    }

    fn admits_at(&self, now: Instant) -> bool {
        let mut phase = self.phase();
        match *phase {
            Phase::Closed { .. } => true,
            Phase::HalfOpen { next_try } | Phase::Open { next_try } if now >= next_try => {
                // The others keep out until this one knows; but should it never tell, not for ever.
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
                let cause = error.source().map(ToString::to_string).unwrap_or_default();
                warn!(part = self.part, %error, cause, "the part does not answer: going on without it");
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
        self.gauge.record(next.state() as u64, &[KeyValue::new("part", self.part)]);
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

    /// A breaker that opened at this time.
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

    #[tokio::test]
    async fn a_guarded_call_is_not_made_while_the_part_is_down() {
        let breaker = Breaker::new("test");
        for _ in 0..FAILURES_MAX {
            let failed = breaker.guard(async { Err::<(), _>(Late) }).await;
            assert!(matches!(failed, Err(BreakerError::Failed(Late))));
        }
        let mut was_asked = false;
        let call = async {
            was_asked = true;
            Ok::<_, Late>(())
        };
        assert!(matches!(breaker.guard(call).await, Err(BreakerError::Open)));
        assert!(!was_asked);
    }
}
