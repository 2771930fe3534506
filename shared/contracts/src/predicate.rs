//! The visibility of tools: the one predicate of search, get, facets and cache keys.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{Domain, Tenant, Tool, ToolId, ToolKey, ToolType};

/// Which tools a request is about. Every store translates it; [`Predicate::admits`] is what it means.
///
/// Serialised canonically (sorted sets), so that equal predicates are equal cache keys.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Predicate {
    /// Only this tenant's tools.
    pub tenant: Tenant,
    /// Only this domain, where given.
    pub domain: Option<Domain>,
    /// Any of these types; empty means all.
    pub tool_types: BTreeSet<ToolType>,
    /// Tools with at least one of these tags; empty means all.
    pub tags: BTreeSet<String>,
    /// Roles of the caller. A tool without `allowed_roles` is for everyone, another for who carries one of
    /// them.
    pub roles: BTreeSet<String>,
    /// Never these tools.
    pub exclude: BTreeSet<ToolId>,
}

impl Predicate {
    /// Returns all that a caller without roles may see of a tenant.
    pub fn tenant(tenant: Tenant) -> Self {
        Self {
            tenant,
            domain: None,
            tool_types: BTreeSet::new(),
            tags: BTreeSet::new(),
            roles: BTreeSet::new(),
            exclude: BTreeSet::new(),
        }
    }

    /// Narrows it to one domain.
    #[must_use]
    pub fn in_domain(mut self, domain: Domain) -> Self {
        self.domain = Some(domain);
        self
    }

    /// Widens it to a caller with these roles.
    #[must_use]
    pub fn with_roles(mut self, roles: impl IntoIterator<Item = String>) -> Self {
        self.roles.extend(roles);
        self
    }

    /// Returns whether a tool is among those meant.
    pub fn admits(&self, key: &ToolKey, tool: &Tool) -> bool {
        self.tenant == key.tenant
            && self.domain.as_ref().is_none_or(|domain| *domain == key.domain)
            && (self.tool_types.is_empty() || self.tool_types.contains(&tool.tool_type))
            && (self.tags.is_empty() || tool.tags.iter().any(|tag| self.tags.contains(tag)))
            && (tool.allowed_roles.is_empty()
                || tool.allowed_roles.iter().any(|role| self.roles.contains(role)))
            && (self.exclude.is_empty() || !self.exclude.contains(&key.tool_id()))
    }
}
