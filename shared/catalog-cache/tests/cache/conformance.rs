//! One suite forevery store: what holds for Redis holds in memory, and the other way round; for entries in
//! files too.

use std::time::Duration;

use bytes::Bytes;
use toolweaver_catalog_cache::{CacheStore, EntryStore, Files, Store};
use toolweaver_testkit::redis::RedisServer;
use toolweaver_testkit::wait::until;

use crate::support::{self, SOON, open};

const LONG: Duration = Duration::from_mins(10);

macro_rules! conformance {
    (entries: [$($entry_law:ident),* $(,)?], versions and scores: [$($law:ident),* $(,)?] $(,)?) => {
        mod in_files {
            use super::*;
            $(#[tokio::test]
            async fn $entry_law() {
                let dir = tempfile::tempdir().unwrap();
                laws::$entry_law(Files::open(dir.path(), 1 << 20).unwrap()).await;
            })*
        }

        mod in_memory {
            use super::*;
            $(#[tokio::test]
            async fn $entry_law() {
                laws::$entry_law(open(&support::local()).await).await;
            })*
            $(#[tokio::test]
            async fn $law() {
                laws::$law(open(&support::local()).await).await;
            })*
        }

        mod in_redis {
            use super::*;
            $(#[tokio::test]
            async fn $entry_law() {
                let server = RedisServer::start().await;
                laws::$entry_law(open(&support::redis(&server.url())).await).await;
            })*
            $(#[tokio::test]
            async fn $law() {
                let server = RedisServer::start().await;
                laws::$law(open(&support::redis(&server.url())).await).await;
            })*
        }

        mod in_redis_cluster {
            use super::*;
            $(#[tokio::test]
            async fn $entry_law() {
                let server = RedisServer::start_cluster().await;
                laws::$entry_law(open(&support::redis(&server.url())).await).await;
            })*
            $(#[tokio::test]
            async fn $law() {
                let server = RedisServer::start_cluster().await;
                laws::$law(open(&support::redis(&server.url())).await).await;
            })*
        }
    };
}

conformance!(
    entries: [
        what_is_set_is_there_until_it_is_deleted,
        entries_expire_each_at_its_own_time,
        a_later_write_has_its_own_time_to_live,
        any_bytes_are_kept_as_they_are,
        many_keys_are_deleted_at_once,
    ],
    versions and scores: [
        versions_only_grow,
        versions_under_two_keys_do_not_touch_each_other,
        many_raises_at_once_end_at_the_highest,
        scores_add_up_and_the_highest_come_first,
        only_so_many_members_are_kept,
        very_different_scores_are_told_apart,
    ],
);

mod laws {
    use super::*;

    pub(super) async fn what_is_set_is_there_until_it_is_deleted(store: impl EntryStore) {
        assert_eq!(store.get("a").await.unwrap(), None);
        store.set("a", Bytes::from_static(b"one"), LONG).await.unwrap();
        store.set("b", Bytes::from_static(b"two"), LONG).await.unwrap();
        store.set("a", Bytes::from_static(b"three"), LONG).await.unwrap();
        assert_eq!(store.get("a").await.unwrap().unwrap(), "three");

        store.delete(&["a".to_owned(), "never there".to_owned()]).await.unwrap();
        assert_eq!(store.get("a").await.unwrap(), None);
        assert_eq!(store.get("b").await.unwrap().unwrap(), "two");
        store.delete(&[]).await.unwrap();
    }

    pub(super) async fn entries_expire_each_at_its_own_time(store: impl EntryStore) {
        store.set("long", Bytes::from_static(b"x"), LONG).await.unwrap();
        store.set("short", Bytes::from_static(b"x"), Duration::from_millis(50)).await.unwrap();
        until("the short one is gone", SOON, async || store.get("short").await.unwrap().is_none()).await;
        assert!(store.get("long").await.unwrap().is_some());
    }

    pub(super) async fn a_later_write_has_its_own_time_to_live(store: impl EntryStore) {
        store.set("key", Bytes::from_static(b"old"), LONG).await.unwrap();
        store.set("key", Bytes::from_static(b"new"), Duration::from_millis(50)).await.unwrap();
        until("it is gone", SOON, async || store.get("key").await.unwrap().is_none()).await;
    }

    pub(super) async fn any_bytes_are_kept_as_they_are(store: impl EntryStore) {
        let every_byte: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        store.set("bytes", Bytes::from(every_byte.clone()), LONG).await.unwrap();
        assert_eq!(store.get("bytes").await.unwrap().unwrap(), every_byte);
        store.set("none", Bytes::new(), LONG).await.unwrap();
        assert_eq!(store.get("none").await.unwrap().unwrap(), "");
    }

    pub(super) async fn many_keys_are_deleted_at_once(store: impl EntryStore) {
        let keys: Vec<String> = (0..60).map(|i| format!("key {i}")).collect();
        for key in &keys[..30] {
            store.set(key, Bytes::from_static(b"x"), LONG).await.unwrap();
        }
        store.delete(&keys[1..]).await.unwrap();
        for key in &keys[1..] {
            assert_eq!(store.get(key).await.unwrap(), None, "{key}");
        }
        assert!(store.get(&keys[0]).await.unwrap().is_some());
    }

    pub(super) async fn versions_only_grow(store: Store) {
        assert_eq!(store.version("a").await.unwrap(), None);
        assert_eq!(store.raise_version("a", 7).await.unwrap(), 7);
        assert_eq!(store.raise_version("a", 3).await.unwrap(), 7, "a late one changes nothing");
        assert_eq!(store.raise_version("a", 7).await.unwrap(), 7);
        // As text 10 is lower than 7.
        assert_eq!(store.raise_version("a", 10).await.unwrap(), 10);
        assert_eq!(store.version("a").await.unwrap(), Some(10));
    }

    pub(super) async fn versions_under_two_keys_do_not_touch_each_other(store: Store) {
        store.raise_version("{acme}", 1).await.unwrap();
        store.raise_version("{acme}:github", 2).await.unwrap();
        assert_eq!(store.version("{acme}").await.unwrap(), Some(1));
        assert_eq!(store.version("{acme}:github").await.unwrap(), Some(2));
        assert_eq!(store.version("{globex}").await.unwrap(), None);
    }

    pub(super) async fn many_raises_at_once_end_at_the_highest(store: Store) {
        let raises: Vec<_> = (1..=200)
            .map(|version| {
                let store = store.clone();
                tokio::spawn(async move { (version, store.raise_version("a", version).await.unwrap()) })
            })
            .collect();
        for raise in raises {
            let (offered, holds) = raise.await.unwrap();
            assert!(holds >= offered, "raised to {offered}, holds {holds}");
        }
        assert_eq!(store.version("a").await.unwrap(), Some(200));
    }

    pub(super) async fn scores_add_up_and_the_highest_come_first(store: Store) {
        assert_eq!(store.top_scores("a", 10).await.unwrap(), []);
        store.add_scores("a", &[score("one", 1.5), score("two", 2.0)], 10).await.unwrap();
        store.add_scores("a", &[score("one", 1.5), score("a third, with spaces", 0.25)], 10).await.unwrap();
        store.add_scores("b", &[score("two", 100.0)], 10).await.unwrap();
        let all = [score("one", 3.0), score("two", 2.0), score("a third, with spaces", 0.25)];
        assert_eq!(store.top_scores("a", 10).await.unwrap(), all);
        assert_eq!(store.top_scores("a", 2).await.unwrap(), all[..2]);
        assert_eq!(store.top_scores("a", 0).await.unwrap(), []);
        store.add_scores("a", &[], 10).await.unwrap();
        assert_eq!(store.top_scores("a", 10).await.unwrap(), all);
    }

    pub(super) async fn only_so_many_members_are_kept(store: Store) {
        let many: Vec<_> = (1..=50).map(|i| score(&format!("member {i:02}"), f64::from(i))).collect();
        store.add_scores("a", &many, 3).await.unwrap();
        // Of equal scores the one that comes later in the alphabet is the higher.
        store.add_scores("a", &[score("another", 49.0)], 3).await.unwrap();
        let kept = [score("member 50", 50.0), score("member 49", 49.0), score("another", 49.0)];
        assert_eq!(store.top_scores("a", 10).await.unwrap(), kept);
    }

    pub(super) async fn very_different_scores_are_told_apart(store: Store) {
        let scores =
            [score("late", 2_f64.powi(960)), score("today", 1.1), score("early", 2_f64.powi(-2_000 / 7))];
        store.add_scores("a", &scores, 10).await.unwrap();
        assert_eq!(store.top_scores("a", 10).await.unwrap(), scores);
    }

    fn score(member: &str, score: f64) -> (String, f64) {
        (member.to_owned(), score)
    }
}
