//! Which versions there are after which events.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;
use toolweaver_cache_invalidator::DURABLE;
use toolweaver_contracts::subjects::{INDEXED_STREAM, REJECTED_STREAM};
use toolweaver_contracts::{Domain, VersionsAnnounced, decode};
use toolweaver_messaging::streams;
use toolweaver_testkit::wait::until;

use crate::support::{SOON, World, stop};

#[tokio::test]
async fn events_raise_their_tenant_and_nothing_else() {
    let world = World::start().await;
    let invalidator = world.invalidator().await;
    world.indexed("indexed.v1.acme.github.create_pull_request").await;
    let second = world.indexed("indexed.v1.acme.chat.send_message").await;
    let third = world.indexed("indexed.v1.globex.github.create_pull_request").await;

    world.until_version("acme", second).await;
    world.until_version("globex", third).await;
    assert_eq!(world.version("initech").await, None);
    stop(invalidator).await;
}

#[tokio::test]
async fn new_versions_are_announced_once_they_can_be_read() {
    let world = World::start().await;
    let mut announcements = world.nats.client().subscribe("versions.v1.acme").await.unwrap();
    world.nats.flush().await.unwrap();
    let invalidator = world.invalidator().await;
    let sequence = world.indexed("indexed.v1.acme.github.create_pull_request").await;

    let message = tokio::time::timeout(SOON, announcements.next()).await.unwrap().unwrap();
    assert_eq!(world.version("acme").await, Some(sequence), "announced, so readable");
    let announced: VersionsAnnounced = decode(&message.payload).unwrap();
    let domains: BTreeMap<Domain, u64> = [("github".parse().unwrap(), sequence)].into();
    assert_eq!(announced, VersionsAnnounced { tenant: "acme".parse().unwrap(), version: sequence, domains });
    stop(invalidator).await;
}

#[tokio::test]
async fn a_burst_costs_few_writes() {
    let world = World::start().await;
    let mut announcements = world.nats.client().subscribe("versions.v1.acme").await.unwrap();
    world.nats.flush().await.unwrap();
    let mut last = 0;
    for tool in 0..300 {
        last = world.indexed(&format!("indexed.v1.acme.github.tool_{tool}")).await;
    }
    let invalidator = world.invalidator().await;
    world.until_version("acme", last).await;
    world.until_all_acknowledged().await;
    stop(invalidator).await;
    world.nats.client().publish("versions.v1.acme", "end".into()).await.unwrap();
    let count = announcements
        .by_ref()
        .take_while(|message| std::future::ready(message.payload != "end"))
        .count()
        .await;
    assert!(count <= 30, "300 events cost {count} writes");
}

#[tokio::test]
async fn events_that_come_again_lower_nothing() {
    let world = World::start().await;
    let last = world.indexed("indexed.v1.acme.github.one").await;
    let invalidator = world.invalidator().await;
    world.until_version("acme", last).await;
    world.until_all_acknowledged().await;
    stop(invalidator).await;

    // Somebody was further already, and every event comes again because the consumer is new.
    world.versions.raise(&"acme".parse().unwrap(), 1_000).await.unwrap();
    world.nats.jetstream().delete_consumer_from_stream(DURABLE, INDEXED_STREAM).await.unwrap();
    let invalidator = world.invalidator().await;
    world.until_all_acknowledged().await;
    assert_eq!(world.version("acme").await, Some(1_000));
    stop(invalidator).await;
}

#[tokio::test]
async fn what_comes_between_two_runs_is_not_forgotten() {
    let world = World::start().await;
    stop(world.invalidator().await).await;
    let sequence = world.indexed("indexed.v1.acme.github.one").await;
    let invalidator = world.invalidator().await;
    world.until_version("acme", sequence).await;
    stop(invalidator).await;
}

#[tokio::test]
async fn two_invalidators_at_once_end_at_the_highest_version_of_every_tenant() {
    let world = World::start().await;
    let (one, two) = tokio::join!(world.invalidator(), world.invalidator());
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    let mut seen = 0;
    for tool in 0..400 {
        let (tenant, domain) = (["acme", "globex"][tool % 2], ["chat", "github", "weather"][tool % 3]);
        let sequence = world.indexed(&format!("indexed.v1.{tenant}.{domain}.tool_{tool}")).await;
        last.insert(tenant.to_owned(), sequence);
        // A Redis that answers too late, on a busy machine, says nothing about the version.
        let Some(now) = world.version("acme").await else { continue };
        assert!(now >= seen, "went from {seen} back to {now}");
        assert!(now <= sequence, "{now} runs ahead of {sequence}");
        seen = now;
    }
    for (tenant, version) in last {
        world.until_version(&tenant, version).await;
    }
    world.until_all_acknowledged().await;
    stop(one).await;
    stop(two).await;
}

#[tokio::test]
async fn a_subject_that_names_no_tool_is_rejected_and_holds_up_nobody() {
    let world = World::start().await;
    let invalidator = world.invalidator().await;
    world.indexed("indexed.v1.ACME.github.one").await;
    let sequence = world.indexed("indexed.v1.acme.github.one").await;
    world.until_version("acme", sequence).await;
    until("the bad one is in REJECTED", SOON, async || {
        streams::state(&world.nats, REJECTED_STREAM).await.unwrap().messages == 1
    })
    .await;
    world.until_all_acknowledged().await;
    stop(invalidator).await;
}
