//! Projection: all of INDEXED as one worker sees it, ready to be searched.
//!
//! One task applies the stream in order ([`Applier`]); searches read what it has published so far. A reader
//! that first takes [`Projection::applied`] and then searches sees every change up to that version, perhaps
//! newer ones, never older ones.

mod applier;
mod catalog;
mod changes;

use std::{
    collections::BTreeSet,
    num::NonZeroUsize,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
    time::{Duration, SystemTime},
};

use tokio::sync::watch;
use toolweaver_contracts::{Domain, Predicate};
use toolweaver_ranking::{
    LexicalAnswer, Query,
    lexical::{self, LexicalReader},
    routing::Samples,
};
use toolweaver_vector_store::Memory;

pub(crate) use self::{
    applier::{Applier, Changes},
    catalog::{Catalog, Entry},
    changes::Changed,
};

/// Progress of a projection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Applied {
    /// Last INDEXED sequence that every search sees.
    pub(crate) version: u64,
    /// Changes behind it that are known and not applied yet.
    pub(crate) pending: u64,
    /// Time at which the last applied change was published.
    pub(crate) published_at: SystemTime,
}

/// The reading side of the projection; clones share it.
#[derive(Clone)]
pub(crate) struct Projection {
    catalog: Arc<RwLock<Catalog>>,
    samples: Arc<RwLock<Samples>>,
    lexical: LexicalReader,
    vectors: Option<Memory>,
    applied: watch::Receiver<Applied>,
}

/// Makes an empty projection. With `memory_dimensions` it keeps the vectors too, for a worker without a
/// vector database; vectors of another model than `fingerprint` are left out. With `own`, only tools of these
/// domains are indexed; the catalog holds all of them.
pub(crate) fn open(
    fingerprint: String,
    memory_dimensions: Option<NonZeroUsize>,
    own: Option<BTreeSet<Domain>>,
) -> tantivy::Result<(Applier, Projection)> {
    let (writer, reader) = lexical::open()?;
    let catalog = Arc::<RwLock<Catalog>>::default();
    let vectors = memory_dimensions.map(Memory::new);
    let (publish, published) =
        watch::channel(Applied { version: 0, pending: 0, published_at: SystemTime::UNIX_EPOCH });
    let samples = Arc::<RwLock<Samples>>::default();
    let applier = Applier {
        fingerprint,
        own,
        catalog: Arc::clone(&catalog),
        samples: Arc::clone(&samples),
        lexical: writer,
        vectors: vectors.clone(),
        publish,
    };
    Ok((applier, Projection { catalog, samples, lexical: reader, vectors, applied: published }))
}

impl Applied {
    /// Returns the age of the oldest change that is not applied yet; zero when caught up.
    ///
    /// An upper bound: the next change was published after the last applied one.
    pub(crate) fn lag(&self) -> Duration {
        if self.pending == 0 {
            return Duration::ZERO;
        }
        SystemTime::now().duration_since(self.published_at).unwrap_or_default()
    }
}

impl Projection {
    /// Returns its progress.
    pub(crate) fn applied(&self) -> Applied {
        *self.applied.borrow()
    }

    /// Returns a receiver of every version that is applied from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<Applied> {
        self.applied.clone()
    }

    /// Waits until `version` is applied.
    pub(crate) async fn reach(&self, version: u64) {
        let mut applied = self.applied.clone();
        // The sender lives as long as the applier; without it no version will come any more, and the caller's
        // deadline decides.
        if applied.wait_for(|applied| applied.version >= version).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until this revision is applied.
    pub(crate) async fn reach_revision(&self, revision: u64) {
        let mut applied = self.applied.clone();
        loop {
            // Marked as seen before looking, so that no change between the look and the wait is missed.
            applied.mark_unchanged();
            if self.catalog().applied_lately(revision) {
                return;
            }
            if applied.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Locks the catalog for reading. Never held across an await.
    pub(crate) fn catalog(&self) -> RwLockReadGuard<'_, Catalog> {
        self.catalog.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the samples of domains for reading. Never held across an await.
    pub(crate) fn samples(&self) -> RwLockReadGuard<'_, Samples> {
        self.samples.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the best `limit` tools of the lexical index. Blocks for as long as it computes.
    pub(crate) fn lexical(
        &self,
        query: &Query,
        predicate: &Predicate,
        limit: usize,
    ) -> tantivy::Result<LexicalAnswer> {
        self.lexical.search(query, predicate, limit)
    }

    /// Returns the vectors, where the projection keeps them.
    pub(crate) fn vectors(&self) -> Option<&Memory> {
        self.vectors.as_ref()
    }
}
