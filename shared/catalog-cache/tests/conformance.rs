//! One suite for every store: what holds for Redis holds in memory, and the other way round.

#![expect(clippy::unwrap_used, reason = "a law whose store fails is broken, whatever the error")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use toolweaver_catalog_cache::{CacheConfig, CacheStore, Scope, Store};
use toolweaver_testkit::redis::RedisServer;
use toolweaver_testkit::wait::until;

const DEADLINE: Duration = Duration::from_secs(20);
const LONG: Duration = Duration::from_mins(10);

/// A store of its own for one test, and the server that it lives in, if any.
async fn open(config: &CacheConfig) -> Store {
    let store = Store::open(config).expect("a usable configuration");
    until("the store is connected", DEADLINE, async || store.is_connected()).await;
    store
}

macro_rules! conformance {
    ($($law:ident),* $(,)?) => {
        mod in_memory {
            use super::*;
            $(#[tokio::test]
            async fn $law() {
                laws::$law(open(&support::local()).await).await;
            })*
        }

        mod in_redis {
            use super::*;
            $(#[tokio::test]
            async fn $law() {
                let server = RedisServer::start().await;
                laws::$law(open(&support::redis(&server)).await).await;
            })*
        }

        mod in_redis_cluster {
            use super::*;
            $(#[tokio::test]
            async fn $law() {
                let server = RedisServer::start_cluster().await;
                laws::$law(open(&support::redis(&server)).await).await;
            })*
        }
    };
}

conformance!(
    what_is_set_is_there_until_it_is_deleted,
    entries_expire_each_at_its_own_time,
    a_later_write_has_its_own_time_to_live,
    any_bytes_are_kept_as_they_are,
    versions_only_grow,
    scopes_do_not_touch_each_other,
    many_raises_at_once_end_at_the_highest,
);

mod laws {
    use super::*;

    pub(super) async fn what_is_set_is_there_until_it_is_deleted(store: Store) {
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

    pub(super) async fn entries_expire_each_at_its_own_time(store: Store) {
        store.set("long", Bytes::from_static(b"x"), LONG).await.unwrap();
        store.set("short", Bytes::from_static(b"x"), Duration::from_millis(50)).await.unwrap();
        until("the short one is gone", DEADLINE, async || store.get("short").await.unwrap().is_none()).await;
        assert!(store.get("long").await.unwrap().is_some());
    }

    pub(super) async fn a_later_write_has_its_own_time_to_live(store: Store) {
        store.set("key", Bytes::from_static(b"old"), LONG).await.unwrap();
        store.set("key", Bytes::from_static(b"new"), Duration::from_millis(50)).await.unwrap();
        until("it is gone", DEADLINE, async || store.get("key").await.unwrap().is_none()).await;
    }

    pub(super) async fn any_bytes_are_kept_as_they_are(store: Store) {
        let every_byte: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        store.set("bytes", Bytes::from(every_byte.clone()), LONG).await.unwrap();
        assert_eq!(store.get("bytes").await.unwrap().unwrap(), every_byte);
        store.set("none", Bytes::new(), LONG).await.unwrap();
        assert_eq!(store.get("none").await.unwrap().unwrap(), "");
    }

    pub(super) async fn versions_only_grow(store: Store) {
        let scope = Scope::tenant(&"acme".parse().unwrap());
        assert_eq!(store.version(&scope).await.unwrap(), None);
        assert_eq!(store.raise_version(&scope, 7).await.unwrap(), 7);
        assert_eq!(store.raise_version(&scope, 3).await.unwrap(), 7, "a late one changes nothing");
        assert_eq!(store.raise_version(&scope, 7).await.unwrap(), 7);
        // As text 10 is lower than 7.
        assert_eq!(store.raise_version(&scope, 10).await.unwrap(), 10);
        assert_eq!(store.version(&scope).await.unwrap(), Some(10));
    }

    pub(super) async fn scopes_do_not_touch_each_other(store: Store) {
        let (acme, globex) = ("acme".parse().unwrap(), "globex".parse().unwrap());
        let github = "github".parse().unwrap();
        store.raise_version(&Scope::tenant(&acme), 1).await.unwrap();
        store.raise_version(&Scope::domain(&acme, &github), 2).await.unwrap();
        store.raise_version(&Scope::domain(&globex, &github), 3).await.unwrap();
        assert_eq!(store.version(&Scope::tenant(&acme)).await.unwrap(), Some(1));
        assert_eq!(store.version(&Scope::domain(&acme, &github)).await.unwrap(), Some(2));
        assert_eq!(store.version(&Scope::tenant(&globex)).await.unwrap(), None);
        assert_eq!(store.version(&Scope::domain(&globex, &github)).await.unwrap(), Some(3));
    }

    pub(super) async fn many_raises_at_once_end_at_the_highest(store: Store) {
        let scope = Arc::new(Scope::tenant(&"acme".parse().unwrap()));
        let raises: Vec<_> = (1..=200)
            .map(|version| {
                let (store, scope) = (store.clone(), Arc::clone(&scope));
                tokio::spawn(async move { (version, store.raise_version(&scope, version).await.unwrap()) })
            })
            .collect();
        for raise in raises {
            let (offered, holds) = raise.await.unwrap();
            assert!(holds >= offered, "raised to {offered}, holds {holds}");
        }
        assert_eq!(store.version(&scope).await.unwrap(), Some(200));
    }
}
