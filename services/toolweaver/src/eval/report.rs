//! What `eval` prints for humans: one block of tables for each set, then all sets together.

use super::{
    Report,
    compare::Comparison,
    latency::Spread,
    metrics::Metrics,
    off_catalogue::{SourceVerdicts, Verdicts},
    routing::Routing,
    run::{ArmSummary, Scores, Summary},
    statistics::{Estimate, Paired, mean},
};
use crate::terminal::{Table, table};

const HEADS: [&str; 5] = ["", Metrics::NAMES[0], Metrics::NAMES[1], Metrics::NAMES[2], Metrics::NAMES[3]];

/// Everything.
pub(super) fn human(report: &Report) -> String {
    let mut blocks: Vec<String> = report.sets.iter().flat_map(set).collect();
    if report.sets.len() > 1 {
        blocks.push(together(&report.sets));
    }
    blocks.extend(report.comparison.as_ref().map(comparison));
    blocks.join("\n\n")
}

fn set(summary: &Summary) -> Vec<String> {
    let mut blocks =
        vec![format!("{}\n{}\n{}", head(summary), quality(summary), fused_against(&summary.arms))];
    if !summary.kinds.is_empty() {
        let mut rows = table(HEADS);
        for (kind, of_kind) in &summary.kinds {
            rows.add_row(row(&format!("{kind} ({})", of_kind.queries), of_kind.scores));
        }
        blocks.push(format!("by kind of query\n{rows}"));
    }
    blocks.push(latencies(summary));
    blocks.extend(summary.routing.map(|summary| routing(&summary)));
    blocks.extend(summary.off_catalogue.as_ref().map(off_catalogue));
    if !summary.names.is_empty() {
        blocks.push(names(summary));
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
    let lacking = degraded.iter().map(|(part, count)| format!("\n{count} replies were made without {part}"));
    let lacking: String = lacking.collect();
    format!(
        "{set}: {tools} tools, searchable after {searchable_seconds:.1} s; {asked}; ranker {ranker}{lacking}"
    )
}

fn quality(summary: &Summary) -> Table {
    let mut rows = table(HEADS);
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

/// What a paired test says, in a line.
fn difference(paired: &Paired) -> String {
    let Estimate { mean, low, high } = paired.difference;
    let Paired { p, better, worse, .. } = paired;
    format!(
        "nDCG@10 {mean:+.3} [{low:+.3}, {high:+.3}], p = {p:.4}: {} ({better} queries up, {worse} down)",
        paired.verdict()
    )
}

fn row(name: &str, scores: Scores) -> Vec<String> {
    let value = |Estimate { mean, low, high }: Estimate| format!("{mean:.3} [{low:.3}, {high:.3}]");
    std::iter::once(name.to_owned()).chain(scores.values().map(value)).collect()
}

fn latencies(summary: &Summary) -> String {
    let latency = &summary.latency;
    let mut rows = table(["ms", "p50", "p95"]);
    let mut add = |name: &str, spread: Spread| {
        rows.add_row([name.to_owned(), format!("{:.2}", spread.p50), format!("{:.2}", spread.p95)]);
    };
    add("round trip", latency.round_trip);
    add("in the worker", latency.took);
    for stage in &latency.stages {
        add(&format!("  {}", stage.stage), stage.spread);
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

fn off_catalogue(verdicts: &Verdicts) -> String {
    let sources = || verdicts.sources.iter().chain([&verdicts.all]);
    let mut rows = table(["where nothing fits", "queries", "said nothing_relevant", "AUC of confidence"]);
    for SourceVerdicts { source, queries, nothing_relevant, auc, .. } in sources() {
        let auc = auc.map_or_else(|| "no confidence".to_owned(), |auc| format!("{auc:.3}"));
        rows.add_row([source.clone(), queries.to_string(), percent(*nothing_relevant), auc]);
    }
    let own = format!("of the own queries {} were told nothing_relevant", percent(verdicts.false_alarms));
    if verdicts.all.curve.is_empty() {
        return format!("{rows}\n{own}");
    }
    let mut curves =
        table(["own below at most", "threshold", "own below", "caught of all", "caught by source"]);
    for (index, point) in verdicts.all.curve.iter().enumerate() {
        let caught = |source: &SourceVerdicts| {
            let point = source.curve.get(index)?;
            Some(format!("{} {}", source.source, percent(point.caught)))
        };
        let by_source: Vec<String> = verdicts.sources.iter().filter_map(caught).collect();
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

fn names(summary: &Summary) -> String {
    let mut rows = table([
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

/// Means over the sets, each counting the same.
fn together(sets: &[Summary]) -> String {
    let mut rows = table(HEADS);
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
