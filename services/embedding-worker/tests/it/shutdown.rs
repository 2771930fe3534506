//! Ends in the middle of a batch: asked for, and by force.

use std::process::Stdio;
use std::sync::Arc;

use tokio::process::Command;
use toolweaver_contracts::Tool;
use toolweaver_contracts::subjects::INDEXED_STREAM;
use toolweaver_embedding::{Embedder, Hashing, Limits, Model};
use toolweaver_embedding_worker::{Dependencies, run};
use toolweaver_messaging::{StreamsConfig, connect};
use toolweaver_service_runtime::{DrainConfig, Runtime};
use toolweaver_testkit::wait;

use crate::support::{AFTER_REDELIVERY, Gated, Rig, SOON, Worker, settings, tool};

const TOOLS: usize = 1_000;

async fn register_many(rig: &Rig) -> Vec<(u64, Tool)> {
    let mut tools = Vec::new();
    for number in 0..TOOLS {
        let tool = tool(&format!("tool_{number}"), &format!("Number {number}."));
        tools.push((rig.register(&tool).await, tool));
    }
    tools
}

#[tokio::test]
async fn told_to_stop_it_finishes_its_batches_and_acknowledges_only_what_is_stored() {
    let rig = Rig::start().await;
    let tools = register_many(&rig).await;
    let model = Gated::closed();
    let worker = Worker::start_with(&rig, Arc::clone(&model) as Arc<dyn Model>, None).await;
    model.until_reached().await;
    assert_eq!(rig.messages(INDEXED_STREAM).await, 0);

    worker.runtime.shutdown.begin();
    model.open();
    worker.joined().await.unwrap();

    let stored = rig.messages(INDEXED_STREAM).await;
    let lag = rig.lag(model.fingerprint()).await;
    let unacknowledged = lag.pending + lag.ack_pending;
    assert!(
        stored > 0 && stored < TOOLS as u64,
        "stopped after the batches in hand, not after all: {stored}"
    );
    assert_eq!(stored + unacknowledged, TOOLS as u64, "{lag:?}");

    let worker = Worker::start(&rig).await;
    for (revision, tool) in &tools {
        rig.until_indexed(tool, *revision, AFTER_REDELIVERY).await;
    }
    // Every tool has a name and a text of its own.
    assert_eq!(worker.embedded(), 2 * (TOOLS as u64 - stored), "nothing was embedded twice");
    worker.stop().await;
}

#[tokio::test]
async fn killed_in_the_middle_of_a_batch_it_has_acknowledged_nothing_and_the_next_one_does_it_all() {
    let rig = Rig::start().await;
    let tools = register_many(&rig).await;
    let model = Gated::closed();
    // A process of its own, as far as a thread can be one: its tasks and its connection die with its
    // executor.
    let executor =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let embedder = Embedder::spawn(Arc::clone(&model) as Arc<dyn Model>, Limits::default());
    let nats_config = rig.nats_config();
    let doomed = executor.spawn(async move {
        let nats = connect(&nats_config, "doomed").await.unwrap();
        let runtime = Runtime::new(DrainConfig { drain_timeout_seconds: 25 });
        let dependencies = Dependencies { nats, embedder, vectors: None };
        run(&settings(), &StreamsConfig::default(), dependencies, &runtime).await.unwrap();
        std::future::pending::<()>().await;
    });
    model.until_reached().await;
    executor.shutdown_background();
    assert!(doomed.await.unwrap_err().is_cancelled());
    model.open();
    let lag = rig.lag(model.fingerprint()).await;
    assert_eq!(lag.pending + lag.ack_pending, TOOLS as u64, "{lag:?}");
    assert_eq!(rig.messages(INDEXED_STREAM).await, 0);

    let worker = Worker::start(&rig).await;
    for (revision, tool) in &tools {
        rig.until_indexed(tool, *revision, AFTER_REDELIVERY).await;
    }
    rig.until_acknowledged(Hashing::new().fingerprint(), SOON).await;
    worker.stop().await;
}

#[tokio::test]
async fn as_a_process_it_ends_with_success_on_sigterm_and_loses_nothing() {
    let rig = Rig::start().await;
    let mut process = Command::new(env!("CARGO_BIN_EXE_toolweaver-embedding-worker"))
        .args(["--nats-url", rig.nats_config().url(), "--model", "hashing", "--http-addr", "127.0.0.1:0"])
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let tools = register_many(&rig).await;
    wait::until("it is at work", SOON, async || rig.messages(INDEXED_STREAM).await > 0).await;
    let pid = process.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    let status = tokio::time::timeout(SOON, process.wait()).await.expect("it ends in time").unwrap();
    assert!(status.success(), "{status}");

    let stored = rig.messages(INDEXED_STREAM).await;
    let lag = rig.lag(Hashing::new().fingerprint()).await;
    assert_eq!(stored + lag.pending + lag.ack_pending, TOOLS as u64, "{lag:?}");
    let worker = Worker::start(&rig).await;
    for (revision, tool) in &tools {
        rig.until_indexed(tool, *revision, AFTER_REDELIVERY).await;
    }
    worker.stop().await;
}
