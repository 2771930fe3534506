//! Conditions, expiry and duplicates of published messages; authentication.

use std::time::Duration;

use toolweaver_messaging::publish::last_message;
use toolweaver_messaging::{NatsConfig, Outgoing, PublishError, Stored, connect, publish};
use toolweaver_testkit::wait;

use crate::support::{SOON, TestServer};

const SUBJECT: &str = "indexed.v1.acme.github.create";

#[tokio::test]
async fn the_expected_sequence_decides_who_was_first() {
    let server = TestServer::start().await;
    let nats = server.ready().await;
    let first = publish(&nats, Outgoing::new(SUBJECT, "1").expecting_last_sequence(0)).await.unwrap();
    let late = publish(&nats, Outgoing::new(SUBJECT, "x").expecting_last_sequence(0)).await.unwrap_err();
    assert!(matches!(&late, PublishError::WrongLastSequence { subject } if subject == SUBJECT), "{late}");
    assert!(!late.is_transient());
    let next = Outgoing::new(SUBJECT, "2").expecting_last_sequence(first.stream_sequence);
    let next = publish(&nats, next).await.unwrap();
    assert!(next.stream_sequence > first.stream_sequence);
    let last = last_message(&nats, "INDEXED", SUBJECT).await.unwrap().unwrap();
    assert_eq!((&last.payload[..], last.stream_sequence), (&b"2"[..], next.stream_sequence));
    assert_eq!(last.subject, SUBJECT);
    assert!(last_message(&nats, "INDEXED", "indexed.v1.acme.github.none").await.unwrap().is_none());
}

#[tokio::test]
async fn a_message_with_a_time_to_live_leaves_by_itself() {
    let server = TestServer::start().await;
    let nats = server.ready().await;
    assert!(nats.supports_message_ttl(), "the tests' server is 2.11 or newer");
    publish(&nats, Outgoing::new("indexed.v1.acme.github.kept", "stays")).await.unwrap();
    // Shorter than the server can: rounded up to its one second.
    publish(&nats, Outgoing::new(SUBJECT, "removed").expiring_after(Duration::from_millis(1))).await.unwrap();
    assert!(last_message(&nats, "INDEXED", SUBJECT).await.unwrap().is_some());
    wait::until("the tombstone expired", SOON, async || {
        last_message(&nats, "INDEXED", SUBJECT).await.unwrap().is_none()
    })
    .await;
    assert!(last_message(&nats, "INDEXED", "indexed.v1.acme.github.kept").await.unwrap().is_some());
}

#[tokio::test]
async fn one_id_is_stored_once() {
    let server = TestServer::start().await;
    let nats = server.ready().await;
    let message = Outgoing::new(SUBJECT, "body").with_message_id("one");
    let first = publish(&nats, message.clone()).await.unwrap();
    let again = publish(&nats, message).await.unwrap();
    assert_eq!(again, Stored { duplicate: true, ..first });
}

#[tokio::test]
async fn failures_are_told_apart() {
    let server = TestServer::start().await;
    let nats = server.ready().await;
    let nowhere = publish(&nats, Outgoing::new("nowhere.v1", "")).await.unwrap_err();
    assert!(matches!(nowhere, PublishError::NoStream { .. }) && nowhere.is_transient(), "{nowhere}");
    let large = vec![b' '; nats.client().max_payload() + 1];
    let large = publish(&nats, Outgoing::new(SUBJECT, large)).await.unwrap_err();
    assert!(matches!(large, PublishError::TooLarge { .. }) && !large.is_transient(), "{large}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_without_its_password() {
    // Port 1 is reserved; nothing listens there.
    let config = NatsConfig::for_url("nats://ann:hidden@127.0.0.1:1");
    let error = connect(&config, "test").await.unwrap_err();
    assert!(error.is_transient());
    assert!(error.to_string().contains("127.0.0.1:1") && !error.to_string().contains("hidden"), "{error}");
}

#[tokio::test]
async fn the_connection_tells_about_the_server() {
    let server = TestServer::start().await;
    let nats = server.connect().await;
    assert!(nats.is_connected());
    assert!(nats.server_version().starts_with("2."));
    assert!(nats.round_trip().await.unwrap() < Duration::from_secs(1));
}
