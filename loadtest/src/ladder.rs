//! The scale ladder: the same measurements at growing numbers of tools, on one fresh system.

use std::time::Instant;

use anyhow::{Context as _, ensure};
use serde::Serialize;
use toolweaver_contracts::{SearchRequest, Tenant, Tool};

use crate::{
    arguments::LadderArguments,
    catalog,
    client::Client,
    latencies::{Latencies, Quantiles},
    load::{self, Measured},
    report,
    system::{Memory, Setup, System},
    tools,
};

/// Distinct queries of the cached measurement; all are asked once before it begins.
const CACHED_QUERIES: usize = 50;
/// Registrations timed for publish → found.
const FRESHNESS_SAMPLES: usize = 30;
/// Longest time that a search waits for a registration.
const FOUND_WITHIN_MS: u64 = 30_000;

/// Results of one step.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Step {
    pub(crate) tools: usize,
    /// Tools registered, indexed and searchable per second, over the tools this step added.
    pub(crate) indexed_per_s: f64,
    pub(crate) uncached: Measured,
    pub(crate) cached: Measured,
    /// Time from publish to the reply of a search that finds the tool, milliseconds.
    pub(crate) found: Quantiles,
    /// Time from process start to a search that sees every tool, milliseconds.
    pub(crate) cold_start_ms: f64,
    pub(crate) memory: Memory,
}

/// Runs `loadtest ladder`: climbs all steps and prints the table.
pub(crate) async fn climb(arguments: &LadderArguments) -> anyhow::Result<()> {
    let mut steps = arguments.steps.clone();
    steps.sort_unstable();
    let most = *steps.last().context("--steps is empty")?;
    let all = tools::load(&arguments.source, most)?;
    let mut system = System::start(arguments.source.programs.clone(), Setup::default()).await?;
    let client = system.client(Tenant::default()).await?;

    let mut report = Vec::new();
    let mut registered = 0;
    for tools in steps {
        // The freshness probe of the steps before is one more.
        let probes = usize::from(registered > 0);
        let added = &all[registered..tools];
        let took = catalog::fill(&client, added, tools + probes).await?;
        #[expect(clippy::cast_precision_loss, reason = "a count of tools")]
        let indexed_per_s = added.len() as f64 / took.as_secs_f64();
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
        let found = freshness(&client, &all[0]).await?;
        let cold_start = system.cold_start(&client, tools as u64 + 1).await?;
        let memory = system.memory()?;
        let cold_start_ms = cold_start.as_secs_f64() * 1e3;
        report.push(Step { tools, indexed_per_s, uncached, cached, found, cold_start_ms, memory });
    }
    report::print_ladder(&report);
    if let Some(file) = &arguments.json {
        std::fs::write(file, serde_json::to_vec_pretty(&report)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// Times publish → found on a tool whose description is new each time.
async fn freshness(client: &Client, like: &Tool) -> anyhow::Result<Quantiles> {
    let mut times = Latencies::default();
    for i in 0..FRESHNESS_SAMPLES {
        let tool = Tool {
            tool_name: "loadtest_probe".parse()?,
            description: format!("Measures freshness, take {i} of {FRESHNESS_SAMPLES}."),
            ..like.clone()
        };
        let started = Instant::now();
        let revision = client.register(std::slice::from_ref(&tool)).await?;
        let request = SearchRequest {
            min_revision: Some(revision),
            wait_ms: Some(FOUND_WITHIN_MS),
            ..SearchRequest::new("loadtest_probe")
        };
        let reply = client.search(&request).await?;
        let first = reply.results.first().context("the registered tool was not found")?;
        ensure!(first.description == tool.description, "an old description was found: {}", first.description);
        times.record(started.elapsed());
    }
    Ok(times.quantiles())
}
