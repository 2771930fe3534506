//! Names of environment variables: those that a container sets, and those that a program's `--help` lists.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::chart::{items, text};

/// Programs of the workers; an image is named like its program, without the prefix.
pub const WORKERS: [&str; 3] =
    ["toolweaver-embedding-worker", "toolweaver-cache-invalidator", "toolweaver-query-worker"];

/// Returns the program of a container of ours, and its subcommands.
pub fn program(container: &Value) -> Option<Vec<&str>> {
    let (_, image) = text(&container["image"]).rsplit_once("toolweaver/")?;
    let service = image.split(':').next()?.trim_end_matches("-cuda");
    let worker = WORKERS.iter().find(|program| program.strip_prefix("toolweaver-") == Some(service));
    Some(worker.map_or_else(|| words("toolweaver", &container["args"]), |program| vec![*program]))
}

/// Returns a program and its subcommands: the arguments before the first option.
pub fn words<'a>(program: &'a str, arguments: &'a Value) -> Vec<&'a str> {
    let subcommands = items(arguments).iter().map(text).take_while(|word| !word.starts_with('-'));
    std::iter::once(program).chain(subcommands).collect()
}

/// Returns the names of a container's variables, from its `ConfigMap`s too.
pub fn set_by(container: &Value, documents: &[Value]) -> BTreeSet<String> {
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

/// Returns each NAME in `[env: NAME=value]` or `[env: NAME]`, as clap writes it, perhaps over two lines.
pub fn listed(help: &str) -> BTreeSet<String> {
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
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
            listed("a [env: A_B=] [default: 1]\n [env:\n      C]").into_iter().collect::<Vec<_>>(),
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
