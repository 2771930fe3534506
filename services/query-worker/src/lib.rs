//! The query worker: answers search, get, domains and status over NATS.
//!
//! ```text
//! INDEXED ─▶ replay ─▶ applier ─▶ projection (catalogue, words, vectors)
//!                                     ▲
//! search.v1.* ─▶ searcher ────────────┤   embedder: 1 thread, 64 queries waiting
//! get.v1.*    ─▶ endpoints ───────────┤   at most QUERY_CONCURRENCY_MAX searches at a time
//! domains.v1.*, status.v1 ────────────┘
//! ```
//! It keeps no state of its own: what it knows is rebuilt from INDEXED at every start, and it is ready once it has
//! caught up. Here does **not** live: indexing, and anything that writes to a stream.

mod config;
mod endpoints;
mod freshness;
mod metrics;
mod parts;
mod projection;
mod ranker;
mod searcher;
mod status;

use std::{num::NonZeroUsize, sync::Arc};

use anyhow::Context as _;
use toolweaver_contracts::subjects::{
    DOMAINS_SUBJECTS, GET_SUBJECTS, INDEXED_STREAM, SEARCH_SUBJECTS, STATUS_SUBJECT,
};
use toolweaver_messaging::{Endpoint, Replay, Service, ServiceConfig as MicroConfig, StreamsConfig, streams};
use toolweaver_service_runtime::{Gate, Runtime};
use tokio_util::sync::CancellationToken;

pub use self::{
    config::{Config, QuerySettings},
    parts::{Parts, query_embedder},
};
use self::{projection::Applier, searcher::Searcher, status::Status};

/// Name of the micro service and its queue group.
pub const SERVICE_NAME: &str = "toolweaver-query";

/// Wires the worker up and returns; it then runs until `runtime` shuts down.
///
/// Requests are answered from the start, by what the projection has so far; readiness tells who should ask.
pub async fn run(settings: &QuerySettings, parts: Parts, runtime: &Runtime) -> anyhow::Result<()> {
    let caught_up = runtime.health.gate("projection");
    caught_up.not_ready("reading INDEXED");
    let dimensions = NonZeroUsize::new(parts.embedder.dimensions()).context("the model has no dimensions")?;
    let memory = parts.vectors.is_none().then_some(dimensions);
    let fingerprint = parts.embedder.fingerprint().hex().to_owned();
    let (applier, projection) = projection::open(fingerprint, memory).context("cannot make the lexical index")?;
    metrics::observe_projection(&projection);

    let replay = Replay::new(&parts.nats, INDEXED_STREAM, 0);
    let stop = runtime.shutdown.soft().clone();
    runtime.tasks.spawn("projection", project(replay, applier, settings.projection_batch_max, caught_up.clone(), stop));
    runtime.tasks.spawn("embedder watch", watch(parts.embedder.clone(), runtime.shutdown.soft().clone()));

    let searcher = Arc::new(Searcher::new(parts.clone(), projection.clone(), settings));
    let status = Arc::new(Status::new(Arc::clone(&searcher), runtime.health.clone()));
    let service = Service::start(
        &parts.nats,
        MicroConfig::new(SERVICE_NAME, env!("CARGO_PKG_VERSION"), "Finds the right tools"),
        vec![
            Endpoint::new("search", SEARCH_SUBJECTS, settings.query_concurrency_max, move |request| {
                endpoints::search(Arc::clone(&searcher), request)
            }),
        ],
    )
    .await
    .context("cannot offer the service on NATS")?;
    runtime.tasks.spawn("service", service.run(runtime.shutdown.soft().clone()));
    Ok(())
}

/// Applies INDEXED for ever. Ends with an error when the stream was made anew: only a fresh start is right then.
async fn project(
    mut replay: Replay,
    mut applier: Applier,
    batch_max: NonZeroUsize,
    caught_up: Gate,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    while let Some(batch) = stop.run_until_cancelled(replay.next_batch(batch_max.get())).await {
        let batch = batch.context("cannot follow INDEXED")?;
        applier = applier.apply(batch.messages).await.context("cannot apply INDEXED")?;
        if batch.caught_up {
            caught_up.ready();
        }
    }
    Ok(())
}
