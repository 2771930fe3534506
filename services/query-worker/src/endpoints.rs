//! The endpoints: bytes in, bytes out, everything between is typed.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde::Serialize;
use toolweaver_contracts::{
    DomainsRequest, ErrorCode, Fault, GetRequest, SearchRequest, Tenant, decode, encode, subjects,
};
use toolweaver_messaging::service::Request;

use crate::{freshness::Freshness, searcher::Searcher, shards::ShardRequest, status::Status};

/// What a search waits for, if its caller names a version or a revision that it must hold.
pub(crate) fn wait(
    freshness: &Arc<Freshness>,
    request: &Request,
) -> Option<BoxFuture<'static, Result<(), Fault>>> {
    // What is wrong with it is said by who answers it.
    let body: SearchRequest = decode(&request.payload).ok()?;
    if body.validate().is_err() || (body.min_version.is_none() && body.min_revision.is_none()) {
        return None;
    }
    let freshness = Arc::clone(freshness);
    Some(Box::pin(async move { freshness.wait(&body).await }))
}

/// `search.v1.<tenant>` and `search.v1.<tenant>.<domain>`; the second is a request with that `domain`.
pub(crate) async fn search(
    searcher: Arc<Searcher>,
    freshness: Arc<Freshness>,
    request: Request,
) -> Result<Bytes, Fault> {
    let (tenant, domain) = subjects::parse_search(&request.subject)?;
    let mut body: SearchRequest = decode(&request.payload)?;
    body.domain = domain.or(body.domain);
    body.validate()?;
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
