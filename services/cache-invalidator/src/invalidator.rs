//! The handler of INDEXED events: drops what is cached of changed tools, raises versions, then announces
//! them.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use toolweaver_catalog_cache::{Store, StoreError, Versions, drop_tools};
use toolweaver_contracts::{Tenant, ToolKey, VersionsAnnounced, encode, subjects};
use toolweaver_messaging::{BatchHandler, Delivery, Nats, Outcome};
use toolweaver_resilience::{Retry, RetryError};
use tracing::{Instrument as _, debug, error, info_span, warn};

use crate::coalesce::{Raise, coalesce};
use crate::metrics;
use crate::pace::Pace;

/// The pause before events are delivered again whose versions could not be raised because this process was
/// told to stop.
const STOPPED_PAUSE: Duration = Duration::from_secs(1);
/// The same for a reason that does not pass by itself.
const BROKEN_PAUSE: Duration = Duration::from_secs(30);
/// A version that cannot be announced within this time is not: whoever missed it reads the store.
const ANNOUNCE_WITHIN: Duration = Duration::from_secs(1);

/// Invalidates caches and raises versions, batch by batch.
#[derive(Debug)]
pub(crate) struct Invalidator {
    nats: Nats,
    store: Store,
    incarnation: String,
    versions: Versions,
    pace: Pace,
    stop: CancellationToken,
}

impl Invalidator {
    /// Returns an invalidator for the INDEXED stream of this incarnation.
    pub(crate) fn new(
        nats: Nats,
        store: Store,
        incarnation: String,
        pace: Pace,
        stop: CancellationToken,
    ) -> Self {
        let versions = Versions::new(store.clone(), &incarnation);
        Self { nats, store, incarnation, versions, pace, stop }
    }

    /// Raises the version of one tenant. While the store is down this waits for it: the batch's deadline is
    /// extended meanwhile, and later batches have nothing better to do.
    async fn raise(&self, tenant: &Tenant, raise: Raise) -> Result<(), RetryError<StoreError>> {
        // Before the versions: who sees a new version must not find, and keep, what was known under the old
        // one.
        let tools: Vec<ToolKey> = raise.tools.into_iter().collect();
        self.retry_forever("drop changed tools", || drop_tools(&self.store, &self.incarnation, &tools))
            .await?;
        let version =
            self.retry_forever("raise versions", || self.versions.raise(tenant, raise.version)).await?;
        metrics::raised(1);
        let (tenant, domains) = (tenant.clone(), raise.domains);
        self.announce(&VersionsAnnounced { tenant, version, domains }).await;
        Ok(())
    }

    async fn retry_forever<T, A>(
        &self,
        what: &str,
        attempt: impl FnMut() -> A,
    ) -> Result<T, RetryError<StoreError>>
    where
        A: Future<Output = Result<T, StoreError>>,
    {
        Retry::new(what, &self.stop).run(StoreError::is_transient, attempt).await
    }

    /// Announces versions to everybody who listens. Nobody relies on it: an announcement makes things faster,
    /// not right.
    async fn announce(&self, announced: &VersionsAnnounced) {
        let subject = subjects::versions(&announced.tenant);
        let publish = self.nats.client().publish(subject, encode(announced).into());
        match timeout(ANNOUNCE_WITHIN, publish).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(tenant = %announced.tenant, %error, "cannot announce a version"),
            Err(_) => warn!(tenant = %announced.tenant, "cannot announce a version: the connection is stuck"),
        }
    }
}

impl BatchHandler for Invalidator {
    async fn handle(&self, batch: &[Delivery]) -> Vec<Outcome> {
        // A stop waits for nothing: what is in hand is written at once.
        self.stop.run_until_cancelled(self.pace.wait()).await;
        let plan = coalesce(batch.iter().map(|event| (event.subject.as_str(), event.stream_sequence)));
        let (mut stopped, mut broken) = (BTreeSet::new(), BTreeSet::new());
        for (tenant, raise) in plan.raises {
            let raising = self.raise(&tenant, raise).instrument(info_span!("raise versions"));
            match raising.await {
                Ok(()) => {}
                Err(RetryError::Stopped { source }) => {
                    debug!(%tenant, error = %source, "stopped before the versions were raised");
                    stopped.insert(tenant);
                }
                Err(RetryError::Failed { source }) => {
                    error!(%tenant, error = %source, "cannot raise the versions; trying again later");
                    broken.insert(tenant);
                }
            }
        }
        self.pace.written();
        metrics::events(batch.len());
        plan.events
            .into_iter()
            .map(|event| match event {
                Ok(tenant) if stopped.contains(&tenant) => Outcome::RetryAfter(STOPPED_PAUSE),
                Ok(tenant) if broken.contains(&tenant) => Outcome::RetryAfter(BROKEN_PAUSE),
                Ok(_) => Outcome::Done,
                Err(fault) => Outcome::Reject(fault),
            })
            .collect()
    }
}
