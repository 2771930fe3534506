//! Doc comments say in their first line what a thing is, and every comment keeps to the width of the code.
//!
//! "How it is." makes the reader guess; "Returns the current state." does not. The test cannot tell a good
//! line from a bad one, but it refuses the words with which lines that circle around a thing begin.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};

/// Words that ask instead of say.
const QUESTIONS: [&str; 6] = ["What", "How", "Who", "Whose", "Why", "Where"];
/// Columns of a comment, as of the code (`max_width` in rustfmt.toml).
const COLUMNS_MAX: usize = 110;
/// Folders without sources of ours.
const NOT_OURS: [&str; 3] = ["target", "node_modules", "venv"];

#[test]
fn doc_comments_say_first_what_a_thing_is() {
    report("a doc comment begins with a question word", begins_with_a_question);
}

#[test]
fn comments_keep_to_the_width_of_the_code() {
    report("a comment is wider than 110 columns", is_too_wide);
}

/// Fails with every line of every source file that `is_offence`, given the line before it.
fn report(fault: &str, is_offence: fn(&str, &str) -> bool) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    collect(root, &mut files);
    files.sort();
    assert!(files.len() > 100, "the sources are found: {files:?}");
    let mut offences = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let place = file.strip_prefix(root).unwrap().display();
        let lines = text.lines().zip(std::iter::once("").chain(text.lines())).zip(1..);
        let found = lines.filter(|((line, before), _)| is_offence(line, before));
        offences.extend(found.map(|((line, _), number)| format!("{place}:{number}: {}", line.trim())));
    }
    assert!(offences.is_empty(), "{fault}, {} times:\n{}", offences.len(), offences.join("\n"));
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap_or_default());
        let is_folder = entry.file_type().unwrap().is_dir();
        if is_folder && !name.starts_with('.') && !NOT_OURS.contains(&name.as_str()) {
            collect(&path, files);
        } else if !is_folder && path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Whether a line opens a doc comment with one of [`QUESTIONS`].
fn begins_with_a_question(line: &str, before: &str) -> bool {
    let Some((mark, text)) = doc(line) else { return false };
    let is_first = doc(before).is_none_or(|(mark_before, _)| mark_before != mark);
    let word = text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    is_first && QUESTIONS.contains(&word)
}

/// The mark of a doc comment and the text behind it.
fn doc(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_start();
    let (mark, text) = line.split_at_checked(3)?;
    (matches!(mark, "///" | "//!") && !text.starts_with('/')).then_some((mark, text.trim_start()))
}

fn is_too_wide(line: &str, _: &str) -> bool {
    line.trim_start().starts_with("//") && line.chars().count() > COLUMNS_MAX
}

#[test]
fn only_the_first_line_of_a_doc_comment_is_its_beginning() {
    assert!(begins_with_a_question("    /// How it is.", "    fn before() {}"));
    assert!(begins_with_a_question("//! What lives here", ""));
    assert!(!begins_with_a_question("/// Who asks twice waits.", "/// Returns the current state."));
    assert!(!begins_with_a_question("/// However it is.", ""));
    assert!(!begins_with_a_question("// Why: a reason, not a doc comment.", ""));
}
