//! Settled revisions: neither an idle consumer nor a revision from the future counts as progress.

use std::sync::Arc;

use tokio::sync::Semaphore;
use toolweaver_contracts::Fault;
use toolweaver_messaging::{BatchHandler, Delivery, Outcome, Outgoing, Settled, publish, settled};
use toolweaver_testkit::wait;

use crate::support::{Running, SOON, TestServer, consumer, publish_tools};

/// Indexes odd revisions and rejects even ones, each with a permit.
struct Indexer {
    nats: toolweaver_messaging::Nats,
    permits: Arc<Semaphore>,
}

impl BatchHandler for Indexer {
    async fn handle(&self, batch: &[Delivery]) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for delivery in batch {
            self.permits.acquire().await.unwrap().forget();
            if delivery.stream_sequence % 2 == 0 {
                outcomes.push(Outcome::Reject(Fault::bad("", "even")));
                continue;
            }
            let subject = delivery.subject.replacen("tools.", "indexed.", 1);
            publish(&self.nats, Outgoing::new(subject, "{}")).await.unwrap();
            outcomes.push(Outcome::Done);
        }
        outcomes
    }
}

#[tokio::test]
async fn a_revision_is_settled_once_all_before_it_are_indexed_or_rejected() {
    let server = TestServer::start().await;
    let nats = server.ready().await;
    let consumer = consumer(&nats, |_| {});
    consumer.ensure().await.unwrap();
    let durable = consumer.lag().await.unwrap().durable;
    assert_eq!(
        settled(&nats, &durable, 1).await.unwrap(),
        Settled::NotYet { unsettled: 0 },
        "nobody has published it yet"
    );

    publish_tools(&nats, 2).await;
    assert_eq!(settled(&nats, &durable, 2).await.unwrap(), Settled::NotYet { unsettled: 2 });
    let permits = Arc::new(Semaphore::new(0));
    let running = Running::start(&consumer, Indexer { nats: nats.clone(), permits: Arc::clone(&permits) });
    permits.add_permits(2);
    wait::until("both are settled", SOON, async || {
        settled(&nats, &durable, 2).await.unwrap() == Settled::AtVersion(1)
    })
    .await;
    assert_eq!(settled(&nats, &durable, 1).await.unwrap(), Settled::AtVersion(1));
    assert_eq!(
        settled(&nats, &durable, 3).await.unwrap(),
        Settled::NotYet { unsettled: 0 },
        "an idle consumer knows nothing of a revision to come"
    );
    running.stop().await;
}

#[tokio::test]
async fn a_stream_without_its_consumer_is_an_error_and_not_progress() {
    let server = TestServer::start().await;
    let nats = server.ready().await;
    publish_tools(&nats, 1).await;
    settled(&nats, "nobody", 1).await.unwrap_err();
}
