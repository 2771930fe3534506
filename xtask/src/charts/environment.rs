//! Every environment variable that is set must be one that its program reads, and each that a worker reads can be set.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::CHART;
use super::rendered::{containers, items, pod, render, text, values_files};
use crate::downloads;
use crate::process::{Scratch, command, output, root, tool};

/// Workers, and where their settings stand in the chart's values.
const WORKERS: [(&str, &str); 3] = [
    ("toolweaver-embedding-worker", "embeddingWorkerConfig"),
    ("toolweaver-cache-invalidator", "cacheInvalidatorConfig"),
    ("toolweaver-query-worker", "queryWorkerConfig"),
];

/// `programs` is where they were built.
pub(crate) fn environment_check(programs: &Path) -> Result<()> {
    compose(programs)?;
    let settable = chart(programs)?;
    for (program, config) in WORKERS {
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

/// What the chart can set for each worker.
fn chart(programs: &Path) -> Result<BTreeMap<&'static str, BTreeSet<String>>> {
    let schema: Value =
        serde_json::from_str(&fs::read_to_string(root().join(CHART).join("values.schema.json"))?)?;
    let mut settable = BTreeMap::new();
    for (program, config) in WORKERS {
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

/// The program of a container of ours, and its subcommands.
fn program(container: &Value) -> Option<Vec<&str>> {
    let (_, image) = text(&container["image"]).rsplit_once("toolweaver/")?;
    let service = image.split(':').next()?.trim_end_matches("-cuda");
    if let Some((program, _)) =
        WORKERS.iter().find(|(program, _)| program.strip_prefix("toolweaver-") == Some(service))
    {
        return Some(vec![*program]);
    }
    Some(words("toolweaver", &container["args"]))
}

/// A program and its subcommands: what stands in its arguments before the first option.
fn words<'a>(program: &'a str, arguments: &'a Value) -> Vec<&'a str> {
    let subcommands = items(arguments).iter().map(text).take_while(|word| !word.starts_with('-'));
    std::iter::once(program).chain(subcommands).collect()
}

/// The names of a container's variables, from its `ConfigMap`s too.
fn set_by(container: &Value, documents: &[Value]) -> BTreeSet<String> {
    let mut names: BTreeSet<String> =
        items(&container["env"]).iter().map(|variable| text(&variable["name"]).to_owned()).collect();
    for source in items(&container["envFrom"]) {
        let map = documents.iter().find(|document| {
            document["kind"] == "ConfigMap" && document["metadata"]["name"] == source["configMapRef"]["name"]
        });
        let keys = map.and_then(|map| map["data"].as_object()).into_iter().flat_map(serde_json::Map::keys);
        // Files lie beside the variables; Kubernetes passes over keys that are no names of variables.
        names.extend(keys.filter(|key| !key.contains('.')).cloned());
    }
    names
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

/// The names of the variables that a program reads, as its `--help` says.
fn environment(programs: &Path, words: &[&str]) -> Result<BTreeSet<String>> {
    let help = output(command(programs.join(words[0])).args(&words[1..]).arg("--help"))?;
    let names: BTreeSet<String> = listed(&help);
    if names.is_empty() {
        bail!("{} --help names no environment variable", words.join(" "));
    }
    Ok(names)
}

/// What stands in `[env: NAME=value]` or `[env: NAME]`.
fn listed(help: &str) -> BTreeSet<String> {
    let after = help.split("[env: ").skip(1);
    after.filter_map(|rest| Some(rest.split([']', '=']).next()?.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{listed, program, set_by};

    #[test]
    fn names_are_read_with_and_without_a_value() {
        assert_eq!(
            listed("a [env: A_B=] [default: 1]\n [env: C]").into_iter().collect::<Vec<_>>(),
            ["A_B", "C"]
        );
    }

    #[test]
    fn images_tell_programs() {
        let of = |image: &str| {
            program(&json!({ "image": image, "args": ["model", "pull", "--data-dir"] }))
                .map(|words| words.join(" "))
        };
        assert_eq!(
            of("registry.example.com/toolweaver/query-worker:1").as_deref(),
            Some("toolweaver-query-worker")
        );
        assert_eq!(of("toolweaver/embedding-worker-cuda:1").as_deref(), Some("toolweaver-embedding-worker"));
        assert_eq!(of("toolweaver/toolweaver:1").as_deref(), Some("toolweaver model pull"));
        assert_eq!(of("nats:2"), None);
    }

    #[test]
    fn config_maps_set_variables_and_hold_files() {
        let map =
            json!({ "kind": "ConfigMap", "metadata": { "name": "m" }, "data": { "B": "1", "warm.txt": "" } });
        let container = json!({ "env": [{ "name": "A" }], "envFrom": [{ "configMapRef": { "name": "m" } }] });
        assert_eq!(set_by(&container, &[map]).into_iter().collect::<Vec<_>>(), ["A", "B"]);
    }
}
