//! The system under test: a nats-server and the workers as processes of their own, in a folder of their own.

mod worker;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use serde::Serialize;
use tempfile::TempDir;
use toolweaver_contracts::Tenant;

pub(crate) use self::worker::{End, Kind, Worker};
use crate::{
    arguments::Programs,
    client::Client,
    process::{Process, until},
};

/// Configuration of a system.
pub(crate) struct Setup {
    /// Redis or Redis Cluster; without it each process has caches of its own.
    pub(crate) redis_url: Option<String>,
    pub(crate) embedding_workers: usize,
    pub(crate) cache_invalidators: usize,
    pub(crate) query_workers: usize,
    /// `DRAIN_TIMEOUT_SECONDS`, if not the default of the services.
    pub(crate) drain_seconds: Option<u64>,
    /// Folder of the logs; without it they end with the system.
    pub(crate) logs: Option<PathBuf>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            redis_url: None,
            embedding_workers: 1,
            cache_invalidators: 1,
            query_workers: 1,
            drain_seconds: None,
            logs: None,
        }
    }
}

impl Setup {
    pub(crate) const fn workers(&self, kind: Kind) -> usize {
        match kind {
            Kind::EmbeddingWorker => self.embedding_workers,
            Kind::CacheInvalidator => self.cache_invalidators,
            Kind::QueryWorker => self.query_workers,
        }
    }
}

/// The running system. Ends with this value.
pub(crate) struct System {
    launcher: Launcher,
    nats: Process,
    /// Workers, the oldest first.
    workers: Vec<Worker>,
    _folder: TempDir,
}

/// Settings to start one more worker.
struct Launcher {
    programs: Programs,
    setup: Setup,
    nats_url: String,
    logs: PathBuf,
    /// Name of the run, unlike that of any other.
    run: String,
}

/// Resident memory in MiB, by process.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Memory {
    pub(crate) nats: f64,
    pub(crate) embedding_worker: f64,
    pub(crate) cache_invalidator: f64,
    pub(crate) query_worker: f64,
}

impl System {
    /// Starts everything, empty.
    pub(crate) async fn start(programs: Programs, setup: Setup) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let (nats, nats_url) = start_nats(&programs.nats_server, folder.path()).await?;
        let logs = setup.logs.clone().unwrap_or_else(|| folder.path().to_owned());
        fs::create_dir_all(&logs).with_context(|| format!("cannot make {}", logs.display()))?;
        let run = folder.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let launcher = Launcher { programs, setup, nats_url, logs, run };
        let mut system = Self { launcher, nats, workers: Vec::new(), _folder: folder };
        for kind in Kind::ALL {
            for _ in 0..system.launcher.setup.workers(kind) {
                system.workers.push(system.launch(kind)?);
            }
        }
        Ok(system)
    }

    /// Connects to the system, as soon as it answers searches.
    pub(crate) async fn client(&self, tenant: Tenant) -> anyhow::Result<Client> {
        let client = Client::connect(&self.launcher.nats_url, tenant).await?;
        until("a query worker is ready", async || client.status().await.ok().filter(|status| status.ready))
            .await?;
        Ok(client)
    }

    /// Returns the addresses at which the query workers serve `/metrics`.
    pub(crate) fn metrics(&self) -> Vec<SocketAddr> {
        self.of(Kind::QueryWorker).map(|worker| worker.http).collect()
    }

    /// Waits until every worker is ready.
    pub(crate) async fn ready(&self) -> anyhow::Result<()> {
        for worker in &self.workers {
            worker.ready().await?;
        }
        Ok(())
    }

    pub(crate) fn count(&self, kind: Kind) -> usize {
        self.of(kind).count()
    }

    /// Starts a worker that is not counted here yet.
    pub(crate) fn launch(&self, kind: Kind) -> anyhow::Result<Worker> {
        Worker::start(kind, &self.launcher)
    }

    /// Counts a worker as one of the system.
    pub(crate) fn join(&mut self, worker: Worker) {
        self.workers.push(worker);
    }

    /// Removes and returns the worker of a kind that runs longest.
    pub(crate) fn oldest(&mut self, kind: Kind) -> anyhow::Result<Worker> {
        let place = self.workers.iter().position(|worker| worker.kind == kind);
        Ok(self.workers.remove(place.with_context(|| format!("there is no {} left", kind.name()))?))
    }

    /// Fails where a worker has ended by itself.
    pub(crate) fn must_be_complete(&mut self) -> anyhow::Result<()> {
        for worker in &mut self.workers {
            ensure!(!worker.has_ended()?, "a {} has ended by itself", worker.kind.name());
        }
        Ok(())
    }

    /// Kills the query workers, starts them again, and returns the time until a search sees all `tools`.
    pub(crate) async fn cold_start(&mut self, client: &Client, tools: u64) -> anyhow::Result<Duration> {
        self.workers.retain(|worker| worker.kind != Kind::QueryWorker);
        let started = Instant::now();
        for _ in 0..self.launcher.setup.query_workers {
            self.workers.push(self.launch(Kind::QueryWorker)?);
        }
        until("the query workers have all tools again", async || {
            client.domains().await.ok().filter(|reply| reply.tools == tools)
        })
        .await?;
        Ok(started.elapsed())
    }

    pub(crate) fn memory(&self) -> anyhow::Result<Memory> {
        let sum = |kind| self.of(kind).map(Worker::resident_mib).sum::<anyhow::Result<f64>>();
        Ok(Memory {
            nats: self.nats.resident_mib()?,
            embedding_worker: sum(Kind::EmbeddingWorker)?,
            cache_invalidator: sum(Kind::CacheInvalidator)?,
            query_worker: sum(Kind::QueryWorker)?,
        })
    }

    fn of(&self, kind: Kind) -> impl Iterator<Item = &Worker> {
        self.workers.iter().filter(move |worker| worker.kind == kind)
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
