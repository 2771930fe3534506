//! Round trip of a probe tool, as publishers and agents go: register it, find it, remove it.

use std::time::{Duration, Instant};

use serde_json::json;
use toolweaver_contracts::{
    Detail, ErrorCode, Fault, SearchReply, SearchRequest, ToolId, ToolKey, encode, subjects,
};
use toolweaver_messaging::{Outgoing, Stored, publish};

use super::Finding;
use crate::client::{ANSWER_TIMEOUT, Client, not_stored};

/// Name of the check.
pub(super) const CHECK: &str = "round trip";
/// Time that a registration may take until it is found.
const SEARCHABLE_WITHIN: Duration = Duration::from_secs(15);

/// Checks that a tool which is registered now is found.
pub(super) async fn check(client: &Client) -> Finding {
    match probe(client).await {
        Ok((tool_id, took)) => {
            Finding::pass(CHECK, format!("{tool_id} was registered, found and removed")).after(took)
        }
        Err(fault) => {
            Finding::of_fault(CHECK, fault, "look at the lines above, and at the log of the workers")
        }
    }
}

/// Returns the probe's tool, and the time from its publish until it was found.
async fn probe(client: &Client) -> Result<(ToolId, Duration), Fault> {
    // A name of its own for each, so that probes that run at the same time do not see each other's.
    let nonce = client.nats.client().new_inbox();
    let nonce = nonce.rsplit('.').next().unwrap_or_default().to_lowercase();
    let tool_id: ToolId = format!("toolweaver-probe.probe_{nonce}").parse().expect("it is made of letters");
    let key = ToolKey {
        tenant: client.tenant.clone(),
        domain: tool_id.domain.clone(),
        tool_name: tool_id.tool_name.clone(),
    };
    let begin = Instant::now();
    let registered = store(
        client,
        &key,
        &json!({ "event": "registered", "tool": {
            "tool_name": key.tool_name, "tool_type": "function", "domain": key.domain,
            "description": "Proves that what is registered is found. Removed after a moment.",
        }}),
    )
    .await?;
    let found = find(client, &tool_id, registered.stream_sequence).await;
    let took = begin.elapsed();
    // Whatever came of it: the probe must not stay.
    store(client, &key, &json!({ "event": "removed" })).await?;
    found.map(|()| (tool_id, took))
}

async fn store(client: &Client, key: &ToolKey, event: &serde_json::Value) -> Result<Stored, Fault> {
    let outgoing = Outgoing::new(subjects::tools(key), encode(event));
    publish(&client.nats, outgoing).await.map_err(|error| not_stored(&error))
}

async fn find(client: &Client, tool_id: &ToolId, revision: u64) -> Result<(), Fault> {
    let mut request = SearchRequest::new(tool_id.tool_name.to_string());
    request.detail = Detail::Name;
    request.min_revision = Some(revision);
    request.wait_ms = Some(u64::try_from(SEARCHABLE_WITHIN.as_millis()).unwrap_or(u64::MAX));
    let within = SEARCHABLE_WITHIN + ANSWER_TIMEOUT;
    let reply: SearchReply = client.ask(&subjects::search(&client.tenant), &request, within).await?;
    if reply.results.iter().any(|result| result.tool_id == *tool_id) {
        return Ok(());
    }
    let found = reply.results.len();
    Err(Fault::new(
        ErrorCode::Internal,
        format!("{tool_id} was indexed, but a search for its name found {found} other tools instead"),
    ))
}
