//! The chart rendered with given values, as text and as documents.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;
use toolweaver_deployment_checks::chart::{text, title};

use super::CHART;
use crate::process::{Scratch, command, output, root};
use crate::{downloads, yaml};

/// The chart's templates with one set of values.
pub(super) struct Rendered {
    pub(super) file: PathBuf,
    pub(super) documents: Vec<Value>,
}

/// Renders into the file `name` of `scratch`; `arguments` are helm's, after the chart.
pub(super) fn render(scratch: &Scratch, name: &str, release: &str, arguments: &[&str]) -> Result<Rendered> {
    let file = scratch.path().join(name);
    let mut template = command(downloads::helm()?);
    fs::write(&file, output(template.args(["template", release, CHART]).args(arguments))?)?;
    let documents = yaml::documents(&file)?;
    Ok(Rendered { file, documents })
}

/// Returns the combinations of values that the chart is checked with, beside its defaults.
pub(super) fn values_files() -> Result<Vec<String>> {
    let folder = root().join(CHART).join("ci");
    let mut files = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("could not list {}", folder.display()))? {
        files.push(format!("{CHART}/ci/{}", entry?.file_name().to_string_lossy()));
    }
    files.sort();
    Ok(files)
}

/// Returns the dashboards and alerts that did not come through the templates as they are: they have braces of
/// their own.
pub(super) fn changed_files(documents: &[Value]) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for document in documents.iter().filter(|document| document["kind"] == "PrometheusRule") {
        let rules = yaml::document(&root().join(CHART).join("alerts/rules.yaml"))?;
        if rules != document["spec"] {
            faults.push(format!("{}: it is not what alerts/rules.yaml says", title(document)));
        }
    }
    let dashboards = documents
        .iter()
        .filter(|document| document["metadata"]["labels"]["app.kubernetes.io/component"] == "dashboards");
    for (name, json) in dashboards.flat_map(|document| document["data"].as_object().into_iter().flatten()) {
        let file = root().join(CHART).join("dashboards").join(name.trim_start_matches("toolweaver-"));
        if fs::read_to_string(&file)?.trim_end() != text(json).trim_end() {
            faults.push(format!("{name} is not what {} holds", file.display()));
        }
    }
    Ok(faults)
}
