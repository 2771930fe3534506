//! Report of a rolling replacement: the replacements beside the traffic.

use std::path::Path;

use anyhow::ensure;
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use serde::Serialize;

use super::replace::{Manner, Replaced};
use crate::{
    system::End,
    traffic::{self, write},
};

/// Results of a run.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) manner: Manner,
    #[serde(flatten)]
    pub(super) traffic: traffic::Report,
    pub(super) replaced: Vec<Replaced>,
}

impl Report {
    /// Prints and writes the report, and fails where traffic does or a process did not end with 0.
    pub(super) fn conclude(&self, json: Option<&Path>) -> anyhow::Result<()> {
        self.traffic.print();
        self.print();
        write(self, json)?;
        self.traffic.judge()?;
        let bad = self.replaced.iter().filter(|replaced| replaced.end.exit_code != Some(0)).count();
        ensure!(bad == 0, "{bad} processes did not end with 0");
        Ok(())
    }

    #[expect(clippy::print_stdout, reason = "the report is this program's output")]
    fn print(&self) {
        let mut table = Table::new();
        table.load_preset(UTF8_FULL_CONDENSED).set_header([
            "replaced",
            "successor ready after ms",
            "SIGTERM → exit ms",
            "exit",
        ]);
        for Replaced { kind, ready_ms, end } in &self.replaced {
            table.add_row([
                kind.name().to_owned(),
                format!("{ready_ms:.0}"),
                format!("{:.0}", end.took_ms),
                exit(end),
            ]);
        }
        println!("{table}");
    }
}

fn exit(end: &End) -> String {
    match (end.exit_code, end.signal) {
        (Some(code), _) => code.to_string(),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "unknown".to_owned(),
    }
}
