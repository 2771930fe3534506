//! Waiting until a change is searchable, and the rejections that arrive meanwhile.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use indicatif::ProgressBar;
use tokio::{sync::mpsc, task::JoinHandle};
use toolweaver_contracts::{
    Detail, ErrorCode, Fault, Rejection, SearchReply, SearchRequest, StatusReply, StatusRequest, decode,
    subjects,
};
use toolweaver_messaging::{Settled, settled};
use toolweaver_resilience::error_chain;

use super::{ANSWER_TIMEOUT, Client};

/// Time that one search waits; between two of them the progress is looked at.
const SEARCH_WAIT_MS: u64 = 1_000;
/// Interval at which the workers are asked for their progress.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Characters of a fingerprint that names are made of.
const FINGERPRINT_SHORT: usize = 12;
/// Rejections kept for the report; a worker that rejects more is told about by `doctor`, not by a list.
const REJECTIONS_MAX: usize = 10_000;

/// Subscription to rejections, from now on.
#[derive(Debug)]
pub(crate) struct Rejections {
    received: mpsc::Receiver<Rejection>,
    listening: JoinHandle<()>,
}

impl Rejections {
    /// Subscribes to the tenant's rejections. Begin before publishing.
    pub(crate) async fn listen(client: &Client) -> Result<Self, Fault> {
        let subject = format!("rejected.v1.{}.>", client.tenant);
        let fault = |error: &dyn std::error::Error| {
            Fault::new(ErrorCode::Unavailable, format!("cannot listen on {subject}: {}", error_chain(error)))
        };
        let mut messages =
            client.nats.client().subscribe(subject.clone()).await.map_err(|error| fault(&error))?;
        client.nats.flush().await.map_err(|error| fault(&error))?;
        let (sender, received) = mpsc::channel(REJECTIONS_MAX);
        let listening = tokio::spawn(async move {
            while let Some(message) = messages.next().await {
                if let Ok(rejection) = decode::<Rejection>(&message.payload)
                    && sender.try_send(rejection).is_err()
                {
                    break;
                }
            }
        });
        Ok(Self { received, listening })
    }

    /// Ends the subscription and returns what was received.
    pub(crate) fn heard(mut self) -> Vec<Rejection> {
        self.listening.abort();
        std::iter::from_fn(|| self.received.try_recv().ok()).collect()
    }
}

/// Returns when searches see this revision of TOOLS and, with `all_before`, everything stored before it.
pub(crate) async fn until_searchable(
    client: &Client,
    revision: u64,
    all_before: bool,
    timeout: Duration,
    bar: &ProgressBar,
) -> Result<(), Fault> {
    let deadline = Instant::now() + timeout;
    let mut request = SearchRequest::new("is it searchable yet");
    request.top_k = Some(1);
    request.detail = Detail::Name;
    request.min_revision = Some(revision);
    search_until_answered(client, &mut request, deadline, bar).await?;
    if all_before {
        // Another batch may still be on its way: the revision alone says nothing about those before it.
        request.min_version = Some(settled_version(client, revision, deadline, bar).await?);
        search_until_answered(client, &mut request, deadline, bar).await?;
    }
    Ok(())
}

/// A version of INDEXED that holds all that became of TOOLS up to this revision.
async fn settled_version(
    client: &Client,
    revision: u64,
    deadline: Instant,
    bar: &ProgressBar,
) -> Result<u64, Fault> {
    let unavailable = |error: &dyn std::error::Error| {
        Fault::new(ErrorCode::Unavailable, error_chain(error).to_string()).hint("look at `toolweaver doctor`")
    };
    let status: StatusReply = client.ask(subjects::STATUS_SUBJECT, &StatusRequest {}, ANSWER_TIMEOUT).await?;
    let consumer =
        subjects::embedding_consumer(status.model.get(..FINGERPRINT_SHORT).unwrap_or(&status.model));
    loop {
        let unsettled = match settled(&client.nats, &consumer, revision).await {
            Ok(Settled::AtVersion(version)) => return Ok(version),
            Ok(Settled::NotYet { unsettled }) => unsettled,
            Err(error) => return Err(unavailable(&error)),
        };
        if Instant::now() >= deadline {
            return Err(too_late(&format!("{unsettled} events are not indexed yet")));
        }
        show(bar, unsettled);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn search_until_answered(
    client: &Client,
    request: &mut SearchRequest,
    deadline: Instant,
    bar: &ProgressBar,
) -> Result<(), Fault> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let wait_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX).min(SEARCH_WAIT_MS);
        request.wait_ms = Some(wait_ms);
        let within = Duration::from_millis(wait_ms) + ANSWER_TIMEOUT;
        match client.ask::<SearchReply>(&subjects::search(&client.tenant), &request, within).await {
            Ok(_) => return Ok(()),
            Err(fault) if !matches!(fault.code, ErrorCode::NotYet | ErrorCode::Busy) => return Err(fault),
            Err(fault) if Instant::now() >= deadline => return Err(too_late(&fault.message)),
            Err(fault) if fault.code == ErrorCode::Busy => tokio::time::sleep(LOOK_EVERY).await,
            Err(_) => {
                let status = client.ask(subjects::STATUS_SUBJECT, &StatusRequest {}, ANSWER_TIMEOUT).await;
                // The bar is a courtesy: whoever cannot tell leaves it where it is.
                if let Ok(StatusReply { unindexed: Some(unindexed), .. }) = status {
                    show(bar, unindexed);
                }
            }
        }
    }
}

fn show(bar: &ProgressBar, unindexed: u64) {
    bar.set_position(bar.length().unwrap_or_default().saturating_sub(unindexed));
    bar.set_message(format!("{unindexed} to go"));
}

fn too_late(reason: &str) -> Fault {
    Fault::new(ErrorCode::Deadline, format!("not searchable in time: {reason}")).hint(
        "it is stored and will become searchable; look at `toolweaver status`, or wait longer with --timeout",
    )
}
