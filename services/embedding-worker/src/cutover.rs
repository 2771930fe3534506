//! The cutover to a new collection: once it is filled, the alias of the vector database is pointed at it.

use toolweaver_vector_store::Qdrant;
use tracing::{info, warn};

/// The cutover that is still to come, if there is a vector database at all.
pub(crate) struct Cutover {
    pending: Option<Qdrant>,
}

impl Cutover {
    /// Returns the cutover to the collection of this worker's model.
    pub(crate) const fn to(collection: Option<Qdrant>) -> Self {
        Self { pending: collection }
    }

    /// Points the alias here, at the first call that succeeds. To be called when everything is indexed:
    /// readers of the alias must not meet a collection that is half filled.
    pub(crate) async fn when_filled(&mut self) {
        let Some(vectors) = &self.pending else { return };
        match vectors.activate().await {
            Ok(()) => {
                info!(collection = vectors.collection(), "everything is indexed: the alias points here");
                self.pending = None;
            }
            Err(error) => warn!(%error, "cannot point the alias at a filled collection; trying again"),
        }
    }
}
