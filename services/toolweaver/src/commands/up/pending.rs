//! Remarks of `up` while it is not ready: the dependency that is away, its address, the cause, the attempts.

use std::{collections::BTreeSet, time::Duration};

use toolweaver_service_runtime::Health;

use crate::terminal::note;

/// Time between two remarks.
const REMARK_EVERY: Duration = Duration::from_secs(3);

/// Waits for `starting`, and meanwhile writes the reasons of closed gates on stderr.
pub(super) async fn told_while<T>(health: &Health, starting: impl Future<Output = T>) -> T {
    tokio::pin!(starting);
    let mut told = BTreeSet::new();
    loop {
        if let Ok(outcome) = tokio::time::timeout(REMARK_EVERY, &mut starting).await {
            return outcome;
        }
        let reasons = reasons(health);
        // A reason that counts attempts is new each time.
        for reason in reasons.difference(&told) {
            note(&format!("not ready yet: {reason}; Ctrl-C ends it"));
        }
        told = reasons;
    }
}

/// Returns the reason of each closed gate; two gates that wait for the same have one.
fn reasons(health: &Health) -> BTreeSet<String> {
    health.not_ready().into_iter().map(|closed| closed.reason).filter(|reason| reason != "starting").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_said_once_and_a_gate_that_only_starts_is_no_news() {
        let health = Health::new();
        let gates = ["streams", "vectors", "consumer"].map(|name| health.gate(name));
        assert_eq!(reasons(&health), BTreeSet::new());
        for gate in &gates[..2] {
            gate.not_ready("cannot reach NATS at nats://db:4222: refused (3 attempts)");
        }
        assert_eq!(reasons(&health).len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_outcome_is_that_of_the_start() {
        let starting = async {
            tokio::time::sleep(REMARK_EVERY * 5).await;
            7
        };
        assert_eq!(told_while(&Health::new(), starting).await, 7);
    }
}
