//! Health of a process: readiness with its reasons, and liveness.
//!
//! Readiness is the sum of named gates. Serving it over HTTP is [`crate::http`].

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::watch;

/// Readiness of one process, made of named gates. Cheap to clone.
///
/// A process without any gate is not ready: it has not got that far yet. So a service creates all its gates
/// before it first awaits anything.
#[derive(Clone, Debug)]
pub struct Health {
    state: Arc<watch::Sender<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Reason for which each gate is closed; none when it is open.
    gates: BTreeMap<String, Option<String>>,
    draining: bool,
    /// Reason for which the process can do no useful work any more.
    dead: Option<String>,
}

/// Condition of readiness, owned by the component that knows about it. It starts closed.
#[derive(Clone, Debug)]
pub struct Gate {
    name: Arc<str>,
    health: Health,
}

/// Closed gate, as `/readyz` reports it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotReady {
    /// Name of the gate, for example `projection`.
    pub gate: String,
    /// Reason, for a human.
    pub reason: String,
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl Health {
    /// Creates the health of a process that has just started: not ready, alive.
    pub fn new() -> Self {
        Self { state: Arc::new(watch::Sender::new(State::default())) }
    }

    /// Creates a closed gate of this name. The same name gives the same gate again, closed.
    pub fn gate(&self, name: impl Into<String>) -> Gate {
        let gate = Gate { name: Arc::from(name.into()), health: self.clone() };
        gate.not_ready("starting");
        gate
    }

    /// Returns the gates that are closed. Empty means ready.
    pub fn not_ready(&self) -> Vec<NotReady> {
        self.state.borrow().not_ready()
    }

    /// Returns whether requests are welcome.
    pub fn is_ready(&self) -> bool {
        self.state.borrow().is_ready()
    }

    /// Waits until the process is ready.
    pub async fn ready(&self) {
        // Fails only when the sender is gone, and `self` holds it.
        self.state.subscribe().wait_for(State::is_ready).await.ok();
    }

    /// Returns the reason for which the process can do no useful work any more, if there is one.
    pub fn dead(&self) -> Option<String> {
        self.state.borrow().dead.clone()
    }

    /// Makes the process not ready for good: it finishes what it has begun.
    pub(crate) fn drain(&self) {
        self.state.send_modify(|state| state.draining = true);
    }

    pub(crate) fn die(&self, reason: String) {
        self.state.send_modify(|state| {
            state.dead.get_or_insert(reason);
        });
    }
}

impl Gate {
    /// Opens the gate.
    pub fn ready(&self) {
        self.set(None);
    }

    /// Closes the gate with this reason.
    pub fn not_ready(&self, reason: impl Into<String>) {
        self.set(Some(reason.into()));
    }

    fn set(&self, closed: Option<String>) {
        self.health.state.send_if_modified(|state| {
            let before = state.gates.get(&*self.name);
            let changed = before != Some(&closed);
            if changed {
                state.gates.insert(self.name.to_string(), closed);
            }
            changed
        });
    }
}

impl State {
    fn is_ready(&self) -> bool {
        !self.draining && !self.gates.is_empty() && self.gates.values().all(Option::is_none)
    }

    fn not_ready(&self) -> Vec<NotReady> {
        let mut closed: Vec<_> = self
            .gates
            .iter()
            .filter_map(|(gate, reason)| {
                reason.as_ref().map(|reason| NotReady { gate: gate.clone(), reason: reason.clone() })
            })
            .collect();
        if self.gates.is_empty() {
            closed.push(NotReady { gate: "start".to_owned(), reason: "starting".to_owned() });
        }
        if self.draining {
            closed.push(NotReady { gate: "shutdown".to_owned(), reason: "draining".to_owned() });
        }
        closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_only_when_every_gate_is_open_and_nothing_drains() {
        let health = Health::new();
        assert!(!health.is_ready(), "no gate yet means not started");

        let (nats, projection) = (health.gate("nats"), health.gate("projection"));
        nats.ready();
        projection.not_ready("12 events behind");
        assert_eq!(
            health.not_ready(),
            [NotReady { gate: "projection".to_owned(), reason: "12 events behind".to_owned() }]
        );

        projection.ready();
        assert!(health.is_ready());
        nats.not_ready("connection lost");
        assert!(!health.is_ready(), "a gate may close again");

        nats.ready();
        health.drain();
        assert_eq!(health.not_ready()[0].gate, "shutdown");
    }

    #[tokio::test]
    async fn waits_for_readiness() {
        let health = Health::new();
        let gate = health.gate("only");
        let waiting = tokio::spawn({
            let health = health.clone();
            async move { health.ready().await }
        });
        gate.ready();
        waiting.await.expect("it returns");
    }
}
