//! Report of an evaluation as JSON and as text: one block of tables for each set, then all sets together.

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use crate::{
    compare::Comparison,
    latency::Quantiles,
    metrics::Metrics,
    off_catalogue::{Abstention, SourceAbstention},
    routing::Routing,
    run::{ArmSummary, Scores, Summary},
    statistics::{Estimate, Paired, mean},
};

const HEADS: [&str; 5] = ["", Metrics::NAMES[0], Metrics::NAMES[1], Metrics::NAMES[2], Metrics::NAMES[3]];

/// Results of an evaluation.
#[derive(Debug, Serialize)]
pub struct Report {
    pub(crate) sets: Vec<Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) comparison: Option<Comparison>,
}

impl Report {
    /// Returns the report as text whose tables are at most so many columns wide.
    pub fn text(&self, columns: u16) -> String {
        let style = TableStyle { columns };
        let mut blocks: Vec<String> = self.sets.iter().flat_map(|summary| set(style, summary)).collect();
        if self.sets.len() > 1 {
            blocks.push(together(style, &self.sets));
        }
        blocks.extend(self.comparison.as_ref().map(comparison));
        blocks.join("\n\n")
    }
}

/// Style of all tables of one report.
#[derive(Debug, Clone, Copy)]
struct TableStyle {
    columns: u16,
}

impl TableStyle {
    fn table<const N: usize>(self, heads: [&str; N]) -> Table {
        let mut table = Table::new();
        table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(self.columns).set_header(heads);
        table
    }
}

fn set(style: TableStyle, summary: &Summary) -> Vec<String> {
    let mut blocks =
        vec![format!("{}\n{}\n{}", head(summary), quality(style, summary), fused_against(&summary.arms))];
    if !summary.kinds.is_empty() {
        let mut rows = style.table(HEADS);
        for (kind, of_kind) in &summary.kinds {
            rows.add_row(row(&format!("{kind} ({})", of_kind.queries), of_kind.scores));
        }
        blocks.push(format!("by kind of query\n{rows}"));
    }
    blocks.push(latencies(style, summary));
    blocks.extend(summary.routing.map(|summary| routing(&summary)));
    blocks.extend(summary.off_catalogue.as_ref().map(|summary| off_catalogue(style, summary)));
    if !summary.names.is_empty() {
        blocks.push(names(style, summary));
    }
    blocks
}

fn head(summary: &Summary) -> String {
    let Summary { set, tools, queries, queries_all, seed, ranker, searchable_seconds, degraded, .. } =
        summary;
    let asked = if queries == queries_all {
        format!("{queries} queries")
    } else {
        format!("{queries} of {queries_all} queries (seed {seed})")
    };
    let lacking = degraded.iter().map(|(lost, count)| format!("\n{count} replies were made without {lost}"));
    let lacking: String = lacking.collect();
    format!(
        "{set}: {tools} tools, searchable after {searchable_seconds:.1} s; {asked}; ranker {ranker}{lacking}"
    )
}

fn quality(style: TableStyle, summary: &Summary) -> Table {
    let mut rows = style.table(HEADS);
    rows.add_row(row("fused", summary.fused));
    for arm in &summary.arms {
        let seen = if arm.seen < 0.9995 { format!(" ({} seen)", percent(arm.seen)) } else { String::new() };
        rows.add_row(row(&format!("{}{seen}", arm.arm), arm.scores));
    }
    rows
}

fn fused_against(arms: &[ArmSummary]) -> String {
    let line = |arm: &ArmSummary| format!("fused less {}: {}", arm.arm, difference(&arm.fused_against));
    arms.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Returns the result of a paired test, in a line.
fn difference(paired: &Paired) -> String {
    let Estimate { mean, low, high } = paired.difference;
    let Paired { p, better, worse, .. } = paired;
    format!(
        "nDCG@10 {mean:+.3} [{low:+.3}, {high:+.3}], p = {p:.4}: {} ({better} queries up, {worse} down)",
        paired.conclusion()
    )
}

fn row(name: &str, scores: Scores) -> Vec<String> {
    let value = |Estimate { mean, low, high }: Estimate| format!("{mean:.3} [{low:.3}, {high:.3}]");
    std::iter::once(name.to_owned()).chain(scores.values().map(value)).collect()
}

fn latencies(style: TableStyle, summary: &Summary) -> String {
    let latency = &summary.latency;
    let mut rows = style.table(["ms", "p50", "p95"]);
    let mut add = |name: &str, quantiles: Quantiles| {
        rows.add_row([name.to_owned(), format!("{:.2}", quantiles.p50), format!("{:.2}", quantiles.p95)]);
    };
    add("round trip", latency.round_trip);
    add("in the worker", latency.took);
    for stage in &latency.stages {
        add(&format!("  {}", stage.stage), stage.quantiles);
    }
    rows.to_string()
}

fn routing(routing: &Routing) -> String {
    let Routing { domains, queries, routed, right, fell_back } = *routing;
    format!(
        "routing: of {queries} queries without a domain {} were sent to one of {domains}, of these {} to the right one, \
         and {} were searched everywhere after all",
        percent(routed),
        percent(right),
        percent(fell_back)
    )
}

fn off_catalogue(style: TableStyle, abstention: &Abstention) -> String {
    let sources = || abstention.sources.iter().chain([&abstention.all]);
    let mut rows =
        style.table(["where nothing fits", "queries", "said nothing_relevant", "AUC of confidence"]);
    for SourceAbstention { source, queries, nothing_relevant, auc, .. } in sources() {
        let auc = auc.map_or_else(|| "no confidence".to_owned(), |auc| format!("{auc:.3}"));
        rows.add_row([source.clone(), queries.to_string(), percent(*nothing_relevant), auc]);
    }
    let own =
        format!("of the own queries {} were answered nothing_relevant", percent(abstention.false_alarms));
    if abstention.all.curve.is_empty() {
        return format!("{rows}\n{own}");
    }
    let mut curves =
        style.table(["own below at most", "threshold", "own below", "caught of all", "caught by source"]);
    for (index, point) in abstention.all.curve.iter().enumerate() {
        let caught = |source: &SourceAbstention| {
            let point = source.curve.get(index)?;
            Some(format!("{} {}", source.source, percent(point.caught)))
        };
        let by_source: Vec<String> = abstention.sources.iter().filter_map(caught).collect();
        curves.add_row([
            percent(point.false_alarms_max),
            format!("{:.3}", point.threshold),
            percent(point.false_alarms),
            percent(point.caught),
            by_source.join(", "),
        ]);
    }
    format!("{rows}\n{own}\n\nwhat a threshold on the confidence would do\n{curves}")
}

fn names(style: TableStyle, summary: &Summary) -> String {
    let mut rows = style.table([
        "asked by name",
        "names of one tool",
        "first",
        "names of several",
        "in first 3",
        "all in first 5",
    ]);
    for form in &summary.names {
        let of = |share: f64, whole: usize| if whole == 0 { "-".to_owned() } else { percent(share) };
        rows.add_row([
            form.form.name().to_owned(),
            form.unique.to_string(),
            of(form.first, form.unique),
            form.shared.to_string(),
            of(form.shared_in_3, form.shared),
            of(form.in_5, form.unique + form.shared),
        ]);
    }
    rows.to_string()
}

/// Returns the means over the sets, each counting the same.
fn together(style: TableStyle, sets: &[Summary]) -> String {
    let mut rows = style.table(HEADS);
    let mut add = |name: &str, of: &dyn Fn(&Summary) -> Option<Scores>| {
        let scores: Vec<[f64; 4]> =
            sets.iter().filter_map(of).map(|scores| scores.values().map(|value| value.mean)).collect();
        let column = |i: usize| scores.iter().map(|row| row[i]).collect::<Vec<_>>();
        let means = (0..4).map(|i| format!("{:.3}", mean(&column(i))));
        rows.add_row(std::iter::once(name.to_owned()).chain(means));
    };
    add("fused", &|set| Some(set.fused));
    for (index, arm) in sets[0].arms.iter().enumerate() {
        add(&arm.arm, &|set| set.arms.get(index).map(|arm| arm.scores));
    }
    format!("mean of {} sets\n{rows}", sets.len())
}

fn comparison(comparison: &Comparison) -> String {
    let mut lines = vec![format!("compared with {}", comparison.with)];
    for set in &comparison.sets {
        let left_out = if set.not_in_both == 0 {
            String::new()
        } else {
            format!("; {} queries are not in both", set.not_in_both)
        };
        lines.push(format!(
            "{} ({} queries, {} before, {} now): {}{left_out}",
            set.set,
            set.ndcg_10.queries,
            set.ranker_before,
            set.ranker_now,
            difference(&set.ndcg_10)
        ));
    }
    if comparison.sets.len() > 1 {
        let overall = &comparison.overall;
        lines.push(format!("all {} queries: {}", overall.queries, difference(overall)));
    }
    lines.join("\n")
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}
