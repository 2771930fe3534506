//! Failures of a change and their outcomes: retried, retried until an operator helps, or rejected.
//!
//! The errors themselves say whether trying again can help; this module turns that into outcomes.

use std::error::Error;
use std::time::Duration;

use toolweaver_contracts::{ErrorCode, Fault};
use toolweaver_embedding::EmbedError;
use toolweaver_messaging::Outcome;
use toolweaver_messaging::PublishError;
use toolweaver_resilience::{BackoffPolicy, error_chain};
use toolweaver_vector_store::StoreError;

use crate::indexed::WriteError;

/// Pauses between two attempts at a change: 1, 2, 4, 8, 16, 30, 30, … seconds.
const RETRY_BACKOFF: BackoffPolicy = BackoffPolicy::new(Duration::from_secs(1), Duration::from_secs(30));
/// Attempts after which a change whose own content fails goes to REJECTED. The first failures may be somebody
/// else's fault.
const ATTEMPTS_MAX: u64 = 5;

/// A change that could not be indexed at an attempt, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The error with its causes, in one line.
    reason: String,
    pub(crate) cause: Cause,
}

/// The one who can end a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Time: something else is at fault and may be well again at the next attempt.
    Transient,
    /// An operator: every change would fail like this one, so none is to blame and all are kept for later.
    Deployment,
    /// The publisher: the change itself is at fault, so that others may pass where it never will.
    Change,
}

impl Failure {
    /// Makes a failure of something else; the change may pass later.
    pub(crate) fn transient(error: &dyn Error) -> Self {
        Self { reason: error_chain(error).to_string(), cause: Cause::Transient }
    }

    /// Makes the failure of a text that could not be embedded alone.
    pub(crate) fn embed(error: &EmbedError) -> Self {
        let cause = if error.is_transient() { Cause::Transient } else { Cause::Change };
        Self { cause, ..Self::transient(error) }
    }

    /// Makes the failure of a write that the vector store did not confirm, though it was sent alone or is at
    /// fault for all.
    pub(crate) fn store(error: &StoreError) -> Self {
        let cause = if error.blames_the_point() {
            Cause::Change
        } else if error.is_transient() {
            Cause::Transient
        } else {
            // With a revoked key or a collection of another shape no point would ever pass, and none is to
            // blame.
            Cause::Deployment
        };
        Self { cause, ..Self::transient(error) }
    }

    /// Makes the failure of an event that could not be published.
    pub(crate) fn publish(error: &WriteError) -> Self {
        let is_too_large = matches!(error, WriteError::Publish(PublishError::TooLarge { .. }));
        let cause = if is_too_large { Cause::Change } else { Cause::Transient };
        Self { cause, ..Self::transient(error) }
    }

    /// Returns the error with its causes.
    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }

    /// Returns what becomes of a delivery that was attempted so often.
    pub(crate) fn outcome(&self, attempts: u64) -> Outcome {
        if self.cause == Cause::Change && attempts >= ATTEMPTS_MAX {
            let message = format!("could not be indexed: {}", self.reason);
            return Outcome::Reject(
                Fault::new(ErrorCode::Internal, message)
                    .hint("publish the tool again once the cause is gone, or change what it complains about"),
            );
        }
        Outcome::RetryAfter(retry_after(attempts))
    }
}

/// Returns the pause after so many attempts.
pub(crate) fn retry_after(attempts: u64) -> Duration {
    RETRY_BACKOFF.interval(attempts)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBJECT: &str = "indexed.v1.a.b.c";

    #[test]
    fn a_change_is_given_up_only_for_its_own_fault_and_not_at_once() {
        let passing =
            Failure::publish(&WriteError::Publish(PublishError::TimedOut { subject: SUBJECT.to_owned() }));
        assert_eq!(passing.outcome(1_000), Outcome::RetryAfter(RETRY_BACKOFF.interval_max));

        let own =
            Failure::publish(&WriteError::Publish(PublishError::TooLarge { subject: SUBJECT.to_owned() }));
        assert_eq!(own.outcome(ATTEMPTS_MAX - 1), Outcome::RetryAfter(Duration::from_secs(8)));
        let Outcome::Reject(fault) = own.outcome(ATTEMPTS_MAX) else { panic!("not rejected") };
        assert!(fault.message.starts_with("could not be indexed: cannot publish"), "{fault}");
        assert!(fault.message.contains("larger than the server's max_payload"), "{fault}");
    }

    #[test]
    fn only_a_refused_point_is_blamed_for_what_the_store_says() {
        let missing = StoreError::MissingCollection { operation: "upsert", collection: "c".to_owned() };
        assert_eq!(Failure::store(&missing).cause, Cause::Deployment);
        assert_eq!(Failure::store(&missing).outcome(1_000), Outcome::RetryAfter(RETRY_BACKOFF.interval_max));
        let late =
            StoreError::TimedOut { operation: "upsert", collection: "c".to_owned(), timeout: Duration::ZERO };
        assert_eq!(Failure::store(&late).cause, Cause::Transient);
        let point = StoreError::NotFinite { operation: "upsert" };
        assert_eq!(Failure::store(&point).cause, Cause::Change);
    }
}
