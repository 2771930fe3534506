//! Checks of the Prometheus rules: valid, tested by promtool, and each alert with a runbook that knows it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::all;
use crate::parts;
use crate::process::{Scratch, command, output, root};

const RULES: &str = "helm/toolweaver/alerts/rules.yaml";
const TESTS: &str = "deploy/prometheus/tests";
const RUNBOOKS: &str = "docs/runbooks.md";
const RUNBOOKS_URL: &str = "https://github.com/toolweaver/toolweaver/blob/main/docs/runbooks.md#";
/// An alert wakes somebody, or waits for the morning.
const SEVERITIES: [&str; 2] = ["critical", "warning"];

/// An alert, or an expression that is recorded.
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) expression: String,
    pub(super) is_alert: bool,
    /// What an alert says.
    pub(super) texts: Vec<String>,
    labels: Value,
    annotations: Value,
}

/// `cargo xtask rules-check`.
pub(crate) fn rules_check() -> Result<()> {
    let promtool = parts::promtool()?;
    output(command(&promtool).args(["check", "rules", RULES]))?;
    check_dashboards(&promtool)?;
    let tests = tests()?;
    output(command(&promtool).args(["test", "rules"]).args(&tests))?;
    let tested: Vec<Value> = tests.iter().map(|test| yaml(test)).collect::<Result<_>>()?;
    let runbooks = fs::read_to_string(root().join(RUNBOOKS)).with_context(|| format!("no {RUNBOOKS}"))?;
    let rules = rules()?;
    let faults = faults(&rules, &tested, &runbooks);
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    let alerts = rules.iter().filter(|rule| rule.is_alert).count();
    println!(
        "{RULES}: {alerts} alerts and {} recording rules, tested and with runbooks",
        rules.len() - alerts
    );
    Ok(())
}

/// The queries of the dashboards, written as rules: then promtool says whether they are valid.
fn check_dashboards(promtool: &Path) -> Result<()> {
    let scratch = Scratch::new(&parts::folder(), "rules-check")?;
    let queries =
        all().into_iter().flat_map(|dashboard| dashboard.sections).flat_map(|section| section.panels);
    let rules: Vec<Value> = queries
        .flat_map(|panel| panel.queries)
        .map(|query| query.expression().replace("$__rate_interval", "1m"))
        .zip(0..)
        .map(|(expression, number)| json!({ "record": format!("query:{number}"), "expr": expression }))
        .collect();
    // JSON is YAML.
    let file = scratch.path().join("dashboards.json");
    fs::write(&file, json!({ "groups": [{ "name": "dashboards", "rules": rules }] }).to_string())?;
    output(command(promtool).args(["check", "rules"]).arg(&file))
        .context("a dashboard has a faulty query")?;
    Ok(())
}

/// All rules, in their order.
pub(super) fn rules() -> Result<Vec<Rule>> {
    let file = yaml(&root().join(RULES))?;
    list(&file["groups"]).flat_map(|group| list(&group["rules"])).map(rule).collect()
}

fn rule(value: &Value) -> Result<Rule> {
    let name = value["alert"].as_str().or(value["record"].as_str()).context("a rule has no name")?;
    let annotations = &value["annotations"];
    let texts = annotations.as_object().into_iter().flat_map(serde_json::Map::values);
    Ok(Rule {
        name: name.to_owned(),
        expression: value["expr"].as_str().with_context(|| format!("{name} has no expression"))?.to_owned(),
        is_alert: value["alert"].is_string(),
        texts: texts.filter_map(Value::as_str).map(str::to_owned).collect(),
        labels: value["labels"].clone(),
        annotations: annotations.clone(),
    })
}

/// What the alerts lack, their tests and their runbooks.
fn faults(rules: &[Rule], tests: &[Value], runbooks: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let alerts: Vec<&Rule> = rules.iter().filter(|rule| rule.is_alert).collect();
    let sections: BTreeSet<&str> =
        runbooks.lines().filter_map(|line| line.strip_prefix("## ToolWeaver").map(|_| &line[3..])).collect();
    for alert in &alerts {
        let name = alert.name.as_str();
        if !alert.labels["severity"].as_str().is_some_and(|severity| SEVERITIES.contains(&severity)) {
            faults.push(format!("{name} has no severity of {SEVERITIES:?}"));
        }
        for text in ["summary", "description"] {
            if alert.annotations[text].as_str().is_none_or(str::is_empty) {
                faults.push(format!("{name} has no {text}"));
            }
        }
        let runbook = format!("{RUNBOOKS_URL}{}", name.to_lowercase());
        if alert.annotations["runbook_url"] != runbook.as_str() {
            faults.push(format!("{name} should have the runbook_url {runbook}"));
        }
        if !sections.contains(name) {
            faults.push(format!("{RUNBOOKS} has no section `## {name}`"));
        }
        for (fires, what) in [(true, "fires"), (false, "is silent")] {
            if !outcomes(tests, name).any(|outcome| outcome == fires) {
                faults.push(format!("no test in {TESTS} in which {name} {what}"));
            }
        }
    }
    let unknown = sections.into_iter().filter(|section| alerts.iter().all(|alert| alert.name != *section));
    faults
        .extend(unknown.map(|section| format!("{RUNBOOKS} has a section for {section}, which is no alert")));
    faults
}

/// For each look of a test at an alert, whether it should fire.
fn outcomes<'a>(tests: &'a [Value], name: &'a str) -> impl Iterator<Item = bool> + 'a {
    let cases = tests.iter().flat_map(|file| list(&file["tests"]));
    let looks = cases.flat_map(|case| list(&case["alert_rule_test"]));
    looks.filter(move |look| look["alertname"] == name).map(|look| list(&look["exp_alerts"]).next().is_some())
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn tests() -> Result<Vec<PathBuf>> {
    let folder = root().join(TESTS);
    let mut tests = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("could not list {TESTS}"))? {
        tests.push(entry?.path());
    }
    tests.sort();
    Ok(tests)
}

/// A YAML file as a JSON value. Python reads it, which is here for other checks already.
fn yaml(file: &Path) -> Result<Value> {
    let program = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
    let mut python = parts::python();
    python.env("PYTHONPATH", parts::python_packages()?).args(["-c", program]).arg(file);
    let text = output(&mut python).with_context(|| format!("could not read {}", file.display()))?;
    Ok(serde_json::from_str(&text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(runbook: &str) -> Rule {
        let url = format!("{RUNBOOKS_URL}{runbook}");
        let annotations = json!({ "summary": "s", "description": "d", "runbook_url": url });
        rule(&json!({
            "alert": "ToolWeaverDown", "expr": "up", "labels": { "severity": "warning" }, "annotations": annotations
        }))
        .unwrap()
    }

    fn tested(expected: &[Value]) -> Vec<Value> {
        let looks: Vec<Value> = expected
            .iter()
            .map(|alerts| json!({ "alertname": "ToolWeaverDown", "exp_alerts": alerts }))
            .collect();
        vec![json!({ "tests": [{ "alert_rule_test": looks }] })]
    }

    #[test]
    fn an_alert_needs_its_runbook_and_both_outcomes() {
        let both = tested(&[json!([{}]), json!([])]);
        let of = |alert: Rule, tests: &[Value], runbooks: &str| faults(&[alert], tests, runbooks);
        assert!(of(alert("toolweaverdown"), &both, "# Runbooks\n## ToolWeaverDown\n").is_empty());
        assert_eq!(of(alert("down"), &both, "## ToolWeaverDown").len(), 1);
        assert_eq!(of(alert("toolweaverdown"), &both, "## ToolWeaverUp").len(), 2);
        assert_eq!(of(alert("toolweaverdown"), &tested(&[json!([])]), "## ToolWeaverDown").len(), 1);
        let silent = Rule { labels: json!({ "severity": "loud" }), ..alert("toolweaverdown") };
        assert_eq!(of(silent, &both, "## ToolWeaverDown").len(), 1);
    }
}
