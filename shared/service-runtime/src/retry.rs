//! Trying again what failed for a passing reason. The only place that touches the `backoff` crate.
//!
//! Clients that retry by themselves are not wrapped in this: fred, the NATS connection, the OTLP exporter.
//! Whether an error is worth another try is a property of the error; the caller hands that in.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use backoff::backoff::Backoff;
use backoff::{ExponentialBackoff, ExponentialBackoffBuilder};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How long to wait between two attempts, and when to give up.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// The wait after the first failure. Each further one is 1.5 times as long, ± 50 %.
    pub initial_wait: Duration,
    /// The longest wait, before the ± 50 %.
    pub max_wait: Duration,
    /// Give up when another wait would end later than this after the first attempt; none means never.
    pub max_elapsed: Option<Duration>,
}

impl Policy {
    /// Never gives up; waits 100 ms at first and 5 s at most.
    pub const fn for_ever() -> Self {
        Self { initial_wait: Duration::from_millis(100), max_wait: Duration::from_secs(5), max_elapsed: None }
    }

    /// The same, but gives up after this time.
    pub const fn within(max_elapsed: Duration) -> Self {
        Self { max_elapsed: Some(max_elapsed), ..Self::for_ever() }
    }

    fn waits(&self) -> ExponentialBackoff {
        ExponentialBackoffBuilder::new()
            .with_initial_interval(self.initial_wait)
            .with_max_interval(self.max_wait)
            .with_max_elapsed_time(self.max_elapsed)
            .build()
    }
}

/// Why [`retry`] has no result.
#[derive(Debug)]
pub enum RetryError<E> {
    /// The service was told to stop while waiting for the next attempt.
    Stopped {
        /// What the last attempt said.
        source: E,
    },
    /// The error was not transient, or the time was up. This is what the last attempt said.
    Failed {
        /// What the last attempt said.
        source: E,
    },
}

impl<E> RetryError<E> {
    /// What the last attempt said.
    pub fn into_source(self) -> E {
        match self {
            Self::Stopped { source } | Self::Failed { source } => source,
        }
    }
}

impl<E> fmt::Display for RetryError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stopped { .. } => "told to stop between two attempts",
            Self::Failed { .. } => "the last attempt failed",
        })
    }
}

impl<E: Error + 'static> Error for RetryError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Stopped { source } | Self::Failed { source } => Some(source),
        }
    }
}

/// Calls `attempt` until it succeeds, fails for good, the policy gives up, or `stop` is cancelled between two
/// attempts (a running attempt is never cut off).
///
/// `what` completes "cannot …" in the log, for example `reach Qdrant`. The first failure and the recovery are
/// logged, the attempts between them are not.
pub async fn retry<T, E, F, A>(
    policy: &Policy,
    stop: &CancellationToken,
    what: &str,
    is_transient: impl Fn(&E) -> bool,
    mut attempt: F,
) -> Result<T, RetryError<E>>
where
    E: fmt::Display,
    F: FnMut() -> A,
    A: Future<Output = Result<T, E>>,
{
    let mut waits = policy.waits();
    let mut failures: u64 = 0;
    loop {
        let source = match attempt().await {
            Ok(value) => {
                if failures > 0 {
                    info!(failures, "can {what} again");
                }
                return Ok(value);
            }
            Err(source) => source,
        };
        if !is_transient(&source) {
            return Err(RetryError::Failed { source });
        }
        let Some(wait) = waits.next_backoff() else { return Err(RetryError::Failed { source }) };
        if failures == 0 {
            warn!(error = %source, "cannot {what}, trying again");
        }
        failures += 1;
        if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
            return Err(RetryError::Stopped { source });
        }
    }
}
