//! The law against machines that are computed, not run: time is a number here.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use proptest::prelude::*;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use super::*;

/// A machine of `servers` that work on one request each, first come first served; what is admitted beyond
/// waits inside.
struct Machine {
    servers: usize,
    now: Duration,
    /// The ends of what is being served, with the start of each request.
    serving: BinaryHeap<Reverse<(Duration, Duration)>>,
    inside: VecDeque<Duration>,
    start: Instant,
    limit: ConcurrencyLimit,
    random: StdRng,
    /// Every limit that was in force.
    lowest: usize,
    highest: usize,
    ended: usize,
}

impl Machine {
    fn new(servers: usize, seed: u64) -> Self {
        let start = Instant::now();
        Self {
            servers,
            now: Duration::ZERO,
            serving: BinaryHeap::new(),
            inside: VecDeque::new(),
            start,
            limit: ConcurrencyLimit::new(MIN, MAX, start),
            random: StdRng::seed_from_u64(seed),
            lowest: usize::MAX,
            highest: 0,
            ended: 0,
        }
    }

    fn in_flight(&self) -> usize {
        self.serving.len() + self.inside.len()
    }

    /// Poisson arrivals for a while; what the limit does not admit is gone. `service` draws a service time.
    fn run(&mut self, within: Duration, per_second: f64, service: impl Fn(&mut StdRng) -> f64) {
        let end = self.now + within;
        let mut arrives_at = self.now + self.gap(per_second);
        while self.now < end {
            let ends_at = self.serving.peek().map_or(Duration::MAX, |Reverse((at, _))| *at);
            if arrives_at <= ends_at {
                self.now = arrives_at;
                if self.in_flight() < self.limit.get() {
                    self.inside.push_back(self.now);
                }
                arrives_at += self.gap(per_second);
            } else {
                self.now = ends_at;
                let Some(Reverse((_, started_at))) = self.serving.pop() else { unreachable!() };
                self.limit.completed(self.start + started_at, self.in_flight() + 1, self.start + self.now);
                self.ended += 1;
                self.lowest = self.lowest.min(self.limit.get());
                self.highest = self.highest.max(self.limit.get());
            }
            while self.serving.len() < self.servers
                && let Some(started_at) = self.inside.pop_front()
            {
                let seconds = service(&mut self.random);
                self.serving.push(Reverse((self.now + Duration::from_secs_f64(seconds), started_at)));
            }
        }
    }

    fn gap(&mut self, per_second: f64) -> Duration {
        Duration::from_secs_f64(exponential(&mut self.random) / per_second)
    }

    /// Forgets which limits were in force and how much was done.
    fn look_anew(&mut self) {
        (self.lowest, self.highest, self.ended) = (usize::MAX, 0, 0);
    }
}

/// Of mean 1.
fn exponential(random: &mut StdRng) -> f64 {
    -(1.0 - random.random::<f64>()).ln()
}

fn ten_ms(random: &mut StdRng) -> f64 {
    0.010 * exponential(random)
}

/// Remembered answers take 2 ms, computed ones 15, with some spread.
fn mixed(share_computed: f64) -> impl Fn(&mut StdRng) -> f64 {
    move |random| {
        let middle = if random.random_bool(share_computed) { 0.015 } else { 0.002 };
        middle * random.random_range(0.8..1.2)
    }
}

/// With little spread the limit is close. An exponential spread leaves a tail in which waiting hides for
/// longer.
#[test]
fn under_overload_it_stays_near_the_capacity_and_the_servers_busy() {
    let narrow = |random: &mut StdRng| 0.010 * random.random_range(0.8..1.2);
    for (servers, seed) in [(8, 1), (16, 2), (32, 3)] {
        assert_near_capacity(servers, seed, narrow, 2.5);
        assert_near_capacity(servers, seed, ten_ms, 6.0);
    }
}

fn assert_near_capacity(servers: usize, seed: u64, service: fn(&mut StdRng) -> f64, times_max: f64) {
    let mut machine = Machine::new(servers, seed);
    let possible = servers as f64 * 100.0;
    machine.run(Duration::from_secs(20), 3.0 * possible, service);
    machine.look_anew();
    machine.run(Duration::from_secs(20), 3.0 * possible, service);
    let (highest, ended) = (machine.highest, machine.ended as f64);
    assert!(highest as f64 <= times_max * servers as f64, "{servers} servers, and up to {highest} in flight");
    assert!(ended > 0.95 * 20.0 * possible, "{servers} servers did {ended} of {}", 20.0 * possible);
}

#[test]
fn a_machine_that_slows_down_is_given_less_and_gets_it_back() {
    let mut machine = Machine::new(32, 7);
    machine.run(Duration::from_secs(20), 9_600.0, ten_ms);
    let before = machine.limit.get();
    machine.servers = 4;
    machine.run(Duration::from_secs(20), 9_600.0, ten_ms);
    let slow = machine.limit.get();
    assert!(slow < before / 2, "{before}, then {slow}");
    machine.servers = 32;
    machine.run(Duration::from_secs(20), 9_600.0, ten_ms);
    let after = machine.limit.get();
    assert!(after > before / 2, "{before}, then {slow}, then {after}");
}

#[test]
fn it_grows_to_the_maximum_where_more_at_a_time_is_not_slower() {
    let mut machine = Machine::new(1_000, 11);
    machine.run(Duration::from_secs(20), 60_000.0, ten_ms);
    assert_eq!(machine.limit.get(), MAX);
}

#[test]
fn an_emptied_cache_is_no_overload() {
    let mut machine = Machine::new(1_000, 13);
    // A quiet minute: one request in ten is computed. Then many, nearly all remembered, and then none is.
    machine.run(Duration::from_mins(1), 100.0, mixed(0.1));
    machine.run(Duration::from_secs(20), 40_000.0, mixed(0.02));
    let before = machine.limit.get();
    assert!(before > 8 * MIN, "{before}");
    machine.look_anew();
    machine.run(Duration::from_secs(5), 10_000.0, mixed(1.0));
    machine.run(Duration::from_secs(5), 40_000.0, mixed(0.02));
    assert!(machine.lowest >= before, "{before}, then as low as {}", machine.lowest);
}

#[test]
fn a_kind_that_was_never_seen_costs_the_limit_for_a_moment_only() {
    let mut machine = Machine::new(1_000, 17);
    machine.run(Duration::from_secs(20), 40_000.0, mixed(0.0));
    let before = machine.limit.get();
    machine.run(Duration::from_secs(10), 40_000.0, mixed(1.0));
    assert!(machine.limit.get() >= before, "{before}, then {}", machine.limit.get());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_steady_light_load_leaves_it_alone(seed in any::<u64>(), share in 0.0_f64..1.0) {
        let mut machine = Machine::new(64, seed);
        machine.run(Duration::from_secs(5), 20_000.0, mixed(share));
        let before = machine.limit.get();
        prop_assume!(before >= 4 * MIN);
        // The last answers of the load before leave within a window.
        machine.run(Duration::from_secs(1), 100.0, mixed(share));
        machine.look_anew();
        let before = machine.limit.get();
        machine.run(Duration::from_mins(1), 100.0, mixed(share));
        prop_assert_eq!((machine.lowest, machine.highest), (before, before));
    }
}
