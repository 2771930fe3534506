//! Rules for every service of the compose file.

use std::path::Path;

use serde_json::Value;

/// Returns each rule that a service breaks, as a sentence. `exists` is true for a file that is there.
pub fn faults(services: &Value, exists: impl Fn(&Path) -> bool) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, service) in services.as_object().into_iter().flatten() {
        let mut fault = |text: String| faults.push(format!("{name}: {text}"));
        let image = service["image"].as_str().unwrap_or_default();
        if !is_pinned(image) {
            fault(format!("the image {image:?} has no tag that names a version"));
        }
        for port in list(&service["ports"]) {
            if port["host_ip"] != "127.0.0.1" {
                fault(format!("port {} is open to other machines", port["published"]));
            }
        }
        for volume in list(&service["volumes"]).filter(|volume| volume["type"] == "bind") {
            let source = volume["source"].as_str().unwrap_or_default();
            if !exists(Path::new(source)) {
                fault(format!("{source} does not exist"));
            }
            if volume["read_only"] != true {
                fault(format!("{source} could be written from inside"));
            }
        }
        let probe = &service["healthcheck"]["test"];
        if service["restart"] != "no" && probe[0] != "CMD" {
            fault("runs for long, and has no health check that does without a shell".to_owned());
        }
        let has = |setting: &str, value: &str| list(&service[setting]).any(|entry| entry == value);
        if service["read_only"] != true
            || !has("cap_drop", "ALL")
            || !has("security_opt", "no-new-privileges:true")
        {
            fault("is not hardened as the others are".to_owned());
        }
    }
    faults
}

/// Returns true for an image whose tag names a version: that has a number with a dot in it; `latest` and `3`
/// move.
fn is_pinned(image: &str) -> bool {
    let name = image.rsplit('/').next().unwrap_or_default();
    name.split_once(':').is_some_and(|(_, tag)| {
        tag.split('-').next().is_some_and(|version| {
            version.contains('.')
                && version.trim_start_matches('v').chars().all(|c| c.is_ascii_digit() || c == '.')
        })
    })
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service() -> Value {
        json!({
            "image": "example.com:5000/nats:2.15.1-alpine", "restart": "unless-stopped", "read_only": true,
            "cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"],
            "ports": [{ "host_ip": "127.0.0.1", "published": "4222" }],
            "volumes": [{ "type": "bind", "source": "/there", "read_only": true }, { "type": "volume", "source": "data" }],
            "healthcheck": { "test": ["CMD", "probe"] }
        })
    }

    fn found(service: &Value) -> Vec<String> {
        faults(&json!({ "one": service }), |path| path == Path::new("/there"))
    }

    #[test]
    fn a_service_that_keeps_to_the_rules_has_no_fault() {
        assert_eq!(found(&service()), Vec::<String>::new());
    }

    #[test]
    fn each_broken_rule_is_one_fault() {
        let broken = [
            ("/image", json!("nats"), "no tag"),
            ("/image", json!("nats:latest"), "no tag"),
            ("/image", json!("nats:2"), "no tag"),
            ("/ports/0/host_ip", json!(null), "open to other machines"),
            ("/volumes/0/source", json!("/gone"), "does not exist"),
            ("/volumes/0/read_only", json!(null), "could be written"),
            ("/healthcheck", json!(null), "no health check"),
            ("/healthcheck/test/0", json!("CMD-SHELL"), "no health check"),
            ("/read_only", json!(false), "not hardened"),
            ("/cap_drop", json!([]), "not hardened"),
            ("/security_opt", json!(null), "not hardened"),
        ];
        for (place, value, expected) in broken {
            let mut service = service();
            *service.pointer_mut(place).unwrap() = value;
            let found = found(&service);
            assert!(found.len() == 1 && found[0].contains(expected), "{place}: {found:?}");
        }
    }

    #[test]
    fn what_runs_once_needs_no_health_check() {
        let mut service = service();
        service["restart"] = json!("no");
        service["healthcheck"] = json!(null);
        assert_eq!(found(&service), Vec::<String>::new());
    }
}
