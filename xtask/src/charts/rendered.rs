//! What the chart renders with given values, as text and as documents.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

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

/// The combinations of values that the chart is checked with, beside its defaults.
pub(super) fn values_files() -> Result<Vec<String>> {
    let folder = root().join(CHART).join("ci");
    let mut files = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("could not list {}", folder.display()))? {
        files.push(format!("{CHART}/ci/{}", entry?.file_name().to_string_lossy()));
    }
    files.sort();
    Ok(files)
}

/// Kind and name, to say which document is meant.
pub(super) fn title(document: &Value) -> String {
    format!("{} {}", text(&document["kind"]), text(&document["metadata"]["name"]))
}

/// A string, or "" for anything else.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The items of an array, none of anything else.
pub(super) fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The pod that a document describes, itself or by its template: (metadata, spec).
pub(super) fn pod(document: &Value) -> Option<(&Value, &Value)> {
    match text(&document["kind"]) {
        "Pod" => Some((&document["metadata"], &document["spec"])),
        "Deployment" | "StatefulSet" | "Job" => {
            let template = &document["spec"]["template"];
            Some((&template["metadata"], &template["spec"]))
        }
        _ => None,
    }
}

/// All containers of a pod.
pub(super) fn containers(spec: &Value) -> impl Iterator<Item = &Value> {
    items(&spec["initContainers"]).iter().chain(items(&spec["containers"]))
}
