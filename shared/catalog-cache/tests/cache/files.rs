//! File tier behind memory and Redis: what it is for, and what it must not do.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use toolweaver_catalog_cache::{CatalogCache, EntryStore, Files, StoreError};
use toolweaver_testkit::redis::RedisServer;
use toolweaver_testkit::wait::until;

use crate::support::{self, INCARNATION, SOON, open, process};

const MODEL: &str = "minilm-0123456789ab";
const LONG: Duration = Duration::from_mins(10);

/// Returns all files of entries.
fn files(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir.join("entries-v1")).unwrap().map(|file| file.unwrap().path()).collect()
}

fn value(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

#[tokio::test]
async fn a_process_that_starts_while_redis_is_away_finds_what_the_one_before_had_used() {
    let mut server = RedisServer::start().await;
    let redis = support::redis(&server.url());
    let dir = tempfile::tempdir().unwrap();
    let config = support::with_files(redis.clone(), dir.path());
    let other = process(&redis).await;
    other.embeddings.put(MODEL, "found in Redis", &[2.0]).await;

    let before = process(&config).await;
    before.embeddings.put(MODEL, "made here", &[1.0]).await;
    assert!(before.embeddings.get(MODEL, "found in Redis", 1).await.is_some());
    server.kill();
    drop(before);

    let store = toolweaver_catalog_cache::Store::open(&config).unwrap();
    let after = CatalogCache::new(store, &config, INCARNATION);
    assert_eq!(after.embeddings.get(MODEL, "made here", 1).await.unwrap(), [1.0]);
    assert_eq!(after.embeddings.get(MODEL, "found in Redis", 1).await.unwrap(), [2.0]);
    assert_eq!(after.embeddings.get(MODEL, "made here", 1).await.unwrap(), [1.0]);
    let seen = after.snapshot().embeddings;
    assert_eq!((seen.file_hits, seen.local_hits, seen.redis_errors), (2, 1, 2), "{seen:?}");
}

#[tokio::test]
async fn entries_survive_a_restart_until_they_expire_and_the_longest_written_go_first() {
    let dir = tempfile::tempdir().unwrap();
    let open = |bytes_max| Files::open(dir.path(), bytes_max).unwrap();
    let store = open(1 << 20);
    store.set("short", value("gone"), Duration::from_millis(1)).await.unwrap();
    for key in ["a", "b", "c"] {
        store.set(key, value("kept"), LONG).await.unwrap();
        // Milliseconds tell which was written first.
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    drop(store);

    let store = open(1 << 20);
    assert_eq!(files(dir.path()).len(), 3, "without the expired one");
    assert_eq!(store.get("a").await.unwrap().unwrap(), "kept");
    drop(store);

    // Room for two blocks only.
    let store = open(2 * 4_096);
    assert_eq!(store.get("a").await.unwrap(), None);
    assert!(store.get("b").await.unwrap().is_some() && store.get("c").await.unwrap().is_some());
    store.set("d", value("new"), LONG).await.unwrap();
    assert_eq!(store.get("b").await.unwrap(), None);
    assert!(store.get("c").await.unwrap().is_some() && store.get("d").await.unwrap().is_some());
    drop(store);
    assert_eq!(files(dir.path()).len(), 2);
}

#[tokio::test]
async fn what_is_damaged_or_foreign_is_a_miss_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let entries = dir.path().join("entries-v1");
    let store = Files::open(dir.path(), 1 << 20).unwrap();
    store.set("damaged", value("a value"), LONG).await.unwrap();
    until("it is written", SOON, async || store.get("damaged").await.unwrap().is_some()).await;
    let damaged = files(dir.path()).remove(0);
    let mut bytes = fs::read(&damaged).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&damaged, &bytes).unwrap();
    assert_eq!(store.get("damaged").await.unwrap(), None);
    assert!(!damaged.exists());
    drop(store);

    // Left by a crash, by somebody else, and by somebody who copied files around.
    fs::write(entries.join("unfinished"), "half").unwrap();
    fs::write(entries.join("foreign.entry"), "not ours").unwrap();
    fs::write(entries.join("renamed.entry"), &bytes).unwrap();
    let beside = dir.path().join("beside.entry");
    fs::write(&beside, "somebody else's").unwrap();
    let store = Files::open(dir.path(), 1 << 20).unwrap();
    assert_eq!(files(dir.path()), <[PathBuf; 0]>::default());
    assert!(beside.exists(), "what is not in our own folder is not ours to remove");
    drop(store);
}

#[tokio::test]
async fn a_file_that_vanished_is_a_miss_and_can_be_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = Files::open(dir.path(), 1 << 20).unwrap();
    store.set("key", value("one"), LONG).await.unwrap();
    until("it is written", SOON, async || store.get("key").await.unwrap().is_some()).await;
    fs::remove_file(files(dir.path()).remove(0)).unwrap();
    assert_eq!(store.get("key").await.unwrap(), None);
    store.set("key", value("two"), LONG).await.unwrap();
    assert_eq!(store.get("key").await.unwrap().unwrap(), "two");
}

#[tokio::test]
async fn a_folder_belongs_to_one_process_and_the_other_goes_on_without_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let config = support::with_files(support::local(), dir.path());
    let one = process(&config).await;
    assert!(one.snapshot().healthy);
    let refused = Files::open(dir.path(), 1 << 20).unwrap_err();
    assert!(matches!(&refused, StoreError::OpenFiles { .. }), "{refused}");
    let two = CatalogCache::new(open(&config).await, &config, INCARNATION);
    assert!(!two.snapshot().healthy);
    two.embeddings.put(MODEL, "text", &[1.0]).await;
    assert!(two.embeddings.get(MODEL, "text", 1).await.is_some());
}
