//! Rules for GitHub's workflows that actionlint does not know.

/// Returns the faults of a workflow: pinned actions, a token that may do nothing by default, jobs that end.
pub fn faults(workflow: &str) -> Vec<String> {
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
        assert_eq!(faults(WORKFLOW), Vec::<String>::new());
        for (right, wrong) in [
            ("d@v1", "d@main"),
            ("d@v1", "d"),
            ("permissions: { contents: read }", ""),
            ("timeout-minutes: 1", ""),
        ] {
            assert_eq!(faults(&WORKFLOW.replace(right, wrong)).len(), 1, "{wrong}");
        }
    }
}
