//! Coalescing of a batch of INDEXED events: for each tenant and domain the highest sequence, however many
//! events, and the tools that changed.

use std::collections::{BTreeMap, BTreeSet};

use toolweaver_contracts::{Domain, Fault, Tenant, ToolKey, subjects};

/// The new versions of one tenant, from one batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Raise {
    /// The version of the tenant.
    pub(crate) version: u64,
    /// Newest change of each of its domains; announced, and kept nowhere.
    pub(crate) domains: BTreeMap<Domain, u64>,
    /// The tools that changed.
    pub(crate) tools: BTreeSet<ToolKey>,
}

/// The writes that a batch asks for.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The versions to raise.
    pub(crate) raises: BTreeMap<Tenant, Raise>,
    /// For each event, in order: the tenant it raises, or why nothing can be made of it.
    pub(crate) events: Vec<Result<Tenant, Fault>>,
}

/// Reads the events' subjects; their bodies do not matter here.
pub(crate) fn coalesce<'a>(events: impl IntoIterator<Item = (&'a str, u64)>) -> Plan {
    let mut plan = Plan::default();
    for (subject, sequence) in events {
        let event = subjects::parse_indexed(subject).map(|key| {
            let raise = plan.raises.entry(key.tenant.clone()).or_default();
            raise.version = raise.version.max(sequence);
            let domain = raise.domains.entry(key.domain.clone()).or_default();
            *domain = sequence.max(*domain);
            let tenant = key.tenant.clone();
            raise.tools.insert(key);
            tenant
        });
        plan.events.push(event);
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_events_become_one_raise_a_scope() {
        let plan = coalesce([
            ("indexed.v1.acme.github.a", 11),
            ("indexed.v1.acme.chat.a", 12),
            ("indexed.v1.acme.github.b", 14),
            ("indexed.v1.globex.github.a", 13),
            // Delivered again.
            ("indexed.v1.acme.github.a", 9),
        ]);
        let domain = |name: &str| name.parse::<Domain>().unwrap();
        let tool = |tenant: &str, domain: &str, name: &str| ToolKey {
            tenant: tenant.parse().unwrap(),
            domain: domain.parse().unwrap(),
            tool_name: name.parse().unwrap(),
        };
        let acme = Raise {
            version: 14,
            domains: [(domain("github"), 14), (domain("chat"), 12)].into(),
            tools: [("github", "a"), ("chat", "a"), ("github", "b")]
                .map(|(domain, name)| tool("acme", domain, name))
                .into(),
        };
        let globex = Raise {
            version: 13,
            domains: [(domain("github"), 13)].into(),
            tools: [tool("globex", "github", "a")].into(),
        };
        assert_eq!(
            plan.raises,
            [("acme".parse().unwrap(), acme), ("globex".parse().unwrap(), globex)].into()
        );
        assert!(plan.events.iter().all(Result::is_ok));
    }

    #[test]
    fn a_subject_that_names_no_tool_raises_nothing() {
        let plan = coalesce([("indexed.v1.ACME.github.a", 1), ("indexed.v1.acme.github.a", 2)]);
        assert!(plan.events[0].is_err());
        assert_eq!(plan.raises.len(), 1);
    }
}
