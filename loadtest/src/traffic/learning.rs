//! Catalog version from which on a change must be visible: the search that waits for it returns it.

use toolweaver_contracts::{SearchRequest, ToolId};

use super::{requests::Shared, truth::Fact};

/// Longest time until a change is visible.
const VISIBLE_WITHIN_MS: u64 = 30_000;
/// Query asked while waiting; nobody else asks it, so that no measured answer depends on it.
const PROBE: &str = "is the latest change visible";

/// Waits until a change is visible and returns the version that holds it.
pub(super) async fn wait(shared: &Shared, revision: u64) -> anyhow::Result<u64> {
    let request = SearchRequest {
        min_revision: Some(revision),
        wait_ms: Some(VISIBLE_WITHIN_MS),
        ..SearchRequest::new(PROBE)
    };
    Ok(shared.client.search(&request).await?.catalog_version)
}

/// Adds to the truth that a change must be visible from this version on. Returns false where other tools
/// outrank one that was meant to answer a query: that it is missing then proves nothing.
pub(super) async fn learn(shared: &Shared, version: u64, fact: Fact) -> anyhow::Result<bool> {
    let (fact, is_certain) = match fact {
        Fact::MayAnswer(query, tool) => {
            if is_answer(shared, &query, &tool, version).await? {
                (Fact::Answers(query, tool), true)
            } else {
                (Fact::Added, false)
            }
        }
        certain => (certain, true),
    };
    shared.truth.learn(fact, version);
    Ok(is_certain)
}

/// Returns true where the tool is in an answer that is in no cache: no request before had this exclusion.
async fn is_answer(shared: &Shared, query: &str, tool: &ToolId, version: u64) -> anyhow::Result<bool> {
    let request = SearchRequest {
        exclude: vec![format!("loadtest.version_{version}").parse()?],
        min_version: Some(version),
        wait_ms: Some(VISIBLE_WITHIN_MS),
        ..SearchRequest::new(query)
    };
    let reply = shared.client.search(&request).await?;
    Ok(reply.results.iter().any(|result| result.tool_id == *tool))
}
