//! Request as a handler gets it: decoded once, with the instant of its arrival and its deadline.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use opentelemetry::Context;

use toolweaver_contracts::Fault;
use toolweaver_resilience::Deadline;

/// Request as it came in.
#[derive(Debug, Clone)]
pub struct Request {
    /// Subject it was sent on.
    pub subject: String,
    /// Body.
    pub payload: Bytes,
    /// Trace context of the caller; empty where it sent none. The current span is its child already.
    pub context: Context,
    /// Instant at which it was taken from the subscription, before any limit was looked at and any queue
    /// entered.
    ///
    /// A deadline begins here: the caller's clock runs while a request waits.
    pub received_at: Instant,
    /// Time for which it then waited in the admission queue.
    pub queued_for: Duration,
}

/// Condition that a request waits for before it is worked on; a fault refuses the request.
pub(super) type Wait = BoxFuture<'static, Result<(), Fault>>;

/// Decoded request, with its deadline and what it waits for.
pub struct Accepted<Q> {
    pub(super) query: Q,
    pub(super) deadline: Option<Deadline>,
    pub(super) wait: Option<Wait>,
}

impl<Q> Accepted<Q> {
    /// Accepts a request that may be worked on at once, however long it takes.
    pub fn new(query: Q) -> Self {
        Self { query, deadline: None, wait: None }
    }

    /// Sets the deadline. A request that is still waiting, queued or being worked on then is answered 504.
    #[must_use]
    pub fn by(mut self, deadline: Deadline) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Sets what the request waits for. A thousand may wait while others are answered: waiting counts under
    /// no limit of concurrency, and says nothing about how fast the machine is.
    #[must_use]
    pub fn after(mut self, wait: impl Future<Output = Result<(), Fault>> + Send + 'static) -> Self {
        self.wait = Some(wait.boxed());
        self
    }
}
