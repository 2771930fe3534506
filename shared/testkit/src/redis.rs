//! A real Redis (or Valkey) server as a child process, on a free port of the loopback interface; and clusters
//! of them.

mod cluster;

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub use self::cluster::RedisCluster;
use crate::{parts, wait};

const START_DEADLINE: Duration = Duration::from_secs(20);
const STOP_DEADLINE: Duration = Duration::from_secs(20);
/// Ports tried before giving up; somebody else may take one that we had found free.
const START_ATTEMPTS: u32 = 5;

/// A Redis server of one test. It ends, with its data, when this is dropped.
#[derive(Debug)]
pub struct RedisServer {
    /// None while stopped or killed.
    process: Option<Child>,
    port: u16,
    is_cluster: bool,
    arguments: Vec<String>,
    data: TempDir,
}

impl RedisServer {
    /// Starts a server that keeps nothing on disk: after a restart it is empty.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts one with more server arguments, for example `["--appendonly", "yes"]` to keep data over
    /// restarts.
    pub async fn start_with(arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(ToString::to_string).collect();
        Self::start_on_free_port(arguments, false).await
    }

    /// Starts a Redis Cluster of one node that owns all slots: scripts and keys must obey the rules of a
    /// cluster.
    pub async fn start_cluster() -> Self {
        let server = Self::start_node(free_port(), &[]).await;
        let owned = server.command("CLUSTER ADDSLOTSRANGE 0 16383").await;
        assert!(owned.is_ok_and(|reply| reply.starts_with("+OK")), "the node takes all slots");
        wait::until("the cluster is formed", START_DEADLINE, async || {
            server.command("CLUSTER INFO").await.is_ok_and(|reply| reply.contains("cluster_state:ok"))
        })
        .await;
        server
    }

    /// Starts one node of a cluster, which talks to the others on `bus_port` and knows none of them yet.
    async fn start_node(bus_port: u16, arguments: &[&str]) -> Self {
        // By default that port is the first one plus 10,000, which may be none.
        let bus_port = bus_port.to_string();
        let cluster =
            ["--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1", "--cluster-port", &bus_port];
        let arguments = [&cluster, arguments].concat();
        Self::start_on_free_port(arguments.into_iter().map(ToOwned::to_owned).collect(), true).await
    }

    async fn start_on_free_port(arguments: Vec<String>, is_cluster: bool) -> Self {
        let mut server = Self {
            process: None,
            port: 0,
            is_cluster,
            arguments,
            data: TempDir::with_prefix("toolweaver-redis-").expect("a temporary folder"),
        };
        for attempt in 1..=START_ATTEMPTS {
            server.port = free_port();
            match server.launch().await {
                Ok(()) => break,
                Err(output) => assert!(attempt < START_ATTEMPTS, "redis-server does not start:\n{output}"),
            }
        }
        server
    }

    /// Returns `redis://127.0.0.1:PORT`, or `redis-cluster://…`; the same for the server's whole life.
    pub fn url(&self) -> String {
        let scheme = if self.is_cluster { "redis-cluster" } else { "redis" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// Returns the port on 127.0.0.1, the same for the server's whole life.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Stops it in good order (SIGTERM) and waits for its end.
    pub async fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        signal(&process, "TERM");
        wait::until("redis-server has stopped", STOP_DEADLINE, async || {
            process.try_wait().expect("the state of a child").is_some()
        })
        .await;
    }

    /// Ends it at once (SIGKILL), as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // Fails only if it has already ended, which is what was asked for.
            process.kill().ok();
            process.wait().ok();
        }
    }

    /// Starts it again on the same port and data folder, after ending it if it still runs.
    pub async fn restart(&mut self) {
        self.kill();
        self.launch().await.unwrap_or_else(|output| panic!("redis-server does not start again:\n{output}"));
    }

    /// Freezes it (SIGSTOP): connections stay open and nothing is answered.
    pub fn pause(&self) {
        signal(self.running(), "STOP");
    }

    /// Lets a paused server go on.
    pub fn resume(&self) {
        signal(self.running(), "CONT");
    }

    /// Sends one command in Redis' inline form and returns the raw reply, for example `+PONG\r\n`.
    pub async fn command(&self, line: &str) -> io::Result<String> {
        command(self.port, line).await
    }

    fn running(&self) -> &Child {
        self.process.as_ref().expect("the redis-server of this test is stopped")
    }

    /// Starts the process and waits until it, and no other server on this port, answers. The error is what
    /// it printed before it ended.
    async fn launch(&mut self) -> Result<(), String> {
        let log = self.data.path().join("server.log");
        let process = Command::new(parts::redis_server())
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
            .arg("--dir")
            .arg(self.data.path())
            .arg("--logfile")
            .arg(&log)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server can be run");
        let (port, ours) = (self.port, format!("process_id:{}\r\n", process.id()));
        // Held from here on, so that it ends with the test even if it never answers.
        let process = self.process.insert(process);
        let answers = wait::until("redis-server answers", START_DEADLINE, async || {
            if process.try_wait().expect("the state of a child").is_some() {
                return Some(false);
            }
            let pong = command(port, "PING").await.is_ok_and(|reply| reply.starts_with("+PONG"));
            let same = pong && command(port, "INFO server").await.is_ok_and(|reply| reply.contains(&ours));
            same.then_some(true)
        })
        .await;
        if answers {
            Ok(())
        } else {
            self.process = None;
            Err(std::fs::read_to_string(log).unwrap_or_else(|error| error.to_string()))
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn free_port() -> u16 {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port on the loopback interface");
    listener.local_addr().expect("the address of a bound socket").port()
}

/// Sends a signal through the system's `kill`: the standard library sends none but SIGKILL, and `unsafe` is
/// denied.
fn signal(process: &Child, name: &str) {
    let status = Command::new("kill").args([format!("-{name}"), process.id().to_string()]).status();
    assert!(status.is_ok_and(|status| status.success()), "SIG{name} could not be sent to redis-server");
}

async fn command(port: u16, line: &str) -> io::Result<String> {
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    // QUIT makes the server close the connection after the reply, so that its end needs no parser.
    connection.write_all(format!("{line}\r\nQUIT\r\n").as_bytes()).await?;
    let mut reply = String::new();
    connection.read_to_string(&mut reply).await?;
    Ok(reply)
}
