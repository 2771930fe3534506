//! Prometheus rules: each alert has a severity, texts, a runbook that knows it, and a test of either outcome.

use std::collections::BTreeSet;

use serde_json::Value;

/// Base address of the runbooks; the name of an alert in lower case is the anchor.
const RUNBOOKS_URL: &str = "https://github.com/toolweaver/toolweaver/blob/main/docs/runbooks.md#";
/// Severities of alerts: it wakes somebody, or waits for the morning.
const SEVERITIES: [&str; 2] = ["critical", "warning"];

/// Alerting or recording rule of Prometheus.
#[derive(Debug)]
pub struct Rule {
    /// Name of the alert, or of the series recorded.
    pub name: String,
    /// Expression in PromQL.
    pub expression: String,
    /// True for an alert, false for a recording rule.
    pub is_alert: bool,
    /// Annotations of an alert.
    pub(crate) texts: Vec<String>,
    labels: Value,
    annotations: Value,
}

impl Rule {
    /// Reads all rules of a rules file, in their order; an error is a sentence.
    pub fn read_all(file: &Value) -> Result<Vec<Self>, String> {
        list(&file["groups"]).flat_map(|group| list(&group["rules"])).map(rule).collect()
    }
}

fn rule(value: &Value) -> Result<Rule, String> {
    let name = value["alert"].as_str().or(value["record"].as_str()).ok_or("a rule has no name")?;
    let expression = value["expr"].as_str().ok_or_else(|| format!("{name} has no expression"))?;
    let annotations = &value["annotations"];
    let texts = annotations.as_object().into_iter().flat_map(serde_json::Map::values);
    Ok(Rule {
        name: name.to_owned(),
        expression: expression.to_owned(),
        is_alert: value["alert"].is_string(),
        texts: texts.filter_map(Value::as_str).map(str::to_owned).collect(),
        labels: value["labels"].clone(),
        annotations: annotations.clone(),
    })
}

/// Returns everything that the alerts, their tests (files of promtool) and their runbooks (Markdown) lack.
pub fn faults(rules: &[Rule], tests: &[Value], runbooks: &str) -> Vec<String> {
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
            faults.push(format!("the runbooks have no section `## {name}`"));
        }
        for (fires, what) in [(true, "fires"), (false, "is silent")] {
            if !outcomes(tests, name).any(|outcome| outcome == fires) {
                faults.push(format!("no test in which {name} {what}"));
            }
        }
    }
    let unknown = sections.into_iter().filter(|section| alerts.iter().all(|alert| alert.name != *section));
    faults.extend(
        unknown.map(|section| format!("the runbooks have a section for {section}, which is no alert")),
    );
    faults
}

/// Returns, for each time that a test looks at an alert, true where it should fire.
fn outcomes<'a>(tests: &'a [Value], name: &'a str) -> impl Iterator<Item = bool> + 'a {
    let cases = tests.iter().flat_map(|file| list(&file["tests"]));
    let looks = cases.flat_map(|case| list(&case["alert_rule_test"]));
    looks.filter(move |look| look["alertname"] == name).map(|look| list(&look["exp_alerts"]).next().is_some())
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
