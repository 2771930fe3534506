//! Popularity of tools and requests: counts with forward decay, so that yesterday counts more than last year.
//!
//! Forward decay (Cormode, Shkapenyuk, Srivastava, Xu: "Forward Decay", ICDE 2009): a score never shrinks;
//! what is added later weighs more, twice as much each half-life. So nothing has to be rewritten as time
//! passes, and scores that were added at different times compare as if each had decayed until now.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use toolweaver_contracts::Tenant;
use tracing::debug;

use crate::keys;
use crate::store::{CacheStore, Store, StoreError};
use toolweaver_resilience::{Breaker, BreakerError};

const HALF_LIFE: Duration = Duration::from_hours(7 * 24);

/// Landmark of the decay, the time at which a request weighs 1: 2026-01-01 in seconds since 1970. The same in
/// every process and forever, because scores of different weights lie in one set. A week later it weighs 2; a
/// 64-bit float has room for this until 2045.
const LANDMARK_SECONDS: f64 = 1_767_225_600.0;

/// The weight beyond which nothing grows any more: a sum of so many stays finite, whatever a clock says.
const HALF_LIVES_MAX: f64 = 960.0;

/// Most members that a tenant has of a kind in the store.
const MEMBERS_MAX: usize = 1_000;

/// Most members that wait in memory for [`Popularity::flush`]. Only when the store is down for long do so
/// many meet; then further ones are not counted.
const PENDING_MAX: usize = 20_000;

/// Members that go to the store in one command: a script runs alone, and others wait for it.
const CHUNK_MAX: usize = 500;

/// Kind of member that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PopularityKind {
    /// Tools that were in answers or were fetched.
    Tools,
    /// Requests, by their text.
    Requests,
}

impl PopularityKind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Requests => "requests",
        }
    }
}

/// Popular member of a kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Popular {
    /// Member, as it was counted.
    pub member: String,
    /// Decayed count: a request that is a half-life old counts half.
    pub times: f64,
}

/// Decayed counts of requests, in memory first and in the store after a flush. Cheap to clone; all clones are
/// one.
#[derive(Clone, Debug)]
pub struct Popularity {
    store: Store,
    breaker: Arc<Breaker>,
    pending: Arc<Mutex<Pending>>,
}

/// Counts since the last flush.
#[derive(Debug, Default)]
struct Pending {
    members: usize,
    times: HashMap<(PopularityKind, Tenant), HashMap<String, u64>>,
}

impl Popularity {
    pub(crate) fn new(store: Store, breaker: Arc<Breaker>) -> Self {
        Self { store, breaker, pending: Arc::default() }
    }

    /// Counts a member so many times. Touches memory only.
    pub fn note(&self, kind: PopularityKind, tenant: &Tenant, member: &str, times: u64) {
        self.pending().note(kind, tenant, member, times);
    }

    /// Adds the counts to those in the store. What cannot be added waits for the next flush; what may or may
    /// not have been added (the store fell silent) is then counted twice, which a ranking bears.
    pub async fn flush(&self) {
        let noted = mem::take(&mut *self.pending());
        let weight = weight_at(SystemTime::now());
        for ((kind, tenant), times) in noted.times {
            let key = keys::popularity(kind, &tenant);
            let members: Vec<(String, u64)> = times.into_iter().collect();
            for chunk in members.chunks(CHUNK_MAX) {
                let scores = scores(chunk, weight);
                let added = self.breaker.guard(self.store.add_scores(&key, &scores, MEMBERS_MAX));
                if let Err(error) = added.await {
                    debug!(key, %error, "the counts wait for the next flush");
                    let mut pending = self.pending();
                    for (member, times) in chunk {
                        pending.note(kind, &tenant, member, *times);
                    }
                }
            }
        }
    }

    /// Returns the most popular members, at most `count`, the most popular first. Counts that are not flushed
    /// yet are left out.
    pub async fn top(
        &self,
        kind: PopularityKind,
        tenant: &Tenant,
        count: usize,
    ) -> Result<Vec<Popular>, BreakerError<StoreError>> {
        let key = keys::popularity(kind, tenant);
        let scores = self.breaker.guard(self.store.top_scores(&key, count)).await?;
        let weight = weight_at(SystemTime::now());
        Ok(scores.into_iter().map(|(member, score)| Popular { member, times: score / weight }).collect())
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        // No code that can panic runs under this lock.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    fn note(&mut self, kind: PopularityKind, tenant: &Tenant, member: &str, times: u64) {
        let members = self.times.entry((kind, tenant.clone())).or_default();
        if let Some(noted) = members.get_mut(member) {
            *noted = noted.saturating_add(times);
        } else if self.members < PENDING_MAX {
            members.insert(member.to_owned(), times);
            self.members += 1;
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a count beyond 2^52 is only a large one")]
fn scores(members: &[(String, u64)], weight: f64) -> Vec<(String, f64)> {
    members.iter().map(|(member, times)| (member.clone(), *times as f64 * weight)).collect()
}

/// Returns the weight of one request at this time.
fn weight_at(time: SystemTime) -> f64 {
    // A clock before 1970 is a wrong clock; what it sees counts next to nothing.
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let half_lives = (seconds - LANDMARK_SECONDS) / HALF_LIFE.as_secs_f64();
    half_lives.min(HALF_LIVES_MAX).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Local;

    fn popularity() -> Popularity {
        Popularity::new(Store::Local(Local::new(1)), Arc::new(Breaker::new("test")))
    }

    #[test]
    fn an_ask_weighs_twice_as_much_each_half_life() {
        let landmark = SystemTime::UNIX_EPOCH + Duration::from_secs_f64(LANDMARK_SECONDS);
        assert!((weight_at(landmark) - 1.0).abs() < 1e-9);
        assert!((weight_at(landmark + 3 * HALF_LIFE) - 8.0).abs() < 1e-9);
        assert!((weight_at(landmark - HALF_LIFE) - 0.5).abs() < 1e-9);
        let far = landmark + Duration::from_hours(100 * 365 * 24);
        assert!((weight_at(far) * 1e12).is_finite(), "a wrong clock overflows nothing");
    }

    #[tokio::test]
    async fn three_asks_of_today_come_before_four_of_last_week() {
        let popularity = popularity();
        let tenant = Tenant::default();
        let key = keys::popularity(PopularityKind::Tools, &tenant);
        let last_week = scores(&[("old".to_owned(), 4)], weight_at(SystemTime::now() - HALF_LIFE));
        popularity.store.add_scores(&key, &last_week, MEMBERS_MAX).await.unwrap();
        popularity.note(PopularityKind::Tools, &tenant, "new", 3);
        popularity.flush().await;
        let top = popularity.top(PopularityKind::Tools, &tenant, 10).await.unwrap();
        assert_eq!([&*top[0].member, &*top[1].member], ["new", "old"]);
        assert!((top[0].times - 3.0).abs() < 0.01 && (top[1].times - 2.0).abs() < 0.01, "{top:?}");
    }

    #[tokio::test]
    async fn what_is_noted_counts_once_it_is_flushed_for_its_own_tenant_and_kind() {
        let popularity = popularity();
        let (acme, globex): (Tenant, Tenant) = ("acme".parse().unwrap(), "globex".parse().unwrap());
        popularity.note(PopularityKind::Tools, &acme, "chat.send", 1);
        popularity.note(PopularityKind::Tools, &acme, "chat.send", 2);
        assert_eq!(popularity.top(PopularityKind::Tools, &acme, 1).await.unwrap(), []);
        popularity.flush().await;
        popularity.flush().await;
        let top = popularity.top(PopularityKind::Tools, &acme, 1).await.unwrap();
        assert!((top[0].times - 3.0).abs() < 0.01, "{top:?}");
        assert_eq!(popularity.top(PopularityKind::Requests, &acme, 1).await.unwrap(), []);
        assert_eq!(popularity.top(PopularityKind::Tools, &globex, 1).await.unwrap(), []);
    }

    #[test]
    fn what_waits_is_bounded() {
        let popularity = popularity();
        for i in 0..PENDING_MAX + 10 {
            popularity.note(PopularityKind::Requests, &Tenant::default(), &i.to_string(), 1);
        }
        assert_eq!(popularity.pending().members, PENDING_MAX);
        assert_eq!(popularity.pending().times.values().map(HashMap::len).sum::<usize>(), PENDING_MAX);
    }
}
