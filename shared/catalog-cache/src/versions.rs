//! Catalogue versions: how far the catalogue of a tenant, or of one of its domains, is searchable.

use std::fmt;
use std::sync::Arc;

use toolweaver_contracts::{Domain, Tenant};
use tracing::{debug, warn};

use crate::breaker::Breaker;
use crate::keys;
use crate::store::{self, CacheStore, Store, StoreError};

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

/// The versions in a store. A version is a sequence of one incarnation of the INDEXED stream and only grows.
#[derive(Clone, Debug)]
pub struct Versions {
    store: Store,
    incarnation: Arc<str>,
    breaker: Arc<Breaker>,
}

impl Versions {
    /// The versions in this store of the catalogue with this incarnation.
    pub fn new(store: Store, incarnation: &str) -> Self {
        Self::behind(store, Arc::from(incarnation), Arc::new(Breaker::new(store::PART)))
    }

    /// The same behind a breaker that others of this process stand behind too.
    pub(crate) fn behind(store: Store, incarnation: Arc<str>, breaker: Arc<Breaker>) -> Self {
        Self { store, incarnation, breaker }
    }

    /// Raises the scope's version to `version` unless it is higher already. Returns the one that holds.
    ///
    /// Only the cache invalidator raises versions, after the change is searchable. It must not miss one, so this asks
    /// the store even when that is known to be down.
    pub async fn raise(&self, scope: &Scope, version: u64) -> Result<u64, StoreError> {
        self.store.raise_version(&self.key(scope), version).await
    }

    /// The scope's version; none when it is not known, be it that the store does not answer or is known to be down.
    pub async fn current(&self, scope: &Scope) -> Option<u64> {
        let read = async {
            match self.store.version(&self.key(scope)).await {
                // The store answers, only not well: that says nothing about the other keys.
                Err(error @ StoreError::NotAVersion { .. }) => {
                    warn!(%scope, %error, "the version is not known");
                    Ok(None)
                }
                read => read,
            }
        };
        self.breaker.guard(read).await.unwrap_or_else(|error| {
            debug!(%scope, error = %error, "the version is not known");
            None
        })
    }

    fn key(&self, scope: &Scope) -> String {
        keys::version(&self.incarnation, scope)
    }
}
