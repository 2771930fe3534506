//! What is looked up rather than searched: one tool, and the domains.

use std::collections::BTreeSet;

use serde::Serialize;
use toolweaver_catalog_cache::{PopularityKind, SnapshotKey};
use toolweaver_contracts::{
    DomainCount, DomainsReply, DomainsRequest, ErrorCode, Fault, GetReply, GetRequest, Predicate,
    SearchReply, Tenant, Tool,
};

use super::Searcher;

impl Searcher {
    /// One tool. The projection says which version of it is true and who may see it; what it says is cached for everybody.
    pub(crate) async fn get(&self, tenant: Tenant, request: GetRequest) -> Result<GetReply, Fault> {
        let catalog_version = self.projection.applied().version;
        let predicate = Predicate::tenant(tenant).with_roles(request.roles);
        let found = self.projection.catalog().get(&request.tool_id, &predicate).cloned();
        let Some(entry) = found else {
            // The same words for a tool that is hidden and one that does not exist: the difference is none of theirs.
            return Err(Fault::new(
                ErrorCode::NotFound,
                format!("no tool {} is visible to this caller", request.tool_id),
            )
            .at("/tool_id")
            .hint("search for it, or carry a role that may see it"));
        };
        let metadata = &self.cache.tool_metadata;
        let tool = if let Some(tool) = metadata.get(&entry.key, entry.revision).await {
            tool
        } else {
            metadata.put(&entry.key, entry.revision, &*entry.tool).await;
            Tool::clone(&entry.tool)
        };
        let tool_id = entry.key.tool_id();
        self.cache.popularity.note(PopularityKind::Tools, &predicate.tenant, &tool_id.to_string(), 1);
        Ok(GetReply { tool_id, tool, revision: entry.revision, catalog_version })
    }

    /// Counts what an answer shows, and caches what has not been shown before: agents get what they have found.
    pub(super) fn show(&self, tenant: &Tenant, reply: &SearchReply) {
        for result in &reply.results {
            self.cache.popularity.note(PopularityKind::Tools, tenant, &result.tool_id.to_string(), 1);
        }
        let everybody = Predicate::tenant(tenant.clone());
        let catalog = self.projection.catalog();
        let shown = reply.results.iter().filter_map(|result| catalog.get(&result.tool_id, &everybody));
        let new: Vec<_> = shown.filter(|entry| entry.is_first_shown()).cloned().collect();
        if new.is_empty() {
            return;
        }
        let metadata = self.cache.tool_metadata.clone();
        // Apart, because the caller need not wait for it; each tool once, so these are few.
        tokio::spawn(async move {
            for entry in new {
                metadata.put(&entry.key, entry.revision, &*entry.tool).await;
            }
        });
    }

    /// The domains and how many tools of each the caller may see. Counting them all takes a while for large tenants.
    pub(crate) async fn domains(&self, tenant: Tenant, request: DomainsRequest) -> DomainsReply {
        #[derive(Serialize)]
        struct View<'a> {
            roles: &'a BTreeSet<String>,
            version: u64,
        }
        let catalog_version = self.projection.applied().version;
        // Taken before the counting: what is counted holds every change up to it.
        let version = self.projection.catalog().version(&tenant);
        let predicate = Predicate::tenant(tenant).with_roles(request.roles);
        let view = View { roles: &predicate.roles, version };
        let key = SnapshotKey::new(&predicate.tenant, &view).expect("a view has string keys only");
        let counted = if let Some(counted) = self.cache.catalog_snapshots.get::<DomainsReply>(&key).await {
            counted
        } else {
            let counts = self.projection.catalog().domain_counts(&predicate);
            let counted = DomainsReply {
                tools: counts.values().sum(),
                domains: counts.into_iter().map(|(domain, tools)| DomainCount { domain, tools }).collect(),
                catalog_version,
            };
            self.cache.catalog_snapshots.put(&key, &counted).await;
            counted
        };
        DomainsReply { catalog_version, ..counted }
    }
}
