//! Local `nats-server` with JetStream as a child process, on the loopback interface only: for `toolweaver up`
//! and tests.
//!
//! It keeps its data in one directory. JetStream's `sync_interval` is the server's default of two minutes: a
//! killed process loses nothing, a power failure may lose the last two minutes. Production servers are
//! configured elsewhere.

mod orphan;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;
use tracing::{debug, warn};

/// Timeout of a start, an orphan's end included.
const START_WITHIN: Duration = Duration::from_secs(15);
/// Time that a server has to stop before it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(5);
/// Interval at which files and processes are polled.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Interval at which a running server is polled.
const WATCH_EVERY: Duration = Duration::from_millis(200);
/// Lines of the log that an error quotes.
const LOG_LINES: usize = 12;

/// Configuration of a local server.
#[derive(Debug, Clone)]
pub struct LocalServerConfig {
    /// The `nats-server` program; unset, it is looked up in `TOOLWEAVER_NATS_SERVER`, then on `PATH`.
    pub binary: Option<PathBuf>,
    /// Directory of its data, log and process files; made when missing.
    pub data_dir: PathBuf,
    /// Port for clients; 0 takes a free one.
    pub port: u16,
}

/// Error of a local server.
#[derive(Debug, thiserror::Error)]
pub enum LocalServerError {
    /// The program was not found.
    #[error(
        "nats-server was not found ({looked}); install nats-server and put it on PATH, \
         set TOOLWEAVER_NATS_SERVER to it, or use a running one with --nats-url"
    )]
    NotFound {
        /// Places in which it was looked for.
        looked: String,
    },
    /// A file or directory could not be used.
    #[error("cannot {operation} {path}")]
    Files {
        /// Operation that failed.
        operation: &'static str,
        /// Path that it failed on.
        path: PathBuf,
        /// Error of the operating system.
        #[source]
        source: io::Error,
    },
    /// Another living process has started a server on this data.
    #[error("another process uses {data_dir}; stop it, or choose another --data-dir")]
    InUse {
        /// Directory that both want.
        data_dir: PathBuf,
    },
    /// The program could not be run.
    #[error("cannot run {binary}")]
    Spawn {
        /// Path of the program.
        binary: PathBuf,
        /// Error of the operating system.
        #[source]
        source: io::Error,
    },
    /// A server of an earlier run holds the data and does not stop.
    #[error(
        "nats-server (process {pid}) of an earlier run still uses {store} and does not stop; end it by hand"
    )]
    Orphan {
        /// Process id.
        pid: u32,
        /// Directory of its data.
        store: PathBuf,
    },
    /// The server ended by itself.
    #[error("nats-server ended ({status}); its last words:\n{log}")]
    Died {
        /// Exit status.
        status: String,
        /// Last lines of its log.
        log: String,
    },
    /// The server runs and does not answer.
    #[error("nats-server did not answer within {START_WITHIN:?}; its last words:\n{log}")]
    Silent {
        /// Last lines of its log.
        log: String,
    },
}

/// Running server. It is stopped when this is dropped.
#[derive(Debug)]
pub struct LocalServer {
    binary: PathBuf,
    paths: Paths,
    url: String,
    process: Mutex<Process>,
    /// Lock that is held as long as we live, and released by the system if we are killed: tells an orphan
    /// from another's server.
    _lock: File,
}

#[derive(Debug)]
struct Process {
    child: Child,
    status: Option<ExitStatus>,
}

#[derive(Debug, Clone)]
struct Paths {
    store: PathBuf,
    log: PathBuf,
    pid: PathBuf,
    ports: PathBuf,
}

/// File that the server writes once it listens.
#[derive(Deserialize)]
struct Ports {
    nats: Vec<String>,
}

impl LocalServer {
    /// Starts a server and waits until a client can connect. A server that an earlier, killed run left behind
    /// on the same data is stopped first; data that another living process uses is an error.
    pub async fn start(config: LocalServerConfig) -> Result<Self, LocalServerError> {
        let deadline = Instant::now() + START_WITHIN;
        let binary = find_binary(config.binary)?;
        let lock = lock(&config.data_dir)?;
        let paths = prepare(&config.data_dir)?;
        orphan::take_over(&binary, &paths.pid, &paths.store).await?;
        let child = spawn(&binary, &paths, config.port)?;
        let ports_file = paths.ports.join(format!("{}_{}.ports", program_name(&binary), child.id()));
        let process = Mutex::new(Process { child, status: None });
        let mut server = Self { binary, paths, url: String::new(), process, _lock: lock };
        loop {
            if let Some(url) = read_ports(&ports_file)
                && async_nats::connect(&url).await.is_ok()
            {
                server.url = url;
                debug!(url = server.url, "nats-server answers");
                return Ok(server);
            }
            if let Some(status) = server.exit_status() {
                return Err(server.death(status));
            }
            if Instant::now() > deadline {
                return Err(LocalServerError::Silent { log: server.log_tail() });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Returns the URL for clients, such as `nats://127.0.0.1:4222`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the port for clients.
    pub fn port(&self) -> u16 {
        self.url.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or_default()
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.lock().child.id()
    }

    /// Returns the path of its log.
    pub fn log_path(&self) -> &Path {
        &self.paths.log
    }

    /// Waits until the server ends by itself, and returns its end as an error; never while it runs.
    pub async fn died(&self) -> LocalServerError {
        loop {
            if let Some(status) = self.exit_status() {
                return self.death(status);
            }
            tokio::time::sleep(WATCH_EVERY).await;
        }
    }

    /// Stops the server and waits until it has written everything down.
    pub async fn shutdown(self) {
        orphan::signal_term(&self.binary, self.pid());
        let deadline = Instant::now() + STOP_WITHIN;
        while self.exit_status().is_none() && Instant::now() < deadline {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        // Dropping finds it ended, or kills it.
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn exit_status(&self) -> Option<ExitStatus> {
        let mut process = self.lock();
        if process.status.is_none() {
            // An error means that the process cannot be waited for, so nothing is known of its end.
            process.status = process.child.try_wait().ok().flatten();
        }
        process.status
    }

    fn death(&self, status: ExitStatus) -> LocalServerError {
        LocalServerError::Died { status: status.to_string(), log: self.log_tail() }
    }

    fn log_tail(&self) -> String {
        let log = fs::read(&self.paths.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }
}

impl Drop for LocalServer {
    fn drop(&mut self) {
        if self.exit_status().is_none() {
            orphan::signal_term(&self.binary, self.pid());
            let deadline = Instant::now() + STOP_WITHIN;
            while self.exit_status().is_none() && Instant::now() < deadline {
                std::thread::sleep(LOOK_EVERY);
            }
        }
        let mut process = self.lock();
        if process.status.is_none() {
            warn!(pid = process.child.id(), "nats-server did not stop; killing it");
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
        // A pid that is no server's any more must not be looked at by the next start.
        let _ = fs::remove_file(&self.paths.pid);
    }
}

fn find_binary(given: Option<PathBuf>) -> Result<PathBuf, LocalServerError> {
    let from_env =
        || std::env::var_os("TOOLWEAVER_NATS_SERVER").filter(|path| !path.is_empty()).map(PathBuf::from);
    if let Some(path) = given.or_else(from_env) {
        let looked = path.display().to_string();
        return if path.is_file() { Ok(path) } else { Err(LocalServerError::NotFound { looked }) };
    }
    let program = format!("nats-server{}", std::env::consts::EXE_SUFFIX);
    std::env::var_os("PATH")
        .and_then(|path| {
            std::env::split_paths(&path).map(|dir| dir.join(&program)).find(|path| path.is_file())
        })
        .ok_or_else(|| LocalServerError::NotFound {
            looked: "TOOLWEAVER_NATS_SERVER is not set, nothing on PATH".to_owned(),
        })
}

fn failed(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LocalServerError {
    let path = path.to_owned();
    move |source| LocalServerError::Files { operation, path, source }
}

fn lock(data_dir: &Path) -> Result<File, LocalServerError> {
    fs::create_dir_all(data_dir).map_err(failed("create", data_dir))?;
    let path = data_dir.join("nats-server.lock");
    let file = File::create(&path).map_err(failed("write", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LocalServerError::InUse { data_dir: data_dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed("lock", &path)(source)),
    }
}

fn prepare(data_dir: &Path) -> Result<Paths, LocalServerError> {
    let ports = data_dir.join("nats-server.ports");
    // Files of earlier runs: their processes are gone or about to go.
    let _ = fs::remove_dir_all(&ports);
    let store = data_dir.join("nats");
    for dir in [&store, &ports] {
        fs::create_dir_all(dir).map_err(failed("create", dir))?;
    }
    // One form of the path, so that an orphan is recognised by it.
    let store = fs::canonicalize(&store).map_err(failed("resolve", &store))?;
    Ok(Paths { store, ports, log: data_dir.join("nats-server.log"), pid: data_dir.join("nats-server.pid") })
}

fn spawn(binary: &Path, paths: &Paths, port: u16) -> Result<Child, LocalServerError> {
    let open = || -> io::Result<(File, File)> {
        let log = OpenOptions::new().create(true).append(true).open(&paths.log)?;
        Ok((log.try_clone()?, log))
    };
    let (out, err) = open().map_err(failed("write", &paths.log))?;
    let mut command = Command::new(binary);
    command.args(["--addr", "127.0.0.1", "--server_name", "toolweaver-local", "--jetstream", "--port"]);
    // The server takes -1 for "any free port".
    command.arg(if port == 0 { "-1".to_owned() } else { port.to_string() });
    command.arg("--store_dir").arg(&paths.store);
    command.arg("--pid").arg(&paths.pid);
    command.arg("--ports_file_dir").arg(&paths.ports);
    command.stdin(Stdio::null()).stdout(out).stderr(err);
    // Ctrl-C in a terminal goes to the whole process group; the server must outlive our drain.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn().map_err(|source| LocalServerError::Spawn { binary: binary.to_owned(), source })
}

fn read_ports(file: &Path) -> Option<String> {
    // The file may be there before all of it is.
    let ports: Ports = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    ports.nats.into_iter().next()
}

fn program_name(binary: &Path) -> String {
    binary.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
