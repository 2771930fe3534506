//! Traces of one registration and one search: each is one trace, from the client to the last worker.

use std::collections::{BTreeSet, HashMap};

use tempfile::TempDir;
use toolweaver_testkit::{
    otlp::{Receiver, Span},
    qdrant::QdrantDouble,
    wait,
};

use crate::support::{SOON, Up, With};

/// The spans of a registration, from publish to searchable, as ARCHITECTURE.md names them.
const REGISTRATION: [&str; 14] = [
    "publish tools.v1",
    "process TOOLS",
    "process tools.v1",
    "read",
    "embed",
    "store",
    "upsert toolweaver_tools",
    "publish",
    "publish indexed.v1",
    "process INDEXED",
    "process indexed.v1",
    "raise versions",
    "apply INDEXED",
    "apply indexed.v1",
];

/// The spans of a search, from request to reply.
const SEARCH: [&str; 6] = [
    "request search.v1",
    "process search.v1",
    "embed query",
    "search words",
    "search vectors",
    "search toolweaver_tools",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_is_one_trace_and_a_search_another() {
    let (receiver, qdrant) = (Receiver::start().await, QdrantDouble::start().await);
    let (endpoint, url) = (receiver.endpoint().to_owned(), qdrant.url());
    let data_dir = TempDir::new().unwrap();
    let options = ["--otlp-endpoint", &endpoint, "--use-vector-db", "--qdrant-url", &url];
    let up = Up::start_with(&data_dir, With::Hashing, &options);

    let tool = r#"{"tool_name":"send_invoice","domain":"billing","description":"Send an invoice by mail"}"#;
    up.run_with(&["register", "-", "--wait", "--otlp-endpoint", &endpoint], tool).expect_code(0);
    up.run(&["search", "send an invoice by mail", "--otlp-endpoint", &endpoint]).expect_code(0);

    let registration = whole_trace(&receiver, REGISTRATION[0], &REGISTRATION, "send_invoice").await;
    let published = &registration["publish tools.v1"];
    for linking in ["process TOOLS", "process tools.v1"] {
        assert_eq!(registration[linking].parent_id, published.span_id, "{linking}");
    }
    assert!(registration["process TOOLS"].links.contains(&published.span_id));
    assert!(registration["process tools.v1"].links.contains(&registration["process TOOLS"].span_id));
    assert_eq!(registration["upsert toolweaver_tools"].parent_id, registration["store"].span_id);
    assert_eq!(registration["publish indexed.v1"].parent_id, registration["process tools.v1"].span_id);
    let indexed = &registration["publish indexed.v1"];
    for reading in ["process indexed.v1", "apply indexed.v1"] {
        assert_eq!(registration[reading].parent_id, indexed.span_id, "{reading}");
    }
    assert_eq!(registration["raise versions"].parent_id, registration["process INDEXED"].span_id);

    let search = whole_trace(&receiver, SEARCH[0], &SEARCH, "the search").await;
    assert_eq!(search["process search.v1"].parent_id, search["request search.v1"].span_id);
    assert_eq!(search["search toolweaver_tools"].parent_id, search["search vectors"].span_id);

    // A slow bucket of the latency leads to the trace that fell into it.
    let mut page = ureq::get(format!("{}/metrics", up.http))
        .header("Accept", "application/openmetrics-text; version=1.0.0")
        .call()
        .unwrap();
    let page = page.body_mut().read_to_string().unwrap();
    let exemplar = format!("# {{trace_id=\"{}\"", search["process search.v1"].trace_id);
    let line = page.lines().find(|line| {
        line.starts_with("toolweaver_request_seconds_bucket{endpoint=\"search\"") && line.contains(&exemplar)
    });
    assert!(line.is_some(), "no {exemplar} in\n{page}");
    assert!(page.ends_with("# EOF\n"));
    assert_eq!(up.terminate(), Some(0));
}

/// The trace that begins with a span of this name, once it has spans of all these names: its spans by name.
async fn whole_trace(receiver: &Receiver, root: &str, names: &[&str], of: &str) -> HashMap<String, Span> {
    let found = std::sync::Mutex::new(None);
    wait::until(&format!("the trace of {of} is whole"), SOON, async || {
        let spans = receiver.spans();
        let roots = spans.iter().filter(|span| span.name == root && span.parent_id.is_empty());
        for root in roots {
            let of_trace: Vec<&Span> = spans.iter().filter(|span| span.trace_id == root.trace_id).collect();
            let by_name: HashMap<String, Span> =
                of_trace.iter().map(|span| (short(&span.name), (*span).clone())).collect();
            let missing: Vec<_> = names.iter().filter(|name| !by_name.contains_key(**name)).collect();
            eprintln!("missing in trace {}: {missing:?}", root.trace_id);
            let ids: BTreeSet<&str> = of_trace.iter().map(|span| span.span_id.as_str()).collect();
            let is_connected = of_trace
                .iter()
                .all(|span| span.parent_id.is_empty() || ids.contains(span.parent_id.as_str()));
            if missing.is_empty() && is_connected {
                *found.lock().unwrap() = Some(by_name);
                return true;
            }
        }
        false
    })
    .await;
    found.into_inner().unwrap().expect("it was found")
}

/// A collection is named after the model too.
fn short(name: &str) -> String {
    match name.split_once("toolweaver_tools_") {
        Some((operation, _)) => format!("{operation}toolweaver_tools"),
        None => name.to_owned(),
    }
}
