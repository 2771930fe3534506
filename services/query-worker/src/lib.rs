//! The query worker: answers search, get, domains and status over NATS.
//!
//! ```text
//! INDEXED ─▶ replay ─▶ applier ─▶ projection (catalogue, words, vectors)
//!                                     ▲
//! search.v1.* ─▶ searcher ────────────┤   embedder: 1 thread, 64 queries waiting
//! get.v1.*    ─▶ endpoints ───────────┤   QUERY_CONCURRENCY_MIN to _MAX searches at a time, QUERY_QUEUE_MAX waiting
//! domains.v1.*, status.v1 ────────────┘
//! ```
//! It keeps no state of its own: what it knows is rebuilt from INDEXED at every start, and it is ready once it has
//! caught up. Here does **not** live: indexing, and anything that writes to a stream.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "scores are 32-bit floats, and counts are far below 2^24"
)]

mod answer;
mod calibration;
mod config;
mod endpoints;
mod freshness;
mod metrics;
#[cfg(test)]
mod no_stale_answer;
pub mod offline;
mod parts;
mod projection;
mod ranker;
mod router;
mod searcher;
mod shards;
mod status;
mod warmth;

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
    calibration::Densities,
    freshness::{Floor, Freshness},
    projection::{Applier, Changes},
    router::llm::LlmClassifier,
    searcher::{Breakers, Searcher},
    shards::Shards,
    status::Status,
    warmth::Warmth,
};
pub use self::{
    config::{Config, QuerySettings},
    parts::{Parts, query_embedder},
    router::llm::LlmSettings,
};

/// Name of the micro service.
pub const SERVICE_NAME: &str = "toolweaver-query";

/// Kept of the time to drain: callers whose answer does not come must still be told so.
const FAREWELL: Duration = Duration::from_secs(1);

/// Wires the worker up and returns; it then runs until `runtime` shuts down.
///
/// Searches are taken once INDEXED was read and the worker is warm, and only then is it ready: NATS gives requests to whoever
/// subscribes, ready or not. `status.v1` is answered from the start.
pub async fn run(settings: &QuerySettings, parts: Parts, runtime: &Runtime) -> anyhow::Result<()> {
    let gates = ["projection", "warmth", "service"].map(|part| runtime.health.gate(part));
    let [caught_up, warm, serving] = gates;
    caught_up.not_ready("reading INDEXED");
    warm.not_ready("not warm yet");
    serving.not_ready("takes no searches yet");
    let configured = settings.query_warm_file.as_deref().map(warmth::read).transpose()?.unwrap_or_default();
    let dimensions = NonZeroUsize::new(parts.embedder.dimensions()).context("the model has no dimensions")?;
    let own = settings.own_domains();
    let memory = parts.vectors.is_none().then_some(dimensions);
    let fingerprint = parts.embedder.fingerprint().hex().to_owned();
    let (applier, projection) =
        projection::open(fingerprint, memory, own.clone()).context("cannot make the lexical index")?;
    metrics::declare();
    metrics::observe_projection(&projection);
    toolweaver_embedding::metrics::observe(&parts.embedder, "queries");

    let replay = Replay::new(&parts.nats, INDEXED_STREAM, 0);
    let stop = runtime.shutdown.soft().clone();
    // What is waited for by searches that were taken goes on until the last of them has its answer.
    let answered = CancellationToken::new();
    let answering = answered.clone().drop_guard();
    let batch_max = settings.projection_batch_max;
    let (tell, told) = oneshot::channel();
    let projecting = project(replay, applier, batch_max, (caught_up, tell), answered.clone());
    runtime.tasks.spawn("projection", projecting);
    runtime.tasks.spawn("embedder", watch(parts.embedder.clone(), stop.clone()));

    let nats = parts.nats.clone();
    let patience = settings.patience();
    let freshness = Arc::new(Freshness {
        nats: nats.clone(),
        projection: projection.clone(),
        consumer: subjects::embedding_consumer(parts.embedder.fingerprint().short()),
        floor: Floor::new(parts.cache.versions.clone()),
        patience: patience.part,
    });
    let listener = Arc::clone(&freshness);
    runtime.tasks.spawn("announcements", async move { listener.listen(answered).await });
    let searcher = Arc::new(Searcher {
        embedder: parts.embedder,
        vectors: parts.vectors,
        cache: parts.cache,
        projection,
        densities: Densities::default(),
        shards: own.map(|own| Shards::new(nats.clone(), own)),
        routes: true,
        classifier: LlmClassifier::new(&settings.llm),
        breakers: Breakers::new(),
        patience,
        flights: searcher::flights(),
    });
    if let Some(shards) = searcher.shards.clone() {
        runtime.tasks.spawn("shards", shards.run(stop.clone()));
    }
    let (tell_warm, told_warm) = oneshot::channel();
    let warmth = Warmth::new(Arc::clone(&searcher), configured);
    runtime.tasks.spawn("warmth", warmth.keep(told, (warm, tell_warm), stop.clone()));
    runtime.tasks.spawn("calibration", calibration::keep(Arc::clone(&searcher), stop.clone()));
    let mut service =
        offer_status(&nats, Arc::clone(&searcher), Arc::clone(&freshness), runtime.health.clone())
            .await
            .context("cannot offer the service on NATS")?;
    let (limits, drain_within) = (settings.limits(), runtime.drain_timeout().saturating_sub(FAREWELL));
    let searching = settings.searching(&limits);
    runtime.tasks.spawn("service", async move {
        let _until_the_end = answering;
        if let Some(Ok(())) = stop.run_until_cancelled(told_warm).await {
            offer_searches(&mut service, limits, searching, searcher, freshness).await?;
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
    searcher: Arc<Searcher>,
    freshness: Arc<Freshness>,
    health: Health,
) -> Result<Service, ServiceError> {
    let micro = MicroConfig::new(SERVICE_NAME, env!("CARGO_PKG_VERSION"));
    let mut service = Service::start(nats, micro.description("Finds the right tools for an agent")).await?;
    let status = Arc::new(Status::new(service.id().to_owned(), searcher, freshness, health));
    let status = move |_| endpoints::status(Arc::clone(&status));
    service.endpoint(Endpoint::new("status", STATUS_SUBJECT), status).await?;
    Ok(service)
}

/// Offers the others. A tenant has one rate, whichever it asks.
async fn offer_searches(
    service: &mut Service,
    limits: Limits,
    searching: Limits,
    searcher: Arc<Searcher>,
    freshness: Arc<Freshness>,
) -> Result<(), ServiceError> {
    let (looked_up, fresh) = (Arc::clone(&searcher), Arc::clone(&freshness));
    let get = move |request| endpoints::get(Arc::clone(&looked_up), Arc::clone(&fresh), request);
    service.endpoint(Endpoint::new("get", GET_SUBJECTS).limits(limits.clone()), get).await?;

    let (looked_up, fresh) = (Arc::clone(&searcher), Arc::clone(&freshness));
    let domains = move |request| endpoints::domains(Arc::clone(&looked_up), Arc::clone(&fresh), request);
    service.endpoint(Endpoint::new("domains", DOMAINS_SUBJECTS).limits(limits), domains).await?;

    if let Some(shards) = searcher.shards.clone() {
        let owner = Arc::clone(&searcher);
        let shard = move |request| endpoints::shard(Arc::clone(&owner), request);
        // Another worker asks, for a request that it took in under its own limits. With the vector it is larger.
        let taken_in = Limits { request_bytes_max: usize::MAX, rate: None, ..searching.clone() };
        let endpoint = Endpoint::new("shard", shards.subject()).limits(taken_in);
        service.endpoint(endpoint, shard).await?;
        for domain in shards.own() {
            let endpoint = Endpoint::new(format!("search-{domain}"), subjects::search_in_domain(domain))
                .limits(searching.clone());
            serve_search(service, endpoint, &searcher, &freshness).await?;
        }
        shards.open();
    }

    let endpoint = Endpoint::new("search", SEARCH_SUBJECTS).limits(searching);
    serve_search(service, endpoint, &searcher, &freshness).await
}

/// Offers searches: each waits for what it names before it counts as work.
async fn serve_search(
    service: &mut Service,
    endpoint: Endpoint,
    searcher: &Arc<Searcher>,
    freshness: &Arc<Freshness>,
) -> Result<(), ServiceError> {
    let (searcher, freshness, awaited) = (Arc::clone(searcher), Arc::clone(freshness), Arc::clone(freshness));
    let accept = move |request: &Request| endpoints::accept_search(&awaited, request);
    let search = move |_, search| endpoints::search(Arc::clone(&searcher), Arc::clone(&freshness), search);
    service.typed_endpoint(endpoint, accept, search).await
}

/// Applies INDEXED for ever: one batch is applied while the next one is read. Ends with an error when the stream was made
/// anew: only a fresh start is right then.
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

/// Ends with an error when the embedding thread does: without it this worker would answer by words alone for ever.
async fn watch(embedder: Embedder, stop: CancellationToken) -> anyhow::Result<()> {
    match stop.run_until_cancelled(embedder.stopped()).await {
        Some(()) => bail!("the embedding thread has stopped"),
        None => Ok(()),
    }
}
