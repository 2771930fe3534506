//! Redis goes and comes back: a miss at worst, nobody waits, and it is used again within seconds.

use std::time::{Duration, Instant};

use toolweaver_catalog_cache::{CacheConfig, CacheStore, CatalogCache, PopularityKind, Store};
use toolweaver_contracts::Tenant;
use toolweaver_testkit::redis::RedisServer;
use toolweaver_testkit::wait::until;

use crate::support::{self, INCARNATION, SOON, process};

const MODEL: &str = "minilm-0123456789ab";

/// Time after an outage in which Redis may go unused.
const HEALED_WITHIN: Duration = Duration::from_secs(5);

/// Longest call: the 100 ms after which a command counts as failed, and time for a machine that is busy.
const CALL_MAX: Duration = Duration::from_millis(400);

#[tokio::test]
async fn a_killed_redis() {
    let mut server = RedisServer::start().await;
    let config = support::redis(&server.url());
    let cache = process(&config).await;
    server.kill();
    outage_costs_misses_and_no_waiting(&cache).await;
    server.restart().await;
    heals(&cache, &config).await;
}

#[tokio::test]
async fn a_stopped_redis() {
    let server = RedisServer::start().await;
    let config = support::redis(&server.url());
    let cache = process(&config).await;
    server.pause();
    outage_costs_misses_and_no_waiting(&cache).await;
    server.resume();
    heals(&cache, &config).await;
}

#[tokio::test]
async fn a_redis_that_sleeps() {
    let server = RedisServer::start_with(&["--enable-debug-command", "local"]).await;
    let config = support::redis(&server.url());
    let cache = process(&config).await;
    let sleep = server.command("DEBUG SLEEP 5");
    let outage = outage_costs_misses_and_no_waiting(&cache);
    let (slept, ()) = tokio::join!(sleep, outage);
    assert!(slept.unwrap().starts_with("+OK"), "it slept");
    heals(&cache, &config).await;
}

#[tokio::test]
async fn a_flushed_redis() {
    let server = RedisServer::start().await;
    let config = support::redis(&server.url());
    let (one, two) = (process(&config).await, process(&config).await);
    let tenant = Tenant::default();
    one.versions.raise(&tenant, 5).await.unwrap();
    one.embeddings.put(MODEL, "text", &[1.0]).await;
    server.command("FLUSHALL").await.unwrap();
    assert!(two.embeddings.get(MODEL, "text", 1).await.is_none());
    assert_eq!(two.versions.current_or_restore(&tenant, 0).await, None, "not known, and not 0");
    assert!(two.snapshot().healthy);
    assert_eq!(one.versions.raise(&tenant, 6).await.unwrap(), 6);
    assert_eq!(two.versions.current_or_restore(&tenant, 0).await, Some(6));
    heals(&one, &config).await;
}

#[tokio::test]
async fn a_redis_that_comes_after_the_service() {
    let mut server = RedisServer::start().await;
    let config = support::redis(&server.url());
    server.stop().await;
    let cache = CatalogCache::new(Store::open(&config).unwrap(), &config, INCARNATION);
    assert!(cache.embeddings.get(MODEL, "text", 1).await.is_none());
    assert!(!cache.snapshot().healthy);
    server.restart().await;
    heals(&cache, &config).await;
}

#[tokio::test]
async fn counts_wait_for_redis() {
    let mut server = RedisServer::start().await;
    let cache = process(&support::redis(&server.url())).await;
    cache.popularity.note(PopularityKind::Requests, &Tenant::default(), "rain tomorrow?", 3);
    server.kill();
    cache.popularity.flush().await;
    assert!(cache.popularity.top(PopularityKind::Requests, &Tenant::default(), 1).await.is_err());
    server.restart().await;
    let top = until("the counts are there", SOON, async || {
        cache.popularity.flush().await;
        let top = cache.popularity.top(PopularityKind::Requests, &Tenant::default(), 1).await.ok()?;
        top.into_iter().next()
    })
    .await;
    assert!((top.times - 3.0).abs() < 0.01, "{top:?}");
}

#[tokio::test]
async fn a_raise_tells_when_redis_is_down_and_that_it_may_be_tried_again() {
    let mut server = RedisServer::start().await;
    let config = support::redis(&server.url());
    let cache = process(&config).await;
    let tenant = Tenant::default();
    assert_eq!(cache.versions.raise(&tenant, 5).await.unwrap(), 5);
    server.kill();
    let error = cache.versions.raise(&tenant, 6).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");

    server.restart().await;
    until("the raise succeeds", SOON, async || cache.versions.raise(&tenant, 6).await.is_ok()).await;
}

#[tokio::test]
async fn a_version_that_somebody_overwrote_is_not_known_and_harms_no_other() {
    let server = RedisServer::start().await;
    let config = support::redis(&server.url());
    let cache = process(&config).await;
    let [mine, other] = ["acme", "globex"].map(|tenant| tenant.parse::<Tenant>().unwrap());
    cache.versions.raise(&other, 7).await.unwrap();
    let key = format!("version:{{acme}}:{INCARNATION}");
    server.command(&format!("SET toolweaver:{key} nonsense")).await.unwrap();
    let error = support::open(&config).await.version(&key).await.unwrap_err();
    assert!(!error.is_transient() && error.to_string().contains("nonsense"), "{error}");
    for _ in 0..20 {
        assert_eq!(cache.versions.current_or_restore(&mine, 0).await, None);
    }
    assert_eq!(cache.versions.current_or_restore(&other, 0).await, Some(7), "the breaker is closed");
}

async fn outage_costs_misses_and_no_waiting(cache: &CatalogCache) {
    let tenant = Tenant::default();
    until("the outage is known", SOON, async || {
        assert!(cache.embeddings.get(MODEL, "never seen", 1).await.is_none(), "a miss, not an error");
        !cache.snapshot().healthy
    })
    .await;
    let begun = Instant::now();
    for i in 0..100 {
        let text = format!("text {i}");
        let missed = timed(cache.embeddings.get(MODEL, &text, 1)).await;
        assert!(missed.is_none());
        timed(cache.embeddings.put(MODEL, &text, &[1.0])).await;
        assert!(cache.embeddings.get(MODEL, &text, 1).await.is_some(), "memory still works");
        assert_eq!(timed(cache.versions.current_or_restore(&tenant, 0)).await, None, "not known");
    }
    // 300 calls of up to 100 ms each, if every one of them asked.
    assert!(begun.elapsed() < Duration::from_secs(2), "it took {:?}", begun.elapsed());
    assert!(cache.snapshot().embeddings.redis_errors > 0);
}

async fn timed<T>(call: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    // Boxed: the client's futures are large.
    let value = Box::pin(call).await;
    assert!(begun.elapsed() < CALL_MAX, "one call took {:?}", begun.elapsed());
    value
}

async fn heals(cache: &CatalogCache, config: &CacheConfig) {
    let other = process(config).await;
    let mut round = 0;
    until("an entry reaches the other process again", HEALED_WITHIN, async || {
        round += 1;
        let text = format!("after the outage {round}");
        cache.embeddings.put(MODEL, &text, &[1.0]).await;
        other.embeddings.get(MODEL, &text, 1).await.is_some() && cache.snapshot().healthy
    })
    .await;
}
