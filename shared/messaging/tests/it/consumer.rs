//! Batches, outcomes, and what a consumer survives.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, Semaphore};
use toolweaver_contracts::{ErrorCode, Fault, Rejection};
use toolweaver_messaging::{BatchHandler, Delivery, Outcome, Outgoing, consumer as consumers, publish};
use toolweaver_testkit::wait;

use crate::support::{
    Running, SOON, Script, TestServer, at_most, consumer, contents, is_drained, publish_tools, tool_subject,
};

#[tokio::test]
async fn a_full_batch_does_not_wait_for_its_linger() {
    let server = TestServer::start().await;
    let nats = server.ready().await;
    publish_tools(&nats, 20).await;
    let consumer = consumer(&nats, |config| {
        config.batch_max = at_most(10);
        config.linger = Duration::from_mins(1);
    });
    let handler = Arc::new(Script::new(|_| Outcome::Done));
    let running = Running::start(&consumer, Arc::clone(&handler));
    wait::until("two full batches", SOON, async || handler.batch_sizes().len() == 2).await;
    assert_eq!(handler.batch_sizes(), [10, 10]);
    let sequences: Vec<u64> = handler.deliveries().iter().map(|delivery| delivery.stream_sequence).collect();
    assert_eq!(sequences, (1..=20).collect::<Vec<u64>>());
    wait::until("all acknowledged", SOON, async || is_drained(&consumer).await).await;
    running.stop().await;
}

#[tokio::test]
async fn a_small_batch_ends_with_its_linger() {
    let server = TestServer::start().await;
    let nats = server.ready().await;
    let consumer = consumer(&nats, |config| config.linger = Duration::from_millis(200));
    let handler = Arc::new(Script::new(|_| Outcome::Done));
    let running = Running::start(&consumer, Arc::clone(&handler));
    consumer.ensure().await.unwrap();
    publish_tools(&nats, 3).await;
    wait::until("a batch", SOON, async || !handler.batch_sizes().is_empty()).await;
    assert_eq!(handler.batch_sizes(), [3]);
    let first = &handler.deliveries()[0];
    assert_eq!(
        (first.subject.as_str(), &first.payload[..], first.attempts),
        (&*tool_subject(0), &b"body 0"[..], 1)
    );
    running.stop().await;
    assert!(is_drained(&consumer).await, "stopping returns only after the acknowledgements are confirmed");
}

#[tokio::test]
async fn without_a_linger_a_batch_is_what_is_there() {
    let server = TestServer::start().await;
    let nats = server.ready().await;
    publish_tools(&nats, 5).await;
    let consumer = consumer(&nats, |config| config.linger = Duration::ZERO);
    let handler = Arc::new(Script::new(|_| Outcome::Done));
    let running = Running::start(&consumer, Arc::clone(&handler));
    wait::until("all five", SOON, async || handler.deliveries().len() == 5).await;
    assert_eq!(handler.batch_sizes(), [5]);
    running.stop().await;
}

#[tokio::test]
async fn a_retry_comes_again_after_its_pause_and_does_not_hold_up_others() {
    let pause = Duration::from_millis(300);
    let server = TestServer::start().await;
    let nats = server.ready().await;
    publish_tools(&nats, 3).await;
    let consumer = consumer(&nats, |_| {});
    let begin = Instant::now();
    let handler = Arc::new(Script::new(move |delivery: &Delivery| {
        let fails = delivery.stream_sequence == 1 && delivery.attempts < 3;
        if fails { Outcome::RetryAfter(pause) } else { Outcome::Done }
    }));
    let running = Running::start(&consumer, Arc::clone(&handler));
    wait::until("three attempts", SOON, async || handler.deliveries().len() == 5).await;
    assert!(begin.elapsed() >= pause * 2, "two pauses were kept");
    let order: Vec<u64> = handler.deliveries().iter().map(|delivery| delivery.stream_sequence).collect();
    assert_eq!(order, [1, 2, 3, 1, 1]);
    running.stop().await;
    assert!(is_drained(&consumer).await);
}

#[tokio::test]
async fn a_rejected_message_is_in_rejected_and_not_delivered_again() {
    let server = TestServer::start().await;
    let nats = server.ready().await;
    publish_tools(&nats, 2).await;
    let consumer = consumer(&nats, |_| {});
    let handler = Arc::new(Script::new(|delivery: &Delivery| match delivery.stream_sequence {
        1 => Outcome::Reject(Fault::bad("/tool/tool_name", "it is empty").hint("give it a name")),
        _ => Outcome::Done,
    }));
    let running = Running::start(&consumer, Arc::clone(&handler));
    wait::until("all acknowledged", SOON, async || is_drained(&consumer).await).await;
    running.stop().await;

    let rejected = contents(&nats, "REJECTED").await;
    assert_eq!(rejected.len(), 1);
    assert_eq!(rejected[0].0, "rejected.v1.acme.github.tool_0");
    let rejection: Rejection = serde_json::from_slice(&rejected[0].1).unwrap();
    assert_eq!(rejection.reason.code, ErrorCode::BadRequest);
    assert_eq!((rejection.revision, rejection.attempts), (1, 1));
    assert_eq!(rejection.original.text.as_deref(), Some("body 0"));
    assert_eq!(handler.deliveries().len(), 2);
    assert_eq!(
        contents(&nats, "TOOLS").await.len(),
        2,
        "the message stays: the stream says what publishers said"
    );
}

#[tokio::test]
async fn a_rejection_that_cannot_be_stored_is_tried_again() {
    let server = TestServer::start().await;
    let nats = server.ready().await;
    publish_tools(&nats, 1).await;
    nats.jetstream().delete_stream("REJECTED").await.unwrap();
    let consumer = consumer(&nats, |_| {});
    let handler = Arc::new(Script::new(|_: &Delivery| Outcome::Reject(Fault::bad("", "no"))));
    let running = Running::start(&consumer, Arc::clone(&handler));
    wait::until("a first attempt", SOON, async || handler.deliveries().len() == 1).await;
    running.stop().await;
    let lag = consumer.lag().await.unwrap();
    assert_eq!(
        (lag.pending, lag.ack_pending, lag.ack_floor_stream_sequence),
        (0, 1, 0),
        "it is not given up"
    );
}

#[tokio::test]
async fn replaced_messages_are_acknowledged_without_delay() {
    let server = TestServer::start().await;
    let nats = server.ready().await;
    // The handler holds version 1 while version 2 replaces it in the stream.
    let (entered, go_on) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let handler = Arc::new(Gate {
        entered: Arc::clone(&entered),
        go_on: Arc::clone(&go_on),
        handled: AtomicUsize::new(0),
    });
    let consumer = consumer(&nats, |_| {});
    let running = Running::start(&consumer, Arc::clone(&handler));
    publish_tools(&nats, 1).await;
    entered.notified().await;
    for _ in 0..10 {
        publish_tools(&nats, 1).await;
    }
    let begin = Instant::now();
    go_on.add_permits(100);
    wait::until("the newest version is acknowledged", SOON, async || is_drained(&consumer).await).await;
    assert!(begin.elapsed() < Duration::from_secs(1), "no acknowledgement was waited for in vain");
    assert!(handler.handled.load(Ordering::SeqCst) < 11, "replaced versions were not all delivered");
    running.stop().await;
}

/// Lets a batch through for each permit.
struct Gate {
    entered: Arc<Notify>,
    go_on: Arc<Semaphore>,
    handled: AtomicUsize,
}

impl BatchHandler for Gate {
    async fn handle(&self, batch: &[Delivery]) -> Vec<Outcome> {
        self.entered.notify_one();
        self.go_on.acquire().await.unwrap().forget();
        self.handled.fetch_add(batch.len(), Ordering::SeqCst);
        vec![Outcome::Done; batch.len()]
    }
}

#[tokio::test]
async fn work_longer_than_the_acknowledgement_deadline_is_not_delivered_again() {
    let server = TestServer::start().await;
    let nats = server.ready().await;
    let (entered, go_on) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let handler = Arc::new(Gate {
        entered: Arc::clone(&entered),
        go_on: Arc::clone(&go_on),
        handled: AtomicUsize::new(0),
    });
    let consumer = consumer(&nats, |config| config.ack_wait = Duration::from_millis(600));
    let running = Running::start(&consumer, Arc::clone(&handler));
    publish_tools(&nats, 1).await;
    entered.notified().await;
    // A second reader of the same consumer gets the message as soon as its deadline passes.
    let thief = Arc::new(Script::new(|_: &Delivery| Outcome::Done));
    let stealing = Running::start(&consumer, Arc::clone(&thief));
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(thief.deliveries().is_empty(), "the deadline was extended");
    go_on.add_permits(1);
    wait::until("acknowledged", SOON, async || is_drained(&consumer).await).await;
    running.stop().await;
    stealing.stop().await;
    assert!(thief.deliveries().is_empty());
    assert_eq!(handler.handled.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_stop_finishes_the_batch_in_hand_first() {
    let server = TestServer::start().await;
    let nats = server.ready().await;
    let (entered, go_on) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let handler = Arc::new(Gate {
        entered: Arc::clone(&entered),
        go_on: Arc::clone(&go_on),
        handled: AtomicUsize::new(0),
    });
    let consumer = consumer(&nats, |_| {});
    publish_tools(&nats, 4).await;
    let running = Running::start(&consumer, Arc::clone(&handler));
    entered.notified().await;
    running.ask_to_stop();
    assert_eq!(consumer.lag().await.unwrap().ack_pending, 4);
    go_on.add_permits(1);
    running.stop().await;
    assert!(is_drained(&consumer).await);
    assert_eq!(handler.handled.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn a_message_after_a_stop_waits_for_the_next_worker_and_no_longer() {
    let server = TestServer::start().await;
    let nats = server.ready().await;
    let consumer = consumer(&nats, |_| {});
    let idle = Running::start(&consumer, Script::new(|_: &Delivery| Outcome::Done));
    wait::until("it waits for messages", SOON, async || {
        let stream = nats.jetstream().get_stream_no_info("TOOLS").await.unwrap();
        stream.consumer_info("test-worker").await.is_ok_and(|info| info.num_waiting > 0)
    })
    .await;
    idle.stop().await;
    publish_tools(&nats, 1).await;
    let next = Arc::new(Script::new(|_: &Delivery| Outcome::Done));
    let running = Running::start(&consumer, Arc::clone(&next));
    wait::until("the next worker has it", Duration::from_secs(3), async || next.deliveries().len() == 1)
        .await;
    running.stop().await;
}

#[tokio::test]
async fn a_restarted_server_loses_nothing() {
    let mut server = TestServer::start().await;
    let nats = server.ready().await;
    let consumer = consumer(&nats, |config| {
        config.batch_max = at_most(7);
        // What was on its way when the connection broke comes again after this.
        config.ack_wait = Duration::from_secs(2);
    });
    let handler = Arc::new(Script::new(|_| Outcome::Done));
    let running = Running::start(&consumer, Arc::clone(&handler));
    let publishing = Arc::new(AtomicBool::new(true));
    let publisher = tokio::spawn({
        let (nats, publishing) = (nats.clone(), Arc::clone(&publishing));
        async move {
            let mut published = 0;
            while publishing.load(Ordering::SeqCst) {
                if publish(&nats, Outgoing::new(tool_subject(published), "body")).await.is_ok() {
                    published += 1;
                }
            }
            published
        }
    });
    wait::until("some were handled", SOON, async || handler.deliveries().len() > 50).await;
    server = server.restart().await;
    let before = handler.deliveries().len();
    wait::until("more are handled", SOON, async || handler.deliveries().len() > before + 50).await;
    publishing.store(false, Ordering::SeqCst);
    let count = publisher.await.unwrap();
    wait::until("all acknowledged", SOON, async || is_drained(&consumer).await).await;
    running.stop().await;
    let mut seen: Vec<String> = handler.deliveries().into_iter().map(|delivery| delivery.subject).collect();
    seen.sort();
    seen.dedup();
    // A publish whose acknowledgement was lost with the connection is published again, on the same subject.
    assert_eq!(seen.len(), count);
    drop(server);
}

#[tokio::test]
async fn a_deleted_consumer_is_made_again() {
    let server = TestServer::start().await;
    let nats = server.ready().await;
    let consumer = consumer(&nats, |_| {});
    let handler = Arc::new(Script::new(|_| Outcome::Done));
    let running = Running::start(&consumer, Arc::clone(&handler));
    publish_tools(&nats, 1).await;
    wait::until("the first", SOON, async || handler.deliveries().len() == 1).await;
    let stream = nats.jetstream().get_stream("TOOLS").await.unwrap();
    stream.delete_consumer("test-worker").await.unwrap();
    // The new consumer reads the stream from its beginning; handlers can take that.
    wait::until("it is read again", SOON, async || handler.deliveries().len() == 2).await;
    running.stop().await;
}

#[tokio::test]
async fn a_consumer_waits_for_its_stream() {
    let server = TestServer::start().await;
    let nats = server.connect().await;
    let handler = Arc::new(Script::new(|_| Outcome::Done));
    let running = Running::start(&consumer(&nats, |_| {}), Arc::clone(&handler));
    let nats = server.ready().await;
    publish_tools(&nats, 1).await;
    wait::until("the first", SOON, async || handler.deliveries().len() == 1).await;
    running.stop().await;
}

#[tokio::test]
async fn lag_tells_how_far_each_consumer_is() {
    let server = TestServer::start().await;
    let nats = server.ready().await;
    let consumer = consumer(&nats, |_| {});
    consumer.ensure().await.unwrap();
    consumer.ensure().await.unwrap();
    publish_tools(&nats, 3).await;
    assert_eq!(consumer.lag().await.unwrap().pending, 3);
    let running = Running::start(&consumer, Script::new(|_: &Delivery| Outcome::Done));
    wait::until("no lag", SOON, async || is_drained(&consumer).await).await;
    running.stop().await;
    let lags = consumers::lags(&nats, "TOOLS").await.unwrap();
    assert_eq!(lags.len(), 1);
    assert_eq!((lags[0].durable.as_str(), lags[0].ack_floor_stream_sequence), ("test-worker", 3));
    assert!(consumers::lag(&nats, "TOOLS", "nobody").await.is_err());
}

#[tokio::test]
async fn starting_over_delivers_everything_again_to_a_running_consumer() {
    let server = TestServer::start().await;
    let nats = server.ready().await;
    let consumer = consumer(&nats, |_| {});
    let script = Arc::new(Script::new(|_| Outcome::Done));
    consumer.start_over().await.unwrap();
    let running = Running::start(&consumer, Arc::clone(&script));
    publish_tools(&nats, 3).await;
    wait::until("all are delivered", SOON, async || script.deliveries().len() == 3).await;
    // A server that still deletes the consumer's folder cannot make it anew: a passing fault, which callers
    // try again.
    wait::until("started over", SOON, async || consumer.start_over().await.is_ok()).await;
    // A pull request that meets the moment without a consumer is lost, and noticed after two missed
    // heartbeats.
    wait::until("all are delivered again", 3 * SOON, async || script.deliveries().len() == 6).await;
    running.stop().await;
}
