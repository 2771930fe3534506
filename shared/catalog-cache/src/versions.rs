//! Catalog versions: up to which sequence of INDEXED each tenant's catalog is known to be searchable.

use std::sync::Arc;

use toolweaver_contracts::Tenant;
use toolweaver_resilience::Breaker;
use tracing::{debug, warn};

use crate::keys;
use crate::store::{self, CacheStore, Store, StoreError};

/// Versions in a store. A version is a sequence of one incarnation of the INDEXED stream and only grows.
#[derive(Clone, Debug)]
pub struct Versions {
    store: Store,
    incarnation: Arc<str>,
    breaker: Arc<Breaker>,
}

impl Versions {
    /// Returns the versions in this store of the catalog with this incarnation.
    pub fn new(store: Store, incarnation: &str) -> Self {
        Self::behind(store, Arc::from(incarnation), Arc::new(Breaker::new(store::DEPENDENCY)))
    }

    /// Returns the same behind a breaker that others of this process stand behind too.
    pub(crate) fn behind(store: Store, incarnation: Arc<str>, breaker: Arc<Breaker>) -> Self {
        Self { store, incarnation, breaker }
    }

    /// Raises the tenant's version to `version` unless it is higher already. Returns the one that holds.
    ///
    /// Only after the change is searchable. The cache invalidator must not miss one, so this calls the store
    /// even when that is known to be down.
    pub async fn raise(&self, tenant: &Tenant, version: u64) -> Result<u64, StoreError> {
        self.store.raise_version(&self.key(tenant), version).await
    }

    /// Returns the tenant's version; none when it is not known: the store does not answer, or is known to be
    /// down.
    ///
    /// `applied` is the version that the caller has applied itself. A store that answers and knows none, as
    /// after FLUSHALL, gets this one, so that the version can be read again before the next change.
    pub async fn current_or_restore(&self, tenant: &Tenant, applied: u64) -> Option<u64> {
        match self.read(tenant).await? {
            None if applied > 0 => self.raise(tenant, applied).await.ok(),
            known => known,
        }
    }

    /// Returns the answer of the store; none when it gives none.
    async fn read(&self, tenant: &Tenant) -> Option<Option<u64>> {
        let read = async {
            match self.store.version(&self.key(tenant)).await {
                // The store answers, only not well: that says nothing about the other keys.
                Err(error @ StoreError::NotAVersion { .. }) => {
                    warn!(%tenant, %error, "the version is not known");
                    Ok(None)
                }
                read => read.map(Some),
            }
        };
        let read = self.breaker.guard(read).await;
        read.inspect_err(|error| debug!(%tenant, %error, "the version is not known")).ok().flatten()
    }

    fn key(&self, tenant: &Tenant) -> String {
        keys::version(&self.incarnation, tenant)
    }
}
