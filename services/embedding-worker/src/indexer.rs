//! The indexing of a batch: read INDEXED, embed, store, publish. Acknowledging is the consumer's.
//!
//! ```text
//! batch ─▶ plan ─▶ read INDEXED ─▶ vectors ─▶ vector store ─▶ INDEXED ─▶ outcomes
//!                  stale: done     known texts  confirmed      confirmed
//!                                  cost nothing
//! ```
//! The order is what makes an acknowledged event a kept one, and what keeps the catalog version (the
//! sequence of INDEXED) from running ahead of the data. A change that fails in one stage skips the later ones
//! and is tried again; the others go on. Every stage may be repeated, and by several workers at once:
//! revisions guard both writes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use toolweaver_contracts::{IndexedEvent, TEXT_VECTOR, Tool, ToolKey, Vector};
use toolweaver_embedding::{EmbedError, Embedder, template};
use toolweaver_messaging::{BatchHandler, Delivery, Nats, Outcome};
use toolweaver_service_runtime::Gate;
use toolweaver_vector_store::VectorStore;
use tracing::{Instrument as _, Span, debug, info_span, warn};

use crate::failure::{Failure, retry_after};
use crate::indexed::{IndexedLog, IndexedState, RevisionOrder};
use crate::metrics::{self, Skipped, Stage, VectorSource};
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
struct ComparedChange {
    change: Change,
    indexed_state: IndexedState,
    /// The vector of the change's text, where `indexed_state` has it.
    vector: Option<SharedVector>,
}

/// A change with everything that its writes need.
pub(crate) struct EmbeddedChange {
    pub(crate) key: ToolKey,
    pub(crate) revision: u64,
    pub(crate) new_state: NewState,
    indexed_state: IndexedState,
    deliveries: Vec<usize>,
}

/// The new state of a tool.
pub(crate) enum NewState {
    Registered { tool: Arc<Tool>, vector: SharedVector },
    Removed,
}

/// A change that nothing more is done about, now or at all.
struct FinishedChange {
    deliveries: Vec<usize>,
    result: ChangeResult,
}

enum ChangeResult {
    Registered,
    Removed,
    Skipped(Skipped),
    Failed(Stage, Failure),
}

impl<S: VectorStore> Indexer<S> {
    /// Returns an indexer that writes to `store` and INDEXED, or without a `store` to INDEXED alone. Removals
    /// expire there after `tombstones_live`.
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

    async fn apply(&self, changes: Vec<Change>, batch: &[Delivery]) -> Vec<FinishedChange> {
        let mut finished = Vec::with_capacity(changes.len());
        let compared = timed(Stage::Read, self.read(changes, &mut finished)).await;
        let ready = timed(Stage::Embed, self.embed(compared, &mut finished)).await;
        let stored = timed(Stage::Store, self.store(ready, &mut finished)).await;
        timed(Stage::Publish, self.publish(stored, batch, &mut finished)).await;
        finished
    }

    async fn read(&self, changes: Vec<Change>, finished: &mut Vec<FinishedChange>) -> Vec<ComparedChange> {
        let mut reads = stream::iter(changes)
            .map(|change| async move { (self.log.read(&change.key).await, change) })
            .buffer_unordered(IN_FLIGHT_MAX);
        let mut compared = Vec::new();
        while let Some((indexed_state, change)) = reads.next().await {
            let result = match indexed_state {
                Ok(indexed_state)
                    if indexed_state.order_of(change.revision, self.log.model()) != RevisionOrder::Older =>
                {
                    let vector = self.vector_held(&indexed_state, &change);
                    compared.push(ComparedChange { change, indexed_state, vector });
                    continue;
                }
                Ok(_) => ChangeResult::Skipped(Skipped::Stale),
                Err(error) => ChangeResult::Failed(Stage::Read, Failure::transient(&error)),
            };
            finished.push(FinishedChange { deliveries: change.deliveries, result });
        }
        compared
    }

    /// Returns the vector that INDEXED holds for this very text, by the same model: a tool registered again
    /// as it was, or delivered again, even to a process that has just started.
    fn vector_held(&self, indexed_state: &IndexedState, change: &Change) -> Option<SharedVector> {
        let IndexedEvent::Indexed { model, tool, vectors, .. } = indexed_state.event.as_ref()? else {
            return None;
        };
        if model != self.log.model() || template::passages(tool) != template::passages(change.tool.as_ref()?)
        {
            return None;
        }
        vectors.get(TEXT_VECTOR).map(|vector| Arc::from(vector.0.as_slice()))
    }

    async fn embed(
        &self,
        compared: Vec<ComparedChange>,
        finished: &mut Vec<FinishedChange>,
    ) -> Vec<EmbeddedChange> {
        let texts: Vec<String> = compared
            .iter()
            .filter(|compared| compared.vector.is_none())
            .filter_map(|compared| compared.change.tool.as_deref())
            .flat_map(template::passages)
            .collect();
        let passages = self.vectors.of(&texts).await;
        let mut vectors = passages.as_chunks::<2>().0.iter().map(combined);
        metrics::vectors(
            VectorSource::Indexed,
            2 * compared.iter().filter(|compared| compared.vector.is_some()).count(),
        );
        let mut ready = Vec::with_capacity(compared.len());
        for ComparedChange { change: Change { key, revision, tool, deliveries }, indexed_state, vector } in
            compared
        {
            let new_state = match (tool, vector) {
                (None, _) => Ok(NewState::Removed),
                (Some(tool), Some(vector)) => Ok(NewState::Registered { tool, vector }),
                (Some(tool), None) => vectors
                    .next()
                    .expect("every text has an answer")
                    .map(|vector| NewState::Registered { tool, vector }),
            };
            match new_state {
                Ok(new_state) => {
                    ready.push(EmbeddedChange { key, revision, new_state, indexed_state, deliveries });
                }
                Err(error) => {
                    finished.push(FinishedChange {
                        deliveries,
                        result: ChangeResult::Failed(Stage::Embed, Failure::embed(&error)),
                    });
                }
            }
        }
        ready
    }

    /// Writes to the vector store, also what INDEXED holds already, so that a vector store that lost its
    /// points is filled again from TOOLS.
    async fn store(
        &self,
        ready: Vec<EmbeddedChange>,
        finished: &mut Vec<FinishedChange>,
    ) -> Vec<EmbeddedChange> {
        let Some(store) = &self.store else { return ready };
        let mut failures = store::write(store, &ready).await;
        store::report(&failures, ready.len(), self.store_gate.as_ref());
        let mut stored = Vec::with_capacity(ready.len());
        for (place, change) in ready.into_iter().enumerate() {
            match failures.remove(&place) {
                None => stored.push(change),
                Some(failure) => {
                    finished.push(FinishedChange {
                        deliveries: change.deliveries,
                        result: ChangeResult::Failed(Stage::Store, failure),
                    });
                }
            }
        }
        stored
    }

    async fn publish(
        &self,
        stored: Vec<EmbeddedChange>,
        batch: &[Delivery],
        finished: &mut Vec<FinishedChange>,
    ) {
        let mut publishes = stream::iter(stored)
            .map(|change| async move {
                // Whoever published the tool sees it become searchable in the trace of that, not of this
                // batch.
                let span = change.deliveries.last().map_or_else(Span::none, |last| batch[*last].span.clone());
                let result = self.publish_one(&change).instrument(span).await;
                FinishedChange { result, deliveries: change.deliveries }
            })
            .buffer_unordered(IN_FLIGHT_MAX);
        while let Some(one) = publishes.next().await {
            finished.push(one);
        }
    }

    async fn publish_one(&self, change: &EmbeddedChange) -> ChangeResult {
        // Read before embedding, which may have taken long; the write finds out what came since.
        if change.indexed_state.order_of(change.revision, self.log.model()) == RevisionOrder::Same {
            return ChangeResult::Skipped(Skipped::Repeated);
        }
        match self.log.write(&change.key, &self.event(change), &change.indexed_state).await {
            Ok(RevisionOrder::Newer) => match change.new_state {
                NewState::Registered { .. } => ChangeResult::Registered,
                NewState::Removed => ChangeResult::Removed,
            },
            Ok(RevisionOrder::Same) => ChangeResult::Skipped(Skipped::Repeated),
            Ok(RevisionOrder::Older) => ChangeResult::Skipped(Skipped::Stale),
            Err(error) => ChangeResult::Failed(Stage::Publish, Failure::publish(&error)),
        }
    }

    fn event(&self, change: &EmbeddedChange) -> IndexedEvent {
        let revision = change.revision;
        match &change.new_state {
            NewState::Removed => IndexedEvent::Removed { revision },
            NewState::Registered { tool, vector } => IndexedEvent::Indexed {
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
        let finished = self.apply(plan.changes, batch).await;
        report(&finished);
        for FinishedChange { deliveries, result } in finished {
            for delivery in deliveries {
                outcomes[delivery] = match &result {
                    ChangeResult::Registered | ChangeResult::Removed | ChangeResult::Skipped(_) => {
                        Outcome::Done
                    }
                    ChangeResult::Failed(_, failure) => failure.outcome(batch[delivery].attempts),
                };
            }
        }
        outcomes
    }
}

/// Returns a tool's vector, unless one of its passages has none.
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
fn report(finished: &[FinishedChange]) {
    let count = |is: fn(&ChangeResult) -> bool| finished.iter().filter(|one| is(&one.result)).count();
    let registered = count(|result| matches!(result, ChangeResult::Registered));
    let removed = count(|result| matches!(result, ChangeResult::Removed));
    let stale = count(|result| matches!(result, ChangeResult::Skipped(Skipped::Stale)));
    let repeated = count(|result| matches!(result, ChangeResult::Skipped(Skipped::Repeated)));
    metrics::indexed(registered, removed);
    metrics::skipped(Skipped::Stale, stale);
    metrics::skipped(Skipped::Repeated, repeated);
    debug!(registered, removed, stale, repeated, "indexed a batch");
    for stage in Stage::ALL {
        let reasons: Vec<&str> = finished
            .iter()
            .filter_map(|one| match &one.result {
                ChangeResult::Failed(at, failure) if *at == stage => Some(failure.reason()),
                _ => None,
            })
            .collect();
        if let Some(reason) = reasons.first() {
            metrics::failures(stage, reasons.len());
            warn!(?stage, changes = reasons.len(), reason, "could not index; trying again");
        }
    }
}
