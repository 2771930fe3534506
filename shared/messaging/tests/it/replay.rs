//! Reading INDEXED in order from a sequence on.

use std::time::Duration;

use toolweaver_messaging::replay::ReplayError;
use toolweaver_messaging::{Nats, Outgoing, Replay, StreamsConfig, publish, streams};
use toolweaver_testkit::wait;

use crate::support::{SOON, TestServer};

async fn index(nats: &Nats, numbers: std::ops::Range<usize>) {
    for number in numbers {
        publish(nats, Outgoing::new(format!("indexed.v1.acme.github.tool_{number}"), number.to_string()))
            .await
            .unwrap();
    }
}

/// Reads until the end of the stream and returns the sequences that were read.
async fn read_to_end(replay: &mut Replay) -> Vec<u64> {
    let mut sequences = Vec::new();
    loop {
        let batch =
            tokio::time::timeout(SOON, replay.next_batch(64)).await.expect("a batch in time").unwrap();
        sequences.extend(batch.messages.iter().map(|message| message.stream_sequence));
        if batch.caught_up {
            return sequences;
        }
    }
}

#[tokio::test]
async fn reads_all_then_waits_for_more() {
    let server = TestServer::start().await;
    let nats = server.ready().await;
    index(&nats, 0..1_000).await;
    let mut replay = Replay::new(&nats, "INDEXED", 0);
    assert_eq!(read_to_end(&mut replay).await, (1..=1_000).collect::<Vec<u64>>());
    index(&nats, 1_000..1_001).await;
    let batch = replay.next_batch(64).await.unwrap();
    assert_eq!(batch.messages.len(), 1);
    assert!(batch.caught_up);
    assert_eq!(batch.messages[0].subject, "indexed.v1.acme.github.tool_1000");
    assert_eq!(&batch.messages[0].payload[..], b"1000");
    assert_eq!(replay.next_sequence(), 1_002);
}

#[tokio::test]
async fn begins_where_it_is_told_to() {
    let server = TestServer::start().await;
    let nats = server.ready().await;
    index(&nats, 0..10).await;
    assert_eq!(read_to_end(&mut Replay::new(&nats, "INDEXED", 8)).await, [8, 9, 10]);
}

#[tokio::test]
async fn an_empty_stream_is_caught_up_at_once_and_once() {
    let server = TestServer::start().await;
    let nats = server.ready().await;
    let mut replay = Replay::new(&nats, "INDEXED", 0);
    assert!(read_to_end(&mut replay).await.is_empty());
    let more = tokio::time::timeout(Duration::from_millis(100), replay.next_batch(64)).await;
    assert!(more.is_err(), "nothing new, nothing said");
    index(&nats, 0..1).await;
    assert_eq!(read_to_end(&mut replay).await, [1]);
}

#[tokio::test]
async fn a_restarted_server_costs_no_message_and_repeats_none() {
    let server = TestServer::start().await;
    let nats = server.ready().await;
    index(&nats, 0..100).await;
    let mut replay = Replay::new(&nats, "INDEXED", 0);
    let mut sequences = read_to_end(&mut replay).await;
    let server = server.restart().await;
    wait::until("the client is back", SOON, async || nats.round_trip().await.is_ok()).await;
    index(&nats, 100..200).await;
    while sequences.len() < 200 {
        sequences.extend(read_to_end(&mut replay).await);
    }
    assert_eq!(sequences, (1..=200).collect::<Vec<u64>>());
    drop(server);
}

#[tokio::test]
async fn an_end_that_expired_meanwhile_is_still_an_end() {
    let server = TestServer::start().await;
    let nats = server.ready().await;
    index(&nats, 0..3).await;
    let stream = nats.jetstream().get_stream("INDEXED").await.unwrap();
    // What expiry of a tombstone does: the last sequence has no message.
    stream.delete_message(3).await.unwrap();
    let mut replay = Replay::new(&nats, "INDEXED", 0);
    assert_eq!(read_to_end(&mut replay).await, [1, 2]);
    let mut resumed = Replay::new(&nats, "INDEXED", replay.next_sequence());
    assert!(read_to_end(&mut resumed).await.is_empty());
}

#[tokio::test]
async fn a_stream_made_anew_is_noticed() {
    let server = TestServer::start().await;
    let nats = server.ready().await;
    index(&nats, 0..10).await;
    nats.jetstream().delete_stream("INDEXED").await.unwrap();
    streams::ensure(&nats, &StreamsConfig::default()).await.unwrap();
    index(&nats, 0..2).await;
    let error = Replay::new(&nats, "INDEXED", 11).next_batch(64).await.unwrap_err();
    assert!(matches!(error, ReplayError::StreamReset { next_sequence: 11, last_sequence: 2, .. }), "{error}");
}
