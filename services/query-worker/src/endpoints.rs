//! Endpoints: bytes in, bytes out, everything between is typed.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use serde::Serialize;
use toolweaver_contracts::{
    DomainsRequest, ErrorCode, Fault, GetRequest, SearchReply, SearchRequest, ShardRequest, Tenant, decode,
    encode, subjects,
};
use toolweaver_messaging::{Accepted, Request};
use toolweaver_ranking::RANKER;
use toolweaver_resilience::Deadline;
use uuid::Uuid;

use crate::{
    answers::{cache::AnswerCache, popularity},
    freshness::Freshness,
    lookup::Lookup,
    metrics,
    search::{
        SearchTimeouts,
        answer::Answer,
        pipeline::{Pipeline, Search},
        shards::{Shards, fanout},
    },
    status::Status,
};

/// Name in `degraded` of a projection that is behind the newest version that can be read.
const PROJECTION: &str = "projection";

/// Name in `degraded` of caches that do not answer; then the newest version cannot be read, either.
const CACHE: &str = "cache";

/// Time after the deadline in which an answer that went on without a late arm is still computed. Then it is
/// 504.
const GRACE: Duration = Duration::from_millis(50);

/// Handlers of searches, lookups and status, and what they share.
pub(crate) struct Handlers {
    pub(crate) answers: Arc<AnswerCache>,
    pub(crate) lookup: Lookup,
    pub(crate) freshness: Arc<Freshness>,
    pub(crate) timeouts: SearchTimeouts,
}

impl Handlers {
    /// Decodes a search on `search.v1.<tenant>` or `search.v1.<tenant>.<domain>`; the second is a request
    /// with that `domain`. It first waits for the version or revision that its caller names, for as long as
    /// the caller says.
    pub(crate) fn accept_search(&self, request: &Request) -> Result<Accepted<Search>, Fault> {
        let (tenant, domain) = subjects::parse_search(&request.subject)?;
        let mut body: SearchRequest = decode(&request.payload)?;
        body.domain = domain.or(body.domain);
        body.validate()?;
        let waits = body.min_version.is_some() || body.min_revision.is_some();
        let wait = Duration::from_millis(body.wait_ms.filter(|_| waits).unwrap_or(0));
        let total = wait + self.timeouts.total;
        let search = Search::new(tenant, body, Deadline::since(request.received_at, total));
        let freshness = waits.then(|| (Arc::clone(&self.freshness), search.request.clone()));
        let accepted = Accepted::new(search).by(Deadline::since(request.received_at, total + GRACE));
        Ok(match freshness {
            Some((freshness, awaited)) => accepted.after(async move { freshness.wait(&awaited).await }),
            None => accepted,
        })
    }

    /// Answers a search.
    pub(crate) async fn search(self: Arc<Self>, search: Search) -> Result<Bytes, Fault> {
        let keeps_up = self.freshness.keep_up(&search.everywhere.tenant, search.deadline).await;
        Ok(encoded(&Box::pin(search_reply(&self.answers, &search, keeps_up)).await?))
    }

    /// Answers `get.v1.<tenant>`.
    pub(crate) async fn get(self: Arc<Self>, request: Request) -> Result<Bytes, Fault> {
        let tenant = subjects::parse_tenant(&request.subject)?;
        let body: GetRequest = decode(&request.payload)?;
        self.must_keep_up(&tenant, &request).await?;
        Ok(encoded(&self.lookup.get(tenant, body)?))
    }

    /// Answers `domains.v1.<tenant>`.
    pub(crate) async fn domains(self: Arc<Self>, request: Request) -> Result<Bytes, Fault> {
        let tenant = subjects::parse_tenant(&request.subject)?;
        let body: DomainsRequest = decode(&request.payload)?;
        self.must_keep_up(&tenant, &request).await?;
        Ok(encoded(&self.lookup.domains(tenant, body).await))
    }

    /// Refuses a lookup that would be older than it should be: unlike a search, its reply cannot say so.
    async fn must_keep_up(&self, tenant: &Tenant, request: &Request) -> Result<(), Fault> {
        let deadline = Deadline::since(request.received_at, self.timeouts.total);
        if self.freshness.keep_up(tenant, deadline).await {
            return Ok(());
        }
        Err(Fault::new(ErrorCode::Unavailable, "this worker lags behind the catalog")
            .hint("ask again: another worker may answer, and this one catches up"))
    }
}

/// Computes or looks up the answer to a search, and makes the reply of it. A worker that does not keep up
/// with the catalog says so there.
pub(crate) async fn search_reply(
    answers: &AnswerCache,
    search: &Search,
    keeps_up: bool,
) -> Result<SearchReply, Fault> {
    let started = std::time::Instant::now();
    // Taken before anything is read: the answer holds every change up to this version, perhaps newer ones.
    let applied = answers.pipeline().projection().applied();
    let cache = answers.cache();
    popularity::record_request(&cache.popularity, &search.everywhere.tenant, &search.request);
    let (answer, served_from) = answers.answer(search).await?;
    let Answer { status, confidence, results, shaped, budget, mut degraded, routed, explain } = answer;
    // Both are about this reply only: its answer is whole.
    let lacks = [(PROJECTION, !keeps_up), (CACHE, !cache.snapshot().healthy)];
    degraded.extend(lacks.into_iter().filter(|(_, lacks)| *lacks).map(|(name, _)| name.to_owned()));
    let reply = SearchReply {
        search_id: Uuid::now_v7().to_string(),
        status,
        confidence,
        results,
        shaped,
        budget,
        catalog_version: applied.version,
        lag_ms: u64::try_from(applied.lag().as_millis()).unwrap_or(u64::MAX),
        ranker: RANKER.to_owned(),
        served_from,
        degraded,
        routed,
        explain,
        took_ms: started.elapsed().as_secs_f64() * 1e3,
    };
    metrics::search_answered(&reply);
    Ok(reply)
}

/// Answers another worker about the domains of this one.
pub(crate) async fn shard(pipeline: Arc<Pipeline>, shards: Shards, request: Request) -> Result<Bytes, Fault> {
    let body: ShardRequest = decode(&request.payload)?;
    Ok(encoded(&fanout::answer(&shards, pipeline.arms(), body, request.received_at).await))
}

/// Answers `status.v1`.
pub(crate) async fn status(status: Arc<Status>) -> Result<Bytes, Fault> {
    Ok(encoded(&status.report().await))
}

fn encoded<T: Serialize>(value: &T) -> Bytes {
    encode(value).into()
}
