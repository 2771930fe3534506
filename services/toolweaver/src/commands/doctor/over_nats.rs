//! Checks over NATS: the server, the streams, the workers, and what a query worker says of its dependencies.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use futures_util::TryStreamExt as _;
use toolweaver_contracts::{Fault, Health, Part, StatusReply, StatusRequest, subjects};
use toolweaver_messaging::streams;
use toolweaver_resilience::error_chain;

use super::{Finding, rejections};
use crate::client::{ANSWER_TIMEOUT, Client, instances};

/// Times that a consumer is looked at before it counts as one that nobody pulls from.
const LOOKS: usize = 5;
/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Characters of a fingerprint that tell a model from another.
const FINGERPRINT_SHORT: usize = 12;

/// Findings of all checks over NATS.
pub(super) struct OverNats {
    pub(super) findings: Vec<Finding>,
    /// Reply of a query worker, where one answered.
    pub(super) status: Option<StatusReply>,
}

/// Checks everything that can be asked over NATS.
pub(super) async fn check(client: &Client) -> OverNats {
    let jetstream = jetstream(client).await;
    let has_jetstream = jetstream.ok;
    let mut findings = vec![nats(client).await, jetstream];
    // Without JetStream each of them would only name the same cause again.
    if has_jetstream {
        findings.extend(stream_findings(client).await);
    }
    let begin = Instant::now();
    let status: Result<StatusReply, Fault> =
        client.ask(subjects::STATUS_SUBJECT, &StatusRequest {}, ANSWER_TIMEOUT).await;
    let round_trip = begin.elapsed();
    let status = match status {
        Ok(status) => {
            findings.push(query_worker(client, &status).await.after(round_trip));
            findings.extend(status.parts.iter().map(|part| dependency(part, &status.model)));
            Some(status)
        }
        Err(fault) => {
            findings.push(Finding::of_fault("query worker", fault, "look at its log"));
            None
        }
    };
    if has_jetstream {
        let durable = toolweaver_cache_invalidator::DURABLE;
        findings.push(puller(client, "embedding worker", subjects::TOOLS_STREAM, "embedding-worker-").await);
        findings.push(puller(client, "cache invalidator", subjects::INDEXED_STREAM, durable).await);
        findings.extend(rejections::check(client).await);
    }
    OverNats { findings, status }
}

async fn nats(client: &Client) -> Finding {
    match client.nats.round_trip().await {
        Ok(round_trip) => {
            Finding::pass("NATS", format!("{} at {}", client.nats.server_version(), client.url))
                .after(round_trip)
        }
        Err(error) => {
            Finding::fail("NATS", error_chain(&error).to_string(), "look at the log of nats-server")
                .at(&client.url)
        }
    }
}

async fn jetstream(client: &Client) -> Finding {
    let begin = Instant::now();
    match client.nats.jetstream().query_account().await {
        Ok(account) => {
            let detail = format!("{} streams, {} bytes stored", account.streams, account.storage);
            Finding::pass("JetStream", detail).after(begin.elapsed())
        }
        Err(error) => Finding::fail(
            "JetStream",
            error_chain(&error).to_string(),
            "start nats-server with JetStream: nats-server -js -sd DIR",
        )
        .at(&client.url),
    }
}

async fn stream_findings(client: &Client) -> Vec<Finding> {
    let mut findings = Vec::new();
    for stream in [subjects::TOOLS_STREAM, subjects::INDEXED_STREAM, subjects::REJECTED_STREAM] {
        let check = format!("stream {stream}");
        let begin = Instant::now();
        findings.push(match streams::state(&client.nats, stream).await {
            Ok(state) => {
                let detail = format!("{} messages, last sequence {}", state.messages, state.last_sequence);
                Finding::pass(&check, detail).after(begin.elapsed())
            }
            Err(error) => Finding::fail(
                &check,
                error_chain(&error).to_string(),
                "start a worker, or `toolweaver up`: the workers create the streams",
            ),
        });
    }
    findings
}

async fn query_worker(client: &Client, status: &StatusReply) -> Finding {
    const CHECK: &str = "query worker";
    if !status.ready {
        let detail = format!("not ready, {} changes to apply", status.projection_pending);
        return Finding::fail(CHECK, detail, "wait until it has caught up; if it does not, look at its log");
    }
    let instances = instances(client).await.unwrap_or_default();
    let versions: BTreeSet<&str> = instances.iter().map(|instance| instance.version.as_str()).collect();
    let versions = versions.into_iter().collect::<Vec<_>>().join(" and ");
    let detail = format!(
        "{} running, version {}; {} tools, catalog version {}",
        instances.len(),
        if versions.is_empty() { &status.version } else { &versions },
        status.tools,
        status.catalog_version
    );
    Finding::pass(CHECK, detail)
}

/// Returns the worker's own view of one of its dependencies.
fn dependency(part: &Part, model: &str) -> Finding {
    let check = format!("query worker: {}", part.name);
    let mut detail = part.detail.clone();
    if part.name == "model" {
        detail = format!("{detail}, fingerprint {}", model.get(..FINGERPRINT_SHORT).unwrap_or(model));
    }
    match part.health {
        Health::Ok => Finding::pass(&check, detail),
        Health::Down => {
            let advice = "bring it back; replies name it in `degraded` until then";
            Finding::fail(&check, detail, advice)
        }
    }
}

/// Checks that a worker pulls from a stream. There is no asking it, but the server knows who pulls.
async fn puller(client: &Client, check: &str, stream: &str, consumer_prefix: &str) -> Finding {
    let mut detail = Vec::new();
    for look in 0..LOOKS {
        if look > 0 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let handle = match client.nats.jetstream().get_stream_no_info(stream).await {
            Ok(handle) => handle,
            Err(error) => {
                return Finding::fail(check, error_chain(&error).to_string(), "look at JetStream above");
            }
        };
        let consumers: Vec<_> = match handle.consumers().try_collect().await {
            Ok(consumers) => consumers,
            Err(error) => {
                return Finding::fail(check, error_chain(&error).to_string(), "look at JetStream above");
            }
        };
        let ours: Vec<_> =
            consumers.into_iter().filter(|consumer| consumer.name.starts_with(consumer_prefix)).collect();
        detail = ours
            .iter()
            .map(|consumer| {
                format!(
                    "{}: {} pending, {} in flight",
                    consumer.name, consumer.num_pending, consumer.num_ack_pending
                )
            })
            .collect();
        // Between two requests for messages there may be a moment without one.
        if ours.iter().any(|consumer| consumer.num_waiting > 0 || consumer.num_ack_pending > 0) {
            return Finding::pass(check, detail.join("; "));
        }
    }
    if detail.is_empty() {
        return Finding::fail(check, "none has ever run here", "start one, or `toolweaver up`");
    }
    let detail = format!("nobody takes messages from {}", detail.join("; "));
    Finding::fail(check, detail, "start one, or look at its log if it should be running")
}
