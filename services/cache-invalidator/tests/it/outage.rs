//! Outages of Redis and NATS, and the return from them.

use toolweaver_testkit::wait::until;

use crate::support::{SOON, World, stop};

#[tokio::test]
async fn events_wait_for_redis_and_readiness_says_so() {
    let mut world = World::start().await;
    let invalidator = world.invalidator().await;
    world.redis.kill();
    until("it is not ready", SOON, async || !invalidator.health.is_ready()).await;
    assert!(invalidator.health.not_ready().iter().any(|closed| closed.gate.contains("store")));
    let sequence = world.indexed("indexed.v1.acme.github.one").await;
    until("the event is in hand, not acknowledged", SOON, async || {
        world.lag().await.is_some_and(|lag| lag.ack_pending == 1)
    })
    .await;

    world.redis.restart().await;
    world.until_version("acme", sequence).await;
    until("it is ready again", SOON, async || invalidator.health.is_ready()).await;
    stop(invalidator).await;
}

#[tokio::test]
async fn a_stop_while_redis_is_away_is_in_good_order_and_loses_nothing() {
    let mut world = World::start().await;
    let invalidator = world.invalidator().await;
    world.redis.kill();
    let sequence = world.indexed("indexed.v1.acme.github.one").await;
    until("the event is in hand", SOON, async || world.lag().await.is_some_and(|lag| lag.ack_pending == 1))
        .await;
    stop(invalidator).await;

    world.redis.restart().await;
    let invalidator = world.invalidator().await;
    world.until_version("acme", sequence).await;
    stop(invalidator).await;
}

#[tokio::test]
async fn an_invalidator_may_start_before_redis() {
    let mut world = World::start().await;
    world.redis.stop().await;
    let invalidator = world.unready_invalidator(&[]).await;
    let sequence = world.indexed("indexed.v1.acme.github.one").await;
    world.redis.restart().await;
    world.until_version("acme", sequence).await;
    stop(invalidator).await;
}
