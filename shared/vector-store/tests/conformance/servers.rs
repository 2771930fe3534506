//! Qdrant servers to test against, and names on them that no one else uses.

use std::{num::NonZeroUsize, panic::AssertUnwindSafe};

use futures_util::FutureExt as _;
use toolweaver_vector_store::{Qdrant, QdrantConfig};
use uuid::Uuid;

use crate::scene::DIMS;

const REAL_SERVER: &str = "TOOLWEAVER_TEST_QDRANT_URL";

/// Returns the real server to test against; without one it says loudly that this part does not run.
pub(crate) fn real() -> Option<String> {
    let url = std::env::var(REAL_SERVER).ok().filter(|url| !url.is_empty());
    if url.is_none() {
        eprintln!(
            "NOT RUN: no real Qdrant server was tested; set {REAL_SERVER}=http://127.0.0.1:6334 to test one"
        );
    }
    url
}

/// An alias, and with it collections, that only one test uses.
pub(crate) struct Namespace {
    pub(crate) config: QdrantConfig,
}

impl Namespace {
    pub(crate) fn at(url: &str) -> Self {
        let mut config = QdrantConfig::at(url);
        config.qdrant_alias = format!("toolweaver_test_{}", Uuid::new_v4().simple());
        Self { config }
    }

    /// Returns a handle for a model with vectors of `dims` dimensions.
    pub(crate) fn model(&self, fingerprint: &str, dims: usize) -> Qdrant {
        Qdrant::new(&self.config, fingerprint, NonZeroUsize::new(dims).unwrap()).unwrap()
    }

    /// Runs a test on an empty collection, and deletes it afterwards even if the test fails.
    pub(crate) async fn with_store<T>(&self, test: impl AsyncFnOnce(Qdrant) -> T) -> T {
        let store = self.model("0123456789abcdef", DIMS);
        store.ensure().await.unwrap();
        self.cleaning_up(std::slice::from_ref(&store), test(store.clone())).await
    }

    /// Runs a test and deletes these collections afterwards even if the test fails.
    pub(crate) async fn cleaning_up<T>(&self, stores: &[Qdrant], test: impl Future<Output = T>) -> T {
        let outcome = AssertUnwindSafe(test).catch_unwind().await;
        for store in stores {
            store.delete_collection().await.ok();
        }
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}
