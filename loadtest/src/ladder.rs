//! The scale ladder: the same measurements at growing numbers of tools, on one fresh system.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use toolweaver_contracts::{SearchRequest, Tenant, Tool};

use crate::{
    LadderArguments,
    client::Client,
    load::{self, Measured},
    processes::{Memory, Programs, System, until},
    report, tools,
};

/// Distinct queries of the cached measurement; all are asked once before it begins.
const CACHED_QUERIES: usize = 50;
/// Registrations timed for publish → found.
const FRESHNESS_SAMPLES: usize = 30;
/// How long a search may wait for a registration.
const FOUND_WITHIN_MS: u64 = 30_000;

/// What one step showed.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Step {
    pub(crate) tools: usize,
    /// Registered, indexed and searchable, per second, over the tools this step added.
    pub(crate) indexed_per_s: f64,
    pub(crate) uncached: Measured,
    pub(crate) cached: Measured,
    /// From publish to the reply of a search that finds the tool, milliseconds.
    pub(crate) found_p50_ms: f64,
    pub(crate) found_p95_ms: f64,
    /// From process start to a search that sees every tool, milliseconds.
    pub(crate) cold_start_ms: f64,
    pub(crate) memory: Memory,
}

/// Climbs all steps and prints the table.
pub(crate) async fn climb(arguments: &LadderArguments) -> anyhow::Result<()> {
    let mut steps = arguments.steps.clone();
    steps.sort_unstable();
    let most = *steps.last().context("--steps is empty")?;
    let all = tools::load(&arguments.tools, &arguments.bin_dir.join("toolweaver"), most)?;
    let mut system = System::start(Programs {
        bin_dir: arguments.bin_dir.clone(),
        nats_server: arguments.nats_server.clone(),
        model_dir: arguments.model_dir.clone(),
    })
    .await?;
    let client = Client::connect(&system.nats_url, Tenant::default()).await?;
    until("a query worker is ready", async || client.status().await.ok().filter(|status| status.ready))
        .await?;

    let mut report = Vec::new();
    let mut registered = 0;
    for tools in steps {
        let indexed_per_s = register(&client, &all[registered..tools], tools).await?;
        registered = tools;
        let queries = tools::queries(&all[..tools]);
        let uncached =
            load::run(&client, &queries, arguments.load.rate, arguments.load.duration(), "uncached").await?;
        let repeated = &queries[..queries.len().min(CACHED_QUERIES)];
        for query in repeated {
            client.search(&SearchRequest::new(query.as_str())).await?;
        }
        let cached =
            load::run(&client, repeated, arguments.load.cached_rate, arguments.load.duration(), "cached")
                .await?;
        let (found_p50_ms, found_p95_ms) = freshness(&client, &all[0]).await?;
        let cold_start = system.cold_start(&client, tools as u64 + 1).await?;
        let memory = system.memory()?;
        let cold_start_ms = cold_start.as_secs_f64() * 1e3;
        report.push(Step {
            tools,
            indexed_per_s,
            uncached,
            cached,
            found_p50_ms,
            found_p95_ms,
            cold_start_ms,
            memory,
        });
    }
    report::print_ladder(&report);
    if let Some(file) = &arguments.json {
        std::fs::write(file, serde_json::to_vec_pretty(&report)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// Registers tools and waits until `total` are searchable; returns the rate over all of it.
async fn register(client: &Client, tools: &[Tool], total: usize) -> anyhow::Result<f64> {
    let style = ProgressStyle::with_template("{prefix:>12} {bar:30} {pos}/{len}")?;
    let progress = ProgressBar::new(total as u64).with_prefix("searchable").with_style(style);
    let before = client.status().await?.tools;
    let started = Instant::now();
    client.register(tools, || {}).await?;
    let mut seen = (0, Instant::now());
    loop {
        let now = client.status().await?.tools;
        progress.set_position(now);
        // One tool of ours is the freshness probe, which replaces itself.
        if now >= before + tools.len() as u64 {
            break;
        }
        if now != seen.0 {
            seen = (now, Instant::now());
        }
        ensure!(
            seen.1.elapsed() < Duration::from_mins(1),
            "no tool became searchable for 60 s, at {now} of {total}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    progress.finish_and_clear();
    #[expect(clippy::cast_precision_loss, reason = "a count of tools")]
    Ok(tools.len() as f64 / started.elapsed().as_secs_f64())
}

/// Times publish → found on a tool that says something new each time.
async fn freshness(client: &Client, like: &Tool) -> anyhow::Result<(f64, f64)> {
    let mut times = Histogram::<u64>::new_with_max(FOUND_WITHIN_MS * 1_000, 3)?;
    for i in 0..FRESHNESS_SAMPLES {
        let tool = Tool {
            tool_name: "loadtest_probe".parse()?,
            description: format!("Measures freshness, take {i} of {FRESHNESS_SAMPLES}."),
            ..like.clone()
        };
        let started = Instant::now();
        let revision = client.register(std::slice::from_ref(&tool), || {}).await?;
        let request = SearchRequest {
            min_revision: Some(revision),
            wait_ms: Some(FOUND_WITHIN_MS),
            ..SearchRequest::new("loadtest_probe")
        };
        let reply = client.search(&request).await?;
        let first = reply.results.first().context("the registered tool was not found")?;
        ensure!(first.description == tool.description, "an old description was found: {}", first.description);
        times.saturating_record(u64::try_from(started.elapsed().as_micros())?);
    }
    #[expect(clippy::cast_precision_loss, reason = "microseconds far below 2^52")]
    let at = |quantile| times.value_at_quantile(quantile) as f64 / 1e3;
    Ok((at(0.5), at(0.95)))
}
