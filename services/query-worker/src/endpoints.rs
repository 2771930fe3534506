//! The endpoints: bytes in, bytes out, everything between is typed.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use toolweaver_contracts::{
    DomainsRequest, ErrorCode, Fault, GetRequest, SearchRequest, Tenant, decode, encode, subjects,
};
use toolweaver_messaging::{Accepted, Request};

use crate::{freshness::Freshness, searcher::Searcher, shards::ShardRequest, status::Status};

/// Search, decoded and valid.
pub(crate) type Search = (Tenant, SearchRequest);

/// Decodes `search.v1.<tenant>` and `search.v1.<tenant>.<domain>`; the second is a request with that `domain`. The search
/// waits for the version or revision that its caller names.
pub(crate) fn accept_search(
    freshness: &Arc<Freshness>,
    request: &Request,
) -> Result<Accepted<Search>, Fault> {
    let (tenant, domain) = subjects::parse_search(&request.subject)?;
    let mut body: SearchRequest = decode(&request.payload)?;
    body.domain = domain.or(body.domain);
    body.validate()?;
    if body.min_version.is_none() && body.min_revision.is_none() {
        return Ok(Accepted::new((tenant, body)));
    }
    let (freshness, awaited) = (Arc::clone(freshness), body.clone());
    Ok(Accepted::new((tenant, body)).after(async move { freshness.wait(&awaited).await }))
}

/// Answers a search.
pub(crate) async fn search(
    searcher: Arc<Searcher>,
    freshness: Arc<Freshness>,
    (tenant, body): Search,
) -> Result<Bytes, Fault> {
    let keeps_up = freshness.keep_up(&tenant).await;
    Ok(reply(&Box::pin(searcher.search(tenant, body, keeps_up)).await?))
}

/// What another worker asks about the domains that are owned here.
pub(crate) async fn shard(searcher: Arc<Searcher>, request: Request) -> Result<Bytes, Fault> {
    let body: ShardRequest = decode(&request.payload)?;
    Ok(reply(&searcher.answer_shard(body).await))
}

/// `get.v1.<tenant>`.
pub(crate) async fn get(
    searcher: Arc<Searcher>,
    freshness: Arc<Freshness>,
    request: Request,
) -> Result<Bytes, Fault> {
    let tenant = subjects::parse_tenant(&request.subject)?;
    let body: GetRequest = decode(&request.payload)?;
    must_keep_up(&freshness, &tenant).await?;
    Ok(reply(&searcher.get(tenant, body).await?))
}

/// `domains.v1.<tenant>`.
pub(crate) async fn domains(
    searcher: Arc<Searcher>,
    freshness: Arc<Freshness>,
    request: Request,
) -> Result<Bytes, Fault> {
    let tenant = subjects::parse_tenant(&request.subject)?;
    let body: DomainsRequest = decode(&request.payload)?;
    must_keep_up(&freshness, &tenant).await?;
    Ok(reply(&searcher.domains(tenant, body).await))
}

/// Unlike that to a search, these answers cannot say that they are older than they should be.
async fn must_keep_up(freshness: &Freshness, tenant: &Tenant) -> Result<(), Fault> {
    if freshness.keep_up(tenant).await {
        return Ok(());
    }
    Err(Fault::new(ErrorCode::Unavailable, "this worker lags behind the catalogue")
        .hint("ask again: another worker may answer, and this one catches up"))
}

/// `status.v1`.
pub(crate) async fn status(status: Arc<Status>) -> Result<Bytes, Fault> {
    Ok(reply(&status.report().await))
}

fn reply<T: Serialize>(value: &T) -> Bytes {
    encode(value).into()
}
