//! Lookups: one tool by its id, and the domains with their counts.

use std::{collections::BTreeSet, sync::Arc};

use serde::Serialize;
use toolweaver_catalog_cache::{CatalogSnapshots, SnapshotKey};
use toolweaver_contracts::{
    DomainCount, DomainsReply, DomainsRequest, ErrorCode, Fault, GetReply, GetRequest, Predicate, Tenant,
    Tool,
};

use crate::projection::Projection;

/// Answers lookups from the projection.
pub(crate) struct Lookup {
    projection: Projection,
    snapshots: CatalogSnapshots,
}

impl Lookup {
    /// Makes a lookup; counts of domains are cached in `snapshots`.
    pub(crate) fn new(projection: Projection, snapshots: CatalogSnapshots) -> Self {
        Self { projection, snapshots }
    }

    /// Returns one tool, as the projection holds it: nothing that is cached elsewhere is nearer.
    pub(crate) fn get(&self, tenant: Tenant, request: GetRequest) -> Result<GetReply, Fault> {
        let catalog_version = self.projection.applied().version;
        let predicate = Predicate::tenant(tenant).with_roles(request.roles);
        let found = self.projection.catalog().get(&request.tool_id, &predicate).map(Arc::clone);
        let Some(entry) = found else {
            // The same words for a tool that is hidden and one that does not exist: the difference is none of
            // theirs.
            return Err(Fault::new(
                ErrorCode::NotFound,
                format!("no tool {} is visible to this caller", request.tool_id),
            )
            .at("/tool_id")
            .hint("search for it, or carry a role that may see it"));
        };
        let (tool_id, tool, revision) = (entry.key.tool_id(), Tool::clone(&entry.tool), entry.revision);
        Ok(GetReply { tool_id, tool, revision, catalog_version })
    }

    /// Returns the domains and how many tools of each the caller may see. Counting them takes a while for
    /// large tenants.
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
        if let Some(counted) = self.snapshots.get::<DomainsReply>(&key).await {
            return DomainsReply { catalog_version, ..counted };
        }
        let counts = self.projection.catalog().domain_counts(&predicate);
        let counted = DomainsReply {
            tools: counts.values().sum(),
            domains: counts.into_iter().map(|(domain, tools)| DomainCount { domain, tools }).collect(),
            catalog_version,
        };
        self.snapshots.put(&key, &counted).await;
        counted
    }
}
