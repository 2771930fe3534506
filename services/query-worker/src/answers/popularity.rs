//! Popularity: the requests that are asked most, so that they can be answered ahead.

use toolweaver_catalog_cache::{Popularity, PopularityKind};
use toolweaver_contracts::{SearchRequest, Tenant};

/// Largest request that is counted, in bytes of JSON.
const REQUEST_BYTES_MAX: usize = 4_096;

/// Counts a request. Not one that asks for an explanation.
pub(crate) fn record_request(popularity: &Popularity, tenant: &Tenant, request: &SearchRequest) {
    if request.explain {
        return;
    }
    let plain = SearchRequest { min_version: None, min_revision: None, wait_ms: None, ..request.clone() };
    let json = serde_json::to_string(&plain).expect("a request has string keys only");
    if json.len() <= REQUEST_BYTES_MAX {
        popularity.note(PopularityKind::Requests, tenant, &json, 1);
    }
}
