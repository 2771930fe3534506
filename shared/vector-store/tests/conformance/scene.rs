//! Tools, points and predicates in few words.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use toolweaver_contracts::{Predicate, Tenant, Tool, ToolKey, ToolType};
use toolweaver_vector_store::{Page, Point, Record, Scores, StoreError, Tombstone, VectorStore};
use uuid::Uuid;

/// Small, so that a test can be read; not a multiple of a register, so that no component is forgotten.
pub(crate) const DIMS: usize = 5;

/// Returns a vector that points along one axis.
pub(crate) fn axis(axis: usize) -> Vec<f32> {
    let mut vector = vec![0.0; DIMS];
    vector[axis] = 1.0;
    vector
}

/// Returns a tenant that no other test uses, so that all can share one store.
pub(crate) fn fresh_tenant() -> Tenant {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("tenant-{}", NEXT.fetch_add(1, Ordering::Relaxed)).parse().unwrap()
}

pub(crate) fn key(tenant: &Tenant, domain: &str, tool_name: &str) -> ToolKey {
    ToolKey { tenant: tenant.clone(), domain: domain.parse().unwrap(), tool_name: tool_name.parse().unwrap() }
}

pub(crate) fn tool(key: &ToolKey) -> Tool {
    Tool {
        tool_name: key.tool_name.clone(),
        tool_type: ToolType::Function,
        domain: key.domain.clone(),
        description: format!("what {} does", key.tool_name),
        parameters: serde_json::Map::new(),
        version: None,
        last_updated: None,
        tags: Vec::new(),
        examples: Vec::new(),
        publisher: None,
        allowed_roles: Vec::new(),
    }
}

pub(crate) fn point(key: &ToolKey, revision: u64, vector: Vec<f32>) -> Point {
    Point { key: key.clone(), revision, tool: Arc::new(tool(key)), vector }
}

pub(crate) fn tombstone(key: &ToolKey, revision: u64) -> Tombstone {
    Tombstone { key: key.clone(), revision }
}

pub(crate) fn everything(tenant: &Tenant) -> Predicate {
    Predicate::tenant(tenant.clone())
}

pub(crate) fn set(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// A tool found with one vector.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Hit {
    pub(crate) point_id: Uuid,
    pub(crate) score: f32,
}

/// Searches with one vector and no tools beside the nearest.
pub(crate) async fn nearest(
    store: &impl VectorStore,
    vector: &[f32],
    predicate: &Predicate,
    limit: usize,
) -> Result<Vec<Hit>, StoreError> {
    let scores = store.search(&[vector.to_vec()], predicate, limit, &[]).await?;
    Ok(scores.iter().map(|(point_id, row)| Hit { point_id, score: row[0] }).collect())
}

pub(crate) fn ids(hits: &[Hit]) -> Vec<Uuid> {
    hits.iter().map(|hit| hit.point_id).collect()
}

/// Returns the rows found, by id.
pub(crate) fn rows(scores: &Scores) -> BTreeMap<Uuid, Vec<f32>> {
    let rows: BTreeMap<_, _> = scores.iter().map(|(point_id, row)| (point_id, row.to_vec())).collect();
    assert_eq!(rows.len(), scores.len(), "each tool is found once: {scores:?}");
    rows
}

/// Returns whether two rows of cosines are the same but for rounding.
pub(crate) fn alike(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4)
}

pub(crate) fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
    dot(a, b) / (dot(a, a).sqrt() * dot(b, b).sqrt())
}

/// Reads all that a predicate admits, in pages of `limit`; checks what pages promise on the way.
pub(crate) async fn scroll_all(store: &impl VectorStore, predicate: &Predicate, limit: usize) -> Vec<Record> {
    let mut all: Vec<Record> = Vec::new();
    let mut from = None;
    loop {
        let Page { records, next } = store.scroll(predicate, from, limit).await.unwrap();
        assert!(records.len() <= limit, "a page of {} where {limit} were asked for", records.len());
        all.extend(records);
        if next.is_none() {
            break;
        }
        from = next;
    }
    assert!(all.is_sorted_by_key(|record| record.point_id), "pages are in order of the ids");
    all
}

/// Returns the revision that search, count and scroll agree on; `None` if the tool is not there.
pub(crate) async fn revision_of(store: &impl VectorStore, key: &ToolKey) -> Option<u64> {
    let everything = everything(&key.tenant);
    let records = scroll_all(store, &everything, 100).await;
    let found = nearest(store, &axis(0), &everything, 100).await.unwrap();
    assert_eq!(store.count(&everything).await.unwrap(), records.len() as u64, "count and scroll agree");
    assert_eq!(
        ids(&found).into_iter().collect::<BTreeSet<_>>(),
        records.iter().map(|record| record.point_id).collect(),
        "search and scroll agree"
    );
    records.into_iter().find(|record| record.key == *key).map(|record| record.revision)
}
