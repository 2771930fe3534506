//! Keeps requests from waiting on a store that is down.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::{info, warn};

use crate::store::StoreError;

/// Failures in a row after which nobody asks any more.
const FAILURES_MAX: u32 = 5;

/// How long nobody asks; then one request tries.
const PAUSE: Duration = Duration::from_secs(1);

/// Closed (asks), or open (does not ask, but for one try a pause). Says each change in the log, once.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// While open: when the next try is due.
    next_try: Option<Instant>,
}

impl Breaker {
    /// Whether this request may ask. A `true` must be followed by [`Self::succeeded`] or [`Self::failed`].
    pub(crate) fn admits(&self, now: Instant) -> bool {
        let mut state = self.state();
        match state.next_try {
            None => true,
            Some(due) if now >= due => {
                // The others keep out until this one knows.
                state.next_try = Some(now + PAUSE);
                true
            }
            Some(_) => false,
        }
    }

    pub(crate) fn succeeded(&self) {
        let mut state = self.state();
        if state.next_try.is_some() {
            info!("the cache store answers again");
        }
        *state = State::default();
    }

    pub(crate) fn failed(&self, now: Instant, error: &StoreError) {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        if state.failures < FAILURES_MAX {
            return;
        }
        if state.next_try.is_none() {
            let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            warn!(%error, cause, "the cache store does not answer: going on without it");
        }
        state.next_try = Some(now + PAUSE);
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state().next_try.is_some()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use fred::error::{Error, ErrorKind};

    use super::*;

    #[test]
    fn opens_after_some_failures_lets_one_try_and_closes_on_success() {
        let breaker = Breaker::default();
        let error = StoreError::Get(Error::new(ErrorKind::Timeout, "late"));
        let now = Instant::now();
        for _ in 0..FAILURES_MAX {
            assert!(breaker.admits(now));
            breaker.failed(now, &error);
        }
        assert!(breaker.is_open());
        assert!(!breaker.admits(now));

        let later = now + PAUSE;
        assert!(breaker.admits(later), "one may try");
        assert!(!breaker.admits(later), "only one");
        breaker.failed(later, &error);
        assert!(!breaker.admits(later));

        assert!(breaker.admits(later + PAUSE));
        breaker.succeeded();
        assert!(!breaker.is_open());
        assert!(breaker.admits(later + PAUSE));
    }

    #[test]
    fn a_success_between_failures_keeps_it_closed() {
        let breaker = Breaker::default();
        let error = StoreError::Get(Error::new(ErrorKind::Timeout, "late"));
        let now = Instant::now();
        for _ in 0..3 {
            for _ in 1..FAILURES_MAX {
                breaker.failed(now, &error);
            }
            breaker.succeeded();
        }
        assert!(!breaker.is_open());
    }
}
