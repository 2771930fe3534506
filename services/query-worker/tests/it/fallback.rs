//! Worth of an answer while the vector database is away: recall on real requests, with the real model.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::sync::Arc;

use flate2::read::GzDecoder;
use serde_json::Value;
use toolweaver_contracts::{Detail, SearchRequest, Tool};
use toolweaver_embedding::{Embedder, Limits, Role, template};
use toolweaver_query_worker::query_embedder;
use toolweaver_testkit::{data::shared_dir, parts, qdrant::QdrantDouble};
use toolweaver_vector_store::{Point, Qdrant, QdrantConfig, VectorStore as _};

use crate::support::{Own, Rig, key};

const REQUESTS: usize = 150;
const TOP_K: u32 = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lexical_arm_still_finds_most_of_what_both_arms_find() {
    let Some(folder) = shared_dir().map(|folder| folder.join("eval/metatool")) else { return };
    let tools: Vec<Tool> = lines(&folder.join("tools.jsonl.gz"))
        .map(|line| serde_json::from_str(&line).expect("a tool"))
        .collect();
    let mut wanted: HashMap<String, BTreeSet<String>> = HashMap::new();
    for line in lines(&folder.join("qrels.dev.tsv.gz")) {
        let fields: Vec<&str> = line.split('\t').collect();
        wanted.entry(fields[0].to_owned()).or_default().insert(fields[1].to_owned());
    }
    let requests: Vec<(String, BTreeSet<String>)> = lines(&folder.join("queries.dev.jsonl.gz"))
        .map(|line| serde_json::from_str::<BTreeMap<String, Value>>(&line).expect("a request"))
        .filter_map(|request| {
            Some((request["text"].as_str()?.to_owned(), wanted.remove(request["id"].as_str()?)?))
        })
        .take(REQUESTS)
        .collect();
    assert_eq!(requests.len(), REQUESTS);

    let double = QdrantDouble::start().await;
    let embedder = embedder();
    let dims = embedder.dimensions();
    let qdrant =
        Qdrant::new(&QdrantConfig::at(double.url()), embedder.fingerprint().hex(), dims).expect("a client");
    qdrant.ensure().await.expect("a collection");
    let mut rig = Rig::without_workers().await;
    let own = Own { vectors: Some(qdrant.clone()), embedder: Some(embedder.clone()), ..Own::default() };
    rig.add_worker_with(own, &[]).await;
    let texts = tools.iter().flat_map(template::passages).collect();
    let passages = embedder.embed(Role::Passage, texts).await.expect("vectors");
    let mut version = 0;
    for ((revision, tool), [document, name]) in (1..).zip(&tools).zip(passages.as_chunks::<2>().0) {
        let vector = template::combine([document, name]);
        let point = Point { key: key("default", tool), revision, tool: Arc::new(tool.clone()), vector };
        qdrant.upsert(&[point]).await.expect("Qdrant takes it");
        version = rig.index("default", tool, revision).await;
    }
    rig.applied(version).await;

    let both = recall(&rig, &requests, &[]).await;
    double.set_down(true);
    let words = recall(&rig, &requests, &["vectors"]).await;
    println!("Recall@{TOP_K} of {REQUESTS} requests: {both:.3} with both arms, {words:.3} BM25 only");
    assert!(words > 0.4 && both > words, "{both} and {words}");
}

/// Mean share of the wanted tools in the answers, all of which must lack just these parts.
async fn recall(rig: &Rig, requests: &[(String, BTreeSet<String>)], degraded: &[&str]) -> f64 {
    let mut sum = 0.0;
    for (text, wanted) in requests {
        // The detail tells apart what the other round has cached.
        let detail = if degraded.is_empty() { Detail::Summary } else { Detail::Name };
        let request = SearchRequest { top_k: Some(TOP_K), detail, ..SearchRequest::new(text.as_str()) };
        let reply = rig.search("default", &request).await;
        assert_eq!(reply.degraded, degraded);
        let found = reply.results.iter().filter(|result| wanted.contains(result.tool_name.as_str())).count();
        sum += f64::from(u32::try_from(found).expect("a few"))
            / f64::from(u32::try_from(wanted.len()).expect("a few"));
    }
    sum / f64::from(u32::try_from(requests.len()).expect("a few"))
}

fn embedder() -> Embedder {
    let config = <toolweaver_query_worker::Config as clap::Parser>::try_parse_from([
        "query-worker".into(),
        "--model-dir".into(),
        parts::model_dir().into_os_string(),
    ]);
    let model = toolweaver_embedding::load_blocking(&config.expect("options").model).expect("the model");
    query_embedder(model, Limits::default())
}

fn lines(file: &Path) -> impl Iterator<Item = String> {
    let file = File::open(file).expect("a file of the set");
    BufReader::new(GzDecoder::new(file)).lines().map(|line| line.expect("text"))
}
