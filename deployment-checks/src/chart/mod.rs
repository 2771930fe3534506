//! Rendered objects of the chart: all that Kubernetes would take, and that would not work.

mod pods;
mod references;

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// Longest name of an object.
const NAME_LENGTH_MAX: usize = 63;
/// Longest name of a `StatefulSet`: it becomes a label together with eleven characters of a hash.
const STATEFUL_SET_NAME_LENGTH_MAX: usize = 52;

/// Returns all faults of the objects that the chart renders.
pub fn faults(documents: &[Value]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut titles = BTreeSet::new();
    for document in documents {
        let title = title(document);
        let mut found = references::references(documents, document);
        found.extend(references::selectors(documents, document));
        if let Some((_, spec)) = pod(document) {
            found.extend(pods::faults(&with_claims(document, spec)));
        }
        if !titles.insert(title.clone()) {
            found.push("stands there twice".to_owned());
        }
        let name_length_max =
            if document["kind"] == "StatefulSet" { STATEFUL_SET_NAME_LENGTH_MAX } else { NAME_LENGTH_MAX };
        if text(&document["metadata"]["name"]).len() > name_length_max {
            found.push(format!("its name has more than {name_length_max} characters"));
        }
        faults.extend(found.into_iter().map(|fault| format!("{title}: {fault}")));
    }
    faults
}

/// Returns a pod's spec with the volumes that its `StatefulSet` claims.
fn with_claims(document: &Value, spec: &Value) -> Value {
    let mut spec = spec.clone();
    let mut volumes = items(&spec["volumes"]).to_vec();
    for claim in items(&document["spec"]["volumeClaimTemplates"]) {
        volumes.push(json!({ "name": claim["metadata"]["name"], "persistentVolumeClaim": {} }));
    }
    spec["volumes"] = Value::Array(volumes);
    spec
}

/// Returns kind and name, to say which document is meant.
pub fn title(document: &Value) -> String {
    format!("{} {}", text(&document["kind"]), text(&document["metadata"]["name"]))
}

/// Returns a string, or "" for anything else.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Returns the items of an array, none of anything else.
pub fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Returns metadata and spec of the pod that a document describes, itself or by its template.
pub fn pod(document: &Value) -> Option<(&Value, &Value)> {
    match text(&document["kind"]) {
        "Pod" => Some((&document["metadata"], &document["spec"])),
        "Deployment" | "StatefulSet" | "Job" => {
            let template = &document["spec"]["template"];
            Some((&template["metadata"], &template["spec"]))
        }
        _ => None,
    }
}

/// Returns all containers of a pod.
pub fn containers(spec: &Value) -> impl Iterator<Item = &Value> {
    items(&spec["initContainers"]).iter().chain(items(&spec["containers"]))
}
