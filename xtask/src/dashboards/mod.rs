//! The Grafana dashboards and the Prometheus rules: written from one description, and held to what is really exported.
//!
//! `overview`, `pipeline`, `search` and `caches` say what is on each dashboard, in the words of `panel`; `layout` finds the
//! places, `json` writes Grafana's form. `promql` reads the names in a query, `exported` compares them with what a
//! `running` system exports, `rules` checks the alerts. Nothing here draws, and no other part of the repository knows
//! Grafana's format.

mod caches;
mod exported;
mod json;
mod layout;
mod overview;
mod panel;
mod pipeline;
mod promql;
mod rules;
mod running;
mod search;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

pub(crate) use self::exported::exported_check;
use self::panel::Dashboard;
pub(crate) use self::rules::rules_check;
use crate::process::root;

/// `cargo xtask dashboards`.
pub(crate) fn run(check: bool) -> Result<()> {
    for dashboard in all() {
        let (file, text) = (file(&dashboard), text(&dashboard));
        let shown = file.strip_prefix(root()).unwrap_or(&file).display();
        if !check {
            fs::write(&file, text).with_context(|| format!("could not write {shown}"))?;
            println!("wrote {shown}");
        } else if fs::read_to_string(&file).unwrap_or_default() != text {
            bail!("{shown} is not what xtask/src/dashboards describes: run `cargo xtask dashboards`");
        }
    }
    Ok(())
}

fn all() -> [Dashboard; 4] {
    [overview::dashboard(), pipeline::dashboard(), search::dashboard(), caches::dashboard()]
}

fn file(dashboard: &Dashboard) -> PathBuf {
    root().join(format!("helm/toolweaver/dashboards/{}.json", dashboard.name))
}

fn text(dashboard: &Dashboard) -> String {
    let mut text =
        serde_json::to_string_pretty(&json::dashboard(dashboard)).expect("it has string keys only");
    text.push('\n');
    text
}
