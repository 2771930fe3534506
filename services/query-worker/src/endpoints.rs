//! The endpoints: bytes in, bytes out, everything between is typed.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use toolweaver_contracts::{
    DomainCount, DomainsReply, DomainsRequest, ErrorCode, Fault, GetReply, GetRequest, Predicate,
    SearchRequest, Tool, decode, encode, subjects,
};
use toolweaver_messaging::service::Request;

use crate::{
    freshness::Freshness, projection::Projection, searcher::Searcher, shards::ShardRequest, status::Status,
};

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
    freshness.wait(&body).await?;
    Ok(reply(&Box::pin(searcher.search(tenant, body)).await?))
}

/// What another worker asks about the domains that are owned here.
pub(crate) async fn shard(searcher: Arc<Searcher>, request: Request) -> Result<Bytes, Fault> {
    let body: ShardRequest = decode(&request.payload)?;
    Ok(reply(&searcher.answer_shard(body).await))
}

/// `get.v1.<tenant>`.
pub(crate) fn get(projection: &Projection, request: &Request) -> Result<Bytes, Fault> {
    let tenant = subjects::parse_tenant(&request.subject)?;
    let body: GetRequest = decode(&request.payload)?;
    let catalog_version = projection.applied().version;
    let predicate = Predicate::tenant(tenant).with_roles(body.roles);
    let found = projection.catalog().get(&body.tool_id, &predicate).cloned();
    let Some(entry) = found else {
        // The same words for a tool that is hidden and one that does not exist: the difference is none of theirs.
        return Err(Fault::new(
            ErrorCode::NotFound,
            format!("no tool {} is visible to this caller", body.tool_id),
        )
        .at("/tool_id")
        .hint("search for it, or carry a role that may see it"));
    };
    Ok(reply(&GetReply {
        tool_id: entry.key.tool_id(),
        tool: Tool::clone(&entry.tool),
        revision: entry.revision,
        catalog_version,
    }))
}

/// `domains.v1.<tenant>`.
pub(crate) fn domains(projection: &Projection, request: &Request) -> Result<Bytes, Fault> {
    let tenant = subjects::parse_tenant(&request.subject)?;
    let body: DomainsRequest = decode(&request.payload)?;
    let catalog_version = projection.applied().version;
    let predicate = Predicate::tenant(tenant).with_roles(body.roles);
    let counts = projection.catalog().domain_counts(&predicate);
    Ok(reply(&DomainsReply {
        tools: counts.values().sum(),
        domains: counts.into_iter().map(|(domain, tools)| DomainCount { domain, tools }).collect(),
        catalog_version,
    }))
}

/// `status.v1`.
pub(crate) async fn status(status: Arc<Status>) -> Result<Bytes, Fault> {
    Ok(reply(&status.report().await))
}

fn reply<T: Serialize>(value: &T) -> Bytes {
    encode(value).into()
}
