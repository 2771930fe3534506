//! Findings: the outcome of each check.

use std::time::Duration;

use serde::Serialize;
use toolweaver_contracts::Fault;

/// Outcome of one check.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    /// Name of what was checked.
    #[serde(rename = "part")]
    pub(super) check: String,
    pub(super) ok: bool,
    pub(super) detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) round_trip_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) what_to_do: Option<String>,
}

impl Finding {
    /// Returns the finding of a check that passed.
    pub(super) fn pass(check: &str, detail: impl Into<String>) -> Self {
        Self {
            check: check.to_owned(),
            ok: true,
            detail: detail.into(),
            round_trip_ms: None,
            what_to_do: None,
        }
    }

    /// Returns the finding of a check that failed.
    pub(super) fn fail(check: &str, detail: impl Into<String>, what_to_do: impl Into<String>) -> Self {
        Self { ok: false, what_to_do: Some(what_to_do.into()), ..Self::pass(check, detail) }
    }

    /// Returns the finding of a check that ended with a fault; `otherwise` is advice for one without a hint.
    pub(super) fn of_fault(check: &str, fault: Fault, otherwise: &str) -> Self {
        Self::fail(check, fault.message, fault.hint.unwrap_or_else(|| otherwise.to_owned()))
    }

    /// Adds the time that an answer took.
    pub(super) fn after(mut self, round_trip: Duration) -> Self {
        self.round_trip_ms = Some((round_trip.as_secs_f64() * 1e6).round() / 1e3);
        self
    }

    /// Adds the address that was asked, where the detail does not name it.
    pub(super) fn at(mut self, address: &str) -> Self {
        if !self.detail.contains(address.trim_end_matches('/')) {
            self.detail = format!("{address}: {}", self.detail);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::Finding;

    #[test]
    fn an_address_is_said_once() {
        let at = |detail: &str| Finding::pass("NATS", detail).at("nats://db:4222").detail;
        assert_eq!(at("cannot connect to nats://db:4222"), "cannot connect to nats://db:4222");
        assert_eq!(at("refused"), "nats://db:4222: refused");
    }
}
