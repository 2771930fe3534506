//! The projection: all of INDEXED as one worker sees it, ready to be searched.
//!
//! One task applies the stream in order ([`Applier`]); searches read what it has published so far. A reader that
//! first takes [`Projection::applied`] and then searches sees every change up to that version, perhaps newer ones,
//! never older ones.

mod applier;
mod catalog;
mod lexical;
mod names;
mod words;

use std::{
    num::NonZeroUsize,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
    time::{Duration, SystemTime},
};

use tokio::sync::watch;
use toolweaver_contracts::Predicate;
use toolweaver_vector_store::Memory;

pub(crate) use self::{
    applier::Applier,
    catalog::{Catalog, Entry},
    lexical::LexicalHit,
    names::Mention,
};

/// How far a projection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Applied {
    /// Last INDEXED sequence that every search sees.
    pub(crate) version: u64,
    /// Changes behind it that are known and not applied yet.
    pub(crate) pending: u64,
    /// When the last applied change was published.
    pub(crate) published_at: SystemTime,
}

/// The reading side of the projection; clones share it.
#[derive(Clone)]
pub(crate) struct Projection {
    catalog: Arc<RwLock<Catalog>>,
    lexical: lexical::LexicalReader,
    vectors: Option<Memory>,
    applied: watch::Receiver<Applied>,
}

/// Makes an empty projection. With `memory_dimensions` it keeps the vectors too, for a worker without a vector
/// database; vectors of another model than `fingerprint` are left out.
pub(crate) fn open(
    fingerprint: String,
    memory_dimensions: Option<NonZeroUsize>,
) -> tantivy::Result<(Applier, Projection)> {
    let (writer, reader) = lexical::open()?;
    let catalog = Arc::<RwLock<Catalog>>::default();
    let vectors = memory_dimensions.map(Memory::new);
    let (publish, published) =
        watch::channel(Applied { version: 0, pending: 0, published_at: SystemTime::UNIX_EPOCH });
    let applier = Applier::new(fingerprint, Arc::clone(&catalog), writer, vectors.clone(), publish);
    Ok((applier, Projection { catalog, lexical: reader, vectors, applied: published }))
}

impl Applied {
    /// Age of the oldest change that is not applied yet; zero when caught up.
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
    /// How far it is now.
    pub(crate) fn applied(&self) -> Applied {
        *self.applied.borrow()
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

    /// What exists. Never held across an await.
    pub(crate) fn catalog(&self) -> RwLockReadGuard<'_, Catalog> {
        self.catalog.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The best `limit` tools by words. Blocks for as long as it computes.
    pub(crate) fn lexical(
        &self,
        query: &str,
        predicate: &Predicate,
        limit: usize,
    ) -> tantivy::Result<Vec<LexicalHit>> {
        self.lexical.search(query, predicate, limit)
    }

    /// The vectors, where the projection keeps them.
    pub(crate) fn vectors(&self) -> Option<&Memory> {
        self.vectors.as_ref()
    }
}
