//! The system under test: a nats-server and the three workers as processes of their own, in a folder of their own.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use serde::Serialize;
use tempfile::TempDir;
use toolweaver_contracts::Tenant;

use crate::{
    arguments::Programs,
    client::Client,
    process::{Process, free_port, until},
};

/// What of the system can be chosen.
pub(crate) struct Setup {
    /// Redis or Redis Cluster; without it each process has caches of its own.
    pub(crate) redis_url: Option<String>,
    pub(crate) query_workers: usize,
}

impl Default for Setup {
    fn default() -> Self {
        Self { redis_url: None, query_workers: 1 }
    }
}

/// The running system. Ends with this value.
pub(crate) struct System {
    programs: Programs,
    setup: Setup,
    nats_url: String,
    nats: Process,
    embedding_worker: Process,
    cache_invalidator: Process,
    query_workers: Vec<Worker>,
    folder: TempDir,
}

/// Resident memory in MiB, by process.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Memory {
    pub(crate) nats: f64,
    pub(crate) embedding_worker: f64,
    pub(crate) cache_invalidator: f64,
    pub(crate) query_worker: f64,
}

/// A worker and where it serves its metrics.
struct Worker {
    process: Process,
    http: SocketAddr,
}

impl System {
    /// Starts everything, empty.
    pub(crate) async fn start(programs: Programs, setup: Setup) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let (nats, nats_url) = start_nats(&programs.nats_server, folder.path()).await?;
        let worker = |name| start_worker(&programs, &setup, name, &nats_url, folder.path());
        Ok(Self {
            embedding_worker: worker("embedding-worker")?.process,
            cache_invalidator: worker("cache-invalidator")?.process,
            query_workers: (0..setup.query_workers)
                .map(|_| worker("query-worker"))
                .collect::<Result<_, _>>()?,
            nats,
            nats_url,
            programs,
            setup,
            folder,
        })
    }

    /// A connection to the system, as soon as it answers searches.
    pub(crate) async fn client(&self, tenant: Tenant) -> anyhow::Result<Client> {
        let client = Client::connect(&self.nats_url, tenant).await?;
        until("a query worker is ready", async || client.status().await.ok().filter(|status| status.ready))
            .await?;
        Ok(client)
    }

    /// Where the query workers serve `/metrics`.
    pub(crate) fn metrics(&self) -> Vec<SocketAddr> {
        self.query_workers.iter().map(|worker| worker.http).collect()
    }

    /// Kills the query workers and starts them again: the time until a search sees all `tools`.
    pub(crate) async fn cold_start(&mut self, client: &Client, tools: u64) -> anyhow::Result<Duration> {
        self.query_workers.clear();
        let started = Instant::now();
        for _ in 0..self.setup.query_workers {
            let (programs, setup, folder) = (&self.programs, &self.setup, self.folder.path());
            self.query_workers.push(start_worker(programs, setup, "query-worker", &self.nats_url, folder)?);
        }
        until("the query workers have all tools again", async || {
            client.domains().await.ok().filter(|reply| reply.tools == tools)
        })
        .await?;
        Ok(started.elapsed())
    }

    pub(crate) fn memory(&self) -> anyhow::Result<Memory> {
        let query_workers = self.query_workers.iter().map(|worker| worker.process.resident_mib());
        Ok(Memory {
            nats: self.nats.resident_mib()?,
            embedding_worker: self.embedding_worker.resident_mib()?,
            cache_invalidator: self.cache_invalidator.resident_mib()?,
            query_worker: query_workers.sum::<anyhow::Result<f64>>()?,
        })
    }
}

async fn start_nats(program: &Path, folder: &Path) -> anyhow::Result<(Process, String)> {
    let mut command = Command::new(program);
    command
        .args(["-a", "127.0.0.1", "-p", "-1", "-js", "-sd"])
        .arg(folder)
        .arg("--ports_file_dir")
        .arg(folder);
    let process = Process::spawn(command, &folder.join("nats-server.log"))?;
    let url = until("nats-server wrote its ports", async || nats_url(folder)).await?;
    until("nats-server answers", async || Client::connect(&url, Tenant::default()).await.ok()).await?;
    Ok((process, url))
}

fn nats_url(folder: &Path) -> Option<String> {
    let mut files = folder.read_dir().ok()?.filter_map(Result::ok).map(|entry| entry.path());
    let ports = files.find(|path| path.extension().is_some_and(|extension| extension == "ports"))?;
    let ports: serde_json::Value = serde_json::from_slice(&fs::read(ports).ok()?).ok()?;
    ports["nats"][0].as_str().map(str::to_owned)
}

fn start_worker(
    programs: &Programs,
    setup: &Setup,
    name: &str,
    nats_url: &str,
    folder: &Path,
) -> anyhow::Result<Worker> {
    let http = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
    let mut command = Command::new(programs.bin_dir.join(format!("toolweaver-{name}")));
    command
        .env("NATS_URL", nats_url)
        .env("TOOLWEAVER_MODEL_DIR", &programs.model_dir)
        .env("HTTP_ADDR", http.to_string())
        .env("USE_VECTOR_DB", "false")
        .env("USE_REDIS", setup.redis_url.is_some().to_string());
    if let Some(url) = &setup.redis_url {
        // A fresh system counts its versions from 1: under the prefix of an earlier one it would find that one's answers.
        let run = folder.file_name().unwrap_or_default().to_string_lossy();
        command.env("REDIS_URL", url).env("REDIS_PREFIX", format!("loadtest{run}"));
    }
    Ok(Worker { process: Process::spawn(command, &folder.join(format!("{name}.log")))?, http })
}
