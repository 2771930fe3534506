//! Limits of an endpoint.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::TenantRate;

/// Limits on the requests of one endpoint: concurrency, queue, size and rate.
///
/// The default is for cheap requests: 64 in flight whatever their latency, 64 queued, and no rate.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Least concurrency limit: the machine can always take so many. Their latency counts as that without
    /// load.
    pub concurrency_min: NonZeroUsize,
    /// Greatest concurrency limit. Between the two it follows the latency; where they are equal, it is fixed.
    pub concurrency_max: NonZeroUsize,
    /// Most requests queued for one in flight to be answered; none at 0.
    pub queue_max: usize,
    /// Longest time in the queue; a request that would wait longer, or does, is answered 429.
    pub queue_wait_max: Duration,
    /// Largest request in bytes; a larger one is answered 400.
    pub request_bytes_max: usize,
    /// Rate of each tenant; one that is over it is answered 429. Endpoints may share it.
    pub rate: Option<TenantRate>,
}

impl Default for Limits {
    fn default() -> Self {
        const COUNT: NonZeroUsize = NonZeroUsize::new(64).expect("not zero");
        Self {
            concurrency_min: COUNT,
            concurrency_max: COUNT,
            queue_max: COUNT.get(),
            queue_wait_max: Duration::from_millis(200),
            request_bytes_max: 64 * 1024,
            rate: None,
        }
    }
}
