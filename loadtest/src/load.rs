//! Open-loop load: a request leaves when it is due, whether or not earlier ones were answered.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tokio::{sync::mpsc, time::sleep_until};
use toolweaver_contracts::{SearchRequest, ServedFrom};

use crate::client::Client;

/// Latency in microseconds, up to a minute, three significant digits.
const HIGHEST_US: u64 = 60_000_000;

/// What a run of load showed. Times in milliseconds, from when a request was due.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Measured {
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    /// Distinct error texts and how often each came.
    pub(crate) error_texts: BTreeMap<String, u64>,
    pub(crate) rate_asked: f64,
    pub(crate) rate_reached: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p95_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
    /// Share of answers that came from a cache.
    pub(crate) cache_hits: f64,
    /// Answers that lacked a part.
    pub(crate) degraded: u64,
}

struct Answer {
    late: Duration,
    outcome: Result<(ServedFrom, bool), String>,
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
    anyhow::ensure!(rate > 0.0, "the rate must be above 0");
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive count far below 2^52"
    )]
    let count = (rate * duration.as_secs_f64()).ceil() as u64;
    let progress = ProgressBar::new(count).with_prefix(label);
    progress.set_style(ProgressStyle::with_template("{prefix:>12} {bar:30} {pos}/{len} {per_sec}")?);

    let (answers, mut inbox) = mpsc::unbounded_channel();
    let queries: Arc<[String]> = queries.into();
    let started = Instant::now();
    for i in 0..count {
        #[expect(clippy::cast_precision_loss, reason = "a count far below 2^52")]
        let due = started + Duration::from_secs_f64(i as f64 / rate);
        sleep_until(due.into()).await;
        let (client, queries, answers) = (client.clone(), Arc::clone(&queries), answers.clone());
        tokio::spawn(async move {
            let place = usize::try_from(i).unwrap_or_default() % queries.len();
            let outcome = client.search(&SearchRequest::new(queries[place].clone())).await;
            let outcome = outcome.map(|reply| (reply.served_from, !reply.degraded.is_empty()));
            // The receiver outlives all senders, so this cannot fail while anyone counts.
            answers
                .send(Answer { late: due.elapsed(), outcome: outcome.map_err(|error| format!("{error:#}")) })
                .ok();
        });
    }
    drop(answers);

    let mut latencies = Histogram::<u64>::new_with_max(HIGHEST_US, 3)?;
    let (mut hits, mut degraded, mut error_texts) = (0_u64, 0, BTreeMap::new());
    while let Some(answer) = inbox.recv().await {
        progress.inc(1);
        match answer.outcome {
            Ok((served_from, is_degraded)) => {
                latencies.saturating_record(u64::try_from(answer.late.as_micros()).unwrap_or(HIGHEST_US));
                hits += u64::from(served_from == ServedFrom::Cache);
                degraded += u64::from(is_degraded);
            }
            Err(error) => *error_texts.entry(error).or_default() += 1,
        }
    }
    let elapsed = started.elapsed();
    progress.finish_and_clear();
    let answered = latencies.len();
    #[expect(clippy::cast_precision_loss, reason = "counts and microseconds far below 2^52")]
    let measured = Measured {
        requests: count,
        errors: error_texts.values().sum(),
        error_texts,
        rate_asked: rate,
        rate_reached: count as f64 / elapsed.as_secs_f64(),
        p50_ms: latencies.value_at_quantile(0.50) as f64 / 1e3,
        p95_ms: latencies.value_at_quantile(0.95) as f64 / 1e3,
        p99_ms: latencies.value_at_quantile(0.99) as f64 / 1e3,
        max_ms: latencies.max() as f64 / 1e3,
        cache_hits: hits as f64 / answered.max(1) as f64,
        degraded,
    };
    Ok(measured)
}
