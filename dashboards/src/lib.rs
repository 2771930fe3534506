//! Grafana dashboards described as data, and checks of them and of the Prometheus rules.
//!
//! `overview`, `pipeline`, `search` and `caches` describe one dashboard each, in the types of `panel`;
//! `layout` places the panels and `json` writes Grafana's form. `promql` reads the names in a query,
//! [`exported`] compares them with scraped metrics, [`rules`] checks the alerts. No other crate knows
//! Grafana's format, and this one runs no program and reads no file: `xtask` does.

mod caches;
pub mod exported;
mod json;
mod layout;
mod overview;
mod panel;
mod pipeline;
mod promql;
pub mod rules;
mod search;

use serde_json::{Value, json};

use self::panel::Dashboard;

/// A dashboard in the form that Grafana imports.
#[derive(Debug)]
pub struct DashboardFile {
    /// Name of the file, without its ending.
    pub name: &'static str,
    /// JSON, with a newline at its end.
    pub text: String,
}

/// Returns all dashboards.
pub fn files() -> Vec<DashboardFile> {
    let file = |dashboard: Dashboard| {
        let json = json::dashboard(&dashboard);
        let text = serde_json::to_string_pretty(&json).expect("it has string keys only") + "\n";
        DashboardFile { name: dashboard.name, text }
    };
    all().into_iter().map(file).collect()
}

/// Returns the queries of all dashboards as a file of recording rules, which promtool can validate.
pub fn queries_as_rules() -> Value {
    let panels =
        all().into_iter().flat_map(|dashboard| dashboard.sections).flat_map(|section| section.panels);
    let rules: Vec<Value> = panels
        .flat_map(|panel| panel.queries)
        .map(|query| query.expression().replace("$__rate_interval", "1m"))
        .zip(0..)
        .map(|(expression, number)| json!({ "record": format!("query:{number}"), "expr": expression }))
        .collect();
    json!({ "groups": [{ "name": "dashboards", "rules": rules }] })
}

fn all() -> [Dashboard; 4] {
    [overview::dashboard(), pipeline::dashboard(), search::dashboard(), caches::dashboard()]
}
