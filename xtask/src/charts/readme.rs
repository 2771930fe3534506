//! The table of values in the chart's README, made of the comments in values.yaml.

use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result, bail};

use super::CHART;
use crate::process::root;

const BEGIN: &str = "<!-- Made of values.yaml by `cargo xtask helm-readme`. -->\n";
const END: &str = "<!-- The end of what is made. -->\n";

/// `cargo xtask helm-readme`.
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

/// Fails where the README is not what it would be made again.
pub(super) fn unchanged() -> Result<()> {
    let (before, after) = read()?;
    if before != after {
        bail!("{CHART}/README.md does not fit {CHART}/values.yaml: run `cargo xtask helm-readme`");
    }
    Ok(())
}

/// The README as it is, and as it should be.
fn read() -> Result<(String, String)> {
    let chart = root().join(CHART);
    let values = fs::read_to_string(chart.join("values.yaml"))?;
    let readme = fs::read_to_string(chart.join("README.md"))?;
    let (head, rest) =
        readme.split_once(BEGIN).with_context(|| format!("README.md of {CHART} lacks {BEGIN}"))?;
    let (_, tail) = rest.split_once(END).with_context(|| format!("README.md of {CHART} lacks {END}"))?;
    let made = format!("{head}{BEGIN}{}{END}{tail}", table(&values)?);
    Ok((readme, made))
}

/// One row a value. Values are written on one line each, with their comment above; a key whose value is on the lines
/// below it is a part of the names of these.
fn table(values: &str) -> Result<String> {
    let mut table = "| value | default | what it does |\n|---|---|---|\n".to_owned();
    let mut path: Vec<(usize, &str)> = Vec::new();
    let mut comment: Vec<&str> = Vec::new();
    for line in values.lines() {
        let text = line.trim_start();
        if text.is_empty() {
            comment.clear();
        } else if let Some(said) = text.strip_prefix('#') {
            comment.push(said.trim());
        } else {
            let (key, value) =
                text.split_once(':').with_context(|| format!("values.yaml: {line:?} is no value"))?;
            let depth = line.len() - text.len();
            path.retain(|(above, _)| *above < depth);
            path.push((depth, key));
            // A key that has more below it, or an empty value.
            if !value.trim().is_empty() || !has_children(values, line) {
                let name = path.iter().map(|(_, key)| *key).collect::<Vec<_>>().join(".");
                let default = if value.trim().is_empty() { "" } else { &format!("`{}`", value.trim()) };
                writeln!(table, "| `{name}` | {default} | {} |", comment.join(" ").replace('|', "\\|"))?;
            }
            comment.clear();
        }
    }
    Ok(table)
}

fn has_children(values: &str, line: &str) -> bool {
    let depth = |line: &str| line.len() - line.trim_start().len();
    let mut after = values.lines().skip_while(|other| !std::ptr::eq(*other, line)).skip(1);
    after
        .find(|other| !other.trim().is_empty() && !other.trim_start().starts_with('#'))
        .is_some_and(|next| depth(next) > depth(line))
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn a_row_for_each_value_with_its_whole_name_and_comment() {
        let values =
            "# About all.\n\na:\n  # What b\n  # does.\n  b: { c: 1 }\n  d:\n# Last | one.\ne: \"\"\n";
        let rows = table(values).unwrap();
        let expected =
            "| `a.b` | `{ c: 1 }` | What b does. |\n| `a.d` |  |  |\n| `e` | `\"\"` | Last \\| one. |\n";
        assert!(rows.ends_with(expected), "{rows}");
        assert_eq!(rows.lines().count(), 5);
    }
}
