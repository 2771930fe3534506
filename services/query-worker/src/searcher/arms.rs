//! The two arms and the embedding before them: each with a deadline, each able to fail alone.

use tokio::{task, time::timeout};
use toolweaver_contracts::Predicate;
use toolweaver_embedding::{Role, template};
use toolweaver_vector_store::{Scores, StoreError, VectorStore as _};
use tracing::{Instrument as _, info_span, warn};
use uuid::Uuid;

use super::Searcher;
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

impl Searcher {
    /// Embeds the whole request and its parts; what is remembered costs nothing.
    pub(super) async fn embed(&self, query: &str, parts: &[String]) -> Embedded {
        let (model, dimensions) = (self.embedder.fingerprint().query_hex(), self.embedder.dimensions());
        let texts = [query].into_iter().chain(parts.iter().map(String::as_str)).map(template::query);
        let texts: Vec<String> = texts.collect();
        let mut vectors = Vec::with_capacity(texts.len());
        for text in &texts {
            vectors.push(self.cache.embeddings.get(model, text, dimensions).await);
        }
        let missing: Vec<usize> = (0..texts.len()).filter(|place| vectors[*place].is_none()).collect();
        let wanted = missing.iter().map(|place| texts[*place].clone()).collect();
        let embedding = self.embedder.embed(Role::Query, wanted).instrument(info_span!("embed query"));
        let embedded = match timeout(self.part_timeout, embedding).await {
            Ok(Ok(embedded)) => embedded,
            Ok(Err(error)) => {
                warn!(%error, "cannot embed a query");
                return Err(EMBEDDING);
            }
            Err(_) => return Err(EMBEDDING),
        };
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
    ) -> Answer<LexicalAnswer> {
        let projection = self.projection.clone();
        let (query, parts, predicate) = (query.to_owned(), parts.to_vec(), predicate.clone());
        let search = task::spawn_blocking(move || {
            projection.lexical(&query, &parts, &predicate, ranker::LEXICAL_HITS)
        });
        match search.instrument(info_span!("search words")).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                warn!(%error, "cannot search words");
                Err(LEXICAL)
            }
            Err(error) => {
                warn!(%error, "cannot search words");
                Err(LEXICAL)
            }
        }
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
    ) -> Answer<DenseAnswer> {
        let vectors = embedded.as_ref().map_err(|part| *part)?;
        let also: Vec<Uuid> =
            lexical.into_iter().flat_map(|answer| &answer.hits).map(|hit| hit.point_id).collect();
        let found = self.scores(vectors, predicate, ranker::DENSE_HITS, &also);
        match timeout(self.part_timeout, found.instrument(info_span!("search vectors"))).await {
            Ok(Ok(scores)) => {
                let counted = lexical.map_or(scores.sample().len() as u64, |answer| answer.candidates);
                Ok(DenseAnswer::of(&scores, counted))
            }
            Ok(Err(error)) => {
                warn!(%error, "cannot search vectors");
                Err(VECTORS)
            }
            Err(_) => Err(VECTORS),
        }
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
