//! Streams are made, brought up to date, and otherwise left alone.

use std::num::NonZeroUsize;

use async_nats::jetstream::stream::{Config, StorageType};
use toolweaver_messaging::streams::{self, EnsureError};
use toolweaver_messaging::{StreamsConfig, connect};

use crate::support::{TestServer, publish_tools};

#[tokio::test]
async fn ensuring_twice_changes_nothing() {
    let server = TestServer::start().await;
    let nats = server.ready().await;
    let before = configs(&nats).await;
    streams::ensure(&nats, &StreamsConfig::default()).await.unwrap();
    assert_eq!(configs(&nats).await, before);

    let [tools, indexed, rejected] = before;
    for (config, subjects) in [(&tools, "tools.v1.*.*.*"), (&indexed, "indexed.v1.*.*.*")] {
        assert_eq!(config.subjects, [subjects]);
        assert_eq!(config.max_messages_per_subject, 1);
        assert_eq!(config.storage, StorageType::File);
        assert_eq!(config.num_replicas, 1);
        assert!(config.allow_direct && config.allow_message_ttl);
    }
    assert_eq!(rejected.max_age.as_secs(), 30 * 24 * 3_600);
    assert_eq!(rejected.max_bytes, 256 * 1024 * 1024);
    assert_eq!(rejected.max_messages_per_subject, -1);
}

#[tokio::test]
async fn several_workers_ensure_at_once() {
    let server = TestServer::start().await;
    let workers: Vec<_> = (0..8)
        .map(|_| {
            let url = server.server.url().to_owned();
            tokio::spawn(async move {
                let nats = connect(&toolweaver_messaging::NatsConfig::for_url(url), "worker").await.unwrap();
                streams::ensure(&nats, &StreamsConfig::default()).await
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn an_old_stream_is_updated_and_keeps_what_an_operator_set() {
    let server = TestServer::start().await;
    let nats = server.connect().await;
    let old = Config {
        name: "TOOLS".to_owned(),
        subjects: vec!["tools.v1.old.*.*".to_owned()],
        max_bytes: 12_345_678,
        description: Some("by hand".to_owned()),
        ..Config::default()
    };
    nats.jetstream().create_stream(old).await.unwrap();
    streams::ensure(&nats, &StreamsConfig::default()).await.unwrap();
    let [tools, _, _] = configs(&nats).await;
    assert_eq!(tools.subjects, ["tools.v1.*.*.*"]);
    assert_eq!(tools.max_messages_per_subject, 1);
    assert!(tools.allow_message_ttl && tools.allow_direct);
    assert_eq!(tools.max_bytes, 12_345_678);
    assert_eq!(tools.description.as_deref(), Some("by hand"));

    let mut rejected = configs(&nats).await[2].clone();
    rejected.max_bytes = 1_000_000;
    nats.jetstream().update_stream(&rejected).await.unwrap();
    streams::ensure(&nats, &StreamsConfig::default()).await.unwrap();
    assert_eq!(configs(&nats).await[2].max_bytes, 1_000_000);
}

#[tokio::test]
async fn a_refusal_names_stream_setting_and_remedy() {
    let server = TestServer::start().await;
    let nats = server.connect().await;
    let three = StreamsConfig { replicas: NonZeroUsize::new(3) };
    let error = streams::ensure(&nats, &three).await.unwrap_err();
    let text = error.to_string();
    assert!(!error.is_transient());
    for part in ["TOOLS", "num_replicas", "NATS_STREAM_REPLICAS"] {
        assert!(text.contains(part), "{part} in {text}");
    }

    let in_memory = Config { name: "TOOLS".to_owned(), storage: StorageType::Memory, ..Config::default() };
    nats.jetstream().create_stream(in_memory).await.unwrap();
    let text = streams::ensure(&nats, &StreamsConfig::default()).await.unwrap_err().to_string();
    for part in ["TOOLS", "storage", "nats stream rm TOOLS"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[tokio::test]
async fn a_foreign_stream_on_our_subjects_is_named_as_the_problem() {
    let server = TestServer::start().await;
    let nats = server.connect().await;
    let foreign =
        Config { name: "FOREIGN".to_owned(), subjects: vec!["tools.>".to_owned()], ..Config::default() };
    nats.jetstream().create_stream(foreign).await.unwrap();
    let error = streams::ensure(&nats, &StreamsConfig::default()).await.unwrap_err();
    assert!(matches!(&error, EnsureError::Setting { setting, .. } if setting == "subjects"), "{error}");
}

#[tokio::test]
async fn state_counts_what_a_stream_holds() {
    let server = TestServer::start().await;
    let nats = server.connect().await;
    assert!(streams::state(&nats, "TOOLS").await.unwrap_err().to_string().contains("no such stream"));
    let nats = server.ready().await;
    publish_tools(&nats, 3).await;
    publish_tools(&nats, 1).await;
    let state = streams::state(&nats, "TOOLS").await.unwrap();
    assert_eq!((state.messages, state.first_sequence, state.last_sequence), (3, 2, 4));
    assert!(state.bytes > 0);
}

#[tokio::test]
async fn a_stream_that_is_made_anew_is_another_incarnation() {
    let server = TestServer::start().await;
    let nats = server.ready().await;
    let incarnation = async || streams::state(&nats, "INDEXED").await.unwrap().incarnation();
    let first = incarnation().await;
    assert_eq!(incarnation().await, first, "the same stream");

    nats.jetstream().delete_stream("INDEXED").await.unwrap();
    streams::ensure(&nats, &StreamsConfig::default()).await.unwrap();
    assert_ne!(incarnation().await, first);
}

async fn configs(nats: &toolweaver_messaging::Nats) -> [Config; 3] {
    let mut configs = Vec::new();
    for name in ["TOOLS", "INDEXED", "REJECTED"] {
        configs.push(nats.jetstream().get_stream(name).await.unwrap().cached_info().config.clone());
    }
    configs.try_into().unwrap()
}
