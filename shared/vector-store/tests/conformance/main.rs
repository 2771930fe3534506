//! One suite for every vector store: memory, Qdrant over gRPC against the in-process double, and Qdrant
//! against a real server where `TOOLWEAVER_TEST_QDRANT_URL` names one.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::large_futures, reason = "the client's are large, and a test has stack enough")]

/// Runs the cases one after another and names each, so that a failure says which promise is broken.
macro_rules! cases {
    ($($case:ident)*) => {
        pub(crate) async fn all(store: &impl VectorStore) {
            $(
                eprintln!("case {}", stringify!($case));
                $case(store).await;
            )*
        }
    };
}

mod agreement;
mod collections;
mod faults;
mod naive;
mod sampling;
mod scene;
mod searches;
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
    let store = memory();
    suite::all(&store).await;
    searches::all(&store).await;
}

#[tokio::test]
async fn qdrant_keeps_the_promises() {
    let double = QdrantDouble::start().await;
    let test = async |store| {
        suite::all(&store).await;
        searches::all(&store).await;
    };
    Namespace::at(&double.url()).with_store(test).await;
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
    let test = async |store| {
        suite::all(&store).await;
        searches::all(&store).await;
    };
    Namespace::at(&url).with_store(test).await;
    collections::all(&url).await;
    tokio::task::spawn_blocking(move || {
        agreement::check(24, async |script| {
            Namespace::at(&url).with_store(async |store| agreement::run(&store, &script).await).await;
        });
    })
    .await
    .unwrap();
}
