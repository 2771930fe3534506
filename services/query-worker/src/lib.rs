//! Query worker: answers search, get, domains and status over NATS.
//!
//! ```text
//! INDEXED ─▶ replay ─▶ applier ─▶ projection (catalog, lexical index, vectors)
//!                                     ▲
//! search.v1.* ─▶ answer cache ─▶ search pipeline      QUERY_CONCURRENCY_MIN to _MAX at a time,
//! get.v1.*, domains.v1.* ─▶ lookup                    QUERY_QUEUE_MAX waiting
//! status.v1 ─▶ status                                 embedder: 1 thread, 64 queries waiting
//! ```
//! It keeps no state of its own: its projection is rebuilt from INDEXED at every start, and it is ready once
//! that has caught up. Here does **not** live: indexing, anything that writes to a stream, and what decides
//! an order.

mod answers;
mod config;
mod dependencies;
mod endpoints;
mod freshness;
mod lookup;
mod metrics;
pub mod offline;
mod projection;
mod search;
mod status;
#[cfg(test)]
mod tests;

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use toolweaver_contracts::subjects::{
    self, DOMAINS_SUBJECTS, GET_SUBJECTS, INDEXED_STREAM, SEARCH_SUBJECTS, STATUS_SUBJECT,
};
use toolweaver_embedding::Embedder;
use toolweaver_messaging::{
    Endpoint, Limits, Nats, Replay, Request, Service, ServiceConfig as MicroConfig, ServiceError,
};
use toolweaver_service_runtime::{Gate, Health, Runtime};
use tracing::Instrument as _;

use self::{
    answers::{
        cache::AnswerCache,
        warmup::{self, CacheWarmer},
    },
    endpoints::Handlers,
    freshness::{Freshness, RequiredVersion},
    lookup::Lookup,
    projection::{Applier, Changes},
    search::{
        arms::Arms,
        density,
        llm_classifier::LlmClassifier,
        pipeline::Pipeline,
        routing::Router,
        shards::{Shards, protocol},
    },
    status::Status,
};
pub use self::{
    config::{Config, QuerySettings},
    dependencies::{Dependencies, query_embedder},
    search::llm_classifier::LlmSettings,
};

/// Name of the micro service.
pub const SERVICE_NAME: &str = "toolweaver-query";

/// Part of the drain timeout reserved for sending 503 to unanswered callers.
const DRAIN_RESERVE: Duration = Duration::from_secs(1);

/// Wires the worker up and returns; it then runs until `runtime` shuts down.
///
/// Searches are taken once INDEXED was read and the worker is warm, and only then is it ready: NATS gives
/// requests to whoever subscribes, ready or not. `status.v1` is answered from the start.
pub async fn run(
    settings: &QuerySettings,
    dependencies: Dependencies,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let gates = ["projection", "warmth", "service"].map(|gate| runtime.health.gate(gate));
    let [caught_up, warm, serving] = gates;
    caught_up.not_ready("reading INDEXED");
    warm.not_ready("not warm yet");
    serving.not_ready("takes no searches yet");
    let configured = settings.query_warm_file.as_deref().map(warmup::read).transpose()?.unwrap_or_default();
    let Dependencies { nats, embedder, qdrant, cache } = dependencies;
    let dimensions = embedder.dimensions();
    let own = settings.own_domains();
    let memory = qdrant.is_none().then_some(dimensions);
    let fingerprint = embedder.fingerprint().hex().to_owned();
    let (applier, projection) =
        projection::open(fingerprint, memory, own.clone()).context("cannot make the lexical index")?;
    metrics::declare();
    metrics::observe_projection(&projection);
    toolweaver_embedding::metrics::observe(&embedder, "queries");

    let replay = Replay::new(&nats, INDEXED_STREAM, 0);
    let stop = runtime.shutdown.soft().clone();
    // What is waited for by searches that were taken goes on until the last of them has its answer.
    let answered = CancellationToken::new();
    let answering = answered.clone().drop_guard();
    let batch_max = settings.projection_batch_max;
    let (tell, told) = oneshot::channel();
    let projecting = project(replay, applier, batch_max, (caught_up, tell), answered.clone());
    runtime.tasks.spawn("projection", projecting);
    runtime.tasks.spawn("embedder", watch(embedder.clone(), stop.clone()));

    let timeouts = settings.timeouts();
    let freshness = Arc::new(Freshness {
        nats: nats.clone(),
        projection: projection.clone(),
        consumer: subjects::embedding_consumer(embedder.fingerprint().short()),
        required: RequiredVersion::new(cache.versions.clone()),
        timeout: timeouts.arm,
    });
    let listener = Arc::clone(&freshness);
    runtime.tasks.spawn("announcements", async move { listener.listen(answered).await });

    let shards = own.map(|own| Shards::new(nats.clone(), protocol::scoring(&embedder), own));
    let arms = Arms::new(embedder, cache.embeddings.clone(), projection.clone(), qdrant, timeouts.arm);
    let router = Some(Router::new(projection.clone(), LlmClassifier::new(&settings.llm)));
    let pipeline = Arc::new(Pipeline::new(projection.clone(), arms, router, shards.clone(), timeouts));
    let answers = Arc::new(AnswerCache::new(Arc::clone(&pipeline), cache.clone()));
    let lookup = Lookup::new(projection, cache.catalog_snapshots);
    if let Some(shards) = shards {
        runtime.tasks.spawn("shards", shards.run(stop.clone()));
    }
    let (tell_warm, told_warm) = oneshot::channel();
    let warmer = CacheWarmer::new(Arc::clone(&answers), configured);
    runtime.tasks.spawn("warmth", warmer.run(told, (warm, tell_warm), stop.clone()));
    runtime.tasks.spawn("density", density::run(pipeline, stop.clone()));
    let mut service =
        offer_status(&nats, Arc::clone(&answers), Arc::clone(&freshness), runtime.health.clone())
            .await
            .context("cannot offer the service on NATS")?;
    let handlers = Arc::new(Handlers { answers, lookup, freshness, timeouts });
    let (limits, drain_within) = (settings.limits(), runtime.drain_timeout().saturating_sub(DRAIN_RESERVE));
    let searching = settings.searching(&limits);
    runtime.tasks.spawn("service", async move {
        let _until_the_end = answering;
        if let Some(Ok(())) = stop.run_until_cancelled(told_warm).await {
            offer_searches(&mut service, limits, searching, &handlers).await?;
            // Once the server has answered, it has the subscriptions too.
            nats.round_trip().await.context("cannot tell whether NATS knows of the service")?;
            serving.ready();
        }
        Ok(service.run(stop, drain_within).await?)
    });
    Ok(())
}

/// Starts the service with its first endpoint.
async fn offer_status(
    nats: &Nats,
    answers: Arc<AnswerCache>,
    freshness: Arc<Freshness>,
    health: Health,
) -> Result<Service, ServiceError> {
    let micro = MicroConfig::new(SERVICE_NAME, env!("CARGO_PKG_VERSION"));
    let mut service = Service::start(nats, micro.description("Finds the right tools for an agent")).await?;
    let status = Arc::new(Status::new(service.id().to_owned(), answers, freshness, health));
    let status = move |_| endpoints::status(Arc::clone(&status));
    service.endpoint(Endpoint::new("status", STATUS_SUBJECT), status).await?;
    Ok(service)
}

/// Offers the others. A tenant has one rate, whichever it asks.
async fn offer_searches(
    service: &mut Service,
    limits: Limits,
    searching: Limits,
    handlers: &Arc<Handlers>,
) -> Result<(), ServiceError> {
    let looking_up = Arc::clone(handlers);
    let get = move |request| Arc::clone(&looking_up).get(request);
    service.endpoint(Endpoint::new("get", GET_SUBJECTS).limits(limits.clone()), get).await?;

    let looking_up = Arc::clone(handlers);
    let domains = move |request| Arc::clone(&looking_up).domains(request);
    service.endpoint(Endpoint::new("domains", DOMAINS_SUBJECTS).limits(limits), domains).await?;

    let pipeline = handlers.answers.pipeline();
    if let Some(shards) = pipeline.shards() {
        let (pipeline, asked) = (Arc::clone(pipeline), shards.clone());
        let shard = move |request| endpoints::shard(Arc::clone(&pipeline), asked.clone(), request);
        // Another worker asks, for a request that it took in under its own limits. With the vector it is
        // larger.
        let taken_in = Limits { request_bytes_max: usize::MAX, rate: None, ..searching.clone() };
        let endpoint = Endpoint::new("shard", shards.subject()).limits(taken_in);
        service.endpoint(endpoint, shard).await?;
        for domain in shards.own() {
            let endpoint = Endpoint::new(format!("search-{domain}"), subjects::search_in_domain(domain))
                .limits(searching.clone());
            serve_search(service, endpoint, handlers).await?;
        }
        shards.open();
    }

    let endpoint = Endpoint::new("search", SEARCH_SUBJECTS).limits(searching);
    serve_search(service, endpoint, handlers).await
}

async fn serve_search(
    service: &mut Service,
    endpoint: Endpoint,
    handlers: &Arc<Handlers>,
) -> Result<(), ServiceError> {
    let (accepting, searching) = (Arc::clone(handlers), Arc::clone(handlers));
    let accept = move |request: &Request| accepting.accept_search(request);
    let search = move |_, search| Arc::clone(&searching).search(search);
    service.typed_endpoint(endpoint, accept, search).await
}

/// Applies INDEXED for ever: one batch is applied while the next one is read. Ends with an error when the
/// stream was made anew: only a fresh start is right then.
async fn project(
    mut replay: Replay,
    mut applier: Applier,
    batch_max: NonZeroUsize,
    (caught_up, tell): (Gate, oneshot::Sender<()>),
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut tell = Some(tell);
    let (read, mut batches) = mpsc::channel(1);
    let reading = async move {
        while let Some(batch) = stop.run_until_cancelled(replay.next_batch(batch_max.get())).await {
            let batch = batch.context("cannot follow INDEXED")?;
            let (is_last, spans) = (batch.caught_up, batch.spans);
            let changes = Changes::read(batch.messages).await.context("cannot read INDEXED")?;
            if read.send((changes, is_last, spans)).await.is_err() {
                break;
            }
        }
        Ok(())
    };
    let applying = async move {
        // Outside the token: a batch is never left half applied.
        while let Some((changes, is_last, spans)) = batches.recv().await {
            let applying = applier.apply(changes).instrument(spans.batch.clone());
            applier = applying.await.context("cannot apply INDEXED")?;
            // From here on searches see it.
            drop(spans);
            if is_last {
                caught_up.ready();
                // Nobody listens any more where the worker is stopping.
                tell.take().map(|tell| tell.send(()));
            }
        }
        Ok(())
    };
    tokio::try_join!(reading, applying).map(|((), ())| ())
}

/// Ends with an error when the embedding thread does: without it this worker would answer by the lexical arm
/// only, for ever.
async fn watch(embedder: Embedder, stop: CancellationToken) -> anyhow::Result<()> {
    match stop.run_until_cancelled(embedder.stopped()).await {
        Some(()) => bail!("the embedding thread has stopped"),
        None => Ok(()),
    }
}
