//! The law step by step.

mod machine;

use proptest::prelude::*;

use super::*;

const MIN: usize = 4;
const MAX: usize = 256;

/// A limit that is told what windows show.
struct Told {
    limit: ConcurrencyLimit,
    now: Instant,
}

impl Told {
    /// One that knows that requests take `no_load_ms`, and has grown to between 30 and 40.
    fn grown(no_load_ms: u64) -> Self {
        let now = Instant::now();
        let mut told = Self { limit: ConcurrencyLimit::new(MIN, MAX, now), now };
        while told.limit.get() < 30 {
            told.window(told.limit.get(), |_| no_load_ms);
        }
        told
    }

    /// One window in which up to so many were in flight; the limit after it.
    fn window(&mut self, in_flight: usize, latency_ms: impl Fn(usize) -> u64) -> usize {
        let started_at = self.now + WINDOW_MIN;
        for number in 0..WINDOW_COUNT_MIN {
            self.now = started_at + Duration::from_millis(latency_ms(number));
            self.limit.completed(started_at, in_flight, self.now);
        }
        self.limit.get()
    }
}

#[test]
fn it_moves_only_while_it_is_in_use() {
    let mut told = Told::grown(10);
    let before = told.limit.get();
    assert_eq!(told.window(before - 1, |_| 10), before, "there was still room");
    assert_eq!(told.window(before / 2 - 1, |_| 500), before, "so few cannot have been in each other's way");
    assert!(told.window(before, |_| 10) > before);
    assert!(told.window(before, |_| 500) < before);
}

#[test]
fn what_began_before_the_limit_changed_says_nothing_about_it() {
    let mut told = Told::grown(10);
    let long_ago = told.now;
    let before = told.window(told.limit.get(), |_| 500);
    for _ in 0..10 * WINDOW_COUNT_MIN {
        told.now += Duration::from_millis(1);
        told.limit.completed(long_ago, before, told.now);
    }
    assert_eq!(told.limit.get(), before);
}

#[test]
fn a_few_slow_requests_are_no_overload() {
    let mut told = Told::grown(10);
    let before = told.limit.get();
    assert!(told.window(before, |number| if number % 25 == 0 { 2_000 } else { 10 }) > before);
}

#[test]
fn the_latency_without_load_is_remembered_through_a_minute_of_remembered_answers() {
    let mut told = Told::grown(15);
    let before = told.limit.get();
    for _ in 0..600 {
        told.window(1, |_| 2);
    }
    assert!(told.window(before, |_| 15) > before);
    // Half an hour later it is not.
    for _ in 0..18_000 {
        told.window(1, |_| 2);
    }
    assert!(told.window(told.limit.get(), |_| 15) < before);
}

proptest! {
    #[test]
    fn it_never_leaves_its_bounds(
        steps in prop::collection::vec((0_u64..50_000, 0_u64..3_000_000, 1_usize..600), 1..3_000),
        min in 1_usize..40, more in 0_usize..300,
    ) {
        let start = Instant::now();
        let mut limit = ConcurrencyLimit::new(min, min + more, start);
        let mut started_at = start;
        for (gap_us, latency_us, in_flight) in steps {
            started_at += Duration::from_micros(gap_us);
            limit.completed(started_at, in_flight, started_at + Duration::from_micros(latency_us));
            prop_assert!((min..=min + more).contains(&limit.get()));
        }
    }
}
