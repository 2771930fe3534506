//! Grafana's JSON of a dashboard.

mod looks;

use serde_json::{Value, json};

use self::looks::{field, options, overrides, transformations};
use crate::layout::{self, Item, Place};
use crate::panel::{Dashboard, Kind, Panel, Query};

/// Schema version of Grafana 12.3. Older ones of 11 and 12 show it as well, newer ones convert it when they
/// load it.
const SCHEMA_VERSION: u64 = 42;
const RUNBOOKS: &str = "https://github.com/toolweaver/toolweaver/blob/main/docs/runbooks.md";
const TAG: &str = "toolweaver";
/// Variables, each with its title and the selector of the ones chosen before it.
const VARIABLES: [(&str, &str, &str); 3] = [
    ("namespace", "Namespace", ""),
    ("job", "Job", r#"{namespace=~"$namespace"}"#),
    ("instance", "Instance", r#"{namespace=~"$namespace",job=~"$job"}"#),
];
/// Annotation wherever a process started.
const RESTARTS: Query = Query {
    promql: "changes(process_start_time_seconds{$of}[2m]) > 0
        and on (job, instance) toolweaver_build_info{$of}",
    legend: "{{job}} {{instance}}",
    unit: None,
};
/// Letters by which a table names its queries before their columns are renamed.
const LETTERS: &str = "ABCDEFGHIJKLMNOP";

pub(crate) fn dashboard(dashboard: &Dashboard) -> Value {
    let items = layout::items(dashboard);
    let panels: Vec<Value> =
        items.iter().zip(1..).map(|((place, item), id)| with_place(item, *place, id)).collect();
    json!({
        "uid": format!("toolweaver-{}", dashboard.name),
        "title": dashboard.title,
        "description": dashboard.about,
        "tags": [TAG],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": true,
        "graphTooltip": 1, // A shared crosshair.
        "refresh": "30s",
        "time": { "from": "now-1h", "to": "now" },
        "timezone": "",
        "annotations": { "list": [restarts()] },
        "links": [
            link("dashboards", "ToolWeaver", "", "The other dashboards"),
            link("link", "Runbooks", RUNBOOKS, "What to do about each alert"),
        ],
        "templating": { "list": variables() },
        "panels": panels,
    })
}

/// Builds a link above the panels: to the dashboards with our tag, or to a page.
fn link(kind: &str, title: &str, url: &str, tooltip: &str) -> Value {
    let inside = kind == "dashboards";
    json!({
        "type": kind, "title": title, "url": url, "tooltip": tooltip,
        "tags": if inside { json!([TAG]) } else { json!([]) },
        "icon": if inside { "external link" } else { "doc" }, "asDropdown": false,
        "includeVars": inside, "keepTime": inside, "targetBlank": !inside
    })
}

/// Builds the variables that every dashboard has: data source, installation, job and process.
fn variables() -> Vec<Value> {
    let mut variables = vec![json!({
        "name": "datasource", "type": "datasource", "label": "Data source", "query": "prometheus", "refresh": 1
    })];
    for (name, label, selector) in VARIABLES {
        let query = format!("label_values(toolweaver_build_info{selector}, {name})");
        variables.push(json!({
            "name": name, "type": "query", "label": label, "datasource": source(),
            "definition": query,
            "query": { "qryType": 1, "query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery" },
            "refresh": 2, "sort": 1, "multi": true, "includeAll": true,
            // Also what has no such label: outside Kubernetes there is no namespace.
            "allValue": ".*",
            "current": { "text": ["All"], "value": ["$__all"] }
        }));
    }
    variables
}

fn source() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

fn restarts() -> Value {
    json!({
        "name": "Restarts", "datasource": source(), "enable": true, "iconColor": "orange",
        "expr": RESTARTS.expression(), "titleFormat": "restarted", "textFormat": RESTARTS.legend, "step": "1m"
    })
}

/// Returns the expressions that every dashboard has beside its panels.
pub(crate) fn own_expressions() -> impl Iterator<Item = String> {
    let variables = VARIABLES.map(|(_, _, selector)| format!("toolweaver_build_info{selector}"));
    variables.into_iter().chain([RESTARTS.expression()])
}

fn with_place(item: &Item<'_>, place: Place, id: u64) -> Value {
    let mut value = match item {
        Item::Title(title) => json!({ "type": "row", "title": title, "collapsed": false, "panels": [] }),
        Item::Panel(panel) => self::panel(panel),
    };
    value["id"] = id.into();
    value["gridPos"] = json!({ "x": place.x, "y": place.y, "w": place.width, "h": place.height });
    value
}

fn panel(panel: &Panel) -> Value {
    let targets: Vec<Value> =
        panel.queries.iter().zip(LETTERS.chars()).map(|(query, id)| target(panel.kind, query, id)).collect();
    json!({
        "type": kind(panel.kind),
        "title": panel.title,
        "description": panel.about,
        "datasource": source(),
        "targets": targets,
        "fieldConfig": { "defaults": field(panel), "overrides": overrides(panel) },
        "options": options(panel.kind),
        "transformations": transformations(panel),
    })
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Number => "stat",
        Kind::Lines | Kind::Stack => "timeseries",
        Kind::Heatmap => "heatmap",
        Kind::States => "state-timeline",
        Kind::Processes | Kind::Alerts => "table",
    }
}

fn target(kind: Kind, query: &Query, id: char) -> Value {
    let is_table = matches!(kind, Kind::Processes | Kind::Alerts);
    let format = match kind {
        Kind::Processes | Kind::Alerts => "table",
        Kind::Heatmap => "heatmap",
        _ => "time_series",
    };
    json!({
        "refId": id.to_string(),
        "datasource": source(),
        "expr": query.expression(),
        "legendFormat": if is_table { "" } else { query.legend },
        "format": format,
        "range": !is_table,
        "instant": is_table,
        // A latency leads to a trace that had it.
        "exemplar": matches!(kind, Kind::Lines | Kind::Heatmap) && query.promql.contains("_seconds_bucket"),
    })
}
