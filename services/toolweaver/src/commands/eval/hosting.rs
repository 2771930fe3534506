//! Hosting of a set over NATS: all workers started here for one set and thrown away, or workers running
//! elsewhere.
//!
//! One set at a time: a second one beside the first would change nothing of its ranking, but its latencies.

use std::{
    num::{NonZeroU64, NonZeroUsize},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tempfile::TempDir;
use toolweaver_cache_invalidator::InvalidationSettings;
use toolweaver_catalog_cache::CacheConfig;
use toolweaver_contracts::{ErrorCode, Fault, Tenant, ToolEvent, ToolKey, encode, subjects};
use toolweaver_eval::Set;
use toolweaver_messaging::{LocalServer, NatsConfig, Outgoing, StreamsConfig, publish};
use toolweaver_service_runtime::{DrainConfig, Runtime};
use toolweaver_vector_store::QdrantConfig;

use super::EvalArgs;
use crate::{
    client::{Client, Rejections, no_connection, not_stored, until_searchable},
    data_dir::DataDir,
    options::Connection,
    registration::{Entry, TOMBSTONE_KEPT, prepare, publish_all},
    terminal::{bar, told},
    workers::{self, WorkerArgs},
};

/// Drain timeout of the workers when they are thrown away.
const DRAIN_SECONDS: u64 = 10;
/// Versions raised at a time: nobody reads them, and more at once cost less.
const INVALIDATION_BATCH_MAX: NonZeroUsize = NonZeroUsize::new(4_096).expect("4,096 is not zero");
/// Removals in flight at a time.
const REMOVALS_IN_FLIGHT: usize = 256;
/// Longest part of a set's name in the tenant's, less the suffix that makes it this run's own.
const NAME_CHARS_MAX: usize = 40;

/// NATS and all workers in this process, on a folder that disappears with them.
pub(super) struct ThrowAway {
    runtime: Runtime,
    server: Arc<LocalServer>,
    _folder: TempDir,
}

/// Returns the options of the workers that are started here. Nothing outside this process is used, and
/// nothing is cached: a query asked twice must be computed twice.
pub(super) fn worker_args(args: &EvalArgs) -> WorkerArgs {
    WorkerArgs {
        streams: StreamsConfig::default(),
        model: args.model.clone(),
        indexing: args.indexing.clone(),
        query: args.query.clone(),
        qdrant: QdrantConfig { use_vector_db: false, ..QdrantConfig::at("") },
        cache: CacheConfig::local(NonZeroU64::MIN),
        invalidation: InvalidationSettings {
            invalidation_batch_max: INVALIDATION_BATCH_MAX,
            invalidation_linger_ms: 0,
        },
    }
}

impl ThrowAway {
    /// Starts everything and waits until it is ready. The model and the ports are its own.
    pub(super) async fn start(workers: &WorkerArgs) -> Result<Self, Fault> {
        let folder = tempfile::tempdir().map_err(|error| {
            Fault::new(ErrorCode::Internal, format!("cannot make a temporary folder: {error}"))
        })?;
        let server = Arc::new(workers::start_server(folder.path(), 0).await?);
        let runtime = Runtime::new(DrainConfig { drain_timeout_seconds: DRAIN_SECONDS });
        let host = Self { runtime, server, _folder: folder };
        match host.begin(workers).await {
            Ok(()) => Ok(host),
            Err(fault) => {
                host.end().await.ok();
                Err(fault)
            }
        }
    }

    async fn begin(&self, workers: &WorkerArgs) -> Result<(), Fault> {
        let config = NatsConfig::for_url(self.server.url());
        let nats = toolweaver_messaging::connect(&config, "toolweaver eval")
            .await
            .map_err(|error| no_connection(&error))?;
        Box::pin(workers::start_workers(workers, nats, &self.runtime))
            .await
            .map_err(|error| workers::failed(&error))?;
        // None: a worker has died, and the end says which.
        self.runtime.shutdown.soft().run_until_cancelled(self.runtime.health.ready()).await;
        Ok(())
    }

    pub(super) fn nats(&self) -> NatsConfig {
        NatsConfig::for_url(self.server.url())
    }

    /// Runs `work` beside the workers; ends early where one of them dies.
    pub(super) async fn during<T>(self, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        let outcome = self.runtime.shutdown.soft().run_until_cancelled(work).await;
        let ended = self.end().await;
        match outcome {
            Some(outcome) => outcome,
            None => Err(ended.err().unwrap_or_else(|| {
                Fault::new(ErrorCode::Internal, "the workers ended before the measurement")
            })),
        }
    }

    async fn end(self) -> Result<(), Fault> {
        self.runtime.shutdown.begin();
        let joined = self.runtime.join().await;
        if let Some(server) = Arc::into_inner(self.server) {
            server.shutdown().await;
        }
        joined.map_err(|error| workers::failed(&error.into()))
    }
}

/// Connects as a tenant of this run alone.
pub(super) async fn connect(nats: NatsConfig, set: &Set, data_dir: &DataDir) -> Result<Client, Fault> {
    let connection = Connection { tenant: tenant(&set.name)?, nats, otlp_endpoint: None };
    Client::connect(&connection, data_dir).await
}

/// Registers all tools of a set and waits until searches see them; returns how many seconds that took.
pub(super) async fn register(client: &Client, set: &Set, timeout: Duration) -> Result<f64, Fault> {
    let rejections = Rejections::listen(client).await?;
    let begin = Instant::now();
    let progress = bar(Some(set.tools.len() as u64), "registering");
    let (tools, tenant) = (set.tools.clone(), client.tenant.clone());
    let published = publish_all(&client.nats, &progress, move |emit| {
        for (number, tool) in (1..).zip(tools) {
            if emit(Entry { line: number, position: number, tool: prepare(tool, &tenant) }).is_break() {
                break;
            }
        }
        Ok(())
    })
    .await;
    progress.finish_and_clear();
    let revision = published.last_revision();
    let refused = published.refused.into_iter().map(|refused| refused.reason).next();
    if let Some(fault) = published.broken_off.or(refused) {
        return Err(fault);
    }
    let revision = revision.ok_or_else(|| Fault::new(ErrorCode::BadRequest, "the set has no tools"))?;
    let progress = bar(Some(set.tools.len() as u64), "indexing");
    let outcome = until_searchable(client, revision, true, timeout, &progress).await;
    progress.finish_and_clear();
    outcome?;
    if let Some(rejection) = rejections.heard().into_iter().next() {
        let message = format!("a tool of {} was rejected: {}", set.name, told(&rejection.reason));
        return Err(Fault::new(ErrorCode::BadRequest, message));
    }
    Ok(begin.elapsed().as_secs_f64())
}

/// Removes all tools of a set again, from a system that lives on.
pub(super) async fn unregister(client: &Client, set: &Set) -> Result<(), Fault> {
    let progress = bar(Some(set.tools.len() as u64), "removing");
    let removals = stream::iter(&set.tools).map(|tool| {
        let key = ToolKey {
            tenant: client.tenant.clone(),
            domain: tool.domain.clone(),
            tool_name: tool.tool_name.clone(),
        };
        let removal = Outgoing::new(subjects::tools(&key), encode(&ToolEvent::Removed));
        publish(&client.nats, removal.expiring_after(TOMBSTONE_KEPT))
    });
    let removals = removals.buffer_unordered(REMOVALS_IN_FLIGHT).map_err(|error| not_stored(&error));
    let outcome = removals
        .try_for_each(|_| async {
            progress.inc(1);
            Ok(())
        })
        .await;
    progress.finish_and_clear();
    outcome
}

/// Names the tenant of this run alone: after the set and the moment.
fn tenant(set: &str) -> Result<Tenant, Fault> {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = set.chars().take(NAME_CHARS_MAX).map(plain).collect();
    let moment = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_micros();
    format!("eval-{name}-{moment:x}")
        .parse()
        .map_err(|error| Fault::new(ErrorCode::Internal, format!("cannot name a tenant: {error}")))
}
