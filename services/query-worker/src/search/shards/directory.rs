//! Directory of shards: the domains of this worker, and the owners of the others.
//!
//! Owners announce their domains every second, with their ranker and model. One that scores differently is no
//! owner for this worker: its domains count as missing until somebody owns them who scores alike.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::StreamExt as _;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use toolweaver_contracts::{Domain, ShardAnnounced, ShardReply, ShardRequest, ShardScoring, decode, encode};
use toolweaver_messaging::{Nats, RequestError, request};
use tracing::{info, warn};

use super::protocol::{ANNOUNCEMENTS, subject};

/// Interval of announcements.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(1);
/// Silence after which an owner counts as gone.
const OWNER_SILENT_MAX: Duration = Duration::from_secs(5);

/// Domains of this worker, and the owners of the others. Clones share it.
#[derive(Clone)]
pub(crate) struct Shards {
    nats: Nats,
    scoring: Arc<ShardScoring>,
    own: Arc<BTreeSet<Domain>>,
    /// Owners by subject.
    others: Arc<Mutex<BTreeMap<String, Owner>>>,
    /// Whether this worker takes searches: before, it listens to the others and says nothing.
    open: Arc<AtomicBool>,
}

/// Workers that own the same domains.
struct Owner {
    domains: BTreeSet<Domain>,
    seen: Instant,
}

/// Division of a request's domains among owners.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Division {
    /// Whether some are this worker's.
    pub(crate) local: bool,
    /// Subjects to ask, and the domains each stands for.
    pub(crate) remote: Vec<(String, Vec<Domain>)>,
    /// Domains that nobody owns who scores alike.
    pub(crate) orphaned: Vec<Domain>,
}

impl Shards {
    /// Makes the directory of a worker that owns these domains.
    pub(crate) fn new(nats: Nats, scoring: ShardScoring, own: BTreeSet<Domain>) -> Self {
        Self {
            nats,
            scoring: Arc::new(scoring),
            own: Arc::new(own),
            others: Arc::default(),
            open: Arc::default(),
        }
    }

    /// Begins to announce this worker: from now on others may ask it.
    pub(crate) fn open(&self) {
        self.open.store(true, Ordering::Relaxed);
    }

    /// Returns the domains whose tools are indexed here.
    pub(crate) fn own(&self) -> &BTreeSet<Domain> {
        &self.own
    }

    /// Returns ranker and model of this worker.
    pub(crate) fn scoring(&self) -> &ShardScoring {
        &self.scoring
    }

    /// Returns the subject of this worker and of every other one that owns the same.
    pub(crate) fn subject(&self) -> String {
        subject(&self.scoring, &self.own)
    }

    /// Announces this worker and listens to what others own, until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut announcements = self.nats.client().subscribe(ANNOUNCEMENTS).await?;
        let mut tick = interval(ANNOUNCE_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = tick.tick() => self.announce().await,
                Some(message) = announcements.next() => {
                    if self.observe_announced(&message.payload) {
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
        let announcement = ShardAnnounced {
            scoring: ShardScoring::clone(&self.scoring),
            domains: BTreeSet::clone(&self.own),
            subject: self.subject(),
        };
        if let Err(error) = self.nats.client().publish(ANNOUNCEMENTS, encode(&announcement).into()).await {
            warn!(%error, "cannot announce the domains of this worker");
        }
    }

    /// Observes an announcement; tells whether its owner is a new one that can be asked.
    fn observe_announced(&self, payload: &[u8]) -> bool {
        let Ok(ShardAnnounced { scoring, domains, subject }) = decode(payload) else { return false };
        if scoring != *self.scoring || domains == *self.own {
            return false;
        }
        let is_new = {
            let mut others = self.others();
            others.retain(|_, owner| owner.seen.elapsed() < OWNER_SILENT_MAX);
            others.insert(subject, Owner { domains: domains.clone(), seen: Instant::now() }).is_none()
        };
        if is_new {
            info!(?domains, "another worker owns these domains");
        }
        is_new
    }

    /// Divides domains among their owners.
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

    /// Asks one owner, and checks that its answer may be merged.
    pub(crate) async fn ask(
        &self,
        subject: &str,
        question: &ShardRequest,
        within: Duration,
    ) -> Result<ShardReply, ShardError> {
        let body = request(&self.nats, subject, encode(question), within).await.inspect_err(|error| {
            if matches!(error, RequestError::TimedOut { .. } | RequestError::NoService { .. }) {
                // Nobody waits for it again before it is heard again.
                self.others().remove(subject);
            }
        })?;
        let reply: ShardReply = serde_json::from_slice(&body)?;
        if reply.scoring == *self.scoring { Ok(reply) } else { Err(ShardError::Scoring(reply.scoring)) }
    }

    fn others(&self) -> MutexGuard<'_, BTreeMap<String, Owner>> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Error of a shard whose answer cannot be merged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShardError {
    #[error("no answer from the shard")]
    Request(#[from] RequestError),
    #[error("cannot decode the shard's reply")]
    Decode(#[from] serde_json::Error),
    #[error("the shard has another ranker or model: {} with {}", .0.ranker, .0.model)]
    Scoring(ShardScoring),
}
