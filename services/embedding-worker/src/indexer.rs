//! From a batch of events to outcomes: look, embed, store, publish. Acknowledging is the consumer's.
//!
//! ```text
//! batch ─▶ plan ─▶ read INDEXED ─▶ vectors ─▶ vector store ─▶ INDEXED ─▶ outcomes
//!                  stale: done     known texts  confirmed      confirmed
//!                                  cost nothing
//! ```
//! The order is what makes an acknowledged event a kept one, and what keeps the catalogue version (the
//! sequence of INDEXED) from running ahead of the data. A change that fails in one stage skips the later ones
//! and is tried again; the others go on. Every stage may be repeated, and by several workers at once:
//! revisions guard both writes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use toolweaver_contracts::{IndexedEvent, TEXT_VECTOR, Tool, ToolKey, Vector};
use toolweaver_embedding::{EmbedError, Embedder, template};
use toolweaver_messaging::{BatchHandler, Delivery, Nats, Outcome};
use toolweaver_service_runtime::Gate;
use toolweaver_vector_store::VectorStore;
use tracing::{Instrument as _, Span, debug, error, info_span, warn};

use crate::failure::{Cause, Failure, retry_after};
use crate::indexed::{Held, IndexedLog, Standing};
use crate::metrics::{self, Refused, Skipped, Stage, VectorSource};
use crate::plan::{Change, Incoming, plan};
use crate::store;
use crate::vectors::{SharedVector, Vectors};

/// Reads of and publishes to INDEXED on their way at a time.
const IN_FLIGHT_MAX: usize = 256;

/// Makes tools searchable: the handler of the TOOLS consumer. Any number of them may work on one stream.
#[derive(Debug)]
pub struct Indexer<S> {
    vectors: Vectors,
    store: Option<S>,
    /// Open while the store takes points.
    store_gate: Option<Gate>,
    log: IndexedLog,
}

/// A change beside what INDEXED holds of its tool.
struct Looked {
    change: Change,
    held: Held,
    /// The vector of the change's text, where `held` has it.
    vector: Option<SharedVector>,
}

/// A change with everything that its writes need.
pub(crate) struct Ready {
    pub(crate) key: ToolKey,
    pub(crate) revision: u64,
    pub(crate) content: Content,
    held: Held,
    deliveries: Vec<usize>,
}

/// What a tool becomes.
pub(crate) enum Content {
    Registered { tool: Arc<Tool>, vector: SharedVector },
    Removed,
}

/// A change that nothing more is done about, now or at all.
struct Ended {
    deliveries: Vec<usize>,
    end: End,
}

enum End {
    Registered,
    Removed,
    Skipped(Skipped),
    Failed(Stage, Failure),
}

impl<S: VectorStore> Indexer<S> {
    /// Without a `store`, vectors are found in INDEXED alone. Removals expire there after `tombstones_live`.
    pub fn new(nats: Nats, embedder: Embedder, store: Option<S>, tombstones_live: Duration) -> Self {
        let log = IndexedLog::new(nats, embedder.fingerprint().hex().to_owned(), tombstones_live);
        Self { vectors: Vectors::new(embedder), store, store_gate: None, log }
    }

    /// Closes `gate` while the store refuses everything, whatever is written.
    #[must_use]
    pub fn with_store_gate(mut self, gate: Gate) -> Self {
        self.store_gate = Some(gate);
        self
    }

    async fn apply(&self, changes: Vec<Change>, batch: &[Delivery]) -> Vec<Ended> {
        let mut ended = Vec::with_capacity(changes.len());
        let looked = timed(Stage::Read, self.read(changes, &mut ended)).await;
        let ready = timed(Stage::Embed, self.embed(looked, &mut ended)).await;
        let stored = timed(Stage::Store, self.store(ready, &mut ended)).await;
        timed(Stage::Publish, self.publish(stored, batch, &mut ended)).await;
        ended
    }

    async fn read(&self, changes: Vec<Change>, ended: &mut Vec<Ended>) -> Vec<Looked> {
        let mut reads = stream::iter(changes)
            .map(|change| async move { (self.log.read(&change.key).await, change) })
            .buffer_unordered(IN_FLIGHT_MAX);
        let mut looked = Vec::new();
        while let Some((held, change)) = reads.next().await {
            let end = match held {
                Ok(held) if held.standing(change.revision, self.log.model()) != Standing::Stale => {
                    let vector = self.vector_held(&held, &change);
                    looked.push(Looked { change, held, vector });
                    continue;
                }
                Ok(_) => End::Skipped(Skipped::Stale),
                Err(error) => End::Failed(Stage::Read, Failure::transient(&error)),
            };
            ended.push(Ended { deliveries: change.deliveries, end });
        }
        looked
    }

    /// The vector that INDEXED holds for this very text, by the same model: a tool registered again as it
    /// was, or delivered again, even to a process that has just started.
    fn vector_held(&self, held: &Held, change: &Change) -> Option<SharedVector> {
        let IndexedEvent::Indexed { model, tool, vectors, .. } = held.event.as_ref()? else { return None };
        if model != self.log.model() || template::passages(tool) != template::passages(change.tool.as_ref()?)
        {
            return None;
        }
        vectors.get(TEXT_VECTOR).map(|vector| Arc::from(vector.0.as_slice()))
    }

    async fn embed(&self, looked: Vec<Looked>, ended: &mut Vec<Ended>) -> Vec<Ready> {
        let texts: Vec<String> = looked
            .iter()
            .filter(|looked| looked.vector.is_none())
            .filter_map(|looked| looked.change.tool.as_deref())
            .flat_map(template::passages)
            .collect();
        let passages = self.vectors.of(&texts).await;
        let mut vectors = passages.as_chunks::<2>().0.iter().map(combined);
        metrics::vectors(
            VectorSource::Indexed,
            2 * looked.iter().filter(|looked| looked.vector.is_some()).count(),
        );
        let mut ready = Vec::with_capacity(looked.len());
        for Looked { change: Change { key, revision, tool, deliveries }, held, vector } in looked {
            let content = match (tool, vector) {
                (None, _) => Ok(Content::Removed),
                (Some(tool), Some(vector)) => Ok(Content::Registered { tool, vector }),
                (Some(tool), None) => vectors
                    .next()
                    .expect("every text has an answer")
                    .map(|vector| Content::Registered { tool, vector }),
            };
            match content {
                Ok(content) => ready.push(Ready { key, revision, content, held, deliveries }),
                Err(error) => {
                    ended.push(Ended { deliveries, end: End::Failed(Stage::Embed, Failure::embed(&error)) });
                }
            }
        }
        ready
    }

    /// Also writes what INDEXED holds already, so that a vector store that lost its points is filled again
    /// from TOOLS.
    async fn store(&self, ready: Vec<Ready>, ended: &mut Vec<Ended>) -> Vec<Ready> {
        let Some(store) = &self.store else { return ready };
        let mut failures = store::write(store, &ready).await;
        self.report_store(&failures, ready.len());
        let mut stored = Vec::with_capacity(ready.len());
        for (place, change) in ready.into_iter().enumerate() {
            match failures.remove(&place) {
                None => stored.push(change),
                Some(failure) => {
                    ended.push(Ended {
                        deliveries: change.deliveries,
                        end: End::Failed(Stage::Store, failure),
                    });
                }
            }
        }
        stored
    }

    /// Counts what the store refused for good, and says in the readiness of this process whether it takes
    /// points at all: a fault that no retry mends must be seen where operators look, not only in the log.
    fn report_store(&self, failures: &HashMap<usize, Failure>, writes: usize) {
        let of = |cause| failures.values().filter(move |failure| failure.cause == cause);
        metrics::store_refused(Refused::Point, of(Cause::Change).count());
        metrics::store_refused(Refused::Store, of(Cause::Deployment).count());
        let refusal = of(Cause::Deployment).next();
        if let Some(refusal) = refusal {
            error!(
                reason = refusal.reason(),
                "the vector store refuses everything; trying again until it does not"
            );
        }
        let Some(gate) = &self.store_gate else { return };
        match refusal {
            Some(refusal) => gate.not_ready(refusal.reason()),
            None if failures.len() < writes => gate.ready(),
            // Nothing was stored, for reasons that pass or are the points' own: neither says that the fault
            // is gone.
            None => {}
        }
    }

    async fn publish(&self, stored: Vec<Ready>, batch: &[Delivery], ended: &mut Vec<Ended>) {
        let mut publishes = stream::iter(stored)
            .map(|change| async move {
                // Whoever published the tool sees it become searchable in the trace of that, not of this
                // batch.
                let span = change.deliveries.last().map_or_else(Span::none, |last| batch[*last].span.clone());
                let end = self.publish_one(&change).instrument(span).await;
                Ended { end, deliveries: change.deliveries }
            })
            .buffer_unordered(IN_FLIGHT_MAX);
        while let Some(one) = publishes.next().await {
            ended.push(one);
        }
    }

    async fn publish_one(&self, change: &Ready) -> End {
        // Read before embedding, which may have taken long; the write finds out what came since.
        if change.held.standing(change.revision, self.log.model()) == Standing::There {
            return End::Skipped(Skipped::Repeated);
        }
        match self.log.write(&change.key, &self.event(change), &change.held).await {
            Ok(Standing::Newer) => match change.content {
                Content::Registered { .. } => End::Registered,
                Content::Removed => End::Removed,
            },
            Ok(Standing::There) => End::Skipped(Skipped::Repeated),
            Ok(Standing::Stale) => End::Skipped(Skipped::Stale),
            Err(error) => End::Failed(Stage::Publish, Failure::publish(&error)),
        }
    }

    fn event(&self, change: &Ready) -> IndexedEvent {
        let revision = change.revision;
        match &change.content {
            Content::Removed => IndexedEvent::Removed { revision },
            Content::Registered { tool, vector } => IndexedEvent::Indexed {
                revision,
                model: self.log.model().to_owned(),
                tool: Arc::clone(tool),
                vectors: BTreeMap::from([(TEXT_VECTOR.to_owned(), Vector(vector.to_vec()))]),
            },
        }
    }
}

impl<S: VectorStore> BatchHandler for Indexer<S> {
    async fn handle(&self, batch: &[Delivery]) -> Vec<Outcome> {
        let plan = plan(batch.iter().map(|delivery| Incoming {
            subject: &delivery.subject,
            payload: &delivery.payload,
            revision: delivery.stream_sequence,
        }));
        metrics::batch(batch.len());
        metrics::skipped(Skipped::Superseded, plan.superseded.len());

        // Whatever is forgotten below is tried again, never lost.
        let mut outcomes: Vec<Outcome> =
            batch.iter().map(|delivery| Outcome::RetryAfter(retry_after(delivery.attempts))).collect();
        for delivery in plan.superseded {
            outcomes[delivery] = Outcome::Done;
        }
        for (delivery, fault) in plan.rejected {
            outcomes[delivery] = Outcome::Reject(fault);
        }
        let ended = self.apply(plan.changes, batch).await;
        report(&ended);
        for Ended { deliveries, end } in ended {
            for delivery in deliveries {
                outcomes[delivery] = match &end {
                    End::Registered | End::Removed | End::Skipped(_) => Outcome::Done,
                    End::Failed(_, failure) => failure.outcome(batch[delivery].attempts),
                };
            }
        }
        outcomes
    }
}

/// A tool's vector, unless one of its passages has none.
fn combined(passages: &[Result<SharedVector, EmbedError>; 2]) -> Result<SharedVector, EmbedError> {
    let [document, name] = passages;
    let (document, name) = (document.as_ref().map_err(Clone::clone)?, name.as_ref().map_err(Clone::clone)?);
    Ok(template::combine([document, name]).into())
}

async fn timed<T>(stage: Stage, work: impl Future<Output = T>) -> T {
    let begin = Instant::now();
    let done = work.instrument(info_span!("stage", otel.name = stage.as_str())).await;
    metrics::stage(stage, begin.elapsed());
    done
}

/// Counts what became of a batch, and logs one line about each stage in which something failed.
fn report(ended: &[Ended]) {
    let count = |is: fn(&End) -> bool| ended.iter().filter(|one| is(&one.end)).count();
    let registered = count(|end| matches!(end, End::Registered));
    let removed = count(|end| matches!(end, End::Removed));
    let stale = count(|end| matches!(end, End::Skipped(Skipped::Stale)));
    let repeated = count(|end| matches!(end, End::Skipped(Skipped::Repeated)));
    metrics::indexed(registered, removed);
    metrics::skipped(Skipped::Stale, stale);
    metrics::skipped(Skipped::Repeated, repeated);
    debug!(registered, removed, stale, repeated, "indexed a batch");
    for stage in Stage::ALL {
        let reasons: Vec<&str> = ended
            .iter()
            .filter_map(|one| match &one.end {
                End::Failed(at, failure) if *at == stage => Some(failure.reason()),
                _ => None,
            })
            .collect();
        if let Some(reason) = reasons.first() {
            metrics::failures(stage, reasons.len());
            warn!(?stage, changes = reasons.len(), reason, "could not index; trying again");
        }
    }
}
