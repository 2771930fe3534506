//! The layers over a real Redis: shared between processes, and out of the way when Redis is.

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use toolweaver_catalog_cache::{CacheConfig, CacheStore, CatalogCache, Scope, SearchKey, Store};
use toolweaver_contracts::Tenant;
use toolweaver_testkit::redis::RedisServer;
use toolweaver_testkit::wait::until;

const DEADLINE: Duration = Duration::from_secs(20);
const MODEL: &str = "minilm-0123456789ab";

/// The caches of one process.
async fn process(config: &CacheConfig) -> CatalogCache {
    let store = Store::open(config).expect("a usable configuration");
    until("the store is connected", DEADLINE, async || store.is_connected()).await;
    CatalogCache::new(store, config)
}

fn key(query: &Value, version: u64) -> SearchKey {
    SearchKey::new(&Tenant::default(), query, version, 10).expect("JSON")
}

#[tokio::test]
async fn what_one_process_computed_the_other_finds_and_then_keeps_at_hand() {
    let server = RedisServer::start().await;
    let config = support::redis(&server);
    let (one, two) = (process(&config).await, process(&config).await);

    one.embeddings.put(MODEL, "rain tomorrow?", &[0.6, 0.8]).await;
    assert_eq!(two.embeddings.get(MODEL, "rain tomorrow?", 2).await.unwrap(), [0.6, 0.8]);
    assert_eq!(two.embeddings.get(MODEL, "rain tomorrow?", 2).await.unwrap(), [0.6, 0.8]);
    assert!(two.embeddings.get("another-model", "rain tomorrow?", 2).await.is_none());
    let seen = two.snapshot().embeddings;
    assert_eq!((seen.redis_hits, seen.local_hits, seen.misses), (1, 1, 1), "{seen:?}");

    let query = json!({ "text": "rain tomorrow?", "roles": [] });
    one.search_results.put(&key(&query, 7), &json!({ "results": ["get_forecast"] })).await;
    let answer: Value = two.search_results.get(&key(&query, 7)).await.unwrap();
    assert_eq!(answer["results"][0], "get_forecast");
    assert!(two.search_results.get::<Value>(&key(&query, 8)).await.is_none(), "another version");
}

#[tokio::test]
async fn memory_alone_is_a_cache_too() {
    let cache = process(&support::local()).await;
    assert!(cache.embeddings.get(MODEL, "text", 1).await.is_none());
    cache.embeddings.put(MODEL, "text", &[1.0]).await;
    assert_eq!(cache.embeddings.get(MODEL, "text", 1).await.unwrap(), [1.0]);
    let seen = cache.snapshot();
    assert_eq!((seen.kind, seen.healthy), ("local", true));
    assert_eq!((seen.embeddings.local_hits, seen.embeddings.misses), (1, 1));
}

#[tokio::test]
async fn a_value_that_somebody_damaged_is_a_miss() {
    let server = RedisServer::start().await;
    let config = support::redis(&server);
    let (one, two) = (process(&config).await, process(&config).await);
    one.embeddings.put(MODEL, "text", &[1.0]).await;
    one.search_results.put(&key(&json!("query"), 1), &json!({})).await;
    let keys = server.command("KEYS *").await.unwrap();
    for name in keys.lines().filter(|line| line.starts_with("toolweaver:")) {
        server.command(&format!("SET {name} damaged")).await.unwrap();
    }
    assert!(two.embeddings.get(MODEL, "text", 1).await.is_none());
    assert!(two.search_results.get::<Value>(&key(&json!("query"), 1)).await.is_none());
}

#[test]
fn the_key_changes_with_everything_that_can_change_an_answer() {
    let query = json!({ "text": "rain", "roles": ["ops"] });
    let same = SearchKey::new(&Tenant::default(), &query, 1, 10).unwrap();
    assert_eq!(same, SearchKey::new(&Tenant::default(), &query, 1, 10).unwrap());
    let other_query = json!({ "text": "rain", "roles": ["dev"] });
    for other in [
        SearchKey::new(&"acme".parse().unwrap(), &query, 1, 10),
        SearchKey::new(&Tenant::default(), &other_query, 1, 10),
        SearchKey::new(&Tenant::default(), &query, 2, 10),
        SearchKey::new(&Tenant::default(), &query, 1, 5),
    ] {
        assert_ne!(same, other.unwrap());
    }
}

#[tokio::test]
async fn a_dead_redis_costs_misses_and_no_waiting_and_heals() {
    let mut server = RedisServer::start().await;
    let config = support::redis(&server);
    let cache = process(&config).await;
    server.kill();
    outage_costs_misses_and_no_waiting(&cache).await;
    server.restart().await;
    heals(&cache, &config).await;
}

#[tokio::test]
async fn a_frozen_redis_costs_misses_and_no_waiting_and_heals() {
    let server = RedisServer::start().await;
    let config = support::redis(&server);
    let cache = process(&config).await;
    server.pause();
    outage_costs_misses_and_no_waiting(&cache).await;
    server.resume();
    heals(&cache, &config).await;
}

#[tokio::test]
async fn a_redis_that_comes_after_the_service_is_used_when_it_is_there() {
    let mut server = RedisServer::start().await;
    let config = support::redis(&server);
    server.stop().await;
    let cache = CatalogCache::new(Store::open(&config).unwrap(), &config);
    assert!(cache.embeddings.get(MODEL, "text", 1).await.is_none());
    assert!(!cache.snapshot().healthy);
    server.restart().await;
    heals(&cache, &config).await;
}

async fn outage_costs_misses_and_no_waiting(cache: &CatalogCache) {
    let tenant = Scope::tenant(&Tenant::default());
    until("the outage is known", DEADLINE, async || {
        assert!(cache.embeddings.get(MODEL, "never seen", 1).await.is_none(), "a miss, not an error");
        !cache.snapshot().healthy
    })
    .await;
    let begun = Instant::now();
    for i in 0..100 {
        let text = format!("text {i}");
        assert!(cache.embeddings.get(MODEL, &text, 1).await.is_none());
        cache.embeddings.put(MODEL, &text, &[1.0]).await;
        assert!(cache.embeddings.get(MODEL, &text, 1).await.is_some(), "memory still works");
    }
    // 200 calls of up to 100 ms each, if every one of them asked.
    assert!(begun.elapsed() < Duration::from_secs(2), "it took {:?}", begun.elapsed());
    assert!(cache.snapshot().embeddings.redis_errors > 0);
    assert_eq!(cache.versions.current(&tenant).await, None, "not known");
}

async fn heals(cache: &CatalogCache, config: &CacheConfig) {
    let other = process(config).await;
    let mut round = 0;
    until("an entry reaches the other process again", DEADLINE, async || {
        round += 1;
        let text = format!("after the outage {round}");
        cache.embeddings.put(MODEL, &text, &[1.0]).await;
        other.embeddings.get(MODEL, &text, 1).await.is_some() && cache.snapshot().healthy
    })
    .await;
}

#[tokio::test]
async fn a_raise_tells_when_redis_is_down_and_that_it_may_be_tried_again() {
    let mut server = RedisServer::start().await;
    let config = support::redis(&server);
    let cache = process(&config).await;
    let scope = Scope::tenant(&Tenant::default());
    assert_eq!(cache.versions.raise(&scope, 5).await.unwrap(), 5);
    server.kill();
    let error = cache.versions.raise(&scope, 6).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");

    server.restart().await;
    until("the raise succeeds", DEADLINE, async || cache.versions.raise(&scope, 6).await.is_ok()).await;
    server.command("SET toolweaver:version:{default} nonsense").await.unwrap();
    let store = Store::open(&config).unwrap();
    let error = until("the read is refused", DEADLINE, async || {
        store.version(&scope).await.err().filter(|error| !error.is_transient())
    })
    .await;
    assert!(error.to_string().contains("nonsense"), "{error}");
}
