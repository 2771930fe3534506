//! A real catalog of ten thousand tools, and what the way through the worker costs apart from the model.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use futures_util::{StreamExt as _, stream};
use toolweaver_contracts::Tool;
use toolweaver_contracts::subjects::INDEXED_STREAM;
use toolweaver_embedding::{Hashing, Model};
use toolweaver_testkit::data::shared_dir;

use crate::support::{Rig, Worker, key, texts_of};

const TOOLS: usize = 10_000;
const DEADLINE: Duration = Duration::from_mins(2);

/// Returns the first tools of the catalog whose keys differ.
fn tools() -> Option<Vec<Tool>> {
    let file = File::open(shared_dir()?.join("catalog/tools.jsonl.gz")).unwrap();
    let mut seen = BTreeSet::new();
    let tools = BufReader::new(GzDecoder::new(file))
        .lines()
        .map(|line| serde_json::from_str::<Tool>(&line.unwrap()).unwrap())
        .filter(|tool| seen.insert(key(tool)))
        .take(TOOLS);
    Some(tools.collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_real_tools_are_all_indexed_and_registering_them_again_embeds_nothing() {
    let Some(tools) = tools() else { return };
    assert_eq!(tools.len(), TOOLS);
    let rig = Rig::start().await;
    let worker = Worker::start(&rig).await;
    let model = Hashing::new();
    for (pass, embedded_max) in [("first", texts_of(&tools)), ("unchanged", 0)] {
        let (begin, embedded_before) = (Instant::now(), worker.embedded());
        let publishes = stream::iter(&tools).map(|tool| rig.register(tool)).buffer_unordered(256);
        assert_eq!(publishes.count().await, TOOLS);
        let sent_in = begin.elapsed();
        rig.until_acknowledged(model.fingerprint(), DEADLINE).await;
        let rate = f64::from(u32::try_from(TOOLS).unwrap()) / begin.elapsed().as_secs_f64();
        let embedded = worker.embedded() - embedded_before;
        println!("{pass}: published in {sent_in:.1?}, indexed at {rate:.0} tools/s, {embedded} embeddings");
        assert!(embedded <= embedded_max, "{embedded} embeddings");
        assert_eq!(rig.messages(INDEXED_STREAM).await, TOOLS as u64);
    }
    println!("busy with the model (hashing): {:.1?}", worker.embedder.stats().busy);
    worker.stop().await;
}
