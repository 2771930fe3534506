//! `cargo xtask environment-check`: every environment variable that is set is one that its program reads, and
//! each that a worker reads can be set.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use toolweaver_deployment_checks::chart::{containers, pod};
use toolweaver_deployment_checks::environment::{WORKERS, listed, program, set_by, words};

use super::CHART;
use super::rendered::{render, values_files};
use crate::downloads;
use crate::process::{Scratch, command, output, root, tool};

/// Definitions of the workers' settings in the schema of the chart's values, in the order of [`WORKERS`].
const CONFIGS: [&str; 3] = ["embeddingWorkerConfig", "cacheInvalidatorConfig", "queryWorkerConfig"];

/// Compares the chart and the compose file with the programs built in `programs`.
pub(crate) fn environment_check(programs: &Path) -> Result<()> {
    compose(programs)?;
    let settable = chart(programs)?;
    for (program, config) in WORKERS.into_iter().zip(CONFIGS) {
        let settable = &settable[program];
        let missing: Vec<String> = environment(programs, &[program])?.difference(settable).cloned().collect();
        if !missing.is_empty() {
            bail!(
                "{program} reads {missing:?}, which {CHART} can set neither by {config} nor by any of ci/*.yaml"
            );
        }
    }
    println!("docker-compose.yml and {CHART} set what their programs read, and the chart can set all of it");
    Ok(())
}

fn compose(programs: &Path) -> Result<()> {
    let packages = downloads::python_packages()?;
    let mut config = tool(&packages, "docker-compose");
    config.args(["--file", "docker-compose.yml", "--profile", "*", "config", "--format", "json"]);
    let compose: Value = serde_json::from_str(&output(&mut config)?)?;
    let mut checked = 0;
    for service in compose["services"].as_object().into_iter().flat_map(serde_json::Map::values) {
        let names = service["environment"].as_object().into_iter().flat_map(serde_json::Map::keys);
        if let Some(program) = service["build"]["args"]["SERVICE"].as_str() {
            let words = words(program, &service["command"]);
            // The client's container is run with other commands too: of them `doctor` asks every part.
            let words = if words.get(1) == Some(&"register") { vec![program, "doctor"] } else { words };
            reads_all("docker-compose.yml", programs, &words, names.map(String::as_str))?;
            checked += 1;
        }
    }
    if checked == 0 {
        bail!("docker-compose.yml builds no program, or says so in another way than by build.args.SERVICE");
    }
    Ok(())
}

/// Returns the variables that the chart can set for each worker.
fn chart(programs: &Path) -> Result<BTreeMap<&'static str, BTreeSet<String>>> {
    let schema: Value =
        serde_json::from_str(&fs::read_to_string(root().join(CHART).join("values.schema.json"))?)?;
    let mut settable = BTreeMap::new();
    for (program, config) in WORKERS.into_iter().zip(CONFIGS) {
        let names = schema["definitions"][config]["properties"].as_object();
        let names: BTreeSet<String> = names
            .with_context(|| format!("values.schema.json defines no {config}"))?
            .keys()
            .cloned()
            .collect();
        reads_all(config, programs, &[program], names.iter().map(String::as_str))?;
        settable.insert(program, names);
    }
    let scratch = Scratch::new(&downloads::folder(), "environment-check")?;
    for values in values_files()? {
        let rendered = render(&scratch, "rendered.yaml", "toolweaver", &["--values", &values])?;
        for container in rendered.documents.iter().filter_map(pod).flat_map(|(_, spec)| containers(spec)) {
            let Some(words) = program(container) else { continue };
            let names = set_by(container, &rendered.documents);
            reads_all(&values, programs, &words, names.iter().map(String::as_str))?;
            if let Some(settable) = settable.get_mut(words[0]) {
                settable.extend(names);
            }
        }
    }
    Ok(settable)
}

/// Fails for a name that the program's `--help` does not list.
fn reads_all<'a>(
    file: &str,
    programs: &Path,
    words: &[&str],
    names: impl Iterator<Item = &'a str>,
) -> Result<()> {
    let read = environment(programs, words)?;
    let unknown: Vec<&str> = names.filter(|name| !read.contains(*name)).collect();
    if !unknown.is_empty() {
        bail!("{file} sets {unknown:?}, which {} does not read", words.join(" "));
    }
    Ok(())
}

/// Returns the names of the variables that a program reads, as its `--help` says.
fn environment(programs: &Path, words: &[&str]) -> Result<BTreeSet<String>> {
    let help = output(command(programs.join(words[0])).args(&words[1..]).arg("--help"))?;
    let names: BTreeSet<String> = listed(&help);
    if names.is_empty() {
        bail!("{} --help names no environment variable", words.join(" "));
    }
    Ok(names)
}
