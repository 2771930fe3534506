//! The layers over a real Redis, shared between processes.

use serde_json::{Value, json};
use toolweaver_catalog_cache::{CatalogCache, SearchKey, SnapshotKey};
use toolweaver_contracts::Tenant;
use toolweaver_testkit::redis::RedisServer;

use crate::support::{self, open, process};

const MODEL: &str = "minilm-0123456789ab";

fn key(query: &Value) -> SearchKey {
    SearchKey::new(&Tenant::default(), query, 10).unwrap()
}

#[tokio::test]
async fn what_one_process_computed_the_other_finds_and_then_keeps_at_hand() {
    let server = RedisServer::start().await;
    let config = support::redis(&server.url());
    let (one, two) = (process(&config).await, process(&config).await);

    one.embeddings.put(MODEL, "rain tomorrow?", &[0.6, 0.8]).await;
    assert_eq!(two.embeddings.get(MODEL, "rain tomorrow?", 2).await.unwrap(), [0.6, 0.8]);
    assert_eq!(two.embeddings.get(MODEL, "rain tomorrow?", 2).await.unwrap(), [0.6, 0.8]);
    assert!(two.embeddings.get("another-model", "rain tomorrow?", 2).await.is_none());
    let seen = two.snapshot().embeddings;
    assert_eq!((seen.redis_hits, seen.local_hits, seen.misses), (1, 1, 1), "{seen:?}");

    let query = json!({ "text": "rain tomorrow?", "roles": [] });
    one.search_results.put(&key(&query), &json!({ "version": 7, "results": ["get_forecast"] })).await;
    let answer: Value = two.search_results.get(&key(&query)).await.unwrap();
    assert_eq!(answer["results"][0], "get_forecast");

    let view = SnapshotKey::new(&Tenant::default(), &json!({ "roles": ["ops"] })).unwrap();
    one.catalog_snapshots.put(&view, &json!({ "weather": 3 })).await;
    assert_eq!(two.catalog_snapshots.get::<Value>(&view).await.unwrap(), json!({ "weather": 3 }));
    let other_view = SnapshotKey::new(&Tenant::default(), &json!({ "roles": ["dev"] })).unwrap();
    assert!(two.catalog_snapshots.get::<Value>(&other_view).await.is_none());
}

#[tokio::test]
async fn another_catalog_shares_embeddings_and_nothing_else() {
    let server = RedisServer::start().await;
    let config = support::redis(&server.url());
    let one = process(&config).await;
    let two = CatalogCache::new(open(&config).await, &config, "18bb");
    let tenant = Tenant::default();
    let view = SnapshotKey::new(&Tenant::default(), &"all").unwrap();
    one.versions.raise(&tenant, 1_000).await.unwrap();
    one.embeddings.put(MODEL, "text", &[1.0]).await;
    one.search_results.put(&key(&json!("query")), &json!({})).await;
    one.catalog_snapshots.put(&view, &json!({})).await;

    assert_eq!(two.versions.current_or_restore(&tenant, 0).await, None);
    assert_eq!(two.versions.raise(&tenant, 1).await.unwrap(), 1, "its sequences begin again");
    assert_eq!(one.versions.current_or_restore(&tenant, 0).await, Some(1_000));
    assert!(two.search_results.get::<Value>(&key(&json!("query"))).await.is_none());
    assert!(two.catalog_snapshots.get::<Value>(&view).await.is_none());
    assert!(two.embeddings.get(MODEL, "text", 1).await.is_some());
}

#[tokio::test]
async fn what_was_asked_for_is_counted_over_processes_and_their_restarts() {
    let server = RedisServer::start().await;
    let config = support::redis(&server.url());
    for _ in 0..2 {
        let process = process(&config).await;
        process.popularity.note(&Tenant::default(), "rain tomorrow?", 2);
        process.popularity.note(&Tenant::default(), "when is high tide?", 1);
        process.popularity.flush().await;
    }
    let top = process(&config).await.popularity.top(&Tenant::default(), 10).await.unwrap();
    let requests: Vec<&str> = top.iter().map(|popular| &*popular.request).collect();
    assert_eq!(requests, ["rain tomorrow?", "when is high tide?"]);
    assert!((top[0].times - 4.0).abs() < 0.01, "{top:?}");
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
    let config = support::redis(&server.url());
    let (one, two) = (process(&config).await, process(&config).await);
    one.embeddings.put(MODEL, "text", &[1.0]).await;
    one.search_results.put(&key(&json!("query")), &json!({})).await;
    let keys = server.command("KEYS *").await.unwrap();
    for name in keys.lines().filter(|line| line.starts_with("toolweaver:")) {
        server.command(&format!("SET {name} damaged")).await.unwrap();
    }
    assert!(two.embeddings.get(MODEL, "text", 1).await.is_none());
    assert!(two.search_results.get::<Value>(&key(&json!("query"))).await.is_none());
}

#[test]
fn the_key_changes_with_everything_that_can_change_an_answer() {
    let query = json!({ "text": "rain", "roles": ["ops"] });
    let same = SearchKey::new(&Tenant::default(), &query, 10).unwrap();
    assert_eq!(same, SearchKey::new(&Tenant::default(), &query, 10).unwrap());
    let other_query = json!({ "text": "rain", "roles": ["dev"] });
    for other in [
        SearchKey::new(&"acme".parse().unwrap(), &query, 10),
        SearchKey::new(&Tenant::default(), &other_query, 10),
        SearchKey::new(&Tenant::default(), &query, 5),
    ] {
        assert_ne!(same, other.unwrap());
    }
}
