//! The Markdown pages of the repository, line by line.

use std::{
    fs,
    path::{Path, PathBuf},
};

use toolweaver_testkit::parts;

/// Folders with pages.
const FOLDERS: [&str; 6] = ["", "docs", "docs/decisions", "examples", "helm/toolweaver", "schemas"];

/// A page, by its path in the repository.
pub(crate) struct Page {
    pub(crate) path: PathBuf,
    text: String,
}

/// A line of a page that is no fence.
pub(crate) struct Line<'a> {
    /// From 1.
    pub(crate) number: usize,
    pub(crate) text: &'a str,
    /// Language of the fenced block that holds it.
    pub(crate) block: Option<&'a str>,
}

/// Returns every page, by path.
pub(crate) fn pages() -> Vec<Page> {
    let root = parts::workspace_dir();
    let files = FOLDERS.iter().flat_map(|folder| fs::read_dir(root.join(folder)).unwrap());
    let mut paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    paths.sort();
    let page = |path: &PathBuf| Page {
        path: path.strip_prefix(&root).unwrap().to_owned(),
        text: fs::read_to_string(path).unwrap(),
    };
    paths.iter().map(page).collect()
}

impl Page {
    /// Returns the lines that are no fences, in order.
    pub(crate) fn lines(&self) -> Vec<Line<'_>> {
        let (mut block, mut lines) = (None, Vec::new());
        for (number, text) in (1..).zip(self.text.lines()) {
            match text.trim_start().strip_prefix("```") {
                Some(language) => block = if block.is_some() { None } else { Some(language) },
                None => lines.push(Line { number, text, block }),
            }
        }
        assert!(block.is_none(), "{} has a block without an end", self.path.display());
        lines
    }

    /// Returns where a line stands, for messages.
    pub(crate) fn place(&self, line: &Line<'_>) -> String {
        format!("{}:{}", self.path.display(), line.number)
    }

    /// Returns the folder that relative links start from.
    pub(crate) fn folder(&self) -> &Path {
        self.path.parent().unwrap()
    }
}
