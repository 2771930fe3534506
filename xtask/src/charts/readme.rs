//! `cargo xtask helm-readme`: the table of values in the chart's README.

use std::fs;

use anyhow::{Context, Error, Result, bail};
use toolweaver_deployment_checks::values_table::table;

use super::CHART;
use crate::process::root;

const BEGIN: &str = "<!-- Made of values.yaml by `cargo xtask helm-readme`. -->\n";
const END: &str = "<!-- The end of what is made. -->\n";

/// Writes the table again.
pub(crate) fn helm_readme() -> Result<()> {
    let (before, after) = read()?;
    if before == after {
        println!("{CHART}/README.md is as it should be");
    } else {
        fs::write(root().join(CHART).join("README.md"), after)?;
        println!("{CHART}/README.md is written");
    }
    Ok(())
}

/// Fails where the README would change.
pub(super) fn unchanged() -> Result<()> {
    let (before, after) = read()?;
    if before != after {
        bail!("{CHART}/README.md does not fit {CHART}/values.yaml: run `cargo xtask helm-readme`");
    }
    Ok(())
}

/// Reads the README as it is, and as it should be.
fn read() -> Result<(String, String)> {
    let chart = root().join(CHART);
    let values = fs::read_to_string(chart.join("values.yaml"))?;
    let readme = fs::read_to_string(chart.join("README.md"))?;
    let (head, rest) =
        readme.split_once(BEGIN).with_context(|| format!("README.md of {CHART} lacks {BEGIN}"))?;
    let (_, tail) = rest.split_once(END).with_context(|| format!("README.md of {CHART} lacks {END}"))?;
    let made = format!("{head}{BEGIN}{}{END}{tail}", table(&values).map_err(Error::msg)?);
    Ok((readme, made))
}
