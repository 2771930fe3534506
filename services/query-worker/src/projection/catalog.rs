//! Catalog: every searchable tool by identity, by point, by domain and by name.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::{Arc, OnceLock},
};

use toolweaver_contracts::{Domain, Predicate, Tenant, Tool, ToolId, ToolKey, ToolName};
use toolweaver_ranking::{
    NameMatch,
    lexical::TermFrequencies,
    query::name_mentions::{self, normalised},
    rescoring::StemSets,
};
use uuid::Uuid;

use super::changes::{ChangeLog, Changed};

/// Newest revisions that are kept, so that whoever waits for one is answered without asking NATS.
const RECENT_REVISIONS_MAX: usize = 1 << 16;

/// A searchable tool.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its identity.
    pub(crate) key: ToolKey,
    /// Its sequence in TOOLS.
    pub(crate) revision: u64,
    /// The tool.
    pub(crate) tool: Arc<Tool>,
    /// For re-scoring; made when the first request needs them.
    stems: OnceLock<StemSets>,
    /// For revalidation; made when the first cached answer needs them.
    frequencies: OnceLock<TermFrequencies>,
}

impl Entry {
    pub(crate) fn new(key: ToolKey, revision: u64, tool: Arc<Tool>) -> Self {
        Self { key, revision, tool, stems: OnceLock::new(), frequencies: OnceLock::new() }
    }

    /// Returns its stems, which re-scoring compares with a request.
    pub(crate) fn stems(&self) -> &StemSets {
        self.stems.get_or_init(|| StemSets::of(&self.tool))
    }

    /// Returns its terms, which revalidation scores.
    pub(crate) fn frequencies(&self) -> &TermFrequencies {
        self.frequencies.get_or_init(|| TermFrequencies::of(&self.tool))
    }
}

/// All tenants' tools.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    points: HashMap<Uuid, Arc<Entry>>,
    tenants: HashMap<Tenant, TenantCatalog>,
    recent: RecentRevisions,
    changes: ChangeLog,
}

/// One tenant's tools.
#[derive(Debug, Default)]
struct TenantCatalog {
    /// INDEXED sequence of its newest change.
    version: u64,
    domains: BTreeMap<Domain, HashMap<ToolName, Arc<Entry>>>,
    /// Points by normalised name.
    names: HashMap<String, Vec<Uuid>>,
    /// Length of the longest normalised name there ever was.
    name_bytes_max: usize,
}

#[derive(Debug, Default)]
struct RecentRevisions {
    order: VecDeque<u64>,
    set: HashSet<u64>,
}

impl Catalog {
    /// Inserts a tool in place of an earlier one of the same identity; returns whether there was one.
    pub(crate) fn insert(&mut self, entry: Entry) -> bool {
        self.recent.push(entry.revision);
        let entry = Arc::new(entry);
        let point_id = entry.key.point_id();
        let replaced = self.points.insert(point_id, Arc::clone(&entry)).is_some();
        let tenant = self.tenants.entry(entry.key.tenant.clone()).or_default();
        if !replaced {
            let name = normalised(entry.key.tool_name.as_str());
            tenant.name_bytes_max = tenant.name_bytes_max.max(name.len());
            tenant.names.entry(name).or_default().push(point_id);
        }
        tenant
            .domains
            .entry(entry.key.domain.clone())
            .or_default()
            .insert(entry.key.tool_name.clone(), entry);
        replaced
    }

    /// Removes a tool; returns whether it was there.
    pub(crate) fn remove(&mut self, key: &ToolKey, revision: u64) -> bool {
        self.recent.push(revision);
        // A tenant that lost its last tool stays: its version must go on, or cached answers from before come
        // back.
        let tenant = self.tenants.entry(key.tenant.clone()).or_default();
        let point_id = key.point_id();
        if self.points.remove(&point_id).is_none() {
            return false;
        }
        if let Some(domain) = tenant.domains.get_mut(&key.domain) {
            domain.remove(&key.tool_name);
            if domain.is_empty() {
                tenant.domains.remove(&key.domain);
            }
        }
        let name = normalised(key.tool_name.as_str());
        if let Some(points) = tenant.names.get_mut(&name) {
            points.retain(|point| *point != point_id);
            if points.is_empty() {
                tenant.names.remove(&name);
            }
        }
        true
    }

    /// Sets the version of a tenant. Not before every change up to it can be searched: answers are cached
    /// under this number.
    pub(crate) fn set_version(&mut self, tenant: &Tenant, version: u64) {
        self.tenants.entry(tenant.clone()).or_default().version = version;
    }

    /// Returns the tool at a point, if the predicate admits it.
    pub(crate) fn at(&self, point_id: Uuid, predicate: &Predicate) -> Option<&Arc<Entry>> {
        self.points.get(&point_id).filter(|entry| predicate.admits(&entry.key, &entry.tool))
    }

    /// Returns the tool of this id, if the predicate admits it.
    pub(crate) fn get(&self, id: &ToolId, predicate: &Predicate) -> Option<&Arc<Entry>> {
        let entry = self.tenants.get(&predicate.tenant)?.domains.get(&id.domain)?.get(&id.tool_name)?;
        predicate.admits(&entry.key, &entry.tool).then_some(entry)
    }

    /// Returns all tools that the predicate admits, domain by domain.
    pub(crate) fn admitted<'a>(&'a self, predicate: &'a Predicate) -> impl Iterator<Item = &'a Arc<Entry>> {
        let domains = self.tenants.get(&predicate.tenant).into_iter().flat_map(|tenant| &tenant.domains);
        domains
            .filter(|(domain, _)| predicate.domain.as_ref().is_none_or(|wanted| wanted == *domain))
            .flat_map(|(_, tools)| tools.values())
            .filter(|entry| predicate.admits(&entry.key, &entry.tool))
    }

    /// Returns admitted tools that the query names: those whose normalised name is all of it or stands in it,
    /// and those among `near` whose name is nearly the query.
    pub(crate) fn named_in(
        &self,
        query: &str,
        near: &[Uuid],
        predicate: &Predicate,
    ) -> Vec<(Uuid, NameMatch)> {
        let Some(tenant) = self.tenants.get(&predicate.tenant) else {
            return Vec::new();
        };
        let mut found: BTreeMap<Uuid, NameMatch> = BTreeMap::new();
        for (name, mention) in
            name_mentions::mentions(query, tenant.name_bytes_max, |name| tenant.names.contains_key(name))
        {
            for point_id in tenant.names[&name].iter().filter(|id| self.at(**id, predicate).is_some()) {
                let found = found.entry(*point_id).or_default();
                found.mention = found.mention.max(Some(mention));
            }
        }
        let whole = normalised(query);
        for entry in near.iter().filter_map(|point_id| self.at(*point_id, predicate)) {
            let name = normalised(entry.key.tool_name.as_str());
            if let Some(likeness) = name_mentions::likeness(&whole, &name) {
                found.entry(entry.key.point_id()).or_default().likeness = likeness;
            }
        }
        found.into_iter().collect()
    }

    /// Counts the admitted tools of each domain; domains without any are left out.
    pub(crate) fn domain_counts(&self, predicate: &Predicate) -> BTreeMap<Domain, u64> {
        let mut counts = BTreeMap::new();
        for entry in self.admitted(predicate) {
            *counts.entry(entry.key.domain.clone()).or_default() += 1;
        }
        counts
    }

    /// Returns the domains of a tenant that have a tool.
    pub(crate) fn domains(&self, tenant: &Tenant) -> Vec<Domain> {
        self.tenants.get(tenant).map_or_else(Vec::new, |tenant| tenant.domains.keys().cloned().collect())
    }

    /// Returns the INDEXED sequence of a tenant's newest change; 0 for one that never had any.
    pub(crate) fn version(&self, tenant: &Tenant) -> u64 {
        self.tenants.get(tenant).map_or(0, |tenant| tenant.version)
    }

    /// Returns some tenants with their versions, those of the newest changes first.
    pub(crate) fn versions(&self, count: usize) -> Vec<(Tenant, u64)> {
        let mut versions: Vec<_> =
            self.tenants.iter().map(|(tenant, catalog)| (tenant.clone(), catalog.version)).collect();
        versions.sort_unstable_by_key(|(_, version)| std::cmp::Reverse(*version));
        versions.truncate(count);
        versions
    }

    /// Records a change, before [`Self::set_version`] tells of it.
    pub(crate) fn record(&mut self, change: Changed) {
        self.changes.push(change);
    }

    /// Returns the newest change of each of a tenant's tools after `version`; `None` if not all of them are
    /// known any more.
    pub(crate) fn changes_since(&self, tenant: &Tenant, version: u64) -> Option<Vec<Arc<Changed>>> {
        self.changes.since(tenant, version)
    }

    /// Tells whether this revision was applied lately.
    pub(crate) fn applied_lately(&self, revision: u64) -> bool {
        self.recent.set.contains(&revision)
    }

    /// Counts the searchable tools of all tenants.
    pub(crate) fn tools(&self) -> usize {
        self.points.len()
    }

    /// Counts the tenants with at least one tool.
    pub(crate) fn tenants(&self) -> usize {
        self.tenants.values().filter(|tenant| !tenant.domains.is_empty()).count()
    }
}

impl RecentRevisions {
    fn push(&mut self, revision: u64) {
        if !self.set.insert(revision) {
            return;
        }
        self.order.push_back(revision);
        if self.order.len() > RECENT_REVISIONS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.set.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Catalog, Entry};
    use std::sync::Arc;
    use toolweaver_contracts::{Domain, Predicate, Tenant, Tool, ToolKey};

    fn entry(domain: &str, name: &str, revision: u64, roles: &[&str]) -> Entry {
        let key = ToolKey {
            tenant: Tenant::default(),
            domain: domain.parse().unwrap(),
            tool_name: name.parse().unwrap(),
        };
        let json = serde_json::json!({ "tool_name": name, "domain": domain, "allowed_roles": roles });
        let tool: Tool = serde_json::from_value(json).unwrap();
        Entry::new(key, revision, Arc::new(tool))
    }

    fn everyone() -> Predicate {
        Predicate::tenant(Tenant::default())
    }

    #[test]
    fn a_tool_is_there_until_it_is_removed() {
        let mut catalog = Catalog::default();
        assert!(!catalog.insert(entry("github", "create_issue", 7, &[])));
        assert!(catalog.insert(entry("github", "create_issue", 9, &[])));
        let id = "github.create_issue".parse().unwrap();
        assert_eq!(catalog.get(&id, &everyone()).map(|entry| entry.revision), Some(9));
        assert_eq!((catalog.tools(), catalog.tenants()), (1, 1));

        let key = entry("github", "create_issue", 9, &[]).key;
        assert!(catalog.remove(&key, 10));
        assert!(!catalog.remove(&key, 11));
        assert!(catalog.get(&id, &everyone()).is_none());
        assert_eq!(catalog.named_in("create issue", &[], &everyone()), []);
        catalog.set_version(&Tenant::default(), 4);
        assert_eq!((catalog.version(&Tenant::default()), catalog.tools(), catalog.tenants()), (4, 0, 0));
        assert!(catalog.applied_lately(7) && catalog.applied_lately(11) && !catalog.applied_lately(8));
    }

    #[test]
    fn roles_hide_from_get_counts_and_names_alike() {
        let mut catalog = Catalog::default();
        catalog.insert(entry("ops", "drop database", 1, &["admin"]));
        let id = "ops.drop database".parse().unwrap();
        let admin = everyone().with_roles(["admin".to_owned()]);
        for (predicate, seen) in [(everyone(), 0), (admin, 1)] {
            assert_eq!(catalog.get(&id, &predicate).iter().len(), seen);
            assert_eq!(catalog.named_in("drop database", &[], &predicate).len(), seen);
            assert_eq!(catalog.domain_counts(&predicate).values().sum::<u64>(), seen as u64);
            assert_eq!(catalog.admitted(&predicate.clone().in_domain(Domain::default())).count(), 0);
        }
    }
}
