//! Comparison of the names that dashboards and rules use with scraped metrics: metrics, labels, and the
//! values of labels that an expression asks for.

use std::collections::{BTreeMap, BTreeSet};

use crate::all;
use crate::panel::{Dashboard, Panel};
use crate::promql::{self, Grouped, Matcher};
use crate::rules::Rule;

/// Labels that Prometheus adds to what it scrapes, from what it knows of the process.
const TARGET_LABELS: [&str; 3] = ["namespace", "job", "instance"];
/// Metrics that Prometheus makes itself.
const OF_PROMETHEUS: [&str; 1] = ["ALERTS"];

/// Values of each label of each exported metric.
#[derive(Default)]
struct Exported(BTreeMap<String, BTreeMap<String, BTreeSet<String>>>);

/// All expressions of the dashboards and the rules.
#[derive(Debug)]
pub struct Expressions {
    used: Vec<Used>,
    rules: Vec<Rule>,
}

/// Expression with its place, and the labels that the text beside it names.
#[derive(Debug)]
struct Used {
    place: String,
    expression: String,
    labels: Vec<String>,
}

impl Expressions {
    /// Collects the expressions of all dashboards and of these rules.
    pub fn new(rules: Vec<Rule>) -> Self {
        let in_rules = rules.iter().map(in_rule);
        let used = all().iter().flat_map(in_dashboard).chain(in_rules).collect();
        Self { used, rules }
    }

    /// Returns the number of expressions.
    pub fn count(&self) -> usize {
        self.used.len()
    }

    /// Returns every name that an expression uses and none of these pages of metrics has, each as a sentence.
    pub fn missing(&self, pages: &[String]) -> BTreeSet<String> {
        let mut exported = Exported::default();
        for page in pages {
            exported.read(page);
        }
        for rule in &self.rules {
            exported.add_recorded(rule);
        }
        self.used.iter().flat_map(|used| exported.missing(used)).collect()
    }
}

fn in_dashboard(dashboard: &Dashboard) -> Vec<Used> {
    let in_panel = |panel: &Panel| -> Vec<Used> {
        let used = panel.queries.iter().map(|query| Used {
            place: format!("dashboard {}, {}", dashboard.name, panel.title),
            expression: query.expression(),
            labels: labels_in(query.legend, "{{"),
        });
        used.collect()
    };
    let mut used: Vec<Used> =
        dashboard.sections.iter().flat_map(|section| &section.panels).flat_map(in_panel).collect();
    used.extend(crate::json::own_expressions().map(|expression| Used {
        place: format!("dashboard {}, variables", dashboard.name),
        expression,
        labels: Vec::new(),
    }));
    used
}

fn in_rule(rule: &Rule) -> Used {
    let labels = rule.texts.iter().flat_map(|text| labels_in(text, "$labels.")).collect();
    Used { place: format!("rule {}", rule.name), expression: rule.expression.clone(), labels }
}

/// Returns the words that follow each `sign` in a text.
fn labels_in(text: &str, sign: &str) -> Vec<String> {
    let word = |rest: &str| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    text.split(sign).skip(1).map(word).collect()
}

impl Exported {
    /// Adds a page of metrics in the text format.
    fn read(&mut self, page: &str) {
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            // A line without its value is a selector, too.
            let Some((series, _)) = line.rsplit_once(' ') else { continue };
            for selector in promql::names(series).selectors {
                let labels = self.0.entry(selector.metric).or_default();
                for Matcher { label, value, .. } in selector.matchers {
                    labels.entry(label).or_default().insert(value);
                }
            }
        }
    }

    /// Adds the series that a rule records, with the labels that its expression groups by.
    fn add_recorded(&mut self, rule: &Rule) {
        if rule.is_alert {
            return;
        }
        let names = promql::names(&rule.expression);
        let labels = self.0.entry(rule.name.clone()).or_default();
        for label in names.grouped.into_iter().map(|grouped| grouped.label).chain(names.listed) {
            labels.entry(label).or_default();
        }
    }

    /// Returns the names of an expression that nobody exports.
    fn missing(&self, used: &Used) -> Vec<String> {
        let names = promql::names(&used.expression);
        let mut missing = Vec::new();
        let metrics: Vec<&str> = names.selectors.iter().map(|selector| selector.metric.as_str()).collect();
        for selector in &names.selectors {
            let metric = selector.metric.as_str();
            if !self.0.contains_key(metric) && !OF_PROMETHEUS.contains(&metric) {
                missing.push(format!("metric {metric} ({})", used.place));
                continue;
            }
            for Matcher { label, operator, value } in &selector.matchers {
                if !self.has(metric, label) {
                    missing.push(format!("label {label} of {metric} ({})", used.place));
                } else if let Some(absent) = self.absent(metric, label, operator, value) {
                    missing.push(format!("{label}=\"{absent}\" of {metric} ({})", used.place));
                }
            }
        }
        for Grouped { label, inside, joined } in &names.grouped {
            let inside = &metrics[inside.clone()];
            let lacking: Vec<&&str> = inside.iter().filter(|metric| !self.has(metric, label)).collect();
            if lacking.len() == inside.len() || !(lacking.is_empty() || *joined) {
                missing.push(format!("label {label} of {lacking:?} ({})", used.place));
            }
        }
        for label in names.listed.iter().chain(&used.labels) {
            if !metrics.iter().any(|metric| self.has(metric, label)) {
                missing.push(format!("label {label} of any of {metrics:?} ({})", used.place));
            }
        }
        missing
    }

    /// Returns true where a metric has a label. Metrics that are not there count as having every label: that
    /// they are missing is said already.
    fn has(&self, metric: &str, label: &str) -> bool {
        TARGET_LABELS.contains(&label) || self.0.get(metric).is_none_or(|labels| labels.contains_key(label))
    }

    /// Returns a value that an expression asks for and that no series has. Of patterns only alternatives are
    /// looked at.
    fn absent<'a>(&self, metric: &str, label: &str, operator: &str, value: &'a str) -> Option<&'a str> {
        if TARGET_LABELS.contains(&label)
            || value.contains(['$', '*', '+', '.', '[', '(']) && operator.ends_with('~')
        {
            return None;
        }
        let there = self.0.get(metric)?.get(label)?;
        let single = !operator.ends_with('~');
        value.split(|c| c == '|' && !single).find(|value| !there.contains(*value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str =
        "# TYPE a_total counter\na_total{code=\"200\",to=\"x y\"} 1\nb_bucket{le=\"0.1\"} 2\nc 3\n";

    fn missing(expression: &str, labels: &[&str]) -> Vec<String> {
        let mut exported = Exported::default();
        exported.read(PAGE);
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        exported.missing(&Used { place: "here".to_owned(), expression: expression.to_owned(), labels })
    }

    #[test]
    fn what_is_exported_is_not_missing() {
        assert!(
            missing(r#"sum by (code, job) (rate(a_total{code=~"200",to="x y",job="any"}[5m]))"#, &["code"])
                .is_empty()
        );
        assert!(
            missing(r#"b_bucket{le="0.1"} / on (instance) group_left (to) a_total"#, &["to", "job"])
                .is_empty()
        );
        assert!(missing(r#"c and ALERTS{alertname="x"} == a_total{to=~"z.*"}"#, &[]).is_empty());
    }

    #[test]
    fn what_is_not_is() {
        assert_eq!(missing("a_totals", &["code"]), ["metric a_totals (here)"]);
        assert_eq!(missing(r#"a_total{cod="200"}"#, &[]), ["label cod of a_total (here)"]);
        assert_eq!(missing(r#"a_total{code="404"}"#, &[]), ["code=\"404\" of a_total (here)"]);
        assert_eq!(missing(r#"a_total{code!~"200|504"}"#, &[]), ["code=\"504\" of a_total (here)"]);
        assert_eq!(missing("sum by (code) (a_total + c)", &[]), ["label code of [\"c\"] (here)"]);
        assert!(missing("sum by (code) (a_total * on (job) c)", &[]).is_empty());
        assert_eq!(missing("sum by (code) (c * on (job) c)", &[]).len(), 1);
        assert_eq!(missing("c + on (code) c", &["to"]).len(), 2);
    }

    #[test]
    fn labels_are_found_in_texts() {
        assert_eq!(labels_in("p95 {{stage}} of {{le}}", "{{"), ["stage", "le"]);
        assert_eq!(
            labels_in("{{ $labels.part }} in {{$labels.namespace}}", "$labels."),
            ["part", "namespace"]
        );
    }
}
