//! The rate at which a scope is written.

use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::time::Instant;
use toolweaver_contracts::{VersionsAnnounced, decode};

use crate::support::{SOON, World, stop};

const EVENTS: u32 = 30;
const PERIOD: Duration = Duration::from_millis(20);

#[tokio::test]
async fn two_writes_of_a_scope_are_twenty_milliseconds_apart_however_full_the_batches() {
    let world = World::start().await;
    let mut announcements = world.nats.client().subscribe("versions.v1.acme").await.unwrap();
    world.nats.flush().await.unwrap();
    let mut last = 0;
    for tool in 0..EVENTS {
        last = world.indexed(&format!("indexed.v1.acme.github.tool_{tool}")).await;
    }
    // Every batch is full with its first event, so that none waits for more.
    let invalidator = world.unready_invalidator(&["--invalidation-batch-max=1"]).await;
    let mut writes = 0;
    let mut begun = None;
    let took = loop {
        let message = tokio::time::timeout(SOON, announcements.next()).await.unwrap().unwrap();
        let begun = *begun.get_or_insert_with(Instant::now);
        writes += 1;
        if decode::<VersionsAnnounced>(&message.payload).unwrap().version == last {
            break begun.elapsed();
        }
    };
    assert_eq!(writes, EVENTS);
    // The first may have been on its way for one period.
    assert!(took >= PERIOD * (EVENTS - 2), "{writes} writes within {took:?}");
    stop(invalidator).await;
}
