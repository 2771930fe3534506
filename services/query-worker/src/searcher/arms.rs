//! The two arms and the embedding before them: each with a deadline, each able to fail alone.

use std::error::Error;

use tokio::{task, time::timeout_at};
use toolweaver_contracts::Predicate;
use toolweaver_embedding::{Role, template};
use toolweaver_resilience::{Breaker, BreakerError, error_chain};
use toolweaver_vector_store::{Scores, StoreError, VectorStore as _};
use tracing::{Instrument as _, debug, info_span, warn};
use uuid::Uuid;

use super::{Searcher, deadline::Deadline};
use crate::{
    projection::LexicalAnswer,
    ranker::{self, fusion::DenseAnswer},
};

/// Names in `degraded`.
const EMBEDDING: &str = "embedding";
const VECTORS: &str = "vectors";
const LEXICAL: &str = "lexical";

/// What a part answers, or its name if it does not.
pub(super) type Answer<T> = Result<T, &'static str>;

/// The vectors of a request and then of its parts.
pub(super) type Embedded = Answer<Vec<Vec<f32>>>;

/// Why a part gave no answer.
#[derive(Debug, thiserror::Error)]
enum PartError<E: Error + 'static> {
    #[error("no answer within its time")]
    Late,
    #[error("it failed")]
    Failed(#[source] E),
}

/// Who keeps searches from waiting for a part that is known to be down.
#[derive(Debug)]
pub(crate) struct Breakers {
    embedding: Breaker,
    vectors: Breaker,
}

impl Breakers {
    pub(crate) fn new() -> Self {
        Self { embedding: Breaker::new(EMBEDDING), vectors: Breaker::new(VECTORS) }
    }
}

/// What a part says by the deadline, if its breaker lets it be asked.
async fn ask<T, E: Error + 'static>(
    part: &'static str,
    breaker: &Breaker,
    deadline: Deadline,
    work: impl Future<Output = Result<T, E>>,
) -> Answer<T> {
    let in_time = async {
        match timeout_at(deadline.of_part(), work).await {
            Ok(done) => done.map_err(PartError::Failed),
            Err(_) => Err(PartError::Late),
        }
    };
    breaker.guard(in_time).await.map_err(|error| {
        match error {
            BreakerError::Open => debug!(part, "not asked"),
            BreakerError::Failed(error) => {
                warn!(part, error = %error_chain(&error), "going on without it");
            }
        }
        part
    })
}

impl Searcher {
    /// Embeds the whole request and its parts; what is remembered costs nothing.
    pub(super) async fn embed(&self, query: &str, parts: &[String], deadline: Deadline) -> Embedded {
        let (model, dimensions) = (self.embedder.fingerprint().query_hex(), self.embedder.dimensions());
        let texts = [query].into_iter().chain(parts.iter().map(String::as_str)).map(template::query);
        let texts: Vec<String> = texts.collect();
        let mut vectors = Vec::with_capacity(texts.len());
        for text in &texts {
            vectors.push(self.cache.embeddings.get(model, text, dimensions).await);
        }
        let missing: Vec<usize> = (0..texts.len()).filter(|place| vectors[*place].is_none()).collect();
        if missing.is_empty() {
            return vectors.into_iter().collect::<Option<_>>().ok_or(EMBEDDING);
        }
        let wanted = missing.iter().map(|place| texts[*place].clone()).collect();
        let embedding = self.embedder.embed(Role::Query, wanted);
        let embedding = Box::pin(embedding.instrument(info_span!("embed query")));
        let embedded = ask(EMBEDDING, &self.breakers.embedding, deadline, embedding).await?;
        for (place, vector) in missing.into_iter().zip(embedded) {
            self.cache.embeddings.put(model, &texts[place], &vector).await;
            vectors[place] = Some(vector);
        }
        vectors.into_iter().collect::<Option<_>>().ok_or(EMBEDDING)
    }

    pub(super) async fn lexical(
        &self,
        query: &str,
        parts: &[String],
        predicate: &Predicate,
        deadline: Deadline,
    ) -> Answer<LexicalAnswer> {
        let projection = self.projection.clone();
        let (query, parts, predicate) = (query.to_owned(), parts.to_vec(), predicate.clone());
        let search = task::spawn_blocking(move || {
            projection.lexical(&query, &parts, &predicate, ranker::LEXICAL_HITS)
        });
        // No breaker: nothing remote is asked.
        match timeout_at(deadline.of_part(), search.instrument(info_span!("search words"))).await {
            Ok(Ok(Ok(answer))) => return Ok(answer),
            Ok(Ok(Err(error))) => warn!(%error, "cannot search words"),
            Ok(Err(error)) => warn!(%error, "cannot search words"),
            Err(_) => warn!("no answer by words within its time"),
        }
        Err(LEXICAL)
    }

    /// The `limit` tools nearest to each vector.
    pub(crate) async fn nearest(
        &self,
        vectors: &[Vec<f32>],
        predicate: &Predicate,
        limit: usize,
    ) -> Result<Scores, StoreError> {
        self.scores(vectors, predicate, limit, &[]).await
    }

    /// Scores the tools nearest to the request or to a part of it, and those that the lexical arm found.
    pub(super) async fn dense(
        &self,
        embedded: &Embedded,
        predicate: &Predicate,
        lexical: Option<&LexicalAnswer>,
        deadline: Deadline,
    ) -> Answer<DenseAnswer> {
        let vectors = embedded.as_ref().map_err(|part| *part)?;
        let also: Vec<Uuid> =
            lexical.into_iter().flat_map(|answer| &answer.hits).map(|hit| hit.point_id).collect();
        let found = self.scores(vectors, predicate, ranker::DENSE_HITS, &also);
        // Boxed, as below: a remote search makes a large future, and it is polled through many others.
        let found = Box::pin(found.instrument(info_span!("search vectors")));
        let scores = ask(VECTORS, &self.breakers.vectors, deadline, found).await?;
        let counted = lexical.map_or(scores.sample().len() as u64, |answer| answer.candidates);
        Ok(DenseAnswer::of(&scores, counted))
    }

    async fn scores(
        &self,
        vectors: &[Vec<f32>],
        predicate: &Predicate,
        limit: usize,
        also: &[Uuid],
    ) -> Result<Scores, StoreError> {
        match (self.projection.vectors(), &self.vectors) {
            (Some(memory), _) => memory.search(vectors, predicate, limit, also).await,
            (None, Some(qdrant)) => qdrant.search(vectors, predicate, limit, also).await,
            (None, None) => Ok(Scores::new(vectors.len())),
        }
    }
}
