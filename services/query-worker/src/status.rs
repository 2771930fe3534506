//! Status of the system, as this worker sees it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::timeout;
use toolweaver_contracts::{
    Health as PartHealth, Part, StatusReply, StreamStatus,
    subjects::{INDEXED_STREAM, REJECTED_STREAM, TOOLS_STREAM},
};
use toolweaver_messaging::{Nats, consumer, streams};
use toolweaver_ranking::RANKER;
use toolweaver_service_runtime::{Health, telemetry};
use toolweaver_vector_store::VectorStore as _;

use crate::{answers::cache::AnswerCache, freshness::Freshness, search::pipeline::Pipeline};

/// Timeout of each dependency that is asked.
const DEPENDENCY_TIMEOUT: Duration = Duration::from_secs(1);

/// Answers status requests.
pub(crate) struct Status {
    worker: String,
    answers: Arc<AnswerCache>,
    freshness: Arc<Freshness>,
    health: Health,
    started: Instant,
}

impl Status {
    pub(crate) fn new(
        worker: String,
        answers: Arc<AnswerCache>,
        freshness: Arc<Freshness>,
        health: Health,
    ) -> Self {
        Self { worker, answers, freshness, health, started: Instant::now() }
    }

    /// Asks every dependency at the same time; one that does not answer is reported, not waited for.
    pub(crate) async fn report(&self) -> StatusReply {
        let pipeline: &Pipeline = self.answers.pipeline();
        let (embedder, projection) = (pipeline.arms().embedder(), pipeline.projection());
        let Freshness { nats, consumer: indexer, .. } = &*self.freshness;
        let lag = timeout(DEPENDENCY_TIMEOUT, consumer::lag(nats, TOOLS_STREAM, indexer));
        let (lag, streams, vectors) = tokio::join!(lag, stream_states(nats), self.vectors());
        let applied = projection.applied();
        let (tools, tenants) = {
            let catalog = projection.catalog();
            (catalog.tools() as u64, catalog.tenants() as u64)
        };
        let model = Part {
            name: "model".to_owned(),
            health: if embedder.is_alive() { PartHealth::Ok } else { PartHealth::Down },
            detail: embedder.fingerprint().name().to_owned(),
        };
        StatusReply {
            worker: self.worker.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ready: self.health.is_ready(),
            catalog_version: applied.version,
            lag_ms: u64::try_from(applied.lag().as_millis()).unwrap_or(u64::MAX),
            projection_pending: applied.pending,
            unindexed: lag.ok().and_then(Result::ok).map(|lag| lag.pending + lag.ack_pending),
            tools,
            tenants,
            model: embedder.fingerprint().hex().to_owned(),
            ranker: RANKER.to_owned(),
            streams,
            parts: vec![model, vectors, self.cache()],
            uptime_s: self.started.elapsed().as_secs(),
            resident_bytes: telemetry::resident_memory_bytes(),
        }
    }

    fn cache(&self) -> Part {
        let cache = self.answers.cache().snapshot();
        Part {
            name: "cache".to_owned(),
            health: if cache.healthy { PartHealth::Ok } else { PartHealth::Down },
            detail: cache.kind.to_owned(),
        }
    }

    async fn vectors(&self) -> Part {
        let name = "vectors".to_owned();
        let Some(qdrant) = self.answers.pipeline().arms().qdrant() else {
            return Part { name, health: PartHealth::Ok, detail: "in memory".to_owned() };
        };
        match timeout(DEPENDENCY_TIMEOUT, qdrant.health()).await {
            Ok(Ok(detail)) => Part { name, health: PartHealth::Ok, detail },
            Ok(Err(error)) => Part { name, health: PartHealth::Down, detail: error.to_string() },
            Err(_) => Part { name, health: PartHealth::Down, detail: "Qdrant does not answer".to_owned() },
        }
    }
}

async fn stream_states(nats: &Nats) -> Vec<StreamStatus> {
    let state = async |name: &str| {
        let state = timeout(DEPENDENCY_TIMEOUT, streams::state(nats, name)).await.ok()?.ok()?;
        Some(StreamStatus {
            name: name.to_owned(),
            messages: state.messages,
            bytes: state.bytes,
            last_sequence: state.last_sequence,
        })
    };
    let states = tokio::join!(state(TOOLS_STREAM), state(INDEXED_STREAM), state(REJECTED_STREAM));
    [states.0, states.1, states.2].into_iter().flatten().collect()
}
