//! Faults that a test injects, and counts of the calls.

use std::{
    collections::{HashMap, VecDeque},
    iter,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use tonic::Status;

/// Faults to come and calls so far.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    down: bool,
    delay: Duration,
    /// Each of the method named, or of any.
    failures: VecDeque<(Option<&'static str>, Status)>,
    /// By method.
    refusals: HashMap<&'static str, Status>,
    calls: HashMap<&'static str, u64>,
}

impl Faults {
    pub(super) fn fail_next(&self, method: Option<&'static str>, calls: usize, status: &Status) {
        self.state().failures.extend(iter::repeat_n((method, status.clone()), calls));
    }

    pub(super) fn refuse(&self, method: &'static str, status: Option<Status>) {
        let refusals = &mut self.state().refusals;
        match status {
            Some(status) => drop(refusals.insert(method, status)),
            None => drop(refusals.remove(method)),
        }
    }

    pub(super) fn set_down(&self, down: bool) {
        self.state().down = down;
    }

    pub(super) fn set_delay(&self, delay: Duration) {
        self.state().delay = delay;
    }

    pub(super) fn calls(&self, method: &str) -> u64 {
        self.state().calls.get(method).copied().unwrap_or(0)
    }

    /// Counts the call and lets it suffer what the test wants.
    pub(super) async fn meet(&self, method: &'static str) -> Result<(), Status> {
        let (delay, fault) = {
            let mut state = self.state();
            *state.calls.entry(method).or_default() += 1;
            let down = state.down.then(|| Status::unavailable("the double is down"));
            let fault = down.or_else(|| state.next_failure(method));
            (state.delay, fault.or_else(|| state.refusals.get(method).cloned()))
        };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        fault.map_or(Ok(()), Err)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no thread panics while it holds the lock")
    }
}

impl State {
    fn next_failure(&mut self, method: &'static str) -> Option<Status> {
        let place = self.failures.iter().position(|(of, _)| of.is_none_or(|of| of == method))?;
        self.failures.remove(place).map(|(_, status)| status)
    }
}
