//! Accuracy of routing: the domains chosen for queries that name none.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use toolweaver_contracts::{Domain, RoutedBy};

use crate::{
    metrics::share,
    run::QueryRun,
    set::{Query, Set},
};

/// Routing accuracy of one set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Routing {
    pub(crate) domains: usize,
    pub(crate) queries: usize,
    /// Share of the queries for which a domain was chosen, 0 to 1.
    pub(crate) routed: f64,
    /// Of those: share with the right one, which is the set's hint or the domain of a relevant tool.
    pub(crate) right: f64,
    /// Of those: share that was searched everywhere after all.
    pub(crate) fell_back: f64,
}

impl Routing {
    /// Measures the runs of a set; `None` where all tools are in one domain, because nothing is to be chosen.
    pub(crate) fn of(set: &Set, runs: &[QueryRun]) -> Option<Self> {
        let domains = set.domains();
        if domains < 2 {
            return None;
        }
        let mut domains_by_name: HashMap<&str, Vec<&Domain>> = HashMap::new();
        for tool in &set.tools {
            domains_by_name.entry(tool.tool_name.as_str()).or_default().push(&tool.domain);
        }
        let is_right = |query: &Query, domain: &Domain| {
            query.domain_hint.as_ref() == Some(domain)
                || query.relevant.iter().any(|(name, _)| domains_by_name[name.as_str()].contains(&domain))
        };
        let (mut routed, mut right, mut fell_back) = (0, 0, 0);
        for (query, run) in set.queries.iter().zip(runs) {
            let Some(domain) = run.routed.domain.as_ref().filter(|_| run.routed.by != RoutedBy::None) else {
                continue;
            };
            routed += 1;
            right += usize::from(is_right(query, domain));
            fell_back += usize::from(run.routed.fell_back);
        }
        Some(Self {
            domains,
            queries: runs.len(),
            routed: share(routed, runs.len()),
            right: share(right, routed),
            fell_back: share(fell_back, routed),
        })
    }
}
