//! Checks of what is installed rather than compiled: the chart, the compose file, the image, the NATS configuration.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

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
