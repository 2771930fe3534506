//! `cargo xtask helm-check`: the chart renders objects that Kubernetes takes, and refuses mistakes in values.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use toolweaver_deployment_checks::chart;

use super::rendered::{self, values_files};
use super::{CHART, nats_conf, readme, refused};
use crate::downloads;
use crate::process::{Scratch, command, output, tool};

/// Versions of Kubernetes checked against: the newest three that the validator knows.
const KUBERNETES_VERSIONS: [&str; 3] = ["1.35", "1.36", "1.37"];
/// Kinds of operators, whose schemas nobody packages: their references are checked, and nothing else of them.
const WITHOUT_SCHEMA: [&str; 3] = ["PrometheusRule", "ScaledObject", "ServiceMonitor"];
/// Release name of the greatest length that Helm allows (53), so that names of objects would be too long if
/// they were not cut.
const LONGEST_RELEASE: &str = "a-release-with-the-longest-name-that-helm-lets-it-hav";

pub(crate) fn helm_check() -> Result<()> {
    let scratch = Scratch::new(&downloads::folder(), "helm-check")?;
    readme::unchanged()?;
    let mut files = vec![check(&scratch, "defaults", &[])?];
    for values in values_files()? {
        let name = values.rsplit('/').next().unwrap_or(&values);
        files.push(check(&scratch, name, &["--values", &values])?);
    }
    validate(&files)?;
    refused::check()?;
    println!(
        "{CHART}: valid for Kubernetes {}, but for {}, of which no schema is at hand",
        KUBERNETES_VERSIONS.join(", "),
        WITHOUT_SCHEMA.join(", ")
    );
    Ok(())
}

/// Renders the chart, and checks all that needs no schema. Returns the file.
fn check(scratch: &Scratch, name: &str, arguments: &[&str]) -> Result<PathBuf> {
    let named = || format!("{CHART} with {name}");
    let mut lint = command(downloads::helm()?);
    output(lint.args(["lint", "--strict", "--quiet", CHART]).args(arguments)).with_context(named)?;
    let long = rendered::render(scratch, "long", LONGEST_RELEASE, arguments).with_context(named)?;
    sound(&long.documents).with_context(named)?;
    let rendered = rendered::render(scratch, name, "toolweaver", arguments).with_context(named)?;
    sound(&rendered.documents).with_context(named)?;
    nats_conf::check(scratch, &rendered.documents).with_context(named)?;
    println!("{}: {} objects", named(), rendered.documents.len());
    Ok(rendered.file)
}

/// Fails with all faults of the objects.
fn sound(documents: &[Value]) -> Result<()> {
    let mut faults = chart::faults(documents);
    faults.extend(rendered::changed_files(documents)?);
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    Ok(())
}

fn validate(files: &[PathBuf]) -> Result<()> {
    let packages = downloads::python_packages()?;
    for version in KUBERNETES_VERSIONS {
        let mut validate = tool(&packages, "kubernetes-validate");
        validate.args(["--strict", "--quiet", "--kubernetes-version", version]);
        let said = output(validate.args(files))?;
        // The validator only warns of a kind that it does not know, which a misspelt one is too.
        let unknown = said.lines().find(|line| {
            line.contains("WARN")
                && !WITHOUT_SCHEMA.iter().any(|kind| line.contains(&format!("kind {kind} ")))
        });
        if let Some(unknown) = unknown {
            bail!("{unknown}");
        }
    }
    Ok(())
}
