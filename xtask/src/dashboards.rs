//! `cargo xtask dashboards` and `rules-check`: the files and programs around the crate
//! `toolweaver-dashboards`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, bail};
use serde_json::Value;
use toolweaver_dashboards::rules::{self, Rule};

use crate::process::{Scratch, command, output, root};
use crate::{downloads, yaml};

const DASHBOARDS: &str = "helm/toolweaver/dashboards";
const RULES: &str = "helm/toolweaver/alerts/rules.yaml";
const TESTS: &str = "deploy/prometheus/tests";
const RUNBOOKS: &str = "docs/runbooks.md";

/// Writes the dashboards, or fails where a file would change.
pub(crate) fn run(check: bool) -> Result<()> {
    for dashboard in toolweaver_dashboards::files() {
        let shown = format!("{DASHBOARDS}/{}.json", dashboard.name);
        let file = root().join(&shown);
        if !check {
            fs::write(&file, dashboard.text).with_context(|| format!("could not write {shown}"))?;
            println!("wrote {shown}");
        } else if fs::read_to_string(&file).unwrap_or_default() != dashboard.text {
            bail!("{shown} is not what the crate dashboards describes: run `cargo xtask dashboards`");
        }
    }
    Ok(())
}

/// Checks the Prometheus rules, the queries of the dashboards, the tests of the alerts and their runbooks.
pub(crate) fn rules_check() -> Result<()> {
    let promtool = downloads::promtool()?;
    output(command(&promtool).args(["check", "rules", RULES]))?;
    check_queries(&promtool)?;
    let tests = tests()?;
    output(command(&promtool).args(["test", "rules"]).args(&tests))?;
    let tested: Vec<Value> = tests.iter().map(|test| yaml::document(test)).collect::<Result<_>>()?;
    let runbooks = fs::read_to_string(root().join(RUNBOOKS)).with_context(|| format!("no {RUNBOOKS}"))?;
    let rules = rules()?;
    let faults = rules::faults(&rules, &tested, &runbooks);
    if !faults.is_empty() {
        bail!("{RULES}, {TESTS} and {RUNBOOKS} do not fit together:\n{}", faults.join("\n"));
    }
    let alerts = rules.iter().filter(|rule| rule.is_alert).count();
    println!(
        "{RULES}: {alerts} alerts and {} recording rules, tested and with runbooks",
        rules.len() - alerts
    );
    Ok(())
}

/// Reads all rules.
pub(crate) fn rules() -> Result<Vec<Rule>> {
    Rule::read_all(&yaml::document(&root().join(RULES))?)
        .map_err(|fault| Error::msg(format!("{RULES}: {fault}")))
}

fn check_queries(promtool: &Path) -> Result<()> {
    let scratch = Scratch::new(&downloads::folder(), "rules-check")?;
    // JSON is YAML.
    let file = scratch.path().join("dashboards.json");
    fs::write(&file, toolweaver_dashboards::queries_as_rules().to_string())?;
    output(command(promtool).args(["check", "rules"]).arg(&file))
        .context("a dashboard has a faulty query")?;
    Ok(())
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
