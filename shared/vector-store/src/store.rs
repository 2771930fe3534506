//! The contract of a vector store.

use std::{future::Future, sync::Arc};

use toolweaver_contracts::{Predicate, Tool, ToolKey};
use uuid::Uuid;

use crate::{Scores, StoreError};

/// A tool to be found by its vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Which tool.
    pub key: ToolKey,
    /// Sequence of the registration in TOOLS; higher wins.
    pub revision: u64,
    /// The tool as registered.
    pub tool: Arc<Tool>,
    /// The vector of its text, of the store's dimensions, every component finite.
    pub vector: Vec<f32>,
}

/// The removal of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tombstone {
    /// Which tool.
    pub key: ToolKey,
    /// Sequence of the removal in TOOLS; higher wins.
    pub revision: u64,
}

/// Returns the point ids of the tools that a predicate excludes by name.
pub(crate) fn excluded(predicate: &Predicate) -> impl Iterator<Item = Uuid> {
    predicate.exclude.iter().map(|id| {
        let (domain, tool_name) = (id.domain.clone(), id.tool_name.clone());
        ToolKey { tenant: predicate.tenant.clone(), domain, tool_name }.point_id()
    })
}

/// Stores the vectors of one model. See the crate documentation for what every implementation promises.
pub trait VectorStore: Send + Sync {
    /// Stores tools; any number, in any order. Once it returns, every point is stored or was outdated
    /// already.
    ///
    /// After an error some points may be stored; the same call again completes the work.
    fn upsert(&self, points: &[Point]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Removes tools and remembers that they were removed; any number, in any order.
    fn remove(&self, tombstones: &[Tombstone]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Returns the cosine of every vector to the tools that are among the `limit` nearest to any of them, and
    /// to those in `also`, which are point ids. All of them are tools that `predicate` admits; another one in
    /// `also` is left out.
    ///
    /// Without vectors nothing is found. See [`Scores`] for the order and for the sample that comes with the
    /// answer.
    fn search(
        &self,
        vectors: &[Vec<f32>],
        predicate: &Predicate,
        limit: usize,
        also: &[Uuid],
    ) -> impl Future<Output = Result<Scores, StoreError>> + Send;

    /// Asks the store whether it answers; gives its name and version.
    fn health(&self) -> impl Future<Output = Result<String, StoreError>> + Send;
}
