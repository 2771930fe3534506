//! The layers over a real Redis, shared between processes.

use std::slice;

use serde_json::{Value, json};
use toolweaver_catalog_cache::{CatalogCache, PopularityKind, SearchKey, SnapshotKey, drop_tools};
use toolweaver_contracts::{Tenant, ToolKey};
use toolweaver_testkit::redis::RedisServer;
use toolweaver_testkit::wait::until;

use crate::support::{self, SOON, open, process};

const MODEL: &str = "minilm-0123456789ab";

fn key(query: &Value) -> SearchKey {
    SearchKey::new(&Tenant::default(), query, 10).unwrap()
}

fn tool(name: &str) -> ToolKey {
    ToolKey {
        tenant: Tenant::default(),
        domain: "weather".parse().unwrap(),
        tool_name: name.parse().unwrap(),
    }
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
async fn metadata_is_found_under_its_own_version_only_and_can_be_dropped_without_knowing_it() {
    let server = RedisServer::start().await;
    let config = support::redis(&server.url());
    let (one, two) = (process(&config).await, process(&config).await);
    let forecast = tool("get_forecast");
    one.tool_metadata.put(&forecast, 7, &"of version 7").await;
    assert_eq!(two.tool_metadata.get::<String>(&forecast, 7).await.unwrap(), "of version 7");
    assert!(two.tool_metadata.get::<String>(&forecast, 8).await.is_none());
    assert!(two.tool_metadata.get::<String>(&tool("get_forecasts"), 7).await.is_none());

    // What memory has of version 7 is passed over for what Redis has of version 8.
    one.tool_metadata.put(&forecast, 8, &"of version 8").await;
    assert_eq!(two.tool_metadata.get::<String>(&forecast, 8).await.unwrap(), "of version 8");

    drop_tools(&open(&config).await, support::INCARNATION, &[forecast.clone(), tool("never there")])
        .await
        .unwrap();
    let three = process(&config).await;
    assert!(three.tool_metadata.get::<String>(&forecast, 8).await.is_none());
}

#[tokio::test]
async fn the_tools_that_are_kept_survive_in_a_memory_that_holds_nothing_else() {
    let mut config = support::local();
    config.cache_local_bytes_max = 1.try_into().unwrap();
    let cache = process(&config).await;
    let (pinned, other) = (tool("pinned"), tool("other"));
    cache.tool_metadata.pin(&Tenant::default(), slice::from_ref(&pinned));
    for key in [&pinned, &other] {
        cache.tool_metadata.put(key, 1, &"about it").await;
    }
    let about = async |key| cache.tool_metadata.get::<String>(key, 1).await;
    until("the other is pushed out", SOON, async || about(&other).await.is_none()).await;
    assert_eq!(about(&pinned).await.unwrap(), "about it");
    cache.tool_metadata.pin(&Tenant::default(), &[]);
    until("the one that is no longer pinned is too", SOON, async || about(&pinned).await.is_none()).await;
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
    one.tool_metadata.put(&tool("a"), 1, &json!({})).await;

    assert_eq!(two.versions.current_or_restore(&tenant, 0).await, None);
    assert_eq!(two.versions.raise(&tenant, 1).await.unwrap(), 1, "its sequences begin again");
    assert_eq!(one.versions.current_or_restore(&tenant, 0).await, Some(1_000));
    assert!(two.search_results.get::<Value>(&key(&json!("query"))).await.is_none());
    assert!(two.catalog_snapshots.get::<Value>(&view).await.is_none());
    assert!(two.tool_metadata.get::<Value>(&tool("a"), 1).await.is_none());
    assert!(two.embeddings.get(MODEL, "text", 1).await.is_some());
}

#[tokio::test]
async fn what_was_asked_for_is_counted_over_processes_and_their_restarts() {
    let server = RedisServer::start().await;
    let config = support::redis(&server.url());
    for _ in 0..2 {
        let process = process(&config).await;
        process.popularity.note(PopularityKind::Tools, &Tenant::default(), "weather.get_forecast", 2);
        process.popularity.note(PopularityKind::Tools, &Tenant::default(), "weather.get_tides", 1);
        process.popularity.flush().await;
    }
    let top =
        process(&config).await.popularity.top(PopularityKind::Tools, &Tenant::default(), 10).await.unwrap();
    let members: Vec<&str> = top.iter().map(|popular| &*popular.member).collect();
    assert_eq!(members, ["weather.get_forecast", "weather.get_tides"]);
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
