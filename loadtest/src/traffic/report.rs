//! Report of a run of traffic, for people and for programs, and its pass criterion.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, ensure};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use serde::Serialize;

use super::{changes::Published, tally::Figures};
use crate::{latencies::Quantiles, metrics::Lookups, report::quantiles};

/// Results of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) seed: u64,
    pub(crate) rate_asked: f64,
    pub(crate) rate_reached: f64,
    /// Figures by phase; the last entry is all phases together.
    pub(crate) phases: Vec<Figures>,
    pub(crate) changes: Published,
    /// Hit rates of the cache layers behind the results, after the first ten seconds.
    pub(crate) layers: Option<Layers>,
}

/// Hit rates by layer; `None` where nobody looked, or where it is not counted.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Layers {
    pub(crate) embedding: Option<f64>,
    /// Texts embedded per search. A cached result asks for no embedding, so lookups alone tell little.
    pub(crate) embedded_per_search: Option<f64>,
}

impl Layers {
    pub(super) fn between(before: &Lookups, now: &Lookups) -> Self {
        let embedding = now.hit_rate_since(before, "embedding");
        let embedded_per_search = now.misses_per_search_since(before, "embedding");
        Self { embedding, embedded_per_search }
    }
}

impl Report {
    /// Prints and writes the report, and fails where a reply was stale, far behind or an error, or a change
    /// was lost.
    pub(crate) fn conclude(&self, json: Option<&Path>) -> anyhow::Result<()> {
        self.print();
        write(self, json)?;
        self.judge()
    }

    /// Fails where a reply was stale, far behind or an error, or a change was lost.
    pub(crate) fn judge(&self) -> anyhow::Result<()> {
        let all = self.phases.last().context("nothing was measured")?;
        let errors: u64 = all.errors.values().sum();
        let (stale, behind, lost) = (all.stale, all.behind, self.changes.lost.len());
        ensure!(
            stale == 0 && behind == 0 && errors == 0 && lost == 0,
            "{stale} stale replies, {behind} replies far behind, {errors} errors, {lost} lost changes"
        );
        Ok(())
    }

    #[expect(clippy::print_stdout, reason = "the report is this program's output")]
    pub(crate) fn print(&self) {
        let mut table = Table::new();
        table.load_preset(UTF8_FULL_CONDENSED).set_header([
            "phase",
            "requests",
            "searches",
            "hits",
            "searches p50 / p95 / p99 ms",
            "max ms",
            "cached",
            "uncached",
            "gets",
            "publish → found, longest ms",
            "errors",
            "degraded",
            "changes seen",
            "older",
            "behind",
            "stale",
        ]);
        for figures in &self.phases {
            table.add_row([
                figures.phase.clone(),
                figures.requests.to_string(),
                figures.searches_sent.to_string(),
                percent(figures.hit_rate),
                times(figures.searches),
                format!("{:.0}", figures.searches_max_ms),
                times(figures.cached),
                times(figures.uncached),
                times(figures.gets),
                format!("{:.0}", figures.found_max_ms),
                counts(&figures.errors),
                counts(&figures.degraded),
                figures.changes_seen.to_string(),
                figures.older.to_string(),
                figures.behind.to_string(),
                figures.stale.to_string(),
            ]);
        }
        println!("{table}");
        println!("seed {}, {:.0} requests/s (asked {:.0})", self.seed, self.rate_reached, self.rate_asked);
        if let Some(Layers { embedding, embedded_per_search }) = self.layers {
            println!(
                "after 10 s: embedding-cache hits {}, searches that needed no embedding {}",
                percent(embedding),
                percent(embedded_per_search.map(|embedded| 1.0 - embedded))
            );
        }
        let Published { added, answers, outranked, updates, removals, looked_for, lost, .. } = &self.changes;
        println!(
            "changes: {added} added, {answers} answer a query ({outranked} outranked), {updates} updated, {removals} removed; {looked_for} looked for in the end; {} lost",
            lost.len()
        );
        for text in lost.iter().chain(self.phases.last().map_or(&[][..], |all| &all.stale_examples)) {
            println!("  {text}");
        }
    }
}

/// Writes a report as JSON, if to any file.
pub(crate) fn write(report: &impl Serialize, file: Option<&Path>) -> anyhow::Result<()> {
    let Some(file) = file else { return Ok(()) };
    std::fs::write(file, serde_json::to_vec_pretty(report)?)
        .with_context(|| format!("cannot write {}", file.display()))
}

fn times(latency: Option<Quantiles>) -> String {
    latency.as_ref().map_or_else(|| "–".to_owned(), quantiles)
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

/// Formats counts as `12 × cache, 3 × vectors`; 0 where there is nothing.
fn counts(by_name: &BTreeMap<String, u64>) -> String {
    if by_name.is_empty() {
        return "0".to_owned();
    }
    let each: Vec<String> = by_name.iter().map(|(name, count)| format!("{count} × {name}")).collect();
    each.join(", ")
}
