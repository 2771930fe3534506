//! `cargo xtask compose-check`: the compose file, the images, and the configuration of the servers beside the
//! workers.
//!
//! There is no Docker engine in it: all that can be known without one is checked here, and
//! `.github/workflows/images.yml` starts it all.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use toolweaver_deployment_checks::compose::{images, services, wiring};

use crate::process::{command, output, root, tool};
use crate::{downloads, yaml};

const FILE: &str = "docker-compose.yml";
const DOCKERFILES: [&str; 3] =
    ["deploy/Dockerfile", "deploy/Dockerfile.cuda", "deploy/otel-collector/Dockerfile"];
const NATS: &str = "deploy/nats/nats.conf";
const PROMETHEUS: &str = "deploy/prometheus/prometheus.yml";
const COLLECTOR: &str = "deploy/otel-collector/config.yaml";
const DATA_SOURCES: &str = "deploy/grafana/provisioning/datasources/datasources.yaml";
const PROVIDERS: &str = "deploy/grafana/provisioning/dashboards/dashboards.yaml";
/// Variables that the compose file takes from the environment. A developer's own values are not what is
/// checked.
const VARIABLES: [&str; 3] = ["GRAFANA_ADMIN_PASSWORD", "HF_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

pub(crate) fn compose_check() -> Result<()> {
    let packages = downloads::python_packages()?;
    let without = config(&packages, &["--quiet"], &[]);
    without.context("without a profile")?;
    let all = config(&packages, &["--format", "json"], &["--profile", "observability"])?;
    let services = serde_json::from_str::<Value>(&all)?["services"].take();

    let mut faults = services::faults(&services, Path::exists);
    for file in DOCKERFILES {
        output(tool(&packages, "hadolint").arg(file))?;
        faults.extend(images::toolchain_faults(file, &read(file)?, &read("rust-toolchain.toml")?));
    }
    faults.extend(images::program_faults(&services, &read(DOCKERFILES[0])?));
    faults.extend(images::context_faults(&read(".dockerignore")?, |path| root().join(path).exists()));

    output(command(downloads::runtime()?.nats_server).args(["-t", "-c", NATS]))?;
    output(command(downloads::promtool()?).args(["check", "config", PROMETHEUS]))?;
    let collector = yaml(COLLECTOR)?;
    faults.extend(wiring::pipeline_faults(&collector));
    let (prometheus, data_sources) = (yaml(PROMETHEUS)?, yaml(DATA_SOURCES)?);
    faults.extend(wiring::target_faults(&prometheus, &services));
    faults.extend(wiring::dashboard_faults(&yaml(PROVIDERS)?, &services));
    for (file, content) in [(COLLECTOR, &collector), (DATA_SOURCES, &data_sources), (FILE, &services)] {
        faults.extend(wiring::host_faults(file, content, &services));
    }
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    println!(
        "{FILE}, {}, {NATS}, {PROMETHEUS}, {COLLECTOR} and deploy/grafana are valid",
        DOCKERFILES.join(", ")
    );
    Ok(())
}

/// Returns the compose file as Compose understands it.
fn config(packages: &Path, how: &[&str], profile: &[&str]) -> Result<String> {
    let mut compose = tool(packages, "docker-compose");
    for variable in VARIABLES {
        compose.env_remove(variable);
    }
    output(compose.args(["--env-file", "/dev/null", "--file", FILE]).args(profile).arg("config").args(how))
}

fn read(file: &str) -> Result<String> {
    std::fs::read_to_string(root().join(file)).with_context(|| format!("could not read {file}"))
}

fn yaml(file: &str) -> Result<Value> {
    yaml::document(&root().join(file))
}
