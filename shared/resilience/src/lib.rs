//! Bounded calls to dependencies that may fail: circuit breaker, retry, backoff, deadline, error chain.
//!
//! The ground floor beside the contracts: every crate may use it, and it uses none of ours. It knows no
//! dependency by name, neither NATS nor Redis nor Qdrant: a caller hands in the call, and says whether its
//! error is transient.
//!
//! | module | answers |
//! |---|---|
//! | [`Deadline`] | until when may this take? |
//! | [`Breaker`] | may this dependency be called at all? |
//! | [`Retry`], [`BackoffPolicy`] | when is a failed call made again, and when not? |
//! | [`error_chain`] | why did it fail, in one line? |

mod backoff;
mod breaker;
mod deadline;
mod error_chain;
mod retry;

pub use backoff::BackoffPolicy;
pub use breaker::{Breaker, BreakerError, BreakerState};
pub use deadline::{Deadline, DeadlineExceeded};
pub use error_chain::{ErrorChain, error_chain};
pub use retry::{FailedAttempt, Retry, RetryError};
