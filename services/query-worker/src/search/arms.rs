//! The two arms and the embedding before them: each with a timeout of its own, each able to fail alone.

use std::{error::Error, time::Duration};

use tokio::task;
use toolweaver_catalog_cache::Embeddings;
use toolweaver_contracts::Predicate;
use toolweaver_embedding::{Embedder, Role, template};
use toolweaver_ranking::{
    DenseAnswer, LexicalAnswer, Query,
    parameters::{DENSE_HITS, LEXICAL_HITS},
};
use toolweaver_resilience::{Breaker, BreakerError, Deadline, error_chain};
use toolweaver_vector_store::{Qdrant, Scores, StoreError, VectorStore as _};
use tracing::{Instrument as _, debug, info_span, warn};
use uuid::Uuid;

use crate::projection::Projection;

/// Name in `degraded` of an embedding model that gives no vector.
const EMBEDDING: &str = "embedding";
/// Name in `degraded` of a vector store that gives no scores.
const VECTORS: &str = "vectors";
/// Name in `degraded` of a lexical index that gives no hits.
const LEXICAL: &str = "lexical";

/// Answer of an arm, or its name in `degraded` where it gives none.
pub(crate) type ArmAnswer<T> = Result<T, &'static str>;

/// Vectors of a query: of its text first, then of each sentence.
pub(crate) type QueryVectors = ArmAnswer<Vec<Vec<f32>>>;

/// Answers of both arms, and the names in `degraded` of what was missing.
pub(crate) struct Retrieved {
    pub(crate) lexical: Option<LexicalAnswer>,
    pub(crate) dense: Option<DenseAnswer>,
    pub(crate) missing: Vec<String>,
}

/// Error of an arm that gave no answer.
#[derive(Debug, thiserror::Error)]
enum ArmError<E: Error + 'static> {
    #[error("no answer within its time")]
    Late,
    #[error("it failed")]
    Failed(#[source] E),
}

/// The arms over the indexes of this worker.
pub(crate) struct Arms {
    embedder: Embedder,
    embeddings: Embeddings,
    projection: Projection,
    /// The vector database; without one the projection keeps the vectors.
    qdrant: Option<Qdrant>,
    timeout: Duration,
    embedding_breaker: Breaker,
    vectors_breaker: Breaker,
}

impl Arms {
    /// Makes the arms. `timeout` is that of each.
    pub(crate) fn new(
        embedder: Embedder,
        embeddings: Embeddings,
        projection: Projection,
        qdrant: Option<Qdrant>,
        timeout: Duration,
    ) -> Self {
        Self {
            embedder,
            embeddings,
            projection,
            qdrant,
            timeout,
            embedding_breaker: Breaker::new(EMBEDDING),
            vectors_breaker: Breaker::new(VECTORS),
        }
    }

    /// Returns the thread that embeds queries.
    pub(crate) fn embedder(&self) -> &Embedder {
        &self.embedder
    }

    /// Returns the vector database, where there is one.
    pub(crate) fn qdrant(&self) -> Option<&Qdrant> {
        self.qdrant.as_ref()
    }

    /// Embeds a query and its sentences; cached vectors cost nothing.
    pub(crate) async fn embed(&self, query: &Query, deadline: Deadline) -> QueryVectors {
        let (model, dimensions) = (self.embedder.fingerprint().query_hex(), self.embedder.dimensions().get());
        let texts: Vec<String> = query.texts().map(template::query).collect();
        let mut vectors = Vec::with_capacity(texts.len());
        for text in &texts {
            vectors.push(self.embeddings.get(model, text, dimensions).await);
        }
        let missing: Vec<usize> = (0..texts.len()).filter(|place| vectors[*place].is_none()).collect();
        if missing.is_empty() {
            return vectors.into_iter().collect::<Option<_>>().ok_or(EMBEDDING);
        }
        let wanted = missing.iter().map(|place| texts[*place].clone()).collect();
        let embedding = self.embedder.embed(Role::Query, wanted);
        let embedding = Box::pin(embedding.instrument(info_span!("embed query")));
        let embedded = self.ask(EMBEDDING, &self.embedding_breaker, deadline, embedding).await?;
        for (place, vector) in missing.into_iter().zip(embedded) {
            self.embeddings.put(model, &texts[place], &vector).await;
            vectors[place] = Some(vector);
        }
        vectors.into_iter().collect::<Option<_>>().ok_or(EMBEDDING)
    }

    /// Searches the lexical index.
    pub(crate) async fn lexical(
        &self,
        query: &Query,
        predicate: &Predicate,
        deadline: Deadline,
    ) -> ArmAnswer<LexicalAnswer> {
        let (projection, query, predicate) = (self.projection.clone(), query.clone(), predicate.clone());
        let search = task::spawn_blocking(move || projection.lexical(&query, &predicate, LEXICAL_HITS));
        let search = search.instrument(info_span!("search words"));
        // No breaker: nothing remote is asked.
        match deadline.earlier(self.timeout).run(search).await {
            Ok(Ok(Ok(answer))) => return Ok(answer),
            Ok(Ok(Err(error))) => warn!(%error, "cannot search the lexical index"),
            Ok(Err(error)) => warn!(%error, "cannot search the lexical index"),
            Err(_) => warn!("the lexical index gave no answer within its time"),
        }
        Err(LEXICAL)
    }

    /// Scores the tools nearest to the query or to a sentence of it, and those that the lexical arm found.
    pub(crate) async fn dense(
        &self,
        vectors: &QueryVectors,
        predicate: &Predicate,
        lexical: Option<&LexicalAnswer>,
        deadline: Deadline,
    ) -> ArmAnswer<DenseAnswer> {
        let vectors = vectors.as_ref().map_err(|dependency| *dependency)?;
        let also: Vec<Uuid> =
            lexical.into_iter().flat_map(|answer| &answer.hits).map(|hit| hit.point_id).collect();
        let search = self.scores(vectors, predicate, DENSE_HITS, &also);
        // Boxed: a remote search makes a large future, and it is polled through many others.
        let search = Box::pin(search.instrument(info_span!("search vectors")));
        let scores = self.ask(VECTORS, &self.vectors_breaker, deadline, search).await?;
        let candidates = lexical.map_or(scores.sample().len() as u64, |answer| answer.candidates);
        Ok(DenseAnswer::new(scores.iter(), scores.sample(), candidates))
    }

    /// Returns the `limit` tools nearest to each vector, and those of `also`, with their cosines.
    pub(crate) async fn scores(
        &self,
        vectors: &[Vec<f32>],
        predicate: &Predicate,
        limit: usize,
        also: &[Uuid],
    ) -> Result<Scores, StoreError> {
        match (self.projection.vectors(), &self.qdrant) {
            (Some(memory), _) => memory.search(vectors, predicate, limit, also).await,
            (None, Some(qdrant)) => qdrant.search(vectors, predicate, limit, also).await,
            (None, None) => Ok(Scores::new(vectors.len())),
        }
    }

    /// Asks a dependency, if its breaker admits that, and waits for its own timeout at most.
    async fn ask<T, E: Error + 'static>(
        &self,
        dependency: &'static str,
        breaker: &Breaker,
        deadline: Deadline,
        work: impl Future<Output = Result<T, E>>,
    ) -> ArmAnswer<T> {
        let in_time = async {
            match deadline.earlier(self.timeout).run(work).await {
                Ok(done) => done.map_err(ArmError::Failed),
                Err(_) => Err(ArmError::Late),
            }
        };
        breaker.guard(in_time).await.map_err(|error| {
            match error {
                BreakerError::Open => debug!(dependency, "not asked"),
                BreakerError::Failed(error) => {
                    warn!(dependency, error = %error_chain(&error), "going on without it");
                }
            }
            dependency
        })
    }
}

#[cfg(test)]
mod tests {
    use toolweaver_ranking::parameters::DENSE_SAMPLE;
    use toolweaver_vector_store::SAMPLE_MAX;

    #[test]
    fn the_stores_sample_as_many_candidates_as_the_ranking_expects() {
        assert_eq!(SAMPLE_MAX, DENSE_SAMPLE);
    }
}
