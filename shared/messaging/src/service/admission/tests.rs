//! Tests of admission with a clock of their own. The limit is fixed here; its adaptation has tests of its
//! own.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroUsize;

use proptest::prelude::*;

use super::*;

const WAIT_MAX: Duration = Duration::from_millis(200);

fn admission(in_flight_max: usize, queue_max: usize) -> (Admission<u32>, Instant) {
    let start = Instant::now();
    let count = NonZeroUsize::new(in_flight_max).expect("not zero");
    let limits = Limits {
        concurrency_min: count,
        concurrency_max: count,
        queue_max,
        queue_wait_max: WAIT_MAX,
        ..Limits::default()
    };
    (Admission::new(&limits, start), start)
}

fn tenant(number: u32) -> Tenant {
    format!("t{number}").parse().expect("a tenant")
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Completes one request that took so long, so that the mean time in flight is known.
fn learn(admission: &mut Admission<u32>, start: Instant, in_flight: Duration) -> Instant {
    assert!(matches!(admission.offer(None, 0, None, start)[..], [Decision::Admit(0, Duration::ZERO)]));
    assert!(admission.completed(start, start + in_flight).is_empty());
    start + in_flight
}

#[test]
fn what_cannot_be_worked_on_waits_for_the_next_end() {
    let (mut admission, start) = admission(2, 2);
    assert_eq!(admission.offer(Some(tenant(1)), 1, None, start), [Decision::Admit(1, Duration::ZERO)]);
    assert_eq!(admission.offer(Some(tenant(1)), 2, None, start), [Decision::Admit(2, Duration::ZERO)]);
    assert_eq!(admission.offer(Some(tenant(1)), 3, None, start), []);
    assert_eq!(
        (admission.in_flight(), admission.queued(), admission.next_expiry()),
        (2, 1, Some(start + WAIT_MAX))
    );
    assert_eq!(admission.completed(start, start + ms(30)), [Decision::Admit(3, ms(30))]);
    assert_eq!((admission.in_flight(), admission.queued(), admission.next_expiry()), (2, 0, None));
    assert_eq!(admission.completed(start, start + ms(30)), []);
    assert_eq!(admission.in_flight(), 1);
}

#[test]
fn a_full_queue_refuses_the_newcomer_or_who_has_most_waiting() {
    let (mut admission, start) = admission(1, 2);
    admission.offer(Some(tenant(1)), 1, None, start);
    admission.offer(Some(tenant(1)), 2, None, start);
    admission.offer(Some(tenant(1)), 3, None, start);
    let full = Refusal::QueueFull { retry_after: Duration::ZERO };
    assert_eq!(admission.offer(Some(tenant(1)), 4, None, start), [Decision::Refuse(4, full)]);
    assert_eq!(
        admission.offer(Some(tenant(2)), 5, None, start),
        [Decision::Refuse(3, full)],
        "its tenant has two waiting"
    );
    assert_eq!(admission.completed(start, start + ms(1)), [Decision::Admit(2, ms(1))]);
    assert_eq!(admission.completed(start, start + ms(2)), [Decision::Admit(5, ms(2))]);
}

#[test]
fn who_would_wait_too_long_is_told_at_once_and_when_to_come_back() {
    let (mut admission, start) = admission(2, 100);
    let now = learn(&mut admission, start, ms(100));
    for item in 0..5 {
        admission.offer(Some(tenant(1)), item, None, now);
    }
    assert_eq!((admission.in_flight(), admission.queued()), (2, 3));
    assert_eq!(
        admission.offer(Some(tenant(1)), 5, None, now),
        [],
        "three are before it: 200 ms for four, two at a time"
    );
    let refusal = Refusal::WouldWait { retry_after: ms(250) };
    assert_eq!(admission.offer(Some(tenant(1)), 6, None, now), [Decision::Refuse(6, refusal)]);
    assert_eq!(
        admission.offer(Some(tenant(2)), 7, None, now),
        [],
        "another tenant's turn comes before the flood's"
    );
}

#[test]
fn who_has_waited_too_long_is_refused_and_never_worked_on() {
    let (mut admission, start) = admission(1, 100);
    admission.offer(Some(tenant(1)), 1, None, start);
    admission.offer(Some(tenant(1)), 2, None, start);
    admission.offer(Some(tenant(1)), 3, None, start + ms(50));
    assert_eq!(admission.expire(start + ms(199)), []);
    let waited = |retry_after| Refusal::Waited { retry_after };
    assert_eq!(admission.expire(start + WAIT_MAX), [Decision::Refuse(2, waited(Duration::ZERO))]);
    assert_eq!(admission.next_expiry(), Some(start + ms(50) + WAIT_MAX));
    // Both happen at the same time: a slot for it would come too late.
    assert_eq!(admission.completed(start, start + ms(300)), [Decision::Refuse(3, waited(ms(300)))]);
    assert_eq!((admission.in_flight(), admission.queued()), (0, 0));
}

#[test]
fn a_deadline_ends_the_wait_in_the_queue_before_its_time() {
    let (mut admission, start) = admission(1, 100);
    admission.offer(Some(tenant(1)), 1, None, start);
    admission.offer(Some(tenant(1)), 2, Some(start + WAIT_MAX * 2), start);
    admission.offer(Some(tenant(1)), 3, Some(start + ms(20)), start);
    assert_eq!(admission.next_expiry(), Some(start + ms(20)));
    let waited = Refusal::Waited { retry_after: Duration::ZERO };
    assert_eq!(admission.expire(start + ms(20)), [Decision::Refuse(3, waited)]);
    assert_eq!(admission.next_expiry(), Some(start + WAIT_MAX), "a late deadline lengthens no wait");
}

#[derive(Debug, Clone)]
enum Step {
    Offer(u32),
    End,
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0_u32..4).prop_map(Step::Offer),
        3 => Just(Step::End),
        2 => (1_u64..80).prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 1..400)
}

proptest! {
    #[test]
    fn every_request_is_decided_once_and_in_time(steps in steps(), in_flight_max in 1_usize..6, queue_max in 0_usize..12) {
        let (mut admission, mut now) = admission(in_flight_max, queue_max);
        let mut in_flight = VecDeque::new();
        let mut decided = BTreeMap::<u32, usize>::new();
        let mut offered = 0;
        let closing = std::iter::repeat_n([Step::End, Step::Pass(50)], queue_max + in_flight_max + 10).flatten();
        for step in steps.into_iter().chain(closing) {
            let decisions = match step {
                Step::Offer(who) => {
                    offered += 1;
                    admission.offer(Some(tenant(who)), offered, None, now)
                }
                Step::End => in_flight.pop_front().map_or_else(Vec::new, |started_at| admission.completed(started_at, now)),
                Step::Pass(count) => {
                    now += ms(count);
                    admission.expire(now)
                }
            };
            for decision in decisions {
                let item = match decision {
                    Decision::Admit(item, queued_for) => {
                        prop_assert!(queued_for < WAIT_MAX);
                        in_flight.push_back(now);
                        item
                    }
                    Decision::Refuse(item, _) => item,
                };
                *decided.entry(item).or_default() += 1;
            }
            prop_assert_eq!(admission.in_flight(), in_flight.len());
            prop_assert!(admission.in_flight() <= in_flight_max && admission.queued() <= queue_max);
            prop_assert!(admission.queued() == 0 || admission.in_flight() == in_flight_max);
        }
        prop_assert_eq!(decided, (1..=offered).map(|item| (item, 1)).collect());
    }

    #[test]
    fn a_flood_takes_nothing_from_a_tenant_that_asks_for_less_than_its_share(flooders in 1_u32..4, seed in 0_u64..50) {
        // Four at a time, 20 ms each: 200 a second. The modest tenant asks for 40, the flood for thousands.
        let (mut admission, start) = admission(4, 64);
        let mut in_flight = VecDeque::new();
        let (mut modest, mut refused) = (0, 0);
        for millisecond in 0..2_000 {
            let now = start + ms(millisecond);
            let mut decisions = admission.expire(now);
            while in_flight.front().is_some_and(|(_, started_at)| *started_at + ms(20) <= now) {
                let (_, started_at) = in_flight.pop_front().expect("it was there");
                let ended = admission.completed(started_at, now);
                in_flight.extend(started(&ended).map(|item| (item, now)));
                decisions.extend(ended);
            }
            for flooder in 1..=flooders {
                let offered = admission.offer(Some(tenant(flooder)), flooder, None, now);
                in_flight.extend(started(&offered).map(|item| (item, now)));
                decisions.extend(offered);
            }
            if (millisecond + seed) % 25 == 0 {
                modest += 1;
                let offered = admission.offer(Some(tenant(0)), 0, None, now);
                in_flight.extend(started(&offered).map(|item| (item, now)));
                decisions.extend(offered);
            }
            refused += decisions.iter().filter(|decision| matches!(decision, Decision::Refuse(0, _))).count();
        }
        prop_assert_eq!((modest, refused), (80, 0));
    }
}

fn started(decisions: &[Decision<u32>]) -> impl Iterator<Item = u32> {
    decisions.iter().filter_map(|decision| match decision {
        Decision::Admit(item, _) => Some(*item),
        Decision::Refuse(..) => None,
    })
}
