//! Retry of a call that failed for a transient reason.
//!
//! Clients that retry by themselves are not wrapped in this: fred, the NATS connection, the OTLP exporter.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{BackoffPolicy, error_chain};

/// Retry of one operation: its name, its policy, and whoever watches it.
///
/// The first failure is logged, then each time that the number of attempts has doubled, and the recovery.
pub struct Retry<'a> {
    operation: &'a str,
    stop: &'a CancellationToken,
    address: Option<String>,
    policy: BackoffPolicy,
    observer: Box<Observer<'a>>,
}

/// Callback that sees each failed attempt.
type Observer<'a> = dyn FnMut(&FailedAttempt) + Send + 'a;

/// One failed attempt that is followed by another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedAttempt {
    /// Operation, as it completes "cannot …".
    pub operation: String,
    /// Address of the dependency, without credentials; none where the operation has none.
    pub address: Option<String>,
    /// Number of attempts so far, this one included.
    pub attempt: u64,
    /// Error with its causes, in one line.
    pub reason: String,
    /// Wait before the next attempt.
    pub next_attempt_in: Duration,
}

/// Error of a retry that ended without a result.
#[derive(Debug, thiserror::Error)]
pub enum RetryError<E: Error + 'static> {
    /// The service was told to stop between two attempts.
    #[error("told to stop between two attempts")]
    Stopped {
        /// Error of the last attempt.
        source: E,
    },
    /// The error was not transient, or the policy gave up.
    #[error("the last attempt failed")]
    Failed {
        /// Error of the last attempt.
        source: E,
    },
}

impl<'a> Retry<'a> {
    /// Creates a retry that never gives up before `stop` is cancelled.
    ///
    /// `operation` completes "cannot …" in logs, for example `reach NATS`.
    pub fn new(operation: &'a str, stop: &'a CancellationToken) -> Self {
        Self { operation, stop, address: None, policy: BackoffPolicy::FOREVER, observer: Box::new(|_| {}) }
    }

    /// Names the address that is called, without credentials.
    #[must_use]
    pub fn at(mut self, address: impl Into<String>) -> Self {
        self.address = Some(address.into());
        self
    }

    /// Sets the policy.
    #[must_use]
    pub fn policy(mut self, policy: BackoffPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Shows each failed attempt to `observer`, such as a readiness gate or the terminal.
    #[must_use]
    pub fn observe(mut self, observer: impl FnMut(&FailedAttempt) + Send + 'a) -> Self {
        self.observer = Box::new(observer);
        self
    }

    /// Calls `attempt` until it succeeds, fails for good, the policy gives up, or the service stops.
    ///
    /// Whether an error is transient is a property of the error. A running attempt is never cut off.
    pub async fn run<T, E, F, A>(
        mut self,
        is_transient: impl Fn(&E) -> bool,
        mut attempt: F,
    ) -> Result<T, RetryError<E>>
    where
        E: Error + 'static,
        F: FnMut() -> A,
        A: Future<Output = Result<T, E>>,
    {
        let mut waits = self.policy.waits();
        let mut failures: u64 = 0;
        loop {
            let source = match attempt().await {
                Ok(value) => {
                    if failures > 0 {
                        info!(address = self.address, failures, "can {} again", self.operation);
                    }
                    return Ok(value);
                }
                Err(source) => source,
            };
            failures += 1;
            if !is_transient(&source) {
                return Err(RetryError::Failed { source });
            }
            let Some(wait) = waits.next_wait() else { return Err(RetryError::Failed { source }) };
            self.report(failures, &source, wait);
            if self.stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                return Err(RetryError::Stopped { source });
            }
        }
    }

    fn report(&mut self, attempt: u64, error: &dyn Error, next_attempt_in: Duration) {
        let failed = FailedAttempt {
            operation: self.operation.to_owned(),
            address: self.address.clone(),
            attempt,
            reason: error_chain(error).to_string(),
            next_attempt_in,
        };
        if attempt.is_power_of_two() {
            let FailedAttempt { address, reason: error, .. } = &failed;
            warn!(address, attempt, error, "cannot {}, trying again", self.operation);
        }
        (self.observer)(&failed);
    }
}

impl fmt::Debug for Retry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, address, policy, .. } = self;
        f.debug_struct("Retry")
            .field("operation", operation)
            .field("address", address)
            .field("policy", policy)
            .finish_non_exhaustive()
    }
}

/// One line for people: `cannot reach NATS at nats://db:4222: connection refused (3 attempts)`.
impl fmt::Display for FailedAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, address, attempt, reason, .. } = self;
        write!(f, "cannot {operation}")?;
        if let Some(address) = address {
            write!(f, " at {address}")?;
        }
        let plural = if *attempt == 1 { "" } else { "s" };
        write!(f, ": {reason} ({attempt} attempt{plural})")
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use tokio::time::Instant;

    use super::*;

    #[derive(Debug, PartialEq, thiserror::Error)]
    enum Failure {
        #[error("down")]
        Down,
        #[error("forbidden")]
        Forbidden,
    }

    impl Failure {
        fn is_transient(&self) -> bool {
            *self == Self::Down
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_made_until_it_succeeds_and_each_failure_is_shown() {
        let stop = CancellationToken::new();
        let mut attempts = 0;
        let mut shown = Vec::new();
        let value = Retry::new("count", &stop)
            .at("nats://db:4222")
            .observe(|failed| shown.push(failed.to_string()))
            .run(Failure::is_transient, || {
                attempts += 1;
                ready(if attempts < 3 { Err(Failure::Down) } else { Ok("done") })
            })
            .await
            .unwrap();
        assert_eq!((value, attempts), ("done", 3));
        let expected = [
            "cannot count at nats://db:4222: down (1 attempt)",
            "cannot count at nats://db:4222: down (2 attempts)",
        ];
        assert_eq!(shown, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_that_is_not_transient_is_final() {
        let stop = CancellationToken::new();
        let mut attempts = 0;
        let error = Retry::new("enter", &stop)
            .run(Failure::is_transient, || {
                attempts += 1;
                ready(Err::<(), _>(Failure::Forbidden))
            })
            .await
            .unwrap_err();
        assert!(matches!(error, RetryError::Failed { source: Failure::Forbidden }), "{error:?}");
        assert_eq!(attempts, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_bounded_retry_gives_up_in_its_time() {
        let stop = CancellationToken::new();
        let limit = Duration::from_secs(10);
        let begun = Instant::now();
        let mut attempts = 0;
        let error = Retry::new("connect", &stop)
            .policy(BackoffPolicy::FOREVER.within(limit))
            .run(Failure::is_transient, || {
                attempts += 1;
                ready(Err::<(), _>(Failure::Down))
            })
            .await
            .unwrap_err();
        assert!(matches!(error, RetryError::Failed { source: Failure::Down }), "{error:?}");
        assert!(attempts > 3 && begun.elapsed() <= limit, "{attempts} attempts in {:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_retry_ends_between_two_attempts_when_stopped() {
        let stop = CancellationToken::new();
        let policy = BackoffPolicy::new(Duration::from_mins(10), Duration::from_mins(10));
        let retrying = Retry::new("wait", &stop)
            .policy(policy)
            .run(Failure::is_transient, || ready(Err::<(), _>(Failure::Down)));
        let begun = Instant::now();
        let stopping = async {
            tokio::task::yield_now().await;
            stop.cancel();
        };
        let (ended, ()) = tokio::join!(retrying, stopping);
        assert!(matches!(ended, Err(RetryError::Stopped { source: Failure::Down })), "{ended:?}");
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_running_attempt_is_not_cut_off_by_a_stop() {
        let stop = CancellationToken::new();
        let value = Retry::new("finish", &stop)
            .run(Failure::is_transient, async || {
                stop.cancel();
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok("finished")
            })
            .await
            .unwrap();
        assert_eq!(value, "finished");
    }
}
