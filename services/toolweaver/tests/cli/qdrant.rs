//! The whole pipeline on a Qdrant that refuses what a real server refuses, from registration to removal.

use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use toolweaver_contracts::{IndexedEvent, Tenant, ToolKey, decode, subjects};
use toolweaver_messaging::{Nats, NatsConfig, connect, publish::last_message};
use toolweaver_testkit::{
    qdrant::{QdrantDouble, Status},
    wait,
};

use crate::support::{Up, With};

const TOOL: &str =
    r#"{"tool_name":"send_invoice","domain":"billing","description":"Send an invoice by mail"}"#;
const ID: &str = "billing.send_invoice";
/// Longer than the five attempts after which a change is given up.
const GIVEN_UP_WITHIN: Duration = Duration::from_mins(1);

fn up_on(qdrant: &QdrantDouble, data_dir: &TempDir) -> Up {
    Up::start_with(data_dir, With::Hashing, &["--use-vector-db", "--qdrant-url", &qdrant.url()])
}

/// Returns the event that INDEXED holds of the tool.
async fn indexed(nats: &Nats) -> IndexedEvent {
    let key = ToolKey {
        tenant: Tenant::default(),
        domain: "billing".parse().unwrap(),
        tool_name: "send_invoice".parse().unwrap(),
    };
    let last = last_message(nats, subjects::INDEXED_STREAM, &subjects::indexed(&key)).await.unwrap();
    decode(&last.unwrap().payload).unwrap()
}

fn found(up: &Up) -> bool {
    let reply = up.run(&["search", "send an invoice by mail"]).json();
    assert_eq!(reply["degraded"], json!([]), "Qdrant takes part: {reply}");
    reply["results"].as_array().unwrap().iter().any(|result| result["tool_id"] == ID)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_tool_is_gone_from_qdrant_from_indexed_and_from_search() {
    let (qdrant, data_dir) = (QdrantDouble::start().await, TempDir::new().unwrap());
    let up = up_on(&qdrant, &data_dir);
    let nats = connect(&NatsConfig::for_url(&up.nats_url), "test").await.unwrap();
    up.run_with(&["register", "-", "--wait"], TOOL).expect_code(0);
    assert!(found(&up));
    assert_eq!(qdrant.points_with_vectors(), 1);
    assert!(matches!(indexed(&nats).await, IndexedEvent::Indexed { .. }));

    let report = up.run(&["remove", ID, "--wait"]).expect_code(0).json();
    assert_eq!(report["gone"], true, "{report}");
    assert_eq!(qdrant.points_with_vectors(), 0);
    assert!(matches!(indexed(&nats).await, IndexedEvent::Removed { .. }));
    assert!(!found(&up));
    up.run(&["get", ID]).expect_code(3);
    assert!(up.metric("toolweaver_index_store_refused_total") < 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_qdrant_refuses_for_ever_is_told_and_can_be_repeated() {
    let (qdrant, data_dir) = (QdrantDouble::start().await, TempDir::new().unwrap());
    let up = up_on(&qdrant, &data_dir);
    let nats = connect(&NatsConfig::for_url(&up.nats_url), "test").await.unwrap();
    up.run_with(&["register", "-", "--wait"], TOOL).expect_code(0);

    qdrant.refuse("points.upsert", Some(Status::invalid_argument("Expected some vectors")));
    up.run(&["remove", ID]).expect_code(0);
    wait::until("the removal is given up", GIVEN_UP_WITHIN, async || {
        up.metric("toolweaver_rejected_total") > 0.0
    })
    .await;
    assert!(up.metric("toolweaver_index_store_refused_total") >= 5.0);
    assert!(matches!(indexed(&nats).await, IndexedEvent::Indexed { .. }), "it is as it was");
    assert!(found(&up), "and answers say so");
    let doctor = up.run(&["doctor"]).expect_code(1).stdout;
    assert!(doctor.contains("Expected some vectors") && doctor.contains(ID), "{doctor}");

    qdrant.refuse("points.upsert", None);
    up.run(&["remove", ID, "--wait"]).expect_code(0);
    assert!(!found(&up));
    let doctor = up.run(&["doctor"]).stdout;
    assert!(!doctor.contains("Expected some vectors"), "another removal followed: {doctor}");
}
