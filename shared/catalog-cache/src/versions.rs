//! Catalogue versions: how far the catalogue of a tenant, or of one of its domains, is searchable.

use std::fmt;

use toolweaver_contracts::{Domain, Tenant};
use tracing::debug;

use crate::store::{CacheStore, Store, StoreError};

/// What a version is about: all of a tenant's catalogue, or one domain of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// Whose catalogue.
    pub tenant: Tenant,
    /// Which part of it; none means all.
    pub domain: Option<Domain>,
}

impl Scope {
    /// All of a tenant's catalogue.
    pub fn tenant(tenant: &Tenant) -> Self {
        Self { tenant: tenant.clone(), domain: None }
    }

    /// One domain of a tenant's catalogue.
    pub fn domain(tenant: &Tenant, domain: &Domain) -> Self {
        Self { tenant: tenant.clone(), domain: Some(domain.clone()) }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.domain {
            None => write!(f, "{}", self.tenant),
            Some(domain) => write!(f, "{}/{domain}", self.tenant),
        }
    }
}

/// The versions in a store. A version is a sequence of the INDEXED stream and only grows.
#[derive(Clone, Debug)]
pub struct Versions {
    store: Store,
}

impl Versions {
    /// The versions in this store.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// Raises the scope's version to `version` unless it is higher already. Returns the one that holds.
    ///
    /// Only the cache invalidator raises versions, after the change is searchable.
    pub async fn raise(&self, scope: &Scope, version: u64) -> Result<u64, StoreError> {
        self.store.raise_version(scope, version).await
    }

    /// The scope's version; none when it is not known, be it that the store does not answer.
    pub async fn current(&self, scope: &Scope) -> Option<u64> {
        self.store.version(scope).await.unwrap_or_else(|error| {
            debug!(%scope, %error, "the version is not known");
            None
        })
    }
}
