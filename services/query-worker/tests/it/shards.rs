//! Workers that own some domains each: together they answer for all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::StreamExt as _;
use serde_json::json;
use toolweaver_contracts::{
    Detail, RoutedBy, SearchReply, SearchRequest, ShardAnnounced, ShardDense, ShardHit, ShardReply,
    ShardScoring, Tool, decode, encode,
};
use toolweaver_messaging::Nats;
use toolweaver_testkit::wait;

use crate::support::{Rig, SOON, ids, key, tool};

/// Thirty tools in each of two domains that have an owner, and one in a domain that has none.
async fn sharded() -> Rig {
    let mut rig = Rig::without_workers().await;
    let mut revision = 0;
    for (domain, word) in [("billing", "invoice"), ("ops", "cluster")] {
        for number in 0..30 {
            revision += 1;
            let description = format!("Handles the {word} number {number}.");
            rig.index(
                "default",
                &tool(&format!("{word}_{number}"), domain, &description, json!({})),
                revision,
            )
            .await;
        }
    }
    rig.index("default", &tool("tomorrow", "climate", "Tells the weather.", json!({})), 100).await;
    rig.add_worker(None, &["--domains=billing"]).await;
    rig.add_worker(None, &["--domains=ops"]).await;
    rig
}

fn asking(query: &str) -> SearchRequest {
    SearchRequest { top_k: Some(100), detail: Detail::Summary, explain: true, ..SearchRequest::new(query) }
}

async fn until_degraded(rig: &Rig, expected: &[&str]) -> SearchReply {
    let mut last = None;
    wait::until("the owners know of each other", SOON, async || {
        // A new question each time: an answer that lacks a domain is never cached, one that is whole is.
        let reply = rig.search("default", &asking("handles the invoice of a cluster")).await;
        let reached = reply.degraded == expected;
        last = Some(reply);
        reached
    })
    .await;
    last.expect("at least one reply")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_scattered_to_the_owners_and_gathered() {
    let rig = sharded().await;
    until_degraded(&rig, &["domain:climate"]).await;
    // Whichever worker the request reaches, both domains answer; the one without an owner is named, and no
    // other.
    for number in 0..20 {
        let reply =
            rig.search("default", &asking(&format!("handles invoice {number} or cluster {number}"))).await;
        assert_eq!(reply.degraded, ["domain:climate"]);
        for word in ["billing.invoice_", "ops.cluster_"] {
            assert!(ids(&reply).iter().any(|id| id.starts_with(word)), "{word}: {:?}", ids(&reply));
        }
        assert_eq!(reply.explain.expect("asked for").filters.candidates, 60);
    }
    // The catalog is everywhere: a name is found even where nobody indexes its tool.
    assert_eq!(ids(&rig.search("default", &asking("tomorrow")).await)[0], "climate.tomorrow");
    for number in 0..10 {
        let hinted =
            SearchRequest { domain: Some("ops".parse().unwrap()), ..asking(&format!("cluster {number}")) };
        let reply = rig.search("default", &hinted).await;
        assert_eq!(ids(&reply)[0], format!("ops.cluster_{number}"));
        assert!(rig.get("default", &format!("billing.invoice_{number}"), &[]).await.is_ok());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_is_asked_for_its_domain_by_subject() {
    let rig = sharded().await;
    until_degraded(&rig, &["domain:climate"]).await;
    let reply: SearchReply =
        rig.ask("search.v1.default.ops", &asking("the cluster number 7")).await.expect("an owner");
    assert_eq!((reply.routed.by, reply.routed.domain), (RoutedBy::Hint, Some("ops".parse().unwrap())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_is_gone_is_named_and_the_others_answer() {
    let mut rig = sharded().await;
    until_degraded(&rig, &["domain:climate"]).await;
    rig.stop_last_worker().await;
    let reply = until_degraded(&rig, &["domain:climate", "domain:ops"]).await;
    assert!(ids(&reply).iter().all(|id| id.starts_with("billing.")), "{:?}", ids(&reply));
    rig.add_worker(None, &["--domains=climate,ops"]).await;
    let reply = until_degraded(&rig, &[]).await;
    assert!(ids(&reply).iter().any(|id| id.starts_with("ops.")));
}

const FOREIGN_SUBJECT: &str = "toolweaver.shard.v1.foreign";

/// Owner of another version: it answers whatever it is asked with scores of another ranker.
struct ForeignOwner {
    nats: Nats,
    /// Number of requests that it got.
    asked: Arc<AtomicUsize>,
}

impl ForeignOwner {
    async fn start(nats: &Nats, tool: &Tool) -> Self {
        let asked = Arc::<AtomicUsize>::default();
        let mut requests = nats.client().subscribe(FOREIGN_SUBJECT).await.expect("a subscription");
        let hit = ShardHit { point_id: key("default", tool).point_id(), score: 1e6, sentences: Vec::new() };
        let reply = ShardReply {
            scoring: ShardScoring { ranker: "hybrid-5-0badcafe".to_owned(), model: "another".to_owned() },
            lexical: None,
            dense: Some(ShardDense { hits: vec![hit], mean: 0.0, std_dev: 1.0, candidates: 30 }),
        };
        let (client, seen) = (nats.client().clone(), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Some(request) = requests.next().await {
                if let Some(inbox) = request.reply {
                    seen.fetch_add(1, Ordering::Relaxed);
                    client.publish(inbox, encode(&reply).into()).await.expect("a connection");
                }
            }
        });
        Self { nats: nats.clone(), asked }
    }

    async fn announce(&self, scoring: &ShardScoring, domain: &str) {
        let domains = [domain.parse().expect("a domain")].into();
        let announced =
            ShardAnnounced { scoring: scoring.clone(), domains, subject: FOREIGN_SUBJECT.to_owned() };
        self.nats
            .client()
            .publish("toolweaver.shard.v1.announced", encode(&announced).into())
            .await
            .expect("a connection");
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reply_merges_two_rankers() {
    let rig = sharded().await;
    until_degraded(&rig, &["domain:climate"]).await;
    let mut announcements =
        rig.nats.client().subscribe("toolweaver.shard.v1.announced").await.expect("a subscription");
    let ours: ShardAnnounced = decode(&announcements.next().await.expect("an announcement a second").payload)
        .expect("of the protocol");

    let foreign = ForeignOwner::start(&rig.nats, &tool("tomorrow", "climate", "", json!({}))).await;
    // The worker of the next version says so: nobody asks it.
    let other = ShardScoring { ranker: "hybrid-5-0badcafe".to_owned(), ..ours.scoring.clone() };
    for number in 0..5 {
        foreign.announce(&other, "climate").await;
        let reply =
            rig.search("default", &asking(&format!("handles the invoice {number} of a cluster"))).await;
        assert_eq!(reply.degraded, ["domain:climate"]);
    }
    assert_eq!(foreign.asked(), 0);
    // One whose announcement is ours and whose scores are not: it is asked, and not merged.
    let mut number = 0;
    wait::until("the foreign owner is asked", SOON, async || {
        number += 1;
        foreign.announce(&ours.scoring, "climate").await;
        let reply =
            rig.search("default", &asking(&format!("handles the cluster {number} of an invoice"))).await;
        assert_eq!(reply.degraded, ["domain:climate"]);
        assert!(!ids(&reply).contains(&"climate.tomorrow".to_owned()), "{:?}", ids(&reply));
        foreign.asked() > 0
    })
    .await;
}
