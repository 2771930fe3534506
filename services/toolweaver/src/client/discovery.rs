//! Discovery of the running workers as NATS micro services, as `nats micro` does it.

use std::time::Duration;

use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use toolweaver_contracts::{ErrorCode, Fault};
use toolweaver_resilience::error_chain;

use super::Client;

/// Time that the first answer may take.
const FIRST_WITHIN: Duration = Duration::from_secs(1);
/// Nobody answers any more when nobody has for this long.
const QUIET_AFTER: Duration = Duration::from_millis(200);
/// Prefix of our services' names; others may live on the same NATS.
const NAME_PREFIX: &str = "toolweaver";

/// One instance of a service, from `$SRV.STATS`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Instance {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) version: String,
    #[serde(default)]
    pub(crate) started: String,
    #[serde(default)]
    pub(crate) endpoints: Vec<EndpointStats>,
}

/// Statistics of one endpoint of an instance.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct EndpointStats {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) subject: String,
    #[serde(default, alias = "num_requests")]
    pub(crate) requests: u64,
    #[serde(default, alias = "num_errors")]
    pub(crate) errors: u64,
    /// Nanoseconds.
    #[serde(default, alias = "average_processing_time")]
    pub(crate) average_processing_time_ns: u64,
}

/// Returns all instances of our services that answer, by name and id.
pub(crate) async fn instances(client: &Client) -> Result<Vec<Instance>, Fault> {
    let fault = |error: &dyn std::error::Error| {
        Fault::new(ErrorCode::Unavailable, format!("cannot ask for services: {}", error_chain(error)))
    };
    let nats = client.nats.client();
    let inbox = nats.new_inbox();
    let mut answers = nats.subscribe(inbox.clone()).await.map_err(|error| fault(&error))?;
    nats.publish_with_reply("$SRV.STATS", inbox, "".into()).await.map_err(|error| fault(&error))?;
    let mut instances: Vec<Instance> = Vec::new();
    let mut wait = FIRST_WITHIN;
    while let Ok(Some(answer)) = tokio::time::timeout(wait, answers.next()).await {
        // "No responders" is an answer without a body.
        let Ok(instance) = serde_json::from_slice::<Instance>(&answer.payload) else { break };
        if instance.name.starts_with(NAME_PREFIX) {
            instances.push(instance);
        }
        wait = QUIET_AFTER;
    }
    instances.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    Ok(instances)
}
