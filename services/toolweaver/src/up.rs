//! `up`: NATS, the three workers and what they share, in one process.
//!
//! ```text
//! lock ─▶ nats-server (child, unless --nats-url) ─▶ one connection ─┬▶ embedding worker ── embedder 1 ─┐
//!     └─▶ model, loaded once ──────────────────────────────────────┼▶ query worker ────── embedder 2 ─┴ one set of weights
//!                                                                   └▶ cache invalidator
//! ```
//! The end goes the other way: the workers drain, then the child stops.

mod ready;
mod workers;

use std::{
    net::{Ipv4Addr, TcpListener},
    path::Path,
    sync::Arc,
    time::Instant,
};

use anyhow::Context as _;
use clap::Args;
use toolweaver_cache_invalidator as cache_invalidator;
use toolweaver_catalog_cache::{CatalogCache, Store};
use toolweaver_contracts::{ErrorCode, Fault, subjects::INDEXED_STREAM};
use toolweaver_embedding::Embedder;
use toolweaver_embedding_worker as embedding_worker;
use toolweaver_messaging::{
    LocalServer, LocalServerConfig, Nats, NatsConfig, local_server::LocalServerError, streams,
};
use toolweaver_query_worker as query_worker;
use toolweaver_service_runtime::{Runtime, RuntimeConfig, healthcheck, telemetry};
use toolweaver_vector_store::Qdrant;

pub(crate) use self::workers::WorkerArgs;
use crate::{
    cli::Common,
    data_dir::DataDir,
    exit::{Exit, no_connection, with_causes},
};

/// Where `up` serves health and metrics: on this machine only, unlike a worker in a container.
pub(crate) const HTTP_ADDR_DEFAULT: &str = "127.0.0.1:9464";
/// What `up` logs: each connection of a library is no news to who runs everything on one machine.
pub(crate) const LOG_FILTER_DEFAULT: &str = "info,async_nats=warn,opentelemetry=warn";

#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    runtime: RuntimeConfig,

    /// Port of the NATS server that is started when no --nats-url is given; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 4222)]
    nats_port: u16,

    #[command(flatten)]
    nats: NatsConfig,

    #[command(flatten)]
    workers: WorkerArgs,
}

/// `up`. Returns when it was told to end, or when a part of it died.
pub(crate) async fn up(mut args: UpArgs, common: &Common) -> Result<Exit, Fault> {
    if args.runtime.http.healthcheck {
        let address = args.runtime.http.http_addr;
        let asked = tokio::task::spawn_blocking(move || healthcheck::ask(address)).await;
        return asked.expect("asking does not panic").map(|()| Exit::Done).map_err(|error| failed(&error));
    }
    let begin = Instant::now();
    let data_dir = DataDir::new(common.data_dir.as_deref())?;
    args.workers.find_model(&data_dir)?;
    args.validate()?;
    let _lock = data_dir.lock().await?;
    let telemetry =
        telemetry::start("toolweaver", &args.runtime.telemetry).map_err(|error| failed(&error.into()))?;
    let outcome = supervise(&args, &data_dir, common, begin).await;
    telemetry.shutdown().await;
    outcome.map(|()| Exit::Done)
}

impl UpArgs {
    /// All faults of all parts together, before anything is started.
    fn validate(&self) -> Result<(), Fault> {
        let faults = [self.runtime.validate(), self.nats.validate(), self.workers.validate()].concat();
        faulty(&faults, "up")
    }
}

/// All that is wrong with the options of a command, if anything is.
pub(crate) fn faulty(faults: &[String], command: &str) -> Result<(), Fault> {
    if faults.is_empty() {
        return Ok(());
    }
    let message = format!("the configuration is faulty:\n  - {}", faults.join("\n  - "));
    let hint = format!("see `toolweaver {command} --help` for all options and their environment variables");
    Err(Fault::new(ErrorCode::BadRequest, message).hint(hint))
}

async fn supervise(args: &UpArgs, data_dir: &DataDir, common: &Common, begin: Instant) -> Result<(), Fault> {
    let runtime = Runtime::start(&args.runtime.http, args.runtime.drain).await.map_err(|error| {
        failed(&error)
            .hint("take another address for health and metrics with --http-addr, such as 127.0.0.1:0")
    })?;
    let (nats_config, server) = if args.nats.nats_url.is_some() {
        (args.nats.clone(), None)
    } else {
        let server = start_server(data_dir.path(), args.nats_port).await?;
        (NatsConfig { nats_url: Some(server.url().to_owned()), ..args.nats.clone() }, Some(Arc::new(server)))
    };
    let outcome = work(args, &nats_config, server.clone(), data_dir, common, begin, &runtime).await;
    // Even where the wiring failed half-way: what runs already ends in good order.
    runtime.shutdown.begin();
    let joined = runtime.join().await;
    // Last of all, so that the workers could write down what they had begun.
    if let Some(server) = server.and_then(Arc::into_inner) {
        server.shutdown().await;
    }
    outcome?;
    joined.map_err(|error| failed(&error.into()))
}

/// Wires everything up, tells when it is ready, and returns when the shutdown begins.
async fn work(
    args: &UpArgs,
    nats_config: &NatsConfig,
    server: Option<Arc<LocalServer>>,
    data_dir: &DataDir,
    common: &Common,
    begin: Instant,
    runtime: &Runtime,
) -> Result<(), Fault> {
    let stop = runtime.shutdown.soft();
    if let Some(server) = server {
        let stop = stop.clone();
        runtime.tasks.spawn("nats-server", async move {
            match stop.run_until_cancelled(server.died()).await {
                None => Ok(()),
                Some(error) => Err(error.into()),
            }
        });
    }
    let nats = toolweaver_messaging::connect(nats_config, "toolweaver up").await.map_err(|error| {
        no_connection(&error).hint("check --nats-url, or leave it out to have a NATS server started here")
    })?;
    match stop.run_until_cancelled(Box::pin(start_workers(&args.workers, nats, runtime))).await {
        None => return Ok(()),
        Some(started) => started.map_err(|error| failed(&error))?,
    }
    let _url_file = match stop.run_until_cancelled(runtime.health.ready()).await {
        None => return Ok(()),
        Some(()) => ready::announce(nats_config, data_dir, common, begin.elapsed(), runtime)?,
    };
    stop.cancelled().await;
    Ok(())
}

/// Starts the three workers on this connection. They run until the runtime's shutdown begins.
pub(crate) async fn start_workers(args: &WorkerArgs, nats: Nats, runtime: &Runtime) -> anyhow::Result<()> {
    let model = toolweaver_embedding::load(&args.model).await.context("cannot load the embedding model")?;
    let vectors = Qdrant::if_used(&args.qdrant, model.fingerprint().hex(), model.dimensions())
        .context("cannot set up Qdrant")?;
    let store = Store::open(&args.cache).context("cannot set up the cache")?;
    let limits = args.model.limits();

    let parts = embedding_worker::Dependencies {
        nats: nats.clone(),
        embedder: Embedder::spawn(Arc::clone(&model), limits),
        vectors: vectors.clone(),
    };
    // First, because it makes the streams that the others read.
    embedding_worker::run(&args.indexing, &args.streams, parts, runtime).await.context("embedding worker")?;
    let parts = cache_invalidator::Dependencies { nats: nats.clone(), store: store.clone() };
    cache_invalidator::run(&args.invalidation, &args.streams, parts, runtime)
        .await
        .context("cache invalidator")?;
    let indexed = streams::state(&nats, INDEXED_STREAM).await.context("cannot find INDEXED")?;
    let parts = query_worker::Dependencies {
        nats,
        embedder: query_worker::query_embedder(model, limits),
        qdrant: vectors,
        cache: CatalogCache::new(store, &args.cache, &indexed.incarnation()),
    };
    query_worker::run(&args.query, parts, runtime).await.context("query worker")
}

/// Starts a NATS server on a data folder; port 0 takes a free one.
pub(crate) async fn start_server(data_dir: &Path, port: u16) -> Result<LocalServer, Fault> {
    let config = LocalServerConfig { binary: None, data_dir: data_dir.to_owned(), port };
    LocalServer::start(config).await.map_err(|error| {
        let is_taken = port != 0
            && matches!(error, LocalServerError::Died { .. })
            && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err();
        if is_taken {
            Fault::new(
                ErrorCode::Unavailable,
                format!("port {port} is taken, perhaps by another NATS server"),
            )
            .hint("use that server with --nats-url, or take a free port with --nats-port 0")
        } else {
            Fault::new(ErrorCode::Internal, format!("cannot start nats-server: {}", with_causes(&error)))
        }
    })
}

/// A part that could not be started, or that died.
pub(crate) fn failed(error: &anyhow::Error) -> Fault {
    Fault::new(ErrorCode::Internal, format!("{error:#}"))
}
