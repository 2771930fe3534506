//! Presentation of a panel: units, colours, thresholds, legends, and the columns of tables.

use serde_json::{Value, json};

use crate::panel::{Kind, Panel, Query, Unit};

/// Font size of a number: small enough for `not connected` over three columns.
const NUMBER_PIXELS: u64 = 26;

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Count | Unit::YesNo => "short",
        Unit::PerSecond => "cps",
        Unit::Seconds => "s",
        Unit::Bytes => "bytes",
        Unit::Share => "percentunit",
    }
}

pub(crate) fn field(panel: &Panel) -> Value {
    let steps = match panel.limits {
        None => json!([{ "color": "green", "value": null }]),
        Some((yellow, red)) if yellow <= red => json!([
            { "color": "green", "value": null },
            { "color": "yellow", "value": yellow },
            { "color": "red", "value": red }
        ]),
        Some((yellow, red)) => json!([
            { "color": "red", "value": null },
            { "color": "yellow", "value": red },
            { "color": "green", "value": yellow }
        ]),
    };
    let color =
        if panel.kind == Kind::Lines || panel.kind == Kind::Stack { "palette-classic" } else { "thresholds" };
    let mut field = json!({
        "unit": unit(panel.unit),
        "min": 0,
        "color": { "mode": color },
        "thresholds": { "mode": "absolute", "steps": steps },
        "custom": custom(panel),
    });
    // Nothing to show is good where only what is wrong is shown.
    let is_trouble = |query: &Query| query.promql.ends_with("> 0");
    let shows_trouble = panel.kind == Kind::Alerts || panel.queries.iter().any(is_trouble);
    field["noValue"] = if shows_trouble { "none" } else { "no data" }.into();
    match panel.kind {
        // A share of nothing is no number.
        Kind::Number => {
            let none = json!({ "match": "nan", "result": { "text": "no traffic", "color": "text" } });
            field["mappings"] = json!([{ "type": "special", "options": none }]);
        }
        Kind::States => {
            field["mappings"] = json!([{ "type": "value", "options": {
                "0": { "text": "closed", "color": "green", "index": 0 },
                "1": { "text": "trying", "color": "yellow", "index": 1 },
                "2": { "text": "open", "color": "red", "index": 2 }
            }}]);
        }
        _ => {}
    }
    field
}

fn custom(panel: &Panel) -> Value {
    let limits = if panel.limits.is_some() { "dashed" } else { "off" };
    match panel.kind {
        Kind::Lines => json!({
            "lineWidth": 1, "fillOpacity": 8, "showPoints": "never", "thresholdsStyle": { "mode": limits }
        }),
        Kind::Stack => json!({
            "lineWidth": 1, "fillOpacity": 30, "showPoints": "never",
            "stacking": { "mode": "normal", "group": "A" }, "thresholdsStyle": { "mode": limits }
        }),
        Kind::States => json!({ "lineWidth": 0, "fillOpacity": 80 }),
        Kind::Processes | Kind::Alerts => json!({ "filterable": false }),
        Kind::Number | Kind::Heatmap => json!({}),
    }
}

pub(crate) fn options(kind: Kind) -> Value {
    let tooltip = json!({ "mode": "multi", "sort": "desc" });
    match kind {
        Kind::Number => json!({
            "colorMode": "background", "graphMode": "area", "justifyMode": "center", "textMode": "value",
            "text": { "valueSize": NUMBER_PIXELS },
            "reduceOptions": { "calcs": ["lastNotNull"], "fields": "", "values": false }
        }),
        Kind::Lines | Kind::Stack => json!({
            "legend": {
                "showLegend": true, "displayMode": "list", "placement": "bottom", "calcs": ["lastNotNull"]
            },
            "tooltip": tooltip
        }),
        Kind::Heatmap => json!({
            "calculate": false, "cellGap": 1, "yAxis": { "unit": "s" }, "legend": { "show": true },
            "color": {
                "mode": "scheme", "scheme": "Spectral", "steps": 64, "reverse": true, "exponent": 0.5,
                "fill": "dark-orange"
            },
            "filterValues": { "le": 1e-9 }, "showValue": "never",
            "exemplars": { "color": "rgba(255,0,255,0.7)" },
            "tooltip": { "mode": "single", "yHistogram": false }
        }),
        Kind::States => json!({
            "mergeValues": true, "showValue": "auto", "rowHeight": 0.8, "alignValue": "left",
            "legend": { "showLegend": false, "displayMode": "list", "placement": "bottom", "calcs": [] },
            "tooltip": { "mode": "single", "sort": "none" }
        }),
        Kind::Processes | Kind::Alerts => json!({ "showHeader": true, "cellHeight": "sm" }),
    }
}

fn columns(panel: &Panel) -> impl Iterator<Item = (String, &Query)> {
    // With one query Grafana leaves its letter out.
    let single = panel.queries.len() == 1;
    let name = move |letter| if single { "Value".to_owned() } else { format!("Value #{letter}") };
    super::LETTERS.chars().zip(&panel.queries).map(move |(letter, query)| (name(letter), query))
}

/// Builds the units and colours of the columns of a table.
pub(crate) fn overrides(panel: &Panel) -> Value {
    let column = |query: &Query| {
        let mut properties = vec![json!({ "id": "unit", "value": unit(query.unit?) })];
        if query.unit == Some(Unit::YesNo) {
            let words =
                json!({ "0": { "text": "no", "color": "red" }, "1": { "text": "yes", "color": "green" } });
            properties.push(json!({ "id": "mappings", "value": [{ "type": "value", "options": words }] }));
            properties.push(json!({ "id": "custom.cellOptions", "value": { "type": "color-text" } }));
        }
        Some(json!({ "matcher": { "id": "byName", "options": query.legend }, "properties": properties }))
    };
    panel.queries.iter().filter_map(column).collect()
}

/// Builds the transformations that merge the answers about one process into a row and name the columns.
pub(crate) fn transformations(panel: &Panel) -> Value {
    if !matches!(panel.kind, Kind::Processes | Kind::Alerts) {
        return json!([]);
    }
    let names: serde_json::Map<String, Value> =
        columns(panel).map(|(name, query)| (name, query.legend.into())).collect();
    json!([
        { "id": "merge", "options": {} },
        { "id": "organize", "options": {
            "excludeByName": { "Time": true, "__name__": true }, "renameByName": names
        } }
    ])
}
