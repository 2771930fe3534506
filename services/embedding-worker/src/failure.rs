//! Why a change is not indexed, and what that means for its delivery. The errors themselves say whether trying again
//! can help; this module turns that into outcomes.

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
/// A change whose own content fails so often goes to REJECTED. The first failures may be somebody else's fault.
const ATTEMPTS_MAX: u64 = 5;

/// Why a change is not indexed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The error with its causes, in one line.
    reason: String,
    /// Whether the change itself is at fault, so that others may pass where it never will.
    own_fault: bool,
}

impl Failure {
    /// Something else is at fault; the change may pass later.
    pub(crate) fn passing(error: &dyn Error) -> Self {
        Self { reason: error_chain(error).to_string(), own_fault: false }
    }

    /// The text could not be embedded alone.
    pub(crate) fn embed(error: &EmbedError) -> Self {
        Self { own_fault: !error.is_transient(), ..Self::passing(error) }
    }

    /// The point could not be stored alone.
    pub(crate) fn store(error: &StoreError) -> Self {
        // Not every lasting error is the point's: with a revoked key no point would ever pass, and none is to blame.
        Self { own_fault: error.blames_the_point(), ..Self::passing(error) }
    }

    /// The event could not be published.
    pub(crate) fn publish(error: &WriteError) -> Self {
        let own_fault = matches!(error, WriteError::Publish(PublishError::TooLarge { .. }));
        Self { own_fault, ..Self::passing(error) }
    }

    /// The error with its causes.
    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }

    /// What becomes of a delivery that was attempted so often.
    pub(crate) fn outcome(&self, attempts: u64) -> Outcome {
        if self.own_fault && attempts >= ATTEMPTS_MAX {
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
    fn a_lost_collection_blames_no_point() {
        let error = StoreError::MissingCollection { operation: "upsert", collection: "c".to_owned() };
        assert!(!Failure::store(&error).own_fault);
        let error = StoreError::NotFinite { operation: "upsert" };
        assert!(Failure::store(&error).own_fault);
    }
}
