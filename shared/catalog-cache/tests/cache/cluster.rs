//! A Redis Cluster that loses a master.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use toolweaver_contracts::Tenant;
use toolweaver_testkit::redis::RedisCluster;
use toolweaver_testkit::wait::until;

use crate::support::{self, process};

const MODEL: &str = "minilm-0123456789ab";

/// Time that an election and the clients' way to the new master may take.
const FAILED_OVER_WITHIN: Duration = Duration::from_secs(30);

/// Number of tenants, enough that every master has some.
const TENANTS: usize = 24;

#[tokio::test]
async fn a_raise_waits_for_a_replica_of_its_own_shard() {
    let cluster = RedisCluster::start().await;
    let config = support::redis(&cluster.url());
    let cache = process(&config).await;
    cluster.pause_replica(0);
    let mut of_that_shard = 0;
    for tenant in (0..TENANTS).map(tenant) {
        if cluster.shard_of(&format!("{{{tenant}}}")).await != 0 {
            continue;
        }
        of_that_shard += 1;
        // A command may be late on a busy machine; the attempt that succeeds is the one to measure.
        let took = until("the raise comes through without the replica", FAILED_OVER_WITHIN, async || {
            let begun = Instant::now();
            cache.versions.raise(&tenant, 7).await.ok().map(|_| begun.elapsed())
        })
        .await;
        assert!(took >= Duration::from_millis(100), "it waited for {took:?}");
    }
    assert!(of_that_shard > 1, "{of_that_shard} tenants are too few to tell");
}

#[tokio::test]
async fn a_lost_master_costs_misses_and_no_version_that_was_acknowledged() {
    let mut cluster = RedisCluster::start().await;
    let config = support::redis(&cluster.url());
    let (cache, other) = (process(&config).await, process(&config).await);
    let tenants: Vec<Tenant> = (0..TENANTS).map(tenant).collect();

    let mut acknowledged: BTreeMap<&Tenant, u64> = BTreeMap::new();
    for version in 1..=100 {
        if version == 50 {
            cluster.kill_master(0);
        }
        for tenant in &tenants {
            if let Ok(holds) = cache.versions.raise(tenant, version).await {
                acknowledged.insert(tenant, holds);
            }
        }
        // A miss at worst: this returns, whatever Redis does.
        cache.embeddings.put(MODEL, &format!("text {version}"), &[1.0]).await;
        other.embeddings.get(MODEL, &format!("text {version}"), 1).await;
    }
    assert_eq!(acknowledged.len(), TENANTS);

    cluster.until_settled().await;
    for tenant in &tenants {
        let current = until("the version can be read again", FAILED_OVER_WITHIN, async || {
            other.versions.current_or_restore(tenant, 0).await
        })
        .await;
        assert!(
            current >= acknowledged[tenant],
            "{tenant} went back from {} to {current}",
            acknowledged[tenant]
        );
        until("a raise comes through", FAILED_OVER_WITHIN, async || {
            cache.versions.raise(tenant, 101).await.is_ok()
        })
        .await;
        assert_eq!(other.versions.current_or_restore(tenant, 0).await, Some(101));
    }
    let mut round = 0;
    until("entries of every shard reach the other process", FAILED_OVER_WITHIN, async || {
        round += 1;
        for i in 0..TENANTS {
            let text = format!("round {round}, text {i}");
            cache.embeddings.put(MODEL, &text, &[1.0]).await;
            if other.embeddings.get(MODEL, &text, 1).await.is_none() {
                return false;
            }
        }
        true
    })
    .await;
}

fn tenant(number: usize) -> Tenant {
    format!("tenant-{number}").parse().unwrap()
}
