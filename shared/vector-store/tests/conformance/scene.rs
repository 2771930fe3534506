//! Tools, points and predicates in few words.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use toolweaver_contracts::{Predicate, Tenant, Tool, ToolKey, ToolType};
use toolweaver_vector_store::{Point, Scores, StoreError, Tombstone, VectorStore};
use uuid::Uuid;

/// Small, so that a test can be read; not a multiple of a register, so that no component is forgotten.
pub(crate) const DIMS: usize = 5;

/// More than any case stores in one tenant.
const FOUND_MAX: usize = 4_000;

/// More than any revision that [`revision_of`] is asked for.
const REVISIONS_MAX: u64 = 1_024;

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

/// Returns a point whose tool has its revision as a tag: see [`revision_of`].
pub(crate) fn point(key: &ToolKey, revision: u64, vector: Vec<f32>) -> Point {
    let tool = Tool { tags: vec![revision_tag(revision)], ..tool(key) };
    Point { key: key.clone(), revision, tool: Arc::new(tool), vector }
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

/// Returns the ids of all tools that a search finds.
pub(crate) async fn found(store: &impl VectorStore, predicate: &Predicate) -> BTreeSet<Uuid> {
    let hits = nearest(store, &axis(0), predicate, FOUND_MAX).await.unwrap();
    assert!(hits.len() < FOUND_MAX, "a search that finds so many may not find all");
    ids(&hits).into_iter().collect()
}

/// Returns the revision that is stored of a tool made by [`point`]; `None` if no search finds it.
///
/// A store need not give back what it holds. But it filters by tags, and the tags of a point name its
/// revision.
pub(crate) async fn revision_of(store: &impl VectorStore, key: &ToolKey) -> Option<u64> {
    let everything = everything(&key.tenant);
    if !found(store, &everything).await.contains(&key.point_id()) {
        return None;
    }
    let (mut low, mut high) = (0, REVISIONS_MAX);
    while high - low > 1 {
        let middle = u64::midpoint(low, high);
        let tags = (low..middle).map(revision_tag).collect();
        let lower = Predicate { tags, ..everything.clone() };
        if found(store, &lower).await.contains(&key.point_id()) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some(low)
}

fn revision_tag(revision: u64) -> String {
    format!("revision-{revision}")
}
