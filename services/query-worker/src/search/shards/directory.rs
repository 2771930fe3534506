//! Workers that share a catalogue by domain: who owns what, and how one asks the others.
//!
//! A shard divides what is dear to search, postings and vectors. Every worker still reads all of INDEXED and keeps the
//! catalogue itself, so that get, domains, names and versions need nobody else, and a domain that no owner answers for is
//! known by name. Owners say every second on [`ANNOUNCEMENTS`] what they own; a request for more than one's own domains
//! is scattered to [`subject`]s, one for each set of domains, and gathered with one deadline.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use toolweaver_contracts::{Domain, Predicate, decode, encode};
use toolweaver_messaging::{Nats, RequestError, request};
use tracing::{info, warn};
use uuid::Uuid;

use crate::{projection::LexicalAnswer, ranker::fusion::DenseAnswer};

/// Where owners say what they own. Between our workers only, and no part of the contract.
const ANNOUNCEMENTS: &str = "toolweaver.shards.announced";
const ANNOUNCE_EVERY: Duration = Duration::from_secs(1);
/// After this silence an owner counts as gone.
const OWNER_SILENT_MAX: Duration = Duration::from_secs(5);

/// What a worker owns, and who owns the rest. Clones share it.
#[derive(Clone)]
pub(crate) struct Shards {
    nats: Nats,
    own: Arc<BTreeSet<Domain>>,
    others: Arc<Mutex<BTreeMap<String, Owner>>>,
    /// Whether this worker takes searches: before, it listens to the others and says nothing.
    open: Arc<AtomicBool>,
}

/// Workers that own the same domains.
struct Owner {
    domains: BTreeSet<Domain>,
    seen: Instant,
}

#[derive(Serialize, Deserialize)]
struct Announcement {
    domains: BTreeSet<Domain>,
}

/// What an owner is asked to search in its own domains.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ShardRequest {
    pub(crate) query: String,
    pub(crate) parts: Vec<String>,
    /// Vectors of the whole request and its parts; none where they could not be embedded.
    pub(crate) vectors: Vec<toolweaver_contracts::Vector>,
    pub(crate) predicate: Predicate,
}

/// What an owner found: what its arms say, before anything is fused.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ShardAnswer {
    pub(crate) lexical: Option<LexicalAnswer>,
    pub(crate) dense: Option<DenseAnswer>,
}

/// How the domains of a request are divided.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Division {
    /// Whether some are ours.
    pub(crate) local: bool,
    /// Subjects to ask, and the domains each stands for.
    pub(crate) remote: Vec<(String, Vec<Domain>)>,
    /// Domains that nobody owns now.
    pub(crate) orphaned: Vec<Domain>,
}

impl Shards {
    pub(crate) fn new(nats: Nats, own: BTreeSet<Domain>) -> Self {
        Self { nats, own: Arc::new(own), others: Arc::default(), open: Arc::default() }
    }

    /// From now on others may ask this worker.
    pub(crate) fn open(&self) {
        self.open.store(true, Ordering::Relaxed);
    }

    /// The domains whose tools are indexed here.
    pub(crate) fn own(&self) -> &BTreeSet<Domain> {
        &self.own
    }

    /// Where this worker, and every other one that owns the same, is asked.
    pub(crate) fn subject(&self) -> String {
        subject(&self.own)
    }

    /// Says what is owned here and listens to what others own, until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut announcements = self.nats.client().subscribe(ANNOUNCEMENTS).await?;
        let mut tick = interval(ANNOUNCE_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = tick.tick() => self.announce().await,
                Some(message) = announcements.next() => {
                    if self.heard(&message.payload) {
                        // A newcomer has not heard of us yet.
                        self.announce().await;
                    }
                }
            }
        }
    }

    async fn announce(&self) {
        if !self.open.load(Ordering::Relaxed) {
            return;
        }
        let announcement = Announcement { domains: BTreeSet::clone(&self.own) };
        if let Err(error) = self.nats.client().publish(ANNOUNCEMENTS, encode(&announcement).into()).await {
            warn!(%error, "cannot say which domains are owned here");
        }
    }

    /// Takes note of an owner; says whether it is a new one.
    fn heard(&self, payload: &[u8]) -> bool {
        let Ok(Announcement { domains }) = decode(payload) else { return false };
        if domains == *self.own {
            return false;
        }
        let shard = subject(&domains);
        let is_new = {
            let mut others = self.others();
            others.retain(|_, owner| owner.seen.elapsed() < OWNER_SILENT_MAX);
            others.insert(shard, Owner { domains: domains.clone(), seen: Instant::now() }).is_none()
        };
        if is_new {
            info!(?domains, "another worker owns these domains");
        }
        is_new
    }

    /// Who is to be asked about these domains.
    pub(crate) fn divide(&self, domains: impl IntoIterator<Item = Domain>) -> Division {
        let mut wanted: BTreeSet<Domain> = domains.into_iter().collect();
        let before = wanted.len();
        wanted.retain(|domain| !self.own.contains(domain));
        let mut division =
            Division { local: wanted.len() < before, remote: Vec::new(), orphaned: Vec::new() };
        for (subject, owner) in &*self.others() {
            if owner.seen.elapsed() >= OWNER_SILENT_MAX {
                continue;
            }
            let (theirs, rest): (BTreeSet<_>, BTreeSet<_>) =
                wanted.into_iter().partition(|domain| owner.domains.contains(domain));
            if !theirs.is_empty() {
                division.remote.push((subject.clone(), theirs.into_iter().collect()));
            }
            wanted = rest;
        }
        division.orphaned.extend(wanted);
        division
    }

    /// Asks one owner.
    pub(crate) async fn ask(
        &self,
        subject: &str,
        question: &ShardRequest,
        within: Duration,
    ) -> Result<ShardAnswer, AskError> {
        let body = request(&self.nats, subject, encode(question), within).await.inspect_err(|error| {
            if matches!(error, RequestError::TimedOut { .. } | RequestError::NoService { .. }) {
                // Nobody waits for it again before it is heard again.
                self.others().remove(subject);
            }
        })?;
        Ok(serde_json::from_slice(&body)?)
    }

    fn others(&self) -> MutexGuard<'_, BTreeMap<String, Owner>> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why an owner gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error("the owner did not answer")]
    Request(#[from] RequestError),
    #[error("the owner answered in another language")]
    Decode(#[from] serde_json::Error),
}

/// One subject for each set of domains. The hash keeps it short however many they are.
fn subject(domains: &BTreeSet<Domain>) -> String {
    let names: Vec<&str> = domains.iter().map(Domain::as_str).collect();
    let shard = Uuid::new_v5(&Uuid::NAMESPACE_URL, names.join(",").as_bytes());
    format!("toolweaver.shard.{}", shard.simple())
}
