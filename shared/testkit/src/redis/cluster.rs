//! A Redis Cluster of several nodes, made with the servers' own `CLUSTER` commands: it needs no other
//! program.

use std::time::Duration;

use futures_util::future::join_all;

use super::{RedisServer, free_port};
use crate::wait;

const MASTERS: usize = 3;
const SLOTS: usize = 16_384;
const FORMED_WITHIN: Duration = Duration::from_secs(30);

/// A node is lost when it is silent for one second; its replica stands for election however long it heard
/// nothing; and a new replica is served at once.
const NODE_ARGUMENTS: [&str; 6] = [
    "--cluster-node-timeout",
    "1000",
    "--cluster-replica-validity-factor",
    "0",
    "--repl-diskless-sync-delay",
    "0",
];

/// Three masters with one replica each. They end, with their data, when this is dropped.
#[derive(Debug)]
pub struct RedisCluster {
    /// The masters as they were at the start, then the replica of each, in the same order.
    nodes: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts the nodes and waits until every slot is served and every replica follows its master.
    pub async fn start() -> Self {
        let bus_ports: Vec<u16> = (0..2 * MASTERS).map(|_| free_port()).collect();
        let starts = bus_ports.iter().map(|port| RedisServer::start_node(*port, &NODE_ARGUMENTS));
        let cluster = Self { nodes: join_all(starts).await };
        let meeting_point = format!("127.0.0.1 {} {}", cluster.nodes[0].port(), bus_ports[0]);
        for (number, node) in cluster.nodes.iter().enumerate() {
            // Different from the start, or the nodes would first have to find out that they are the same.
            ordered(node, &format!("CLUSTER SET-CONFIG-EPOCH {}", number + 1)).await;
            if number < MASTERS {
                let (from, to) = (first_slot(number), first_slot(number + 1) - 1);
                ordered(node, &format!("CLUSTER ADDSLOTSRANGE {from} {to}")).await;
            }
            if number > 0 {
                ordered(node, &format!("CLUSTER MEET {meeting_point}")).await;
            }
        }
        let everybody = format!("cluster_known_nodes:{}\r\n", cluster.nodes.len());
        for node in &cluster.nodes {
            wait::until("every node knows every other", FORMED_WITHIN, async || {
                says(node, "CLUSTER INFO", &everybody).await
            })
            .await;
        }
        let (masters, replicas) = cluster.nodes.split_at(MASTERS);
        for (master, replica) in masters.iter().zip(replicas) {
            let id = master.command("CLUSTER MYID").await.expect("a node answers");
            let id = id.lines().nth(1).expect("a length, then the id");
            ordered(replica, &format!("CLUSTER REPLICATE {id}")).await;
        }
        for replica in replicas {
            wait::until("every replica follows its master", FORMED_WITHIN, async || {
                says(replica, "INFO replication", "master_link_status:up").await
            })
            .await;
        }
        cluster.until_settled().await;
        cluster
    }

    /// Returns `redis-cluster://…` with all nodes.
    pub fn url(&self) -> String {
        let (first, others) = self.nodes.split_first().expect("a cluster has nodes");
        let others: Vec<String> =
            others.iter().map(|node| format!("node=127.0.0.1:{}", node.port())).collect();
        format!("{}?{}", first.url(), others.join("&"))
    }

    /// Ends one of the three masters at once (SIGKILL); its replica is then elected in its place.
    pub fn kill_master(&mut self, number: usize) {
        assert!(number < MASTERS, "there are {MASTERS} masters");
        self.nodes[number].kill();
    }

    /// Freezes the replica of one of the three masters (SIGSTOP).
    pub fn pause_replica(&self, number: usize) {
        assert!(number < MASTERS, "there are {MASTERS} masters");
        self.nodes[MASTERS + number].pause();
    }

    /// Returns the number of the master that had this key at the start.
    pub async fn shard_of(&self, key: &str) -> usize {
        let reply = self.nodes[0].command(&format!("CLUSTER KEYSLOT {key}")).await.expect("a node answers");
        let slot = reply.lines().next().and_then(|line| line.strip_prefix(':')).expect("a number");
        let slot: usize = slot.parse().expect("a number");
        (0..MASTERS).rfind(|number| slot >= first_slot(*number)).expect("the first master's slots begin at 0")
    }

    /// Waits until a replica has taken the place of each master that was killed, and every living node says
    /// that all slots are served.
    pub async fn until_settled(&self) {
        let (masters, replicas) = self.nodes.split_at(MASTERS);
        for (_, replica) in masters.iter().zip(replicas).filter(|(master, _)| master.process.is_none()) {
            wait::until("the replica is elected", FORMED_WITHIN, async || {
                says(replica, "INFO replication", "role:master").await
            })
            .await;
        }
        for node in self.nodes.iter().filter(|node| node.process.is_some()) {
            wait::until("the cluster serves all slots", FORMED_WITHIN, async || {
                says(node, "CLUSTER INFO", "cluster_state:ok").await
            })
            .await;
        }
    }
}

/// Returns the first slot of a master.
const fn first_slot(number: usize) -> usize {
    number * SLOTS / MASTERS
}

async fn ordered(node: &RedisServer, command: &str) {
    let reply = node.command(command).await.expect("a node answers");
    assert!(reply.starts_with("+OK"), "{command}: {reply}");
}

async fn says(node: &RedisServer, command: &str, text: &str) -> bool {
    node.command(command).await.is_ok_and(|reply| reply.contains(text))
}
