//! Change log: the newest changes of the catalog, which a cached answer is revalidated against.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

use toolweaver_contracts::{Tenant, ToolKey};
use uuid::Uuid;

/// Changes that are kept, of all tenants together; with vectors of 384 numbers about 8 MiB. Answers from
/// before the oldest are computed again.
const CHANGES_MAX: usize = 4_096;

/// A tool that was registered or removed.
#[derive(Debug)]
pub(crate) struct Changed {
    /// INDEXED sequence of the change.
    pub(crate) version: u64,
    pub(crate) point_id: Uuid,
    tenant: Tenant,
    /// Vector of the tool as it was registered, where this model made one.
    pub(crate) vector: Option<Vec<f32>>,
}

impl Changed {
    pub(super) fn new(version: u64, key: &ToolKey, vector: Option<Vec<f32>>) -> Self {
        Self { version, point_id: key.point_id(), tenant: key.tenant.clone(), vector }
    }
}

/// The newest changes, in the order of their versions.
#[derive(Debug, Default)]
pub(super) struct ChangeLog {
    changes: VecDeque<Arc<Changed>>,
    /// Version of the newest change that is not kept any more.
    forgotten: u64,
}

impl ChangeLog {
    pub(super) fn push(&mut self, change: Changed) {
        self.changes.push_back(Arc::new(change));
        if self.changes.len() > CHANGES_MAX
            && let Some(oldest) = self.changes.pop_front()
        {
            self.forgotten = oldest.version;
        }
    }

    /// Returns the newest change of each of a tenant's tools after `version`; `None` if not all of them are
    /// known any more.
    pub(super) fn since(&self, tenant: &Tenant, version: u64) -> Option<Vec<Arc<Changed>>> {
        if version < self.forgotten {
            return None;
        }
        let after = self.changes.iter().rev().take_while(|change| change.version > version);
        let mut seen = HashSet::new();
        let newest = after.filter(|change| change.tenant == *tenant && seen.insert(change.point_id));
        Some(newest.cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(version: u64, tenant: &str, name: &str) -> Changed {
        let key = ToolKey {
            tenant: tenant.parse().unwrap(),
            domain: "general".parse().unwrap(),
            tool_name: name.parse().unwrap(),
        };
        Changed::new(version, &key, None)
    }

    #[test]
    fn a_tenants_newest_changes_are_told_as_long_as_all_are_known() {
        let mut log = ChangeLog::default();
        let acme: Tenant = "acme".parse().unwrap();
        for (version, tenant, name) in
            [(3, "acme", "a"), (4, "globex", "a"), (5, "acme", "b"), (7, "acme", "a")]
        {
            log.push(change(version, tenant, name));
        }
        let versions = |log: &ChangeLog, after| {
            log.since(&acme, after)
                .map(|changes| changes.iter().map(|change| change.version).collect::<Vec<_>>())
        };
        assert_eq!(versions(&log, 0), Some(vec![7, 5]));
        assert_eq!(versions(&log, 5), Some(vec![7]));
        assert_eq!(versions(&log, 7), Some(vec![]));

        for version in 8..=(CHANGES_MAX as u64 + 6) {
            log.push(change(version, "globex", &format!("tool {version}")));
        }
        assert_eq!(log.forgotten, 5);
        assert_eq!(versions(&log, 4), None, "change 5 is forgotten");
        assert_eq!(versions(&log, 5), Some(vec![7]));
    }
}
