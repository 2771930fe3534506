//! Running system to scrape: NATS, Redis, the three workers as processes of their own and all three in one,
//! after they have done something of everything.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::downloads::{self, Runtime};
use crate::nats::Connection;
use crate::process::{Scratch, command, terminate};

const WAIT_MAX: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(50);
/// Programs and their arguments: the workers, and `up`, whose metrics bear its own name.
const PROGRAMS: [(&str, &[&str]); 4] = [
    ("toolweaver-embedding-worker", &[]),
    ("toolweaver-cache-invalidator", &[]),
    ("toolweaver-query-worker", &[]),
    ("toolweaver", &["up"]),
];
/// Number of tools: more than are all returned without ranking.
const TOOLS: usize = 24;

pub(super) struct Running {
    /// Processes in the order in which they end: the workers before the servers.
    processes: Vec<Process>,
    workers: Vec<SocketAddr>,
    _folder: Scratch,
}

struct Process {
    name: String,
    child: Child,
}

/// Starts everything in a folder of its own, registers and searches.
pub(super) fn start(programs: &Path, runtime: &Runtime) -> Result<Running> {
    let scratch = Scratch::new(&downloads::folder(), "exported")?;
    let folder = scratch.path();
    let mut nats = command(&runtime.nats_server);
    nats.args(["-a", "127.0.0.1", "-p", "-1", "-js", "-sd"]).arg(folder).arg("--ports_file_dir").arg(folder);
    let nats = Process::spawn("nats-server", &mut nats, folder)?;
    let redis_port = free_port()?;
    let mut redis = command(&runtime.redis_server);
    redis.args(["--bind", "127.0.0.1", "--save", "", "--port", &redis_port.to_string()]);
    let redis = Process::spawn("redis-server", redis.arg("--dir").arg(folder), folder)?;
    let nats_url = until("nats-server says where it listens", || nats_url(folder))?;

    let (mut processes, mut workers) = (Vec::new(), Vec::new());
    for (name, arguments) in PROGRAMS {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let mut program = command(programs.join(name));
        program
            .args(arguments)
            .env("TOOLWEAVER_DATA_DIR", folder.join("up"))
            .env("NATS_URL", &nats_url)
            .env("HTTP_ADDR", address.to_string())
            // Metrics have the same names whatever computes the vectors, and this needs no weights.
            .env("TOOLWEAVER_MODEL", "hashing")
            .env("USE_VECTOR_DB", "false")
            .env("USE_REDIS", "true")
            .env("REDIS_URL", format!("redis://127.0.0.1:{redis_port}"));
        processes.push(Process::spawn(name, &mut program, folder)?);
        workers.push(address);
    }
    processes.extend([nats, redis]);
    let running = Running { processes, workers, _folder: scratch };
    for address in &running.workers {
        until(&format!("the worker at {address} is ready"), || get(*address, "/readyz").ok())?;
    }
    exercise(&nats_url)?;
    Ok(running)
}

/// Sends good and bad events, and searches that are computed, cached and refused.
fn exercise(nats_url: &str) -> Result<()> {
    let mut nats = Connection::open(nats_url)?;
    let mut revision = 0;
    for tool in 0..TOOLS {
        let name = format!("refund_payment_{tool}");
        let tool = json!({ "tool_name": name, "domain": "billing", "description": "Refunds a payment." });
        let event = json!({ "event": "registered", "tool": tool });
        revision = published(&mut nats, &format!("tools.v1.default.billing.{name}"), &event)?;
    }
    published(&mut nats, "tools.v1.default.billing.refund_payment_0", &json!({ "event": "removed" }))?;
    published(&mut nats, "tools.v1.default.billing.broken", &json!({ "event": "registered" }))?;
    let search = json!({ "query": "refund a payment", "min_revision": revision, "wait_ms": 20_000 });
    for _ in 0..2 {
        nats.request("search.v1.default", &search)?;
    }
    nats.request("get.v1.default", &json!({ "tool_id": "billing.refund_payment_1" }))?;
    nats.request("domains.v1.default", &json!({}))?;
    nats.request("status.v1", &json!({}))?;
    if nats.request("search.v1.default", &json!({ "query": 1 })).is_ok() {
        bail!("a search without a query was answered");
    }
    Ok(())
}

/// Publishes to a stream and returns the sequence, which JetStream answers with.
fn published(nats: &mut Connection, subject: &str, event: &Value) -> Result<u64> {
    let stored = nats.request(subject, event)?;
    stored["seq"].as_u64().with_context(|| format!("{subject} was not stored: {stored}"))
}

impl Running {
    /// Returns the page of metrics of each worker.
    pub(super) fn scrape(&self) -> Result<Vec<String>> {
        self.workers.iter().map(|address| get(*address, "/metrics")).collect()
    }

    /// Ends everything as an operator would; fails where a worker does not end well.
    pub(super) fn stop(mut self) -> Result<()> {
        for process in &mut self.processes {
            process.terminate()?;
        }
        Ok(())
    }
}

impl Process {
    fn spawn(name: &str, command: &mut Command, folder: &Path) -> Result<Self> {
        let log = File::create(folder.join(format!("{name}.log"))).context("could not make a log file")?;
        let command = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("could not start {name}"))?;
        Ok(Self { name: name.to_owned(), child })
    }

    fn terminate(&mut self) -> Result<()> {
        let name = &self.name;
        let Some(status) = terminate(&mut self.child, WAIT_MAX)? else {
            bail!("{name} did not stop in {} s", WAIT_MAX.as_secs());
        };
        // Servers have their own ideas of what to exit with after a signal.
        if name.starts_with("toolweaver") && !status.success() {
            bail!("{name} ended with {status}");
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // In vain where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + WAIT_MAX;
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        if Instant::now() > deadline {
            bail!("waited {} s in vain until {what}", WAIT_MAX.as_secs());
        }
        sleep(POLL);
    }
}

fn nats_url(folder: &Path) -> Option<String> {
    let mut files = fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let file = files.find(|path| path.extension().is_some_and(|extension| extension == "ports"))?;
    let ports: Value = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    ports["nats"][0].as_str().map(str::to_owned)
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Returns the body of a response 200.
fn get(address: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(WAIT_MAX))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(body.to_owned()),
        _ => bail!("{address}{path} answered {}", answer.lines().next().unwrap_or("nothing")),
    }
}
