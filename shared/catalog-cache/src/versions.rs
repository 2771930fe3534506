//! Catalogue versions: how far the catalogue of a tenant, or of one of its domains, is searchable.

use std::fmt;
use std::sync::Arc;

use toolweaver_contracts::{Domain, Tenant};
use tracing::{debug, warn};

use crate::keys;
use crate::store::{self, CacheStore, Store, StoreError};
use toolweaver_resilience::Breaker;

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
    /// Only after the change is searchable. The cache invalidator must not miss one, so this asks the store even when that
    /// is known to be down.
    pub async fn raise(&self, scope: &Scope, version: u64) -> Result<u64, StoreError> {
        self.store.raise_version(&self.key(scope), version).await
    }

    /// The scope's version; none when it is not known, be it that the store does not answer or is known to be down.
    pub async fn current(&self, scope: &Scope) -> Option<u64> {
        self.read(scope).await.flatten()
    }

    /// The same for whoever has applied `held` itself: a store that answers and knows no version, as after FLUSHALL, is
    /// told this one, so that the version can be read again before the next change.
    pub async fn current_or_told(&self, scope: &Scope, held: u64) -> Option<u64> {
        match self.read(scope).await? {
            None if held > 0 => self.raise(scope, held).await.ok(),
            known => known,
        }
    }

    /// What the store says; none when it says nothing.
    async fn read(&self, scope: &Scope) -> Option<Option<u64>> {
        let read = async {
            match self.store.version(&self.key(scope)).await {
                // The store answers, only not well: that says nothing about the other keys.
                Err(error @ StoreError::NotAVersion { .. }) => {
                    warn!(%scope, %error, "the version is not known");
                    Ok(None)
                }
                read => read.map(Some),
            }
        };
        let read = self.breaker.guard(read).await;
        read.inspect_err(|error| debug!(%scope, %error, "the version is not known")).ok().flatten()
    }

    fn key(&self, scope: &Scope) -> String {
        keys::version(&self.incarnation, scope)
    }
}
