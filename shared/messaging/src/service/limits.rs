//! How much an endpoint takes in. How the limits are kept is not here.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::TenantRate;

/// What an endpoint works on, lets wait and refuses.
///
/// The default is for cheap requests: 64 in work whatever their latency, 64 waiting, and no rate.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Requests in work that the machine can always take. Their latency is taken for the one without load.
    pub concurrency_min: NonZeroUsize,
    /// Most requests in work. Between the two the limit follows the latency; without anything between, it is fixed.
    pub concurrency_max: NonZeroUsize,
    /// Most requests that wait until one in work is answered; none at 0.
    pub queue_max: usize,
    /// Longest that a request waits; one that would wait longer, or does, is answered 429.
    pub queue_wait_max: Duration,
    /// Largest request in bytes; a larger one is answered 400.
    pub request_bytes_max: usize,
    /// How often each tenant may ask; one that asks more often is answered 429. Endpoints may share it.
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
