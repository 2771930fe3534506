//! Prints how long an exact search in memory takes: `cargo run --package toolweaver-vector-store --example
//! memory_speed`.

#![expect(clippy::print_stdout, reason = "its output is its purpose")]
#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on ends")]

use std::{num::NonZeroUsize, sync::Arc, time::Instant};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use toolweaver_contracts::{Predicate, Tenant, Tool, ToolKey};
use toolweaver_vector_store::{Memory, Point, VectorStore as _};
use uuid::Uuid;

const DIMS: usize = 384;
const SEARCHES: usize = 100;
const LIMIT: usize = 400;
/// Tools that a search asks for beside the nearest.
const ALSO: usize = 1_000;

#[tokio::main]
async fn main() {
    let mut random = StdRng::seed_from_u64(1);
    let mut vector = || (0..DIMS).map(|_| random.random_range(-1.0..1.0)).collect::<Vec<f32>>();
    let everything = Predicate::tenant(Tenant::default());
    for tools in [10_000, 58_000, 100_000] {
        let store = Memory::new(NonZeroUsize::new(DIMS).unwrap());
        let points: Vec<Point> = (0..tools).map(|n| point(n, vector())).collect();
        store.upsert(&points).await.unwrap();
        let also: Vec<Uuid> = points.iter().take(ALSO).map(|point| point.key.point_id()).collect();
        for vectors in [1, 4, 13] {
            let mut took = Vec::with_capacity(SEARCHES);
            for _ in 0..SEARCHES {
                let queries: Vec<Vec<f32>> = (0..vectors).map(|_| vector()).collect();
                let began = Instant::now();
                store.search(&queries, &everything, LIMIT, &also).await.unwrap();
                took.push(began.elapsed());
            }
            took.sort_unstable();
            let [p50, p95] = [50, 95].map(|percent| took[SEARCHES * percent / 100]);
            println!("{tools} x {DIMS}, {vectors} vectors: p50 {p50:?}, p95 {p95:?}");
        }
    }
}

fn point(n: usize, vector: Vec<f32>) -> Point {
    let tool: Tool = serde_json::from_value(serde_json::json!({ "tool_name": format!("tool-{n}") })).unwrap();
    let key =
        ToolKey { tenant: Tenant::default(), domain: tool.domain.clone(), tool_name: tool.tool_name.clone() };
    Point { key, revision: 1, tool: Arc::new(tool), vector }
}
