//! Rate limit: a token bucket for each tenant.
//!
//! A bucket is one instant, the *theoretical arrival time* of the generic cell rate algorithm (ITU-T I.371):
//! it says the same as a count of tokens with the time of their last refill. What is known of a tenant that
//! has not asked for a while is what is known of a new one, so it can be forgotten.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use toolweaver_contracts::Tenant;

/// Most tenants that have a bucket of their own at a time. The rest share one, so that names made up by the
/// thousand cost no memory and gain no rate.
const TENANTS_MAX: usize = 10_000;
/// Least time between two sweeps that forget full buckets: a sweep looks at all of them.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Rate that each tenant may ask at; clones count together, each process for itself.
#[derive(Debug, Clone)]
pub struct TenantRate {
    buckets: Arc<Mutex<Buckets>>,
    per_second: NonZeroU32,
}

impl TenantRate {
    /// Creates a rate of so many requests a second, and `burst` at once after a pause.
    pub fn new(per_second: NonZeroU32, burst: NonZeroU32) -> Self {
        let buckets = Buckets::new(per_second, burst, TENANTS_MAX, Instant::now());
        Self { buckets: Arc::new(Mutex::new(buckets)), per_second }
    }

    pub(super) fn per_second(&self) -> NonZeroU32 {
        self.per_second
    }

    /// Takes a token, or returns the time until there is one. Callers without a tenant's name share the
    /// bucket `None`.
    pub(super) fn take(&self, tenant: Option<&Tenant>, now: Instant) -> Result<(), Duration> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner).take(tenant, now)
    }
}

#[derive(Debug)]
struct Buckets {
    /// Time between two tokens.
    interval: Duration,
    /// Most time by which a tenant may be ahead of its rate.
    ahead_max: Duration,
    tenants_max: usize,
    /// Instant at which each tenant would ask next at exactly its rate.
    tenants: HashMap<Tenant, Instant>,
    shared: Instant,
    swept_at: Instant,
}

impl Buckets {
    fn new(per_second: NonZeroU32, burst: NonZeroU32, tenants_max: usize, now: Instant) -> Self {
        let interval = Duration::from_secs(1) / per_second.get();
        let ahead_max = interval * (burst.get() - 1);
        Self { interval, ahead_max, tenants_max, tenants: HashMap::new(), shared: now, swept_at: now }
    }

    fn take(&mut self, tenant: Option<&Tenant>, now: Instant) -> Result<(), Duration> {
        let (interval, ahead_max) = (self.interval, self.ahead_max);
        let expected_at = self.bucket(tenant, now);
        let ahead = expected_at.saturating_duration_since(now);
        let wait = ahead.saturating_sub(ahead_max);
        if !wait.is_zero() {
            return Err(wait);
        }
        *expected_at = (*expected_at).max(now) + interval;
        Ok(())
    }

    fn bucket(&mut self, tenant: Option<&Tenant>, now: Instant) -> &mut Instant {
        let Some(tenant) = tenant else { return &mut self.shared };
        if !self.tenants.contains_key(tenant) {
            if now.saturating_duration_since(self.swept_at) >= SWEEP_INTERVAL {
                self.tenants.retain(|_, expected_at| *expected_at > now);
                self.swept_at = now;
            }
            if self.tenants.len() >= self.tenants_max {
                return &mut self.shared;
            }
        }
        self.tenants.entry(tenant.clone()).or_insert(now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn count(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).expect("not zero")
    }

    fn tenant(number: usize) -> Tenant {
        format!("t{number}").parse().expect("a tenant")
    }

    #[test]
    fn a_burst_passes_and_then_one_request_an_interval() {
        let start = Instant::now();
        let mut buckets = Buckets::new(count(10), count(3), 8, start);
        let me = tenant(0);
        for _ in 0..3 {
            assert_eq!(buckets.take(Some(&me), start), Ok(()));
        }
        assert_eq!(buckets.take(Some(&me), start), Err(Duration::from_millis(100)));
        assert_eq!(buckets.take(Some(&tenant(1)), start), Ok(()), "another tenant has its own tokens");
        let later = start + Duration::from_millis(100);
        assert_eq!(buckets.take(Some(&me), later), Ok(()));
        assert_eq!(
            buckets.take(Some(&me), later + Duration::from_millis(40)),
            Err(Duration::from_millis(60))
        );
    }

    #[test]
    fn tenants_are_bounded_and_the_rest_share_one_bucket() {
        let start = Instant::now();
        let mut buckets = Buckets::new(count(1), count(1), 2, start);
        for number in 0..3 {
            assert_eq!(buckets.take(Some(&tenant(number)), start), Ok(()));
        }
        assert_eq!(buckets.take(Some(&tenant(3)), start), Err(Duration::from_secs(1)), "the third took it");
        assert_eq!(buckets.take(None, start), Err(Duration::from_secs(1)));
        assert_eq!(buckets.tenants.len(), 2);

        let later = start + Duration::from_secs(1);
        assert_eq!(buckets.take(Some(&tenant(3)), later), Ok(()));
        assert_eq!(buckets.tenants.len(), 1, "the two that asked no more are forgotten");
    }

    proptest! {
        #[test]
        fn no_stretch_of_time_sees_more_than_burst_and_rate(
            gaps in prop::collection::vec(0_u64..300, 1..200), rate in 1_u32..50, burst in 1_u32..20,
        ) {
            let start = Instant::now();
            let mut buckets = Buckets::new(count(rate), count(burst), 8, start);
            let mut now = start;
            let mut passed = Vec::new();
            for gap in gaps {
                now += Duration::from_millis(gap);
                if let Err(wait) = buckets.take(Some(&tenant(0)), now) {
                    now += wait;
                    prop_assert_eq!(buckets.take(Some(&tenant(0)), now), Ok(()), "after the wait there is one");
                }
                passed.push(now);
            }
            for (first, from) in passed.iter().enumerate() {
                for (count, to) in (1_u32..).zip(&passed[first..]) {
                    let allowed = f64::from(burst) + (*to - *from).as_secs_f64() * f64::from(rate);
                    prop_assert!(f64::from(count) <= allowed + 1e-6);
                }
            }
        }
    }
}
