//! Checks of what is installed rather than compiled: the chart, the compose file, the image, the NATS configuration.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::parts;
use crate::process::{Scratch, command, output, root};

/// The newest three that the validator knows.
const KUBERNETES_VERSIONS: [&str; 3] = ["1.35", "1.36", "1.37"];
const CHART: &str = "helm/toolweaver";

/// `cargo xtask helm-check`.
pub(crate) fn helm_check() -> Result<()> {
    let (helm, packages) = (parts::helm()?, parts::python_packages()?);
    let scratch = Scratch::new(&parts::folder(), "helm-check")?;
    for values in values_files()? {
        let given = [OsStr::new("--values"), values.as_os_str()];
        let shown = values.file_name().expect("a listed file has a name").display();
        output(command(&helm).args(["lint", "--strict", "--quiet", CHART]).args(given))?;
        let rendered = scratch.path().join("rendered.yaml");
        fs::write(&rendered, output(command(&helm).args(["template", "toolweaver", CHART]).args(given))?)?;
        for version in KUBERNETES_VERSIONS {
            let mut validate = tool(&packages, "kubernetes-validate");
            validate.args(["--strict", "--quiet", "--kubernetes-version", version]);
            output(validate.arg(&rendered)).with_context(|| format!("{CHART} with {shown}"))?;
        }
        println!("{CHART} with {shown}: valid for Kubernetes {}", KUBERNETES_VERSIONS.join(", "));
    }
    Ok(())
}

/// `cargo xtask compose-check`.
pub(crate) fn compose_check() -> Result<()> {
    let packages = parts::python_packages()?;
    output(tool(&packages, "docker-compose").args(["--file", "docker-compose.yml", "config", "--quiet"]))?;
    output(tool(&packages, "hadolint").arg("deploy/Dockerfile"))?;
    output(command(parts::runtime()?.nats_server).args(["-t", "-c", "deploy/nats/nats.conf"]))?;
    println!("docker-compose.yml, deploy/Dockerfile and deploy/nats/nats.conf are valid");
    Ok(())
}

/// Every environment variable that the compose file or the chart sets must be one that its program reads; `programs` is
/// where they were built.
pub(crate) fn environment_check(programs: &Path) -> Result<()> {
    let packages = parts::python_packages()?;
    let mut config = tool(&packages, "docker-compose");
    config.args(["--file", "docker-compose.yml", "config", "--format", "json"]);
    let compose: Value = serde_json::from_str(&output(&mut config)?)?;
    for service in compose["services"].as_object().into_iter().flat_map(serde_json::Map::values) {
        let names = service["environment"].as_object().into_iter().flat_map(serde_json::Map::keys);
        if let Some(program) = service["build"]["args"]["SERVICE"].as_str() {
            reads_all("docker-compose.yml", &programs.join(program), names.map(String::as_str))?;
        }
    }
    let helm = parts::helm()?;
    for values in values_files()? {
        let mut template = command(&helm);
        template.args(["template", "toolweaver", CHART, "--values"]).arg(&values);
        for document in output(&mut template)?.split("\n---\n") {
            let Some((_, rest)) = document.split_once("app.kubernetes.io/component: ") else { continue };
            let program = format!("toolweaver-{}", rest.lines().next().unwrap_or_default());
            let names = document.lines().filter_map(|line| {
                let name =
                    line.trim_start().strip_prefix("- ")?.trim_start_matches("{ ").strip_prefix("name: ")?;
                // Containers, ports and volumes have names too, in lower case.
                let name = name.split(',').next()?;
                name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_').then_some(name)
            });
            reads_all(CHART, &programs.join(program), names)?;
        }
    }
    println!("every environment variable of docker-compose.yml and {CHART} is one that its program reads");
    Ok(())
}

/// Fails for a name that the program's `--help` does not list.
fn reads_all<'a>(file: &str, program: &Path, names: impl Iterator<Item = &'a str>) -> Result<()> {
    let help = output(command(program).arg("--help"))?;
    let listed =
        |name: &str| help.contains(&format!("[env: {name}=")) || help.contains(&format!("[env: {name}]"));
    let unknown: Vec<&str> = names.filter(|name| !listed(name)).collect();
    if !unknown.is_empty() {
        bail!("{file} sets {unknown:?}, which {} does not read", program.display());
    }
    Ok(())
}

/// The combinations of values that the chart is checked with. Its defaults alone lack the required addresses.
fn values_files() -> Result<Vec<PathBuf>> {
    let folder = root().join(CHART).join("ci");
    let mut files = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("could not list {}", folder.display()))? {
        files.push(entry?.path());
    }
    files.sort();
    Ok(files)
}

/// A program of one of the Python packages.
fn tool(packages: &Path, program: &str) -> Command {
    let mut tool = command(packages.join("bin").join(program));
    tool.env("PYTHONPATH", packages);
    tool
}
