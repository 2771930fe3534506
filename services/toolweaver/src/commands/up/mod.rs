//! `up`: NATS, the three workers and what they share, in one process.
//!
//! ```text
//! lock ─▶ nats-server (child, unless --nats-url) ─▶ one connection ─┬▶ embedding worker ── embedder ─┐
//!     └─▶ model, loaded once ──────────────────────────────────────┼▶ query worker ────── embedder ─┴weights
//!                                                                   └▶ cache invalidator
//! ```
//! The end goes the other way: the workers drain, then the child stops. A signal ends it well at any time,
//! also while it still waits for a dependency.

mod pending;
mod ready;

use std::{sync::Arc, time::Instant};

use clap::Args;
use toolweaver_contracts::Fault;
use toolweaver_messaging::{LocalServer, NatsConfig};
use toolweaver_service_runtime::{Runtime, RuntimeConfig, healthcheck, telemetry};

use crate::{
    client::no_connection,
    data_dir::DataDir,
    options::Common,
    terminal::Exit,
    workers::{WorkerArgs, failed, faulty, start_server, start_workers},
};

/// Address of health and metrics by default: on this machine only, unlike a worker in a container.
pub(crate) const HTTP_ADDR_DEFAULT: &str = "127.0.0.1:9464";
/// Log filter by default: each connection of a library is no news to whoever runs everything on one machine.
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

/// Runs `up`. Returns when it was told to end, or when a task of it died.
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
    /// Checks all options together, before anything is started.
    fn validate(&self) -> Result<(), Fault> {
        let faults = [self.runtime.validate(), self.nats.validate(), self.workers.validate()].concat();
        faulty(&faults, "up")
    }
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
    let starting = Box::pin(async {
        start(args, nats_config, runtime).await?;
        runtime.health.ready().await;
        Ok::<_, Fault>(())
    });
    match stop.run_until_cancelled(pending::told_while(&runtime.health, starting)).await {
        Some(outcome) if !stop.is_cancelled() => outcome?,
        // Told to end: whatever it still waited for is no failure then. A task that died is found by joining.
        _ => return Ok(()),
    }
    let _url_file = ready::announce(nats_config, data_dir, common, begin.elapsed(), runtime)?;
    stop.cancelled().await;
    Ok(())
}

async fn start(args: &UpArgs, nats_config: &NatsConfig, runtime: &Runtime) -> Result<(), Fault> {
    let nats = toolweaver_messaging::connect(nats_config, "toolweaver up").await.map_err(|error| {
        no_connection(&error).hint("check --nats-url, or leave it out to have a NATS server started here")
    })?;
    start_workers(&args.workers, nats, runtime).await.map_err(|error| failed(&error))
}
