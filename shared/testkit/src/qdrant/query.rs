//! Queries: the points nearest to a vector, one query or a batch of them.

use ::qdrant_client::qdrant::{self as api, SearchParams, query, vector_input};
use tonic::Status;

use super::{
    collection::{Collection, Point, limit, normalise},
    validation,
    values::{Id, payload_for, vectors_for},
};

impl Collection {
    pub(super) fn query(&self, request: api::QueryPoints) -> Result<api::QueryResponse, Status> {
        check(&request)?;
        Ok(api::QueryResponse { result: self.nearest(request)?, ..api::QueryResponse::default() })
    }

    /// Answers all queries or none: a request with a fault in one of them is refused before any is answered.
    ///
    /// Each asks this collection, whatever collection it names itself, and takes the batch's time-out.
    pub(super) fn query_batch(
        &self,
        request: api::QueryBatchPoints,
    ) -> Result<api::QueryBatchResponse, Status> {
        validation::at_least_one("timeout", request.timeout)?;
        for query in &request.query_points {
            check(query)?;
        }
        let answers = request.query_points.into_iter().map(|query| {
            let result = self.nearest(query)?;
            Ok(api::BatchResult { result })
        });
        let result = answers.collect::<Result<_, Status>>()?;
        Ok(api::QueryBatchResponse { result, ..api::QueryBatchResponse::default() })
    }

    fn nearest(&self, request: api::QueryPoints) -> Result<Vec<api::ScoredPoint>, Status> {
        let mut vector = match request.query.and_then(|query| query.variant) {
            Some(query::Variant::Nearest(api::VectorInput {
                variant: Some(vector_input::Variant::Dense(dense)),
            })) => dense.data,
            _ => {
                return Err(Status::unimplemented("the double finds what is nearest to a dense vector only"));
            }
        };
        let name = request.using.unwrap_or_default();
        self.check_query_vector(&name, &vector)?;
        normalise(&mut vector);

        let mut found: Vec<(f32, Id, &Point)> = Vec::new();
        for (id, point) in self.matching(request.filter.as_ref())? {
            let Some(stored) = point.vectors.get(&name) else { continue };
            let score = stored.iter().zip(&vector).map(|(a, b)| a * b).sum();
            if request.score_threshold.is_none_or(|threshold| score >= threshold) {
                found.push((score, id, point));
            }
        }
        found.sort_by(|(a, ..), (b, ..)| b.total_cmp(a));

        let offset = usize::try_from(request.offset.unwrap_or(0)).unwrap_or(usize::MAX);
        let page = found.into_iter().skip(offset).take(limit(request.limit)?);
        let scored = page.map(|(score, id, point)| {
            Ok(api::ScoredPoint {
                id: Some(id.into()),
                payload: payload_for(request.with_payload.as_ref(), &point.payload, false)?,
                score,
                version: point.version,
                vectors: vectors_for(request.with_vectors.as_ref(), &point.vectors),
                ..api::ScoredPoint::default()
            })
        });
        scored.collect()
    }
}

/// Refuses what the server refuses before it looks at any point, and what the double does not know.
fn check(request: &api::QueryPoints) -> Result<(), Status> {
    validation::collection_name(&request.collection_name)?;
    validation::at_least_one("timeout", request.timeout)?;
    limit(request.limit)?;
    if !request.prefetch.is_empty() || request.lookup_from.is_some() {
        return Err(Status::unimplemented("the double knows no prefetch and no lookup"));
    }
    // Whether `exact` or not makes no difference: the double has no index, so all that it finds is exact.
    let known = SearchParams { exact: None, hnsw_ef: None, ..request.params.clone().unwrap_or_default() };
    if known != SearchParams::default() {
        return Err(Status::unimplemented("of a query's parameters the double knows exact and hnsw_ef"));
    }
    Ok(())
}
