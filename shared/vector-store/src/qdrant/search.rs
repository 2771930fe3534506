//! Searches: what is nearest to each vector, then the cosines that are still missing.
//!
//! ```text
//! nearest to each vector ─▶ table with gaps ─▶ the same vectors again, on the tools of their gaps ─▶ scores
//! sample: cached, or scrolled ────────────────────────────────────────────────────────────────────────────▲
//! ```

use std::collections::HashMap;

use ::qdrant_client::qdrant::{
    Condition, Filter, QueryBatchPointsBuilder, QueryPoints, QueryPointsBuilder, ScoredPoint,
    SearchParamsBuilder,
};
use tokio::time::Instant;
use toolweaver_contracts::{Predicate, TEXT_VECTOR};
use uuid::Uuid;

use crate::{
    Scores, StoreError,
    cosine::Queries,
    qdrant::{Qdrant, filter},
    scores::nearest_first,
};

impl Qdrant {
    /// See [`VectorStore::search`](crate::VectorStore::search). All of it together takes no longer than one
    /// read may.
    pub(super) async fn scores(
        &self,
        vectors: &[Vec<f32>],
        predicate: &Predicate,
        limit: usize,
        also: &[Uuid],
    ) -> Result<Scores, StoreError> {
        if vectors.is_empty() {
            return Ok(Scores::new(0));
        }
        let deadline = Instant::now() + self.timeout();
        let (table, sample) = futures_util::try_join!(
            self.table(vectors, predicate, limit, also, deadline),
            self.sample(predicate),
        )?;
        let mut scores = table.into_scores();
        sample.add_to(&mut scores, &Queries::new(vectors, self.dims), predicate);
        Ok(scores)
    }

    async fn table(
        &self,
        vectors: &[Vec<f32>],
        predicate: &Predicate,
        limit: usize,
        also: &[Uuid],
        deadline: Instant,
    ) -> Result<Table, StoreError> {
        let admitted = filter::of_predicate(predicate);
        let mut table = Table::new(vectors.len());
        if limit > 0 {
            let nearest = vectors.iter().map(|vector| self.nearest(vector, admitted.clone(), limit));
            for (column, found) in self.query_all(nearest.collect(), deadline).await?.into_iter().enumerate()
            {
                self.fill(&mut table, column, found)?;
            }
        }
        for point_id in also {
            table.row(*point_id);
        }

        let gaps: Vec<(usize, Vec<Uuid>)> = (0..vectors.len())
            .map(|column| (column, table.gaps(column)))
            .filter(|(_, point_ids)| !point_ids.is_empty())
            .collect();
        if gaps.is_empty() {
            return Ok(table);
        }
        let exact = gaps
            .iter()
            .map(|(column, point_ids)| self.exact(&vectors[*column], admitted.clone(), point_ids))
            .collect();
        for ((column, _), found) in gaps.iter().zip(self.query_all(exact, deadline).await?) {
            self.fill(&mut table, *column, found)?;
        }
        Ok(table)
    }

    fn fill(&self, table: &mut Table, column: usize, found: Vec<ScoredPoint>) -> Result<(), StoreError> {
        for point in found {
            table.set(self.point_id(point.id)?, column, point.score);
        }
        Ok(())
    }

    fn nearest(&self, vector: &[f32], filter: Filter, limit: usize) -> QueryPoints {
        self.query(vector, filter, limit).build()
    }

    /// Returns the cosines to these tools, as far as the filter lets them through.
    fn exact(&self, vector: &[f32], mut filter: Filter, point_ids: &[Uuid]) -> QueryPoints {
        filter.must.push(Condition::has_id(point_ids.iter().map(Uuid::to_string)));
        // The walk through the index is not sure to meet a tool that is far away.
        let params = SearchParamsBuilder::default().exact(true);
        self.query(vector, filter, point_ids.len()).params(params).build()
    }

    fn query(&self, vector: &[f32], filter: Filter, limit: usize) -> QueryPointsBuilder {
        QueryPointsBuilder::new(&self.collection)
            .query(vector.to_vec())
            .using(TEXT_VECTOR)
            .filter(filter)
            .limit(limit as u64)
            .with_payload(false)
    }

    /// Returns the points that each query found, in the order of the queries.
    async fn query_all(
        &self,
        queries: Vec<QueryPoints>,
        deadline: Instant,
    ) -> Result<Vec<Vec<ScoredPoint>>, StoreError> {
        // The time-out of the whole request is the one that counts, not those of its queries.
        let request =
            QueryBatchPointsBuilder::new(&self.collection, queries).timeout(self.server_timeout()).build();
        let answer =
            self.until(deadline, "search", |client| async move { client.query_batch(request).await }).await?;
        Ok(answer.result.into_iter().map(|batch| batch.result).collect())
    }
}

/// Cosines as they come in, a row for each tool and a column for each vector.
struct Table {
    width: usize,
    /// Number of a tool's row.
    rows: HashMap<Uuid, usize>,
    point_ids: Vec<Uuid>,
    /// Row after row; what is not known yet is not a number.
    cosines: Vec<f32>,
}

impl Table {
    fn new(width: usize) -> Self {
        Self { width, rows: HashMap::new(), point_ids: Vec::new(), cosines: Vec::new() }
    }

    /// Returns the tool's row; an empty one if it had none.
    fn row(&mut self, point_id: Uuid) -> &mut [f32] {
        let row = *self.rows.entry(point_id).or_insert(self.point_ids.len());
        if row == self.point_ids.len() {
            self.point_ids.push(point_id);
            self.cosines.resize((row + 1) * self.width, f32::NAN);
        }
        &mut self.cosines[row * self.width..][..self.width]
    }

    fn set(&mut self, point_id: Uuid, column: usize, cosine: f32) {
        self.row(point_id)[column] = cosine;
    }

    /// Returns the tools whose cosine to this vector is not known yet.
    fn gaps(&self, column: usize) -> Vec<Uuid> {
        let rows = self.point_ids.iter().zip(self.cosines.chunks_exact(self.width));
        rows.filter(|(_, row)| row[column].is_nan()).map(|(point_id, _)| *point_id).collect()
    }

    /// Returns the rows without gaps. A tool that still has gaps is none that the predicate admits, or was
    /// changed meanwhile.
    fn into_scores(self) -> Scores {
        let rows = self.point_ids.into_iter().zip(self.cosines.chunks_exact(self.width));
        let mut whole: Vec<(Uuid, &[f32])> =
            rows.filter(|(_, row)| row.iter().all(|cosine| !cosine.is_nan())).collect();
        whole.sort_unstable_by(|a, b| nearest_first((a.1[0], a.0), (b.1[0], b.0)));
        let mut scores = Scores::new(self.width);
        for (point_id, row) in whole {
            scores.push(point_id, row);
        }
        scores
    }
}
