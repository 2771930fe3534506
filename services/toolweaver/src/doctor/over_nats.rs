//! What can be asked over NATS: the server, the streams and the workers.

use std::time::{Duration, Instant};

use futures_util::TryStreamExt as _;
use toolweaver_contracts::{Health, StatusReply, StatusRequest, subjects};
use toolweaver_messaging::streams;

use super::Finding;
use crate::{
    client::{ANSWER_TIMEOUT, Client},
    discovery::instances,
    exit::with_causes,
};

/// How often, and how far apart, a consumer is looked at before nobody is said to be there.
const LOOKS: usize = 5;
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// All of it.
pub(super) async fn findings(client: &Client) -> Vec<Finding> {
    let mut findings = vec![nats(client).await, jetstream(client).await];
    findings.extend(stream_findings(client).await);
    findings.push(query_workers(client).await);
    findings.push(puller(client, "embedding worker", subjects::TOOLS_STREAM, "embedding-worker-").await);
    findings.push(
        puller(client, "cache invalidator", subjects::INDEXED_STREAM, toolweaver_cache_invalidator::DURABLE)
            .await,
    );
    findings
}

async fn nats(client: &Client) -> Finding {
    match client.nats.round_trip().await {
        Ok(round_trip) => {
            Finding::good("NATS", format!("{} at {}", client.nats.server_version(), client.url))
                .after(round_trip)
        }
        Err(error) => {
            Finding::bad("NATS", with_causes(&error), "look at the log of nats-server").at(&client.url)
        }
    }
}

async fn jetstream(client: &Client) -> Finding {
    let begin = Instant::now();
    match client.nats.jetstream().query_account().await {
        Ok(account) => {
            let detail = format!("{} streams, {} bytes stored", account.streams, account.storage);
            Finding::good("JetStream", detail).after(begin.elapsed())
        }
        Err(error) => Finding::bad(
            "JetStream",
            with_causes(&error),
            "start nats-server with JetStream: nats-server -js -sd DIR",
        ),
    }
}

async fn stream_findings(client: &Client) -> Vec<Finding> {
    let mut findings = Vec::new();
    for stream in [subjects::TOOLS_STREAM, subjects::INDEXED_STREAM, subjects::REJECTED_STREAM] {
        let part = format!("stream {stream}");
        let begin = Instant::now();
        findings.push(match streams::state(&client.nats, stream).await {
            Ok(state) => {
                let detail = format!("{} messages, last sequence {}", state.messages, state.last_sequence);
                Finding::good(&part, detail).after(begin.elapsed())
            }
            Err(error) => Finding::bad(
                &part,
                with_causes(&error),
                "start a worker, or `toolweaver up`: the workers create the streams",
            ),
        });
    }
    findings
}

async fn query_workers(client: &Client) -> Finding {
    const PART: &str = "query worker";
    let begin = Instant::now();
    let status: StatusReply =
        match client.ask(subjects::STATUS_SUBJECT, &StatusRequest {}, ANSWER_TIMEOUT).await {
            Ok(status) => status,
            Err(fault) => return Finding::bad(PART, fault.message, fault.hint.unwrap_or_default()),
        };
    let round_trip = begin.elapsed();
    if !status.ready {
        let detail = format!("not ready, {} changes to apply", status.projection_pending);
        return Finding::bad(PART, detail, "wait until it has caught up; if it does not, look at its log");
    }
    let down: Vec<String> = status
        .parts
        .iter()
        .filter(|part| part.health != Health::Ok)
        .map(|part| format!("{}: {}", part.name, part.detail))
        .collect();
    if !down.is_empty() {
        return Finding::bad(
            PART,
            down.join("; "),
            "bring that part back; answers say `degraded` until then",
        );
    }
    let count = instances(client).await.map_or(0, |instances| instances.len());
    let detail = format!(
        "{count} of version {}, {} tools, version {}",
        status.version, status.tools, status.catalog_version
    );
    Finding::good(PART, detail).after(round_trip)
}

/// A worker that consumes a stream: there is no asking it, but the server knows who takes messages.
async fn puller(client: &Client, part: &str, stream: &str, consumer_prefix: &str) -> Finding {
    let mut detail = Vec::new();
    for look in 0..LOOKS {
        if look > 0 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let handle = match client.nats.jetstream().get_stream_no_info(stream).await {
            Ok(handle) => handle,
            Err(error) => return Finding::bad(part, with_causes(&error), "look at JetStream above"),
        };
        let consumers: Vec<_> = match handle.consumers().try_collect().await {
            Ok(consumers) => consumers,
            Err(error) => return Finding::bad(part, with_causes(&error), "look at JetStream above"),
        };
        let ours: Vec<_> =
            consumers.into_iter().filter(|consumer| consumer.name.starts_with(consumer_prefix)).collect();
        detail = ours
            .iter()
            .map(|consumer| {
                format!(
                    "{}: {} to do, {} in work",
                    consumer.name, consumer.num_pending, consumer.num_ack_pending
                )
            })
            .collect();
        // Between two requests for messages there may be a moment without one.
        if ours.iter().any(|consumer| consumer.num_waiting > 0 || consumer.num_ack_pending > 0) {
            return Finding::good(part, detail.join("; "));
        }
    }
    if detail.is_empty() {
        return Finding::bad(part, "none has ever run here", "start one, or `toolweaver up`");
    }
    let detail = format!("nobody takes messages from {}", detail.join("; "));
    Finding::bad(part, detail, "start one, or look at its log if it should be running")
}
