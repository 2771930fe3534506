//! The system under test: a nats-server and the three workers as processes of their own, in a folder of their own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use serde::Serialize;
use tempfile::TempDir;
use toolweaver_contracts::Tenant;

use crate::client::Client;

/// Longest time a process may take to be there.
const START_TIMEOUT: Duration = Duration::from_mins(1);
/// How often is looked whether it is.
const POLL_EVERY: Duration = Duration::from_millis(5);

/// Where the programs are.
pub(crate) struct Programs {
    pub(crate) bin_dir: PathBuf,
    pub(crate) nats_server: PathBuf,
    pub(crate) model_dir: PathBuf,
}

/// The running system. Ends with this value.
pub(crate) struct System {
    programs: Programs,
    pub(crate) nats_url: String,
    nats: Process,
    embedding_worker: Process,
    cache_invalidator: Process,
    query_worker: Process,
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

struct Process {
    child: Child,
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has ended already, and then there is nothing to do.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl System {
    /// Starts everything, empty.
    pub(crate) async fn start(programs: Programs) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let (nats, nats_url) = start_nats(&programs.nats_server, folder.path()).await?;
        let worker = |name| start_worker(&programs, name, &nats_url, folder.path());
        Ok(Self {
            embedding_worker: worker("embedding-worker")?,
            cache_invalidator: worker("cache-invalidator")?,
            query_worker: worker("query-worker")?,
            nats,
            nats_url,
            programs,
            folder,
        })
    }

    /// Kills the query worker and starts it again: the time until a search sees all `tools`.
    pub(crate) async fn cold_start(&mut self, client: &Client, tools: u64) -> anyhow::Result<Duration> {
        self.query_worker.child.kill()?;
        self.query_worker.child.wait()?;
        let started = Instant::now();
        self.query_worker = start_worker(&self.programs, "query-worker", &self.nats_url, self.folder.path())?;
        until("the query worker has all tools again", async || {
            client.domains().await.ok().filter(|reply| reply.tools == tools)
        })
        .await?;
        Ok(started.elapsed())
    }

    pub(crate) fn memory(&self) -> anyhow::Result<Memory> {
        Ok(Memory {
            nats: resident_mib(&self.nats)?,
            embedding_worker: resident_mib(&self.embedding_worker)?,
            cache_invalidator: resident_mib(&self.cache_invalidator)?,
            query_worker: resident_mib(&self.query_worker)?,
        })
    }
}

/// Asks until there is an answer, or the time is up.
pub(crate) async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> anyhow::Result<T> {
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        if let Some(answer) = ask().await {
            return Ok(answer);
        }
        if Instant::now() > deadline {
            bail!("waited {} s until {what}", START_TIMEOUT.as_secs());
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
}

async fn start_nats(program: &Path, folder: &Path) -> anyhow::Result<(Process, String)> {
    let mut command = Command::new(program);
    command
        .args(["-a", "127.0.0.1", "-p", "-1", "-js", "-sd"])
        .arg(folder)
        .arg("--ports_file_dir")
        .arg(folder);
    let process = spawn(command, &folder.join("nats-server.log"))?;
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

fn start_worker(programs: &Programs, name: &str, nats_url: &str, folder: &Path) -> anyhow::Result<Process> {
    let mut command = Command::new(programs.bin_dir.join(format!("toolweaver-{name}")));
    command
        .env("NATS_URL", nats_url)
        .env("TOOLWEAVER_MODEL_DIR", &programs.model_dir)
        .env("HTTP_ADDR", "127.0.0.1:0")
        .env("USE_VECTOR_DB", "false")
        .env("USE_REDIS", "false");
    spawn(command, &folder.join(format!("{name}.log")))
}

fn spawn(mut command: Command, log: &Path) -> anyhow::Result<Process> {
    let log = fs::File::options().create(true).append(true).open(log)?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let program = command.get_program().to_owned();
    let child = command.spawn().with_context(|| {
        format!("cannot start {}; build it with cargo build --release", program.to_string_lossy())
    })?;
    Ok(Process { child })
}

/// `VmRSS` of a process; Linux only.
fn resident_mib(process: &Process) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.child.id()))?;
    let line =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("the kernel names no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024.0)
}
