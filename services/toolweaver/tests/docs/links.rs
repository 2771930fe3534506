//! Links between pages: the file is there, and the heading that an anchor names.

use toolweaver_testkit::parts;

use crate::pages::{Page, pages};

#[test]
fn every_link_leads_somewhere() {
    let pages = pages();
    let root = parts::workspace_dir().canonicalize().unwrap();
    let mut faults = Vec::new();
    for page in &pages {
        for line in page.lines().iter().filter(|line| line.block.is_none()) {
            for target in relative_targets(line.text) {
                let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
                let path = if path.is_empty() { page.path.clone() } else { page.folder().join(path) };
                let file = root.join(path).canonicalize().ok();
                let found = file.as_deref().and_then(|file| file.strip_prefix(&root).ok());
                let leads_to = |page: &Page| found == Some(&page.path) && has_anchor(page, anchor);
                if found.is_none() || !(anchor.is_empty() || pages.iter().any(leads_to)) {
                    faults.push(format!("{}: {target} leads nowhere", page.place(line)));
                }
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Returns the targets of the links in a line that stay in the repository.
fn relative_targets(line: &str) -> impl Iterator<Item = &str> {
    let behind = line.split("](").skip(1);
    behind.filter_map(|rest| Some(rest.split_once(')')?.0)).filter(|target| !target.contains("://"))
}

/// Returns whether a heading of the page gets this anchor, as GitHub makes them.
fn has_anchor(page: &Page, anchor: &str) -> bool {
    page.lines().iter().filter(|line| line.block.is_none() && line.text.starts_with('#')).any(|line| {
        let words = line.text.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        words.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).eq(anchor.chars())
    })
}
