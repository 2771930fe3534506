//! The cached sample of a search.
//!
//! Its vectors are a megabyte and a half, too much for every search. So it may be a minute old, and hold a
//! tool that has been changed or removed since, or that its caller may no longer see. That is harmless,
//! because a sample names no tool and finds none: it only says which cosines are usual, and a thousand tools
//! drawn a minute ago say that as well.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant as StdInstant},
};

use ::qdrant_client::{
    Qdrant as Client,
    qdrant::{
        RetrievedPoint, ScrollPointsBuilder, VectorsSelector, vector_output::Vector,
        vectors_output::VectorsOptions,
    },
};
use moka::{Expiry, future::Cache};
use toolweaver_contracts::{Predicate, TEXT_VECTOR};
use tracing::Instrument as _;
use uuid::Uuid;

use crate::{
    SAMPLE_MAX, Scores, StoreError,
    cosine::{Queries, unit},
    qdrant::{Qdrant, filter},
    store::excluded,
};

/// The time for which a sample stands for the tools that it was drawn from.
const FULL_AGE_MAX: Duration = Duration::from_mins(1);

/// The same for one that holds all tools there were: a young catalog may have doubled by the next search.
const SMALL_AGE_MAX: Duration = Duration::from_secs(1);

/// Memory for samples: about 40 full ones of 384 dimensions.
const BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Samples by predicate.
pub(super) type Samples = Cache<Predicate, Arc<Sample>>;

pub(super) fn cache() -> Samples {
    Cache::builder()
        .max_capacity(BYTES_MAX)
        .weigher(|_: &Predicate, sample: &Arc<Sample>| sample.bytes())
        .expire_after(Age)
        .build()
}

/// Tools and their unit vectors, in ascending order of the ids.
#[derive(Debug, Default)]
pub(super) struct Sample {
    point_ids: Vec<Uuid>,
    units: Vec<f32>,
}

impl Qdrant {
    /// Returns the tools with the smallest ids of those that the predicate admits when it excludes nothing:
    /// what is excluded changes from search to search, and leaving it out afterwards lets searches share
    /// their sample.
    pub(super) async fn sample(&self, predicate: &Predicate) -> Result<Arc<Sample>, StoreError> {
        let everything = Predicate { exclude: [].into(), ..predicate.clone() };
        if let Some(sample) = self.samples.get(&everything).await {
            return Ok(sample);
        }
        // A task of its own: a caller whose deadline ends before the scroll does must not end it, or the next
        // search would begin it again. Searches that come at the same time wait for one.
        let store = self.clone();
        let drawing = async move {
            let drawn = store.samples.try_get_with_by_ref(&everything, store.draw(&everything));
            drawn.await.map_err(|error| StoreError::clone(&error))
        };
        tokio::spawn(drawing.in_current_span()).await.expect("drawing a sample does not panic")
    }

    async fn draw(&self, predicate: &Predicate) -> Result<Arc<Sample>, StoreError> {
        let request = ScrollPointsBuilder::new(&self.collection)
            .filter(filter::of_predicate(predicate))
            .limit(u32::try_from(SAMPLE_MAX).expect("a sample is small"))
            .with_payload(false)
            .with_vectors(VectorsSelector { names: vec![TEXT_VECTOR.to_owned()] })
            .timeout(self.server_timeout());
        let scroll = |client: Arc<Client>| async move { client.scroll(request).await };
        let answer = self.within(self.timeout(), "sample", scroll).await?;
        let mut sample = Sample::default();
        for mut point in answer.result {
            // The server lets a point be without its vector, which no search would find either.
            if let Some(vector) = text_vector(&mut point).filter(|vector| vector.len() == self.dims) {
                sample.point_ids.push(self.point_id(point.id)?);
                sample.units.extend(unit(&vector));
            }
        }
        Ok(Arc::new(sample))
    }
}

impl Sample {
    /// Adds the sample's cosines, without those to tools that this predicate excludes.
    pub(super) fn add_to(&self, scores: &mut Scores, queries: &Queries, predicate: &Predicate) {
        let excluded: HashSet<Uuid> = excluded(predicate).collect();
        let mut row = vec![0.0; queries.len()];
        for (point_id, unit) in self.point_ids.iter().zip(self.units.chunks_exact(queries.dims())) {
            if !excluded.contains(point_id) {
                queries.cosines(unit, &mut row);
                scores.push_sample(&row);
            }
        }
    }

    fn bytes(&self) -> u32 {
        let held = size_of_val(&*self.point_ids) + size_of_val(&*self.units);
        // The predicate and the entry itself, so that empty samples weigh something too.
        u32::try_from(held + 1_024).unwrap_or(u32::MAX)
    }
}

/// The expiry of a cached sample.
struct Age;

impl Expiry<Predicate, Arc<Sample>> for Age {
    fn expire_after_create(&self, _: &Predicate, sample: &Arc<Sample>, _: StdInstant) -> Option<Duration> {
        Some(if sample.point_ids.len() < SAMPLE_MAX { SMALL_AGE_MAX } else { FULL_AGE_MAX })
    }
}

/// Takes our vector out of a point.
fn text_vector(point: &mut RetrievedPoint) -> Option<Vec<f32>> {
    let Some(VectorsOptions::Vectors(mut named)) = point.vectors.take()?.vectors_options else { return None };
    match named.vectors.remove(TEXT_VECTOR)?.into_vector() {
        Vector::Dense(dense) => Some(dense.data),
        Vector::Sparse(_) | Vector::MultiDense(_) => None,
    }
}
