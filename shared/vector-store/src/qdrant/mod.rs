//! Vectors in Qdrant, over gRPC.
//!
//! One collection per model, named after the alias and the model's fingerprint, so that vectors of two models
//! never meet. Here lives the handle, and its writes; `search` and `sample` find,
//! `collection` makes collections and moves the alias, `connection` bounds and renews, `filter` and `payload`
//! translate.

mod collection;
mod connection;
mod filter;
mod payload;
mod sample;
mod search;

use std::{collections::HashMap, fmt, future::Future, num::NonZeroUsize, sync::Arc, time::Duration};

use ::qdrant_client::{
    Qdrant as Client, QdrantError,
    qdrant::{NamedVectors, PointStruct, UpdateStatus, UpsertPointsBuilder},
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::Instant;
use toolweaver_contracts::{Predicate, TEXT_VECTOR};
use tracing::{Instrument as _, Span, info_span};
use uuid::Uuid;

pub use self::collection::Ensured;
use self::{
    connection::{Connection, TimedOut},
    sample::Samples,
};
use crate::{Point, QdrantConfig, Scores, StoreError, Tombstone, VectorStore, error::check_vector};

/// Points of one request: the server applies a request as a whole, and the guard grows with it.
const BATCH_POINTS_MAX: usize = 256;

/// Requests of one bulk write under way at once. Their order does not matter: every point is guarded.
const BATCHES_IN_FLIGHT_MAX: usize = 4;

/// The time that making a collection, its indexes or an alias may take; an index over many points is slow.
const COLLECTION_TIMEOUT: Duration = Duration::from_mins(1);

/// Characters of the model's fingerprint in the name of its collection.
const FINGERPRINT_CHARS: usize = 12;

/// The collection of one model on a Qdrant server. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Qdrant {
    connection: Arc<Connection>,
    config: QdrantConfig,
    collection: String,
    model: String,
    dims: usize,
    samples: Samples,
}

impl fmt::Debug for Qdrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Qdrant")
            .field("config", &self.config)
            .field("collection", &self.collection)
            .field("model", &self.model)
            .field("dims", &self.dims)
            .finish_non_exhaustive()
    }
}

impl Qdrant {
    /// Returns a handle for the vectors of the model with this fingerprint, or none where the configuration
    /// wants no vector database. Connects with the first call, not here.
    pub fn if_used(
        config: &QdrantConfig,
        fingerprint: &str,
        dims: NonZeroUsize,
    ) -> Result<Option<Self>, StoreError> {
        config.use_vector_db.then(|| Self::new(config, fingerprint, dims)).transpose()
    }

    /// Returns a handle for the vectors of the model with this fingerprint. Connects with the first call, not
    /// here.
    pub fn new(config: &QdrantConfig, fingerprint: &str, dims: NonZeroUsize) -> Result<Self, StoreError> {
        let short: String = fingerprint.chars().take(FINGERPRINT_CHARS).collect();
        Ok(Self {
            connection: Arc::new(Connection::new(config)?),
            collection: format!("{}_{short}", config.qdrant_alias),
            config: config.clone(),
            model: fingerprint.to_owned(),
            dims: dims.get(),
            samples: sample::cache(),
        })
    }

    /// Returns the address of the server.
    pub fn url(&self) -> &str {
        &self.config.qdrant_url
    }

    /// Returns the name of the collection that this handle reads and writes.
    pub fn collection(&self) -> &str {
        &self.collection
    }

    /// Opens the span of one request to Qdrant.
    fn span(&self, operation: &'static str) -> Span {
        info_span!(
            "qdrant",
            otel.name = format!("{operation} {}", self.collection),
            otel.kind = "client",
            db.system.name = "qdrant",
            db.operation.name = operation,
            db.collection.name = self.collection,
        )
    }

    /// Waits for an answer, but not longer than `timeout`.
    async fn within<T, F>(
        &self,
        timeout: Duration,
        operation: &'static str,
        request: impl FnOnce(Arc<Client>) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, QdrantError>>,
    {
        match self.connection.within(timeout, request).instrument(self.span(operation)).await {
            Ok(answer) => answer.map_err(|source| StoreError::request(operation, &self.collection, source)),
            Err(TimedOut) => Err(self.timed_out(operation, timeout)),
        }
    }

    /// Waits for an answer that is one of several within the time of one read.
    async fn until<T, F>(
        &self,
        deadline: Instant,
        operation: &'static str,
        request: impl FnOnce(Arc<Client>) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, QdrantError>>,
    {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.connection.within(left, request).instrument(self.span(operation)).await {
            Ok(answer) => answer.map_err(|source| StoreError::request(operation, &self.collection, source)),
            Err(TimedOut) => Err(self.timed_out(operation, self.timeout())),
        }
    }

    /// Returns the time that a read or write may take.
    const fn timeout(&self) -> Duration {
        self.config.qdrant_timeout
    }

    /// Returns the same for the server, which counts in whole seconds and so gives up work that nobody waits
    /// for.
    fn server_timeout(&self) -> u64 {
        self.timeout().as_secs() + u64::from(self.timeout().subsec_nanos() > 0)
    }

    fn timed_out(&self, operation: &'static str, timeout: Duration) -> StoreError {
        StoreError::TimedOut { operation, collection: self.collection.clone(), timeout }
    }

    /// Writes points that are newer than what is stored; leaves the others as they are.
    async fn write(&self, operation: &'static str, writes: Vec<Write<'_>>) -> Result<(), StoreError> {
        let batches: Vec<_> =
            writes.chunks(BATCH_POINTS_MAX).map(|batch| self.write_batch(operation, batch)).collect();
        stream::iter(batches).buffer_unordered(BATCHES_IN_FLIGHT_MAX).try_collect().await
    }

    async fn write_batch(&self, operation: &'static str, batch: &[Write<'_>]) -> Result<(), StoreError> {
        let points: Vec<PointStruct> = batch.iter().map(|write| self.point(write)).collect();
        let guard = filter::only_older(batch.iter().map(|write| (write.point_id, write.revision)));
        let request = UpsertPointsBuilder::new(&self.collection, points)
            .update_filter(guard)
            .timeout(self.server_timeout())
            // Only then has the server's log reached the disk.
            .wait(true);
        let answer = self
            .within(self.timeout(), operation, |client| async move { client.upsert_points(request).await })
            .await;
        let answer = match answer {
            Err(error) if error.blames_the_point() => {
                return Err(self.collection_fault().await.unwrap_or(error));
            }
            answer => answer?,
        };
        match answer.result.map(|result| result.status()) {
            Some(UpdateStatus::Completed) => Ok(()),
            // Accepted, not applied: it may still come, and the guard makes another try harmless.
            _ => Err(self.timed_out(operation, self.timeout())),
        }
    }

    fn point(&self, write: &Write<'_>) -> PointStruct {
        let (payload, vectors) = match write.content {
            Content::Tool(point) => {
                let vectors = NamedVectors::default().add_vector(TEXT_VECTOR, point.vector.clone());
                (payload::of_point(point, &self.model), vectors)
            }
            // No vector is written as an empty map: the server refuses a point whose `vectors` are left out.
            Content::Tombstone(tombstone) => (payload::of_tombstone(tombstone), NamedVectors::default()),
        };
        PointStruct { id: Some(write.point_id.to_string().into()), payload, vectors: Some(vectors.into()) }
    }
}

impl VectorStore for Qdrant {
    async fn upsert(&self, points: &[Point]) -> Result<(), StoreError> {
        for point in points {
            check_vector("upsert", &point.vector, self.dims)?;
        }
        self.write("upsert", newest(points.iter().map(Write::tool))).await
    }

    async fn remove(&self, tombstones: &[Tombstone]) -> Result<(), StoreError> {
        self.write("remove", newest(tombstones.iter().map(Write::tombstone))).await
    }

    async fn search(
        &self,
        vectors: &[Vec<f32>],
        predicate: &Predicate,
        limit: usize,
        also: &[Uuid],
    ) -> Result<Scores, StoreError> {
        for vector in vectors {
            check_vector("search", vector, self.dims)?;
        }
        self.scores(vectors, predicate, limit, also).await
    }

    async fn health(&self) -> Result<String, StoreError> {
        let answer = self
            .within(self.timeout(), "health check", |client| async move { client.health_check().await })
            .await?;
        Ok(format!("qdrant {}", answer.version))
    }
}

/// One point to write.
struct Write<'a> {
    point_id: Uuid,
    revision: u64,
    content: Content<'a>,
}

#[derive(Clone, Copy)]
enum Content<'a> {
    Tool(&'a Point),
    Tombstone(&'a Tombstone),
}

impl<'a> Write<'a> {
    fn tool(point: &'a Point) -> Self {
        Self { point_id: point.key.point_id(), revision: point.revision, content: Content::Tool(point) }
    }

    fn tombstone(tombstone: &'a Tombstone) -> Self {
        Self {
            point_id: tombstone.key.point_id(),
            revision: tombstone.revision,
            content: Content::Tombstone(tombstone),
        }
    }
}

/// Returns the newest write of each point. The server guards a request against what is stored, not against
/// itself.
fn newest<'a>(writes: impl Iterator<Item = Write<'a>>) -> Vec<Write<'a>> {
    let mut newest: HashMap<Uuid, Write<'a>> = HashMap::with_capacity(writes.size_hint().0);
    for write in writes {
        if newest.get(&write.point_id).is_none_or(|other| other.revision < write.revision) {
            newest.insert(write.point_id, write);
        }
    }
    newest.into_values().collect()
}
