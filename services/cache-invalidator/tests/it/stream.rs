//! An INDEXED that is made anew.

use toolweaver_catalog_cache::Versions;
use toolweaver_contracts::subjects::INDEXED_STREAM;
use toolweaver_messaging::{StreamsConfig, streams};
use toolweaver_testkit::wait::until;

use crate::support::{SOON, World, stop};

#[tokio::test]
async fn the_service_ends_so_that_it_starts_with_the_new_stream() {
    let world = World::start().await;
    let invalidator = world.invalidator().await;
    world.nats.jetstream().delete_stream(INDEXED_STREAM).await.unwrap();
    streams::ensure(&world.nats, &StreamsConfig::default()).await.unwrap();
    let ended = tokio::time::timeout(SOON, invalidator.join()).await.unwrap();
    assert!(ended.is_err(), "an end that a supervisor sees");

    // Its sequences begin again, and count.
    let invalidator = world.invalidator().await;
    let sequence = world.indexed("indexed.v1.acme.github.one").await;
    assert_eq!(sequence, 1);
    let incarnation = streams::state(&world.nats, INDEXED_STREAM).await.unwrap().incarnation();
    let versions = Versions::new(world.store.clone(), &incarnation);
    until("it counts", SOON, async || {
        versions.current_or_restore(&"acme".parse().unwrap(), 0).await == Some(sequence)
    })
    .await;
    stop(invalidator).await;
}
