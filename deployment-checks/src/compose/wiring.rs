//! Addresses by which the servers of the compose file find each other: none of their own programs is at hand
//! to tell.

use serde_json::Value;

/// Checks that every pipeline of the collector names components that are defined, and that each of these is
/// used.
pub fn pipeline_faults(collector: &Value) -> Vec<String> {
    let service = &collector["service"];
    let mut faults = Vec::new();
    for kind in ["receivers", "processors", "exporters", "extensions"] {
        let used: Vec<&Value> = if kind == "extensions" {
            entries(&service[kind]).collect()
        } else {
            values(&service["pipelines"]).flat_map(|pipeline| entries(&pipeline[kind])).collect()
        };
        let defined: Vec<&String> =
            collector[kind].as_object().into_iter().flat_map(|them| them.keys()).collect();
        let undefined = used.iter().filter(|name| !defined.iter().any(|defined| *name == defined));
        faults.extend(undefined.map(|name| format!("collector: {kind} has no {name}")));
        let unused = defined.iter().filter(|name| !used.iter().any(|used| used == *name));
        faults.extend(unused.map(|name| format!("collector: {name} of {kind} is not used")));
    }
    for pipeline in values(&service["pipelines"]) {
        if entries(&pipeline["receivers"]).count() == 0 || entries(&pipeline["exporters"]).count() == 0 {
            faults.push("collector: a pipeline has no beginning or no end".to_owned());
        }
    }
    faults
}

/// Checks that Prometheus asks each worker, that is each service with the worker's health check, and nobody
/// else.
pub fn target_faults(prometheus: &Value, services: &Value) -> Vec<String> {
    let lookups = entries(&prometheus["scrape_configs"]).flat_map(|job| entries(&job["dns_sd_configs"]));
    let mut asked: Vec<&str> =
        lookups.flat_map(|lookup| entries(&lookup["names"])).filter_map(Value::as_str).collect();
    let checked = |service: &Value| service["healthcheck"]["test"][2] == "--healthcheck";
    let mut workers: Vec<&str> = services
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, service)| checked(service))
        .map(|(name, _)| name.as_str())
        .collect();
    asked.sort_unstable();
    workers.sort_unstable();
    if asked == workers {
        Vec::new()
    } else {
        vec![format!("Prometheus asks {asked:?}, the workers are {workers:?}")]
    }
}

/// Checks that Grafana reads its dashboards where they are mounted.
pub fn dashboard_faults(providers: &Value, services: &Value) -> Vec<String> {
    let mounted =
        |path: &Value| entries(&services["grafana"]["volumes"]).any(|volume| volume["target"] == *path);
    let paths = entries(&providers["providers"]).map(|provider| &provider["options"]["path"]);
    paths
        .filter(|path| !mounted(path))
        .map(|path| format!("Grafana reads dashboards from {path}, where nothing is mounted"))
        .collect()
}

/// Checks that every host without a dot in its name is a service; with one it is an address, or outside.
pub fn host_faults(file: &str, content: &Value, services: &Value) -> Vec<String> {
    let mut texts = Vec::new();
    collect_texts(content, &mut texts);
    let hosts = texts.into_iter().filter_map(host).filter(|host| !host.contains('.'));
    hosts
        .filter(|host| services.get(host).is_none())
        .map(|host| format!("{file}: there is no service {host}"))
        .collect()
}

/// Returns the host of `scheme://host:port` or `host:port`.
fn host(text: &str) -> Option<&str> {
    let (is_url, rest) = text.split_once("://").map_or((false, text), |(_, rest)| (true, rest));
    let (host, port) = rest.split('/').next()?.split_once(':').unwrap_or((rest, ""));
    let is_port = !port.is_empty() && port.chars().all(|c| c.is_ascii_digit());
    // `999:1000` is a user and its group.
    let is_name = host.starts_with(|c: char| c.is_ascii_lowercase());
    ((is_url || is_port) && is_name).then_some(host)
}

fn collect_texts<'a>(value: &'a Value, texts: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(entries) => entries.iter().for_each(|entry| collect_texts(entry, texts)),
        Value::Object(fields) => fields.values().for_each(|field| collect_texts(field, texts)),
        _ => {}
    }
}

fn entries(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn values(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_object().into_iter().flat_map(serde_json::Map::values)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pipelines_name_what_is_defined_and_nothing_is_left_over() {
        let mut collector = json!({
            "receivers": { "otlp": {} }, "exporters": { "out": {} }, "extensions": { "health": {} },
            "service": { "extensions": ["health"], "pipelines": { "traces": { "receivers": ["otlp"], "exporters": ["out"] } } }
        });
        assert_eq!(pipeline_faults(&collector), Vec::<String>::new());
        collector["service"]["pipelines"]["traces"]["exporters"] = json!(["else"]);
        assert_eq!(
            pipeline_faults(&collector),
            ["collector: exporters has no \"else\"", "collector: out of exporters is not used"]
        );
        collector["service"]["pipelines"]["traces"] = json!({ "receivers": ["otlp"] });
        assert!(
            pipeline_faults(&collector)
                .contains(&"collector: a pipeline has no beginning or no end".to_owned())
        );
    }

    #[test]
    fn every_worker_is_asked() {
        let services = json!({
            "one": { "healthcheck": { "test": ["CMD", "service", "--healthcheck"] } }, "redis": {}
        });
        let asking =
            |names: &[&str]| json!({ "scrape_configs": [{ "dns_sd_configs": [{ "names": names }] }] });
        assert_eq!(target_faults(&asking(&["one"]), &services), Vec::<String>::new());
        assert_eq!(target_faults(&asking(&[]), &services).len(), 1);
        assert_eq!(target_faults(&asking(&["one", "redis"]), &services).len(), 1);
    }

    #[test]
    fn dashboards_are_mounted() {
        let providers = json!({ "providers": [{ "options": { "path": "/here" } }] });
        let services = |target: &str| json!({ "grafana": { "volumes": [{ "target": target }] } });
        assert_eq!(dashboard_faults(&providers, &services("/here")), Vec::<String>::new());
        assert_eq!(dashboard_faults(&providers, &services("/there")).len(), 1);
    }

    #[test]
    fn hosts_are_services() {
        let services = json!({ "nats": {} });
        let content = json!({
            "a": ["nats://nats:4222", "http://127.0.0.1:1/", "https://example.com", "0.0.0.0:4317", "999:1000", "CMD"]
        });
        assert_eq!(host_faults("f", &content, &services), Vec::<String>::new());
        for wrong in ["http://nots:4222/x", "nots:4222"] {
            assert_eq!(host_faults("f", &json!({ "b": wrong }), &services), ["f: there is no service nots"]);
        }
    }
}
