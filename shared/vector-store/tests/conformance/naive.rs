//! The expected result of a search, by plain arithmetic on every tool; and random catalogs that hold the
//! memory to it.

use std::{collections::BTreeMap, num::NonZeroUsize};

use proptest::{collection::vec, prelude::*};
use toolweaver_vector_store::{Memory, Point, Scores, VectorStore as _};
use uuid::Uuid;

use crate::scene::{alike, cosine, everything, fresh_tenant, key, point, rows};

/// Cosines closer than this may be in either order: stores round differently.
const SLACK: f32 = 1e-4;

/// Compares what was found with the cosines of all tools that are admitted, at most as many as fit in a
/// sample.
pub(crate) fn check(found: &Scores, admitted: &BTreeMap<Uuid, Vec<f32>>, limit: usize, also: &[Uuid]) {
    let table = rows(found);
    for (point_id, row) in &table {
        assert!(alike(row, &admitted[point_id]), "{point_id} has {row:?}, not {:?}", admitted[point_id]);
    }
    let order: Vec<(f32, Uuid)> = found.iter().map(|(point_id, row)| (row[0], point_id)).collect();
    let in_order = |a: &(f32, Uuid), b: &(f32, Uuid)| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)).is_lt();
    assert!(order.is_sorted_by(in_order), "nearest to the first vector first: {order:?}");

    let last: Vec<f32> = (0..found.width()).map(|column| last_score(admitted, column, limit)).collect();
    let near = |row: &[f32], slack: f32| row.iter().zip(&last).any(|(score, last)| *score >= last + slack);
    for (point_id, row) in admitted {
        let (is_found, asked_for) = (table.contains_key(point_id), also.contains(point_id));
        assert!(is_found || !asked_for, "{point_id} was asked for");
        assert!(is_found || !near(row, SLACK), "{point_id} is near: {row:?}, the last {last:?}");
        assert!(!is_found || asked_for || near(row, -SLACK), "{point_id} is far: {row:?}, the last {last:?}");
    }

    assert_eq!(found.sample().len(), admitted.len(), "all are in the sample");
    for (row, expected) in found.sample().zip(admitted.values()) {
        assert!(alike(row, expected), "the sample is in order of the ids");
    }
}

/// Returns the score from which a tool is among the nearest to one vector.
fn last_score(admitted: &BTreeMap<Uuid, Vec<f32>>, column: usize, limit: usize) -> f32 {
    let Some(last) = limit.checked_sub(1) else { return f32::INFINITY };
    let mut scores: Vec<f32> = admitted.values().map(|row| row[column]).collect();
    scores.sort_by(|a, b| b.total_cmp(a));
    scores.get(last).copied().unwrap_or(f32::NEG_INFINITY)
}

#[derive(Debug, Clone)]
struct Search {
    dims: NonZeroUsize,
    /// One for each tool.
    catalog: Vec<Vec<f32>>,
    vectors: Vec<Vec<f32>>,
    limit: usize,
    /// Numbers of tools; those beyond the catalog are unknown.
    also: Vec<usize>,
}

fn search() -> impl Strategy<Value = Search> {
    // Shorter and longer than a register, with and without a rest.
    (1..70_usize).prop_flat_map(|dims| {
        // Never a zero vector: its cosine is not defined.
        let vector = move || {
            vec(-1.0..1.0_f32, dims).prop_map(|mut vector| {
                vector[0] += 1.5;
                vector
            })
        };
        (vec(vector(), 0..60), vec(vector(), 1..6), 0..12_usize, vec(0..80_usize, 0..20)).prop_map(
            move |(catalog, vectors, limit, also)| {
                let dims = NonZeroUsize::new(dims).unwrap();
                Search { dims, catalog, vectors, limit, also }
            },
        )
    })
}

proptest! {
    #[test]
    fn memory_finds_what_plain_arithmetic_finds(search in search()) {
        let tenant = fresh_tenant();
        let key = |n: usize| key(&tenant, "d", &format!("tool-{n}"));
        let tools = search.catalog.iter().enumerate();
        let points: Vec<Point> = tools.map(|(n, vector)| point(&key(n), 1, vector.clone())).collect();
        let also: Vec<Uuid> = search.also.iter().map(|&n| key(n).point_id()).collect();
        let store = Memory::new(search.dims);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let found = runtime.block_on(async {
            store.upsert(&points).await.unwrap();
            store.search(&search.vectors, &everything(&tenant), search.limit, &also).await.unwrap()
        });
        let cosines = |point: &Point| search.vectors.iter().map(|v| cosine(v, &point.vector)).collect();
        let admitted = points.iter().map(|point| (point.key.point_id(), cosines(point))).collect();
        check(&found, &admitted, search.limit, &also);
    }
}
