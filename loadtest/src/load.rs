//! Open-loop load: a request leaves when it is due, whether or not earlier ones were answered.

use std::{
    collections::BTreeMap,
    pin::pin,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tokio::{
    sync::mpsc,
    time::{sleep, sleep_until},
};
use toolweaver_contracts::{SearchRequest, ServedFrom};

use crate::{
    client::Client,
    latencies::{Latencies, Quantiles},
};

/// Results of a run of load. Times in milliseconds, from when a request was due.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Measured {
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    /// Distinct error texts with their counts.
    pub(crate) error_texts: BTreeMap<String, u64>,
    pub(crate) rate_asked: f64,
    pub(crate) rate_reached: f64,
    #[serde(flatten)]
    pub(crate) latency: Quantiles,
    pub(crate) max_ms: f64,
    /// Share of answers that came from a cache.
    pub(crate) cache_hits: f64,
    /// Degraded replies.
    pub(crate) degraded: u64,
}

/// Sends the queries in turn at `rate` a second for `duration`.
pub(crate) async fn run(
    client: &Client,
    queries: &[String],
    rate: f64,
    duration: Duration,
    label: &'static str,
) -> anyhow::Result<Measured> {
    anyhow::ensure!(!queries.is_empty(), "there are no queries to send");
    let mut turns = queries.iter().cycle();
    let ask = |due: Instant| {
        let query = turns.next().expect("a cycle over at least one never ends");
        let (client, request) = (client.clone(), SearchRequest::new(query.as_str()));
        async move {
            let outcome = client.search(&request).await;
            (due.elapsed(), outcome.map(|reply| (reply.served_from, !reply.degraded.is_empty())))
        }
    };
    let mut latencies = Latencies::default();
    let (mut hits, mut degraded, mut error_texts) = (0_u64, 0, BTreeMap::new());
    let take = |(latency, outcome)| match outcome {
        Ok((served_from, is_degraded)) => {
            latencies.record(latency);
            hits += u64::from(served_from == ServedFrom::Cache);
            degraded += u64::from(is_degraded);
        }
        Err(error) => *error_texts.entry(format!("{error:#}")).or_default() += 1,
    };
    let sent = open_loop(rate, sleep(duration), label, ask, take).await?;
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    let measured = Measured {
        requests: sent.requests,
        errors: error_texts.values().sum(),
        error_texts,
        rate_asked: rate,
        rate_reached: sent.rate(),
        latency: latencies.quantiles(),
        max_ms: latencies.max_ms(),
        cache_hits: hits as f64 / latencies.count().max(1) as f64,
        degraded,
    };
    Ok(measured)
}

/// Number of requests, and the time until the last reply.
pub(crate) struct Sent {
    pub(crate) requests: u64,
    pub(crate) elapsed: Duration,
}

impl Sent {
    /// Returns the requests a second.
    pub(crate) fn rate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a count far below 2^52")]
        let requests = self.requests as f64;
        requests / self.elapsed.as_secs_f64()
    }
}

/// Asks `rate` times a second until `end` and hands over each answer as it comes. `ask` gets the moment that
/// its request is due: latency counts from there.
pub(crate) async fn open_loop<A, F>(
    rate: f64,
    end: impl Future<Output = ()>,
    label: &'static str,
    mut ask: impl FnMut(Instant) -> F,
    mut take: impl FnMut(A),
) -> anyhow::Result<Sent>
where
    A: Send + 'static,
    F: Future<Output = A> + Send + 'static,
{
    anyhow::ensure!(rate > 0.0, "the rate must be above 0");
    let progress = ProgressBar::no_length().with_prefix(label);
    progress.set_style(ProgressStyle::with_template("{prefix:>12} {elapsed:>4} {pos} answers, {per_sec}")?);

    let (answers, mut inbox) = mpsc::unbounded_channel();
    let started = Instant::now();
    let send = async {
        let mut end = pin!(end);
        let mut requests = 0_u64;
        loop {
            #[expect(clippy::cast_precision_loss, reason = "a count far below 2^52")]
            let due = started + Duration::from_secs_f64(requests as f64 / rate);
            tokio::select! {
                biased;
                () = &mut end => break,
                () = sleep_until(due.into()) => {}
            }
            requests += 1;
            let (asked, answers) = (ask(due), answers.clone());
            tokio::spawn(async move {
                // The receiver outlives all senders, so this cannot fail while anyone counts.
                answers.send(asked.await).ok();
            });
        }
        drop(answers);
        requests
    };
    let receive = async {
        while let Some(answer) = inbox.recv().await {
            progress.inc(1);
            take(answer);
        }
    };
    let (requests, ()) = tokio::join!(send, receive);
    progress.finish_and_clear();
    Ok(Sent { requests, elapsed: started.elapsed() })
}
