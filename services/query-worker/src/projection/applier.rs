//! Applier, the writing side of the projection: INDEXED events in, a new version out.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock, RwLockWriteGuard},
    time::SystemTime,
};

use tokio::{sync::watch, task};
use toolweaver_contracts::{Domain, IndexedEvent, TEXT_VECTOR, Tenant, ToolKey, subjects};
use toolweaver_messaging::replay::Replayed;
use toolweaver_ranking::{lexical::LexicalWriter, routing::Samples};
use toolweaver_vector_store::{Memory, Point, StoreError, Tombstone, VectorStore as _};
use tracing::warn;

use super::{
    Applied,
    catalog::{Catalog, Entry},
    changes::Changed,
};

/// Error of a batch that was not applied. The projection may hold part of it; only starting afresh is safe.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApplyError {
    /// The lexical index refused a change.
    #[error("cannot write the lexical index")]
    Lexical(#[from] tantivy::TantivyError),
    /// The vectors in memory refused a change.
    #[error("cannot keep the vectors")]
    Vectors(#[from] StoreError),
    /// The thread that applies panicked.
    #[error("the applying thread panicked")]
    Panicked(#[from] task::JoinError),
}

/// Applies INDEXED events in stream order. There is one.
pub(crate) struct Applier {
    pub(super) fingerprint: String,
    /// Domains whose tools are indexed; `None` for all.
    pub(super) own: Option<BTreeSet<Domain>>,
    pub(super) catalog: Arc<RwLock<Catalog>>,
    pub(super) samples: Arc<RwLock<Samples>>,
    pub(super) lexical: LexicalWriter,
    pub(super) vectors: Option<Memory>,
    pub(super) publish: watch::Sender<Applied>,
}

/// A batch of INDEXED, decoded.
pub(crate) struct Changes {
    newest: Vec<Change>,
    /// Progress of the projection once they are applied; `None` for no batch at all.
    then: Option<Applied>,
}

/// One change of the catalog.
struct Change {
    version: u64,
    key: ToolKey,
    event: IndexedEvent,
}

impl Changes {
    /// Decodes a batch. A message that cannot be decoded is logged and left out.
    pub(crate) async fn read(batch: Vec<Replayed>) -> Result<Self, task::JoinError> {
        let then = batch.last().map(|last| Applied {
            version: last.stream_sequence,
            pending: last.pending,
            published_at: SystemTime::from(last.published_at),
        });
        let newest = task::spawn_blocking(move || newest_per_tool(&batch)).await?;
        Ok(Self { newest, then })
    }
}

impl Applier {
    /// Applies a batch and publishes its last version.
    pub(crate) async fn apply(mut self, changes: Changes) -> Result<Self, ApplyError> {
        let Changes { newest: changes, then: Some(applied) } = changes else {
            return Ok(self);
        };
        self.keep_vectors(&changes).await?;
        task::spawn_blocking(move || {
            self.index(changes)?;
            // Publish last: a reader that knows the version must find everything up to it.
            self.publish.send_replace(applied);
            Ok(self)
        })
        .await?
    }

    async fn keep_vectors(&self, changes: &[Change]) -> Result<(), ApplyError> {
        let Some(vectors) = &self.vectors else {
            return Ok(());
        };
        let (mut points, mut tombstones) = (Vec::new(), Vec::new());
        for Change { key, event, .. } in changes.iter().filter(|change| self.owns(&change.key)) {
            let revision = event.revision();
            match event {
                IndexedEvent::Indexed { model, tool, vectors, .. } if *model == self.fingerprint => {
                    if let Some(vector) = vectors.get(TEXT_VECTOR) {
                        let (key, tool, vector) = (key.clone(), Arc::clone(tool), vector.0.clone());
                        points.push(Point { key, revision, tool, vector });
                    }
                }
                // Vectors of two models never meet: a tool of another model is found by the lexical arm only.
                IndexedEvent::Indexed { .. } | IndexedEvent::Removed { .. } => {
                    tombstones.push(Tombstone { key: key.clone(), revision });
                }
            }
        }
        vectors.upsert(&points).await?;
        vectors.remove(&tombstones).await?;
        Ok(())
    }

    fn index(&mut self, changes: Vec<Change>) -> tantivy::Result<()> {
        let mut versions: HashMap<Tenant, u64> = HashMap::new();
        for Change { version, key, event } in changes {
            versions.insert(key.tenant.clone(), version);
            let owned = self.owns(&key);
            match event {
                IndexedEvent::Indexed { revision, tool, model, vectors } => {
                    let vector = vectors.get(TEXT_VECTOR).filter(|_| model == self.fingerprint);
                    self.samples().put(&key, &tool, vector.map(|vector| vector.0.as_slice()));
                    let entry = Entry::new(key.clone(), revision, Arc::clone(&tool));
                    let change = Changed::new(version, &key, vector.map(|vector| vector.0.clone()));
                    let replaced = {
                        let mut catalog = self.catalog();
                        catalog.record(change);
                        catalog.insert(entry)
                    };
                    if owned && replaced {
                        self.lexical.delete(key.point_id());
                    }
                    if owned {
                        self.lexical.add(&key, &tool)?;
                    }
                }
                IndexedEvent::Removed { revision } => {
                    self.samples().remove(&key);
                    let existed = {
                        let mut catalog = self.catalog();
                        catalog.record(Changed::new(version, &key, None));
                        catalog.remove(&key, revision)
                    };
                    if owned && existed {
                        self.lexical.delete(key.point_id());
                    }
                }
            }
        }
        self.lexical.commit()?;
        let mut catalog = self.catalog();
        for (tenant, version) in versions {
            catalog.set_version(&tenant, version);
        }
        Ok(())
    }

    fn owns(&self, key: &ToolKey) -> bool {
        self.own.as_ref().is_none_or(|own| own.contains(&key.domain))
    }

    fn samples(&self) -> RwLockWriteGuard<'_, Samples> {
        self.samples.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn catalog(&self) -> RwLockWriteGuard<'_, Catalog> {
        self.catalog.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Decodes a batch. Of several changes of one tool only the last one matters to who reads after the batch.
fn newest_per_tool(batch: &[Replayed]) -> Vec<Change> {
    let mut seen = HashSet::new();
    let mut changes: Vec<_> = batch
        .iter()
        .rev()
        .filter(|message| seen.insert(message.subject.as_str()))
        .filter_map(change)
        .collect();
    changes.reverse();
    changes
}

fn change(message: &Replayed) -> Option<Change> {
    let version = message.stream_sequence;
    let decoded =
        subjects::parse_indexed(&message.subject).map_err(|fault| fault.to_string()).and_then(|key| {
            Ok((key, IndexedEvent::from_json(&message.payload).map_err(|error| error.to_string())?))
        });
    match decoded {
        Ok((key, event)) => Some(Change { version, key, event }),
        Err(reason) => {
            // Only a foreign publisher can do this; one bad message must not stop all readers for ever.
            warn!(subject = message.subject, sequence = version, reason, "skipping a message of INDEXED");
            None
        }
    }
}
