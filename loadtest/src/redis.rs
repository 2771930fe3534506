//! Redis servers of a run's own, without persistence: one, or a cluster of three masters with a replica each.

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::process::{Process, free_port, until};

const MASTERS: usize = 3;
const SLOTS: usize = 16_384;
/// Time after which a silent master is replaced by its replica.
const NODE_TIMEOUT_MS: &str = "2000";

/// Running servers. They end with this value.
pub(crate) struct Redis {
    nodes: Vec<Node>,
    is_cluster: bool,
    _folder: TempDir,
}

/// Server on one port for its whole life.
pub(crate) struct Node {
    program: PathBuf,
    folder: PathBuf,
    port: u16,
    /// Port of the cluster bus.
    bus_port: Option<u16>,
    process: Process,
}

impl Redis {
    pub(crate) async fn start(program: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let node = Node::start(program, folder.path(), None).await?;
        Ok(Self { nodes: vec![node], is_cluster: false, _folder: folder })
    }

    /// Starts a cluster as `redis-cli --cluster create` does, without that program.
    pub(crate) async fn start_cluster(program: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut nodes: Vec<Node> = Vec::new();
        for epoch in 1..=2 * MASTERS {
            let bus_port = free_port()?;
            let node = Node::start(program, folder.path(), Some(bus_port)).await?;
            // Nodes of one epoch would first have to agree whose slots are whose.
            node.expect_ok(&format!("CLUSTER SET-CONFIG-EPOCH {epoch}")).await?;
            for known in &nodes {
                known.expect_ok(&format!("CLUSTER MEET 127.0.0.1 {} {bus_port}", node.port)).await?;
            }
            nodes.push(node);
        }
        let cluster = Self { nodes, is_cluster: true, _folder: folder };
        cluster.assign().await?;
        Ok(cluster)
    }

    /// Gives the slots to the first nodes, and each of these one of the others as its replica.
    async fn assign(&self) -> anyhow::Result<()> {
        for (i, master) in self.nodes[..MASTERS].iter().enumerate() {
            let slots = (SLOTS * i / MASTERS, SLOTS * (i + 1) / MASTERS - 1);
            master.expect_ok(&format!("CLUSTER ADDSLOTSRANGE {} {}", slots.0, slots.1)).await?;
        }
        let known = format!("cluster_known_nodes:{}", self.nodes.len());
        for node in &self.nodes {
            node.until_says("CLUSTER INFO", &known).await?;
        }
        for (master, replica) in self.nodes.iter().zip(&self.nodes[MASTERS..]) {
            let reply = master.command("CLUSTER MYID").await?;
            let id = reply.lines().nth(1).context("a node does not know its id")?;
            replica.expect_ok(&format!("CLUSTER REPLICATE {id}")).await?;
            replica.until_says("INFO replication", "master_link_status:up").await?;
        }
        for node in &self.nodes {
            node.until_says("CLUSTER INFO", "cluster_state:ok").await?;
        }
        Ok(())
    }

    pub(crate) fn url(&self) -> String {
        let mut ports = self.nodes.iter().map(|node| node.port);
        let first = ports.next().unwrap_or_default();
        if self.is_cluster {
            let others: Vec<String> = ports.map(|port| format!("node=127.0.0.1:{port}")).collect();
            format!("redis-cluster://127.0.0.1:{first}?{}", others.join("&"))
        } else {
            format!("redis://127.0.0.1:{first}")
        }
    }

    /// Returns the server, or those of the cluster that are masters now.
    pub(crate) async fn masters(&mut self) -> anyhow::Result<Vec<&mut Node>> {
        let mut masters = Vec::new();
        for node in &mut self.nodes {
            if node.command("INFO replication").await?.contains("role:master") {
                masters.push(node);
            }
        }
        Ok(masters)
    }
}

impl Node {
    async fn start(program: &Path, folder: &Path, bus_port: Option<u16>) -> anyhow::Result<Self> {
        let port = free_port()?;
        let folder = folder.join(port.to_string());
        std::fs::create_dir(&folder)?;
        let process = spawn(program, port, bus_port, &folder)?;
        let node = Self { program: program.to_owned(), folder, port, bus_port, process };
        node.until_says("PING", "PONG").await?;
        Ok(node)
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    pub(crate) async fn restart(&mut self) -> anyhow::Result<()> {
        self.process = spawn(&self.program, self.port, self.bus_port, &self.folder)?;
        self.until_says("PING", "PONG").await
    }

    pub(crate) fn signal(&self, name: &str) -> anyhow::Result<()> {
        self.process.signal(name)
    }

    /// Sends one command in Redis' inline form and returns the raw reply.
    async fn command(&self, line: &str) -> anyhow::Result<String> {
        let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?;
        // QUIT makes the server close the connection after the reply, so that its end needs no parser.
        connection.write_all(format!("{line}\r\nQUIT\r\n").as_bytes()).await?;
        let mut reply = String::new();
        connection.read_to_string(&mut reply).await?;
        Ok(reply)
    }

    /// Sends a command whose only good reply is OK.
    pub(crate) async fn expect_ok(&self, line: &str) -> anyhow::Result<()> {
        let reply = self.command(line).await?;
        if !reply.starts_with("+OK") {
            bail!("{line} was answered {}", reply.trim());
        }
        Ok(())
    }

    async fn until_says(&self, line: &str, wanted: &str) -> anyhow::Result<()> {
        let says = async || self.command(line).await.ok().filter(|reply| reply.contains(wanted));
        until(&format!("{line} says {wanted}"), says).await.map(drop)
    }
}

fn spawn(program: &Path, port: u16, bus_port: Option<u16>, folder: &Path) -> anyhow::Result<Process> {
    let mut command = Command::new(program);
    command
        .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no"])
        .args(["--enable-debug-command", "local", "--dir"])
        .arg(folder);
    if let Some(bus_port) = bus_port {
        command.args(["--cluster-enabled", "yes", "--cluster-node-timeout", NODE_TIMEOUT_MS]).args([
            "--cluster-announce-ip",
            "127.0.0.1",
            "--cluster-port",
            &bus_port.to_string(),
        ]);
    }
    Process::spawn(command, &folder.join("redis-server.log"))
}
