//! References and selectors of rendered objects that lead nowhere.

use serde_json::Value;

use super::{containers, items, pod, text, title};

fn exists(documents: &[Value], kind: &str, name: &Value) -> bool {
    documents.iter().any(|document| document["kind"] == kind && document["metadata"]["name"] == *name)
}

/// Returns the references of a document to objects that the chart does not render. Secrets are the user's
/// own.
pub(super) fn references(documents: &[Value], document: &Value) -> Vec<String> {
    let mut named = Vec::new();
    if let Some((_, spec)) = pod(document) {
        named.push(("ServiceAccount", &spec["serviceAccountName"]));
        for volume in items(&spec["volumes"]) {
            named.push(("ConfigMap", &volume["configMap"]["name"]));
        }
        for container in containers(spec) {
            for source in items(&container["envFrom"]) {
                named.push(("ConfigMap", &source["configMapRef"]["name"]));
            }
        }
    }
    let spec = &document["spec"];
    named.push(("Service", &spec["serviceName"]));
    let scaled = match text(&document["kind"]) {
        "HorizontalPodAutoscaler" | "ScaledObject" => &spec["scaleTargetRef"]["name"],
        _ => &Value::Null,
    };
    named.push(("Deployment", scaled));
    let mut faults: Vec<String> = named
        .into_iter()
        .filter(|(kind, name)| !name.is_null() && !exists(documents, kind, name))
        .map(|(kind, name)| format!("there is no {kind} {name}"))
        .collect();
    let target =
        documents.iter().find(|other| other["kind"] == "Deployment" && other["metadata"]["name"] == *scaled);
    if target.is_some_and(|target| !target["spec"]["replicas"].is_null()) {
        faults.push("what it scales has replicas of its own, which each upgrade would set again".to_owned());
    }
    faults
}

/// Returns the selectors of a document that select nothing, or the pods of somebody else.
pub(super) fn selectors(documents: &[Value], document: &Value) -> Vec<String> {
    let labels_of_pods = || documents.iter().filter_map(|other| Some((other, &pod(other)?.0["labels"])));
    let spec = &document["spec"];
    let mut faults = Vec::new();
    match text(&document["kind"]) {
        "Service" if !labels_of_pods().any(|(_, labels)| selects(&spec["selector"], labels)) => {
            faults.push("it selects no pod".to_owned());
        }
        "PodDisruptionBudget"
            if !labels_of_pods().any(|(_, labels)| selects(&spec["selector"]["matchLabels"], labels)) =>
        {
            faults.push("it selects no pod".to_owned());
        }
        "NetworkPolicy"
            if !labels_of_pods().any(|(_, labels)| selects(&spec["podSelector"]["matchLabels"], labels)) =>
        {
            faults.push("it selects no pod".to_owned());
        }
        "ServiceMonitor" => {
            let services = documents.iter().filter(|other| other["kind"] == "Service");
            let selected = services
                .filter(|other| selects(&spec["selector"]["matchLabels"], &other["metadata"]["labels"]))
                .filter(|other| {
                    items(&other["spec"]["ports"])
                        .iter()
                        .any(|port| port["name"] == spec["endpoints"][0]["port"])
                });
            if selected.count() != 1 {
                faults.push("it selects no Service with its port, or more than one".to_owned());
            }
        }
        "Deployment" | "StatefulSet" => {
            for (other, labels) in labels_of_pods() {
                let own = title(other) == title(document);
                if selects(&spec["selector"]["matchLabels"], labels) != own {
                    faults.push(format!("its selector and the pods of {} do not fit", title(other)));
                }
            }
        }
        _ => {}
    }
    let guarded = documents.iter().any(|other| other["kind"] == "NetworkPolicy");
    if let Some((metadata, _)) = pod(document)
        && guarded
        && !documents.iter().any(|other| {
            other["kind"] == "NetworkPolicy"
                && selects(&other["spec"]["podSelector"]["matchLabels"], &metadata["labels"])
        })
    {
        faults.push("no NetworkPolicy is about its pods, where others have one".to_owned());
    }
    faults
}

/// Returns true where a selector selects these labels. An empty one selects nothing here: the chart means
/// none of them.
fn selects(selector: &Value, labels: &Value) -> bool {
    let Some(selector) = selector.as_object().filter(|selector| !selector.is_empty()) else { return false };
    selector.iter().all(|(name, value)| labels[name] == *value)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{references, selectors, selects};

    fn deployment(name: &str, replicas: Option<u32>) -> Value {
        json!({ "kind": "Deployment", "metadata": { "name": name }, "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": { "app": name } },
            "template": { "metadata": { "labels": { "app": name, "more": "x" } }, "spec": {} },
        } })
    }

    #[test]
    fn an_autoscaler_needs_its_target_and_decides_alone() {
        let scaler =
            json!({ "kind": "HorizontalPodAutoscaler", "spec": { "scaleTargetRef": { "name": "a" } } });
        assert_eq!(references(&[deployment("a", None)], &scaler), Vec::<String>::new());
        assert_eq!(references(&[deployment("a", Some(2))], &scaler).len(), 1);
        assert_eq!(references(&[deployment("b", None)], &scaler).len(), 1);
    }

    #[test]
    fn selectors_select_their_own_pods_only() {
        let both = [deployment("a", Some(1)), deployment("b", Some(1))];
        assert_eq!(selectors(&both, &both[0]), Vec::<String>::new());
        let mut wide = both.clone();
        wide[0]["spec"]["selector"]["matchLabels"] = json!({ "more": "x" });
        assert_eq!(selectors(&wide, &wide[0]).len(), 1);
        let service = json!({ "kind": "Service", "spec": { "selector": { "app": "c" } } });
        assert_eq!(selectors(&both, &service).len(), 1);
        assert!(!selects(&json!({}), &json!({ "app": "a" })));
    }

    #[test]
    fn a_pod_without_a_policy_stands_out() {
        let policy =
            json!({ "kind": "NetworkPolicy", "spec": { "podSelector": { "matchLabels": { "app": "a" } } } });
        let documents = [deployment("a", Some(1)), deployment("b", Some(1)), policy];
        assert_eq!(selectors(&documents, &documents[0]), Vec::<String>::new());
        assert_eq!(selectors(&documents, &documents[1]).len(), 1);
    }
}
