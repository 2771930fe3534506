//! One suite for every vector store: memory, Qdrant over gRPC against the in-process double, and Qdrant against a real
//! server where `TOOLWEAVER_TEST_QDRANT_URL` names one.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::large_futures, reason = "the client's are large, and a test has stack enough")]

mod agreement;
mod collections;
mod faults;
mod scene;
mod servers;
mod suite;

use std::num::NonZeroUsize;

use toolweaver_testkit::qdrant::QdrantDouble;
use toolweaver_vector_store::Memory;

use crate::{scene::DIMS, servers::Namespace};

fn memory() -> Memory {
    Memory::new(NonZeroUsize::new(DIMS).unwrap())
}

#[tokio::test]
async fn memory_keeps_the_promises() {
    suite::all(&memory()).await;
}

#[tokio::test]
async fn qdrant_keeps_the_promises() {
    let double = QdrantDouble::start().await;
    Namespace::at(&double.url()).with_store(async |store| suite::all(&store).await).await;
}

#[test]
fn memory_agrees_with_the_model() {
    agreement::check(64, async |script| agreement::run(&memory(), &script).await);
}

#[test]
fn qdrant_agrees_with_the_model() {
    agreement::check(24, async |script| {
        let double = QdrantDouble::start().await;
        Namespace::at(&double.url()).with_store(async |store| agreement::run(&store, &script).await).await;
    });
}

/// The same suites against a server that does not merely imitate.
#[tokio::test]
async fn a_real_qdrant_keeps_the_promises() {
    let Some(url) = servers::real() else { return };
    Namespace::at(&url).with_store(async |store| suite::all(&store).await).await;
    collections::all(&url).await;
    tokio::task::spawn_blocking(move || {
        agreement::check(24, async |script| {
            Namespace::at(&url).with_store(async |store| agreement::run(&store, &script).await).await;
        });
    })
    .await
    .unwrap();
}
