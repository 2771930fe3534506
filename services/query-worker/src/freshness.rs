//! Freshness: waiting until the projection holds what somebody may know to exist. That is the caller, who
//! names it (read your writes), or anybody who has read the catalog's version or heard it announced.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::StreamExt as _;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use toolweaver_catalog_cache::Versions;
use toolweaver_contracts::{
    ErrorCode, Fault, SearchRequest, Tenant, VersionsAnnounced, decode,
    subjects::{INDEXED_STREAM, VERSIONS_SUBJECTS},
};
use toolweaver_messaging::{Nats, Settled, settled, streams};
use toolweaver_resilience::{Deadline, error_chain};
use tracing::{debug, warn};

use crate::projection::Projection;

/// Interval at which NATS is asked how far the indexing is, while somebody waits for a revision not seen
/// here.
const POLL_EVERY: Duration = Duration::from_millis(50);

/// Versions that this worker has applied, and those that it must have.
pub(crate) struct Freshness {
    pub(crate) nats: Nats,
    pub(crate) projection: Projection,
    /// The durable consumer that indexes for this model.
    pub(crate) consumer: String,
    /// Versions that no answer may be older than.
    pub(crate) required: RequiredVersion,
    /// Timeout of waiting for a version that can be read and is not applied here.
    pub(crate) timeout: Duration,
}

/// Newest versions that somebody may know to be searchable: no answer may be older.
#[derive(Debug)]
pub(crate) struct RequiredVersion {
    /// Versions that everybody can read.
    versions: Versions,
    /// Newest announced version of each tenant since this process listens.
    announced: Mutex<HashMap<Tenant, u64>>,
}

impl Freshness {
    /// Waits until this worker has applied every version of a tenant that anybody can know by now; false if
    /// it does not in time, and then its answer is older than it should be.
    pub(crate) async fn keep_up(&self, tenant: &Tenant, deadline: Deadline) -> bool {
        let applied_version = self.projection.catalog().version(tenant);
        let keeping_up = async {
            let required = self.required.of(tenant, applied_version).await;
            self.projection.applied().version >= required
                || timeout(self.timeout, self.projection.reach(required)).await.is_ok()
                || self.is_beyond_the_end(tenant, required).await
        };
        // Half of the time at most: the search needs the rest, and is flagged.
        deadline.earlier(deadline.remaining() / 2).run(Box::pin(keeping_up)).await.unwrap_or(false)
    }

    /// Tells whether INDEXED never had this version: then somebody else announced it, and it is forgotten.
    async fn is_beyond_the_end(&self, tenant: &Tenant, version: u64) -> bool {
        let Ok(state) = streams::state(&self.nats, INDEXED_STREAM).await else { return false };
        let is_beyond = state.last_sequence < version;
        if is_beyond {
            warn!(%tenant, version, last = state.last_sequence, "a version was announced that does not exist");
            self.required.forget(tenant);
        }
        is_beyond && self.projection.applied().version >= state.last_sequence
    }

    /// Listens to announcements until `stop`. One that is missed costs nothing where the versions can be
    /// read.
    pub(crate) async fn listen(&self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut announcements = self.nats.client().subscribe(VERSIONS_SUBJECTS).await?;
        while let Some(Some(message)) = stop.run_until_cancelled(announcements.next()).await {
            if let Ok(VersionsAnnounced { tenant, version, .. }) = decode(&message.payload) {
                self.required.observe_announced(tenant, version);
            }
        }
        Ok(())
    }

    /// Waits for `min_version` and `min_revision` for at most `wait_ms`; the fault says how far it is.
    pub(crate) async fn wait(&self, request: &SearchRequest) -> Result<(), Fault> {
        wait(request, &self.projection, &self.nats, &self.consumer).await
    }
}

impl RequiredVersion {
    /// Makes it over the versions that everybody can read; nothing is announced yet.
    pub(crate) fn new(versions: Versions) -> Self {
        Self { versions, announced: Mutex::default() }
    }

    /// Returns the newest version of a tenant that anybody can know; 0 where nothing is known.
    pub(crate) async fn of(&self, tenant: &Tenant, applied_version: u64) -> u64 {
        let readable = self.versions.current_or_restore(tenant, applied_version).await;
        let announced = self.announced().get(tenant).copied();
        readable.max(announced).unwrap_or_default()
    }

    /// Observes an announced version.
    pub(crate) fn observe_announced(&self, tenant: Tenant, version: u64) {
        let mut announced = self.announced();
        let known = announced.entry(tenant).or_default();
        *known = version.max(*known);
    }

    #[cfg(test)]
    pub(crate) fn read_from(&mut self, versions: Versions) {
        self.versions = versions;
    }

    fn forget(&self, tenant: &Tenant) {
        self.announced().remove(tenant);
    }

    fn announced(&self) -> MutexGuard<'_, HashMap<Tenant, u64>> {
        self.announced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn wait(
    request: &SearchRequest,
    projection: &Projection,
    nats: &Nats,
    consumer: &str,
) -> Result<(), Fault> {
    let deadline = Instant::now() + Duration::from_millis(request.wait_ms.unwrap_or(0));
    if let Some(version) = request.min_version
        && projection.applied().version < version
        && timeout_at(deadline, projection.reach(version)).await.is_err()
    {
        return Err(not_yet(
            "/min_version",
            &format!("version {version} is not applied yet"),
            request,
            projection,
        ));
    }
    if let Some(revision) = request.min_revision
        && !projection.catalog().applied_lately(revision)
        && timeout_at(deadline, until_indexed(revision, projection, nats, consumer)).await.is_err()
    {
        return Err(not_yet(
            "/min_revision",
            &format!("revision {revision} is not searchable yet"),
            request,
            projection,
        ));
    }
    Ok(())
}

/// Ends once revision is searchable here: seen in INDEXED, or settled in TOOLS with all that INDEXED then
/// held applied.
///
/// The second way covers a revision that never appears in INDEXED, because a newer one of the same tool
/// replaced it or because it was rejected.
async fn until_indexed(revision: u64, projection: &Projection, nats: &Nats, consumer: &str) {
    tokio::select! {
        () = projection.reach_revision(revision) => {}
        version = settled_version(revision, nats, consumer) => projection.reach(version).await,
    }
}

/// Waits until every event in TOOLS up to `revision` is settled; returns a version of INDEXED that holds them
/// all.
async fn settled_version(revision: u64, nats: &Nats, consumer: &str) -> u64 {
    loop {
        match settled(nats, consumer, revision).await {
            Ok(Settled::AtVersion(version)) => return version,
            Ok(Settled::NotYet { .. }) => {}
            Err(error) => debug!(error = %error_chain(&error), "cannot ask how far the indexing is"),
        }
        sleep(POLL_EVERY).await;
    }
}

fn not_yet(pointer: &str, message: &str, request: &SearchRequest, projection: &Projection) -> Fault {
    let hint = if request.wait_ms.is_some() {
        "ask again, or wait longer with wait_ms"
    } else {
        "say with wait_ms how long the search may wait"
    };
    let applied = projection.applied();
    Fault::new(ErrorCode::NotYet, format!("{message}; this worker is at version {}", applied.version))
        .at(pointer)
        .hint(hint)
}
