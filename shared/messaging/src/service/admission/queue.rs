//! Fair queue: one queue for each tenant, served round-robin.
//!
//! Within a tenant it is first in, first out. Last in, first out would serve fresher requests under overload,
//! but no request waits here long enough to be stale, and order is what a tenant expects.

use std::collections::VecDeque;
use std::time::Instant;

use toolweaver_contracts::Tenant;

/// Queued requests of all tenants. `None` stands for callers without a tenant's name.
#[derive(Debug)]
pub(super) struct FairQueue<T> {
    /// Tenants with something queued, the next one first.
    tenants: VecDeque<(Option<Tenant>, VecDeque<Queued<T>>)>,
    len: usize,
}

/// Queued request.
#[derive(Debug)]
pub(super) struct Queued<T> {
    pub(super) item: T,
    pub(super) since: Instant,
    pub(super) expires_at: Instant,
}

impl<T> FairQueue<T> {
    pub(super) fn new() -> Self {
        Self { tenants: VecDeque::new(), len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Returns how many are served before a newcomer of this tenant: its own, and of each other tenant no
    /// more than those and one.
    pub(super) fn ahead_of(&self, tenant: Option<&Tenant>) -> usize {
        let own = self.waiting_of(tenant);
        let others = self.tenants.iter().filter(|(other, _)| other.as_ref() != tenant);
        own + others.map(|(_, waiting)| waiting.len().min(own + 1)).sum::<usize>()
    }

    pub(super) fn push(&mut self, tenant: Option<Tenant>, new: Queued<T>) {
        self.len += 1;
        match self.tenants.iter_mut().find(|(other, _)| *other == tenant) {
            Some((_, waiting)) => waiting.push_back(new),
            None => self.tenants.push_back((tenant, VecDeque::from([new]))),
        }
    }

    /// Takes the next request to serve; its tenant then goes to the end of the line.
    pub(super) fn pop(&mut self) -> Option<Queued<T>> {
        let (tenant, mut waiting) = self.tenants.pop_front()?;
        let next = waiting.pop_front();
        if !waiting.is_empty() {
            self.tenants.push_back((tenant, waiting));
        }
        self.len -= usize::from(next.is_some());
        next
    }

    /// Makes room for a newcomer of `tenant` where another tenant has more waiting than it would have: takes
    /// the newest request of the one that has most.
    pub(super) fn make_room(&mut self, tenant: Option<&Tenant>) -> Option<T> {
        let own = self.waiting_of(tenant);
        let (_, longest) = self.tenants.iter_mut().max_by_key(|(_, waiting)| waiting.len())?;
        if longest.len() <= own + 1 {
            return None;
        }
        self.len -= 1;
        longest.pop_back().map(|waiting| waiting.item)
    }

    /// Returns the instant at which the next request expires.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.tenants.iter().flat_map(|(_, waiting)| waiting).map(|queued| queued.expires_at).min()
    }

    /// Takes out the requests that have expired by now.
    pub(super) fn take_expired(&mut self, now: Instant) -> Vec<T> {
        let mut expired = Vec::new();
        for (_, waiting) in &mut self.tenants {
            // Mostly the first ones, but a request whose deadline is near may stand behind one that has time.
            for queued in std::mem::take(waiting) {
                if queued.expires_at <= now {
                    expired.push(queued.item);
                } else {
                    waiting.push_back(queued);
                }
            }
        }
        self.tenants.retain(|(_, waiting)| !waiting.is_empty());
        self.len -= expired.len();
        expired
    }

    fn waiting_of(&self, tenant: Option<&Tenant>) -> usize {
        let own = self.tenants.iter().find(|(other, _)| other.as_ref() == tenant);
        own.map_or(0, |(_, waiting)| waiting.len())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn tenant(name: char) -> Tenant {
        name.to_string().parse().expect("a tenant")
    }

    /// Requests are named by their tenant and a number.
    fn filled(names: &[&'static str]) -> FairQueue<&'static str> {
        let (mut queue, now) = (FairQueue::new(), Instant::now());
        for name in names {
            queue.push(Some(tenant(name.chars().next().expect("a letter"))), queued(*name, now, now));
        }
        queue
    }

    fn queued<T>(item: T, since: Instant, expires_at: Instant) -> Queued<T> {
        Queued { item, since, expires_at }
    }

    fn drained<T>(mut queue: FairQueue<T>) -> Vec<T> {
        std::iter::from_fn(|| queue.pop()).map(|waiting| waiting.item).collect()
    }

    #[test]
    fn tenants_take_turns_and_each_keeps_its_order() {
        let queue = filled(&["a1", "a2", "a3", "b1", "c1", "b2"]);
        assert_eq!(drained(queue), ["a1", "b1", "c1", "a2", "b2", "a3"]);
    }

    #[test]
    fn a_full_queue_has_room_for_who_has_less_waiting() {
        let mut queue = filled(&["a1", "a2", "a3", "b1"]);
        assert_eq!(queue.make_room(Some(&tenant('a'))), None, "it has most itself");
        assert_eq!(queue.make_room(Some(&tenant('c'))), Some("a3"));
        assert_eq!(queue.make_room(Some(&tenant('b'))), None, "both would have two");
        assert_eq!(queue.len(), 3);
        assert_eq!(drained(queue), ["a1", "b1", "a2"]);
    }

    #[test]
    fn expired_requests_are_taken_out_wherever_they_stand() {
        let (mut queue, start) = (FairQueue::new(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        for (name, expires_ms) in [("a1", 20), ("b1", 10), ("a2", 5), ("a3", 30)] {
            let tenant = tenant(name.chars().next().expect("a letter"));
            queue.push(Some(tenant), queued(name, start, at(expires_ms)));
        }
        assert_eq!(queue.next_expiry(), Some(at(5)));
        assert_eq!(queue.take_expired(at(10)), ["a2", "b1"]);
        assert_eq!((queue.len(), queue.next_expiry()), (2, Some(at(20))));
        assert_eq!(drained(queue), ["a1", "a3"]);
    }

    proptest! {
        #[test]
        fn what_is_ahead_of_a_newcomer_is_never_underrated(
            waiting in prop::collection::vec(prop::char::range('a', 'e'), 0..40), pops in 0_usize..40,
            newcomer in prop::char::range('a', 'f'),
        ) {
            let (mut queue, now) = (FairQueue::new(), Instant::now());
            for name in &waiting {
                queue.push(Some(tenant(*name)), queued(false, now, now));
            }
            for _ in 0..pops {
                queue.pop();
            }
            prop_assert_eq!(queue.len(), waiting.len().saturating_sub(pops));
            let ahead = queue.ahead_of(Some(&tenant(newcomer)));
            queue.push(Some(tenant(newcomer)), queued(true, now, now));
            let served = drained(queue);
            let place = served.iter().position(|is_newcomer| *is_newcomer).expect("the newcomer is served");
            prop_assert!(place <= ahead, "{} are served before it, foretold were {}", place, ahead);
        }
    }
}
