//! Table of the chart's values for its README, made of the comments in values.yaml.

use std::fmt::Write as _;

/// Returns a Markdown table with one row a value. Values are written on one line each, with their comment
/// above; a key whose value is on the lines below it is the beginning of the names of these. An error is a
/// sentence.
pub fn table(values: &str) -> Result<String, String> {
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
                text.split_once(':').ok_or_else(|| format!("values.yaml: {line:?} is no value"))?;
            let depth = line.len() - text.len();
            path.retain(|(above, _)| *above < depth);
            path.push((depth, key));
            // A key that has more below it, or an empty value.
            if !value.trim().is_empty() || !has_children(values, line) {
                let name = path.iter().map(|(_, key)| *key).collect::<Vec<_>>().join(".");
                let default = if value.trim().is_empty() { "" } else { &format!("`{}`", value.trim()) };
                let comment = comment.join(" ").replace('|', "\\|");
                writeln!(table, "| `{name}` | {default} | {comment} |").expect("a string takes every text");
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
