//! Why a change is not indexed, and what that means for its delivery. The errors themselves say whether trying again
//! can help; this module turns that into outcomes.

use std::error::Error;
use std::time::Duration;

use toolweaver_contracts::{ErrorCode, Fault};
use toolweaver_embedding::EmbedError;
use toolweaver_messaging::Outcome;
use toolweaver_messaging::PublishError;
use toolweaver_vector_store::StoreError;

use crate::indexed::WriteError;

/// The pause before the second attempt; each later one is twice as long.
const RETRY_AFTER_MIN: Duration = Duration::from_secs(1);
/// The longest pause between two attempts.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);
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
        Self { reason: chain(error), own_fault: false }
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

/// The pause after so many attempts: 1, 2, 4, 8, 16, 30, 30, … seconds.
pub(crate) fn retry_after(attempts: u64) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
    RETRY_AFTER_MIN.saturating_mul(2_u32.saturating_pow(doublings)).min(RETRY_AFTER_MAX)
}

/// An error and everything below it, in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBJECT: &str = "indexed.v1.a.b.c";

    #[test]
    fn pauses_grow_to_half_a_minute() {
        let pauses: Vec<u64> = (0..9).map(|attempts| retry_after(attempts).as_secs()).collect();
        assert_eq!(pauses, [1, 1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(retry_after(u64::MAX), RETRY_AFTER_MAX);
    }

    #[test]
    fn a_change_is_given_up_only_for_its_own_fault_and_not_at_once() {
        let passing =
            Failure::publish(&WriteError::Publish(PublishError::TimedOut { subject: SUBJECT.to_owned() }));
        assert_eq!(passing.outcome(1_000), Outcome::RetryAfter(RETRY_AFTER_MAX));

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
