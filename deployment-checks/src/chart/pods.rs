//! Rules for every pod of the chart: Pod Security's level `restricted`, a read-only root, and time to end.

use serde_json::Value;

use super::{containers, items, text};

/// Volumes that the level `restricted` allows, as far as the chart may use them.
const VOLUMES: [&str; 5] = ["configMap", "emptyDir", "image", "persistentVolumeClaim", "secret"];

/// Returns all faults of a pod's spec.
pub(super) fn faults(spec: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let mut expect = |holds: bool, what: &str| {
        if !holds {
            faults.push(what.to_owned());
        }
    };
    let security = &spec["securityContext"];
    expect(security["runAsNonRoot"] == true, "runAsNonRoot is not true");
    expect(security["runAsUser"].as_u64().is_some_and(|user| user > 0), "runAsUser is missing, or root");
    expect(security["seccompProfile"]["type"] == "RuntimeDefault", "seccompProfile is not RuntimeDefault");
    expect(spec["automountServiceAccountToken"] == false, "a service account token is mounted");
    expect(spec["enableServiceLinks"] == false, "addresses of Services come as environment");
    for host in ["hostNetwork", "hostPID", "hostIPC"] {
        expect(spec[host].is_null(), &format!("{host} is set"));
    }
    for volume in items(&spec["volumes"]) {
        let allowed = VOLUMES.iter().any(|kind| !volume[*kind].is_null());
        expect(allowed, &format!("volume {} is of another kind than allowed", text(&volume["name"])));
    }
    for container in containers(spec) {
        let name = text(&container["name"]);
        let mut expect = |holds: bool, what: &str| expect(holds, &format!("container {name}: {what}"));
        let security = &container["securityContext"];
        expect(security["allowPrivilegeEscalation"] == false, "allowPrivilegeEscalation is not false");
        expect(security["readOnlyRootFilesystem"] == true, "readOnlyRootFilesystem is not true");
        expect(security["privileged"].is_null(), "privileged is set");
        expect(security["capabilities"] == serde_json::json!({ "drop": ["ALL"] }), "capabilities are kept");
        expect(!container["resources"]["requests"].is_null(), "no resources are requested");
        expect(!container["resources"]["limits"]["memory"].is_null(), "memory has no limit");
        expect(items(&container["ports"]).iter().all(|port| port["hostPort"].is_null()), "a hostPort is set");
        for mount in items(&container["volumeMounts"]) {
            expect(
                is_volume(spec, text(&mount["name"])),
                &format!("mounts {}, which is no volume", mount["name"]),
            );
        }
        if let Some(drain) =
            environment(container, "DRAIN_TIMEOUT_SECONDS").and_then(|value| value.parse::<u64>().ok())
        {
            let pause = container["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().unwrap_or_default();
            let grace = spec["terminationGracePeriodSeconds"].as_u64().unwrap_or_default();
            expect(grace > pause + drain, "the grace period ends before the worker may have drained");
        }
    }
    faults
}

fn environment<'a>(container: &'a Value, name: &str) -> Option<&'a str> {
    items(&container["env"]).iter().find(|variable| variable["name"] == name)?["value"].as_str()
}

/// Returns true for a volume of the pod. The caller has added the claim templates of a `StatefulSet`.
fn is_volume(spec: &Value, name: &str) -> bool {
    items(&spec["volumes"]).iter().any(|volume| volume["name"] == name)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::faults;

    fn good() -> Value {
        json!({
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "securityContext": { "runAsNonRoot": true, "runAsUser": 1, "seccompProfile": { "type": "RuntimeDefault" } },
            "terminationGracePeriodSeconds": 40,
            "volumes": [{ "name": "data", "emptyDir": {} }],
            "containers": [{
                "name": "worker",
                "env": [{ "name": "DRAIN_TIMEOUT_SECONDS", "value": "25" }],
                "lifecycle": { "preStop": { "sleep": { "seconds": 5 } } },
                "resources": { "requests": { "cpu": 1 }, "limits": { "memory": "1Gi" } },
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "readOnlyRootFilesystem": true,
                    "capabilities": { "drop": ["ALL"] },
                },
                "volumeMounts": [{ "name": "data", "mountPath": "/data" }],
            }],
        })
    }

    #[test]
    fn a_restricted_pod_has_no_faults() {
        assert_eq!(faults(&good()), Vec::<String>::new());
    }

    #[test]
    fn each_departure_is_one_fault() {
        let departures = [
            ("/securityContext/runAsNonRoot", json!(false)),
            ("/securityContext/runAsUser", json!(0)),
            ("/securityContext/seccompProfile", json!(null)),
            ("/automountServiceAccountToken", json!(true)),
            ("/enableServiceLinks", json!(null)),
            ("/volumes/0", json!({ "name": "data", "hostPath": { "path": "/" } })),
            ("/containers/0/securityContext/allowPrivilegeEscalation", json!(true)),
            ("/containers/0/securityContext/readOnlyRootFilesystem", json!(false)),
            ("/containers/0/securityContext/capabilities", json!({ "drop": ["ALL"], "add": ["NET_ADMIN"] })),
            ("/containers/0/resources/limits/memory", json!(null)),
            ("/containers/0/volumeMounts/0/name", json!("other")),
            ("/terminationGracePeriodSeconds", json!(30)),
        ];
        for (place, departure) in departures {
            let mut pod = good();
            *pod.pointer_mut(place).unwrap() = departure;
            assert_eq!(faults(&pod).len(), 1, "{place}: {:?}", faults(&pod));
        }
    }
}
