//! Levels of the program's modules: each uses lower ones only, so none needs all others to be understood.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by failing there")]

use std::{fs, path::Path};

/// Top modules, lowest level first; modules of one level do not use each other.
const LEVELS: [&[&str]; 7] = [
    &["default_model", "options", "terminal"],
    &["data_dir"],
    &["client"],
    &["registration", "workers"],
    &["commands"],
    &["cli"],
    &["main"],
];

/// Source files, each with the name of the top module that it belongs to.
fn sources() -> Vec<(String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![src.clone()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let inner = path.strip_prefix(&src).unwrap().with_extension("");
                let top = inner.iter().next().unwrap().to_string_lossy().into_owned();
                sources.push((top, fs::read_to_string(path).unwrap()));
            }
        }
    }
    sources
}

/// Modules that a source names after `crate::`, one by one or in braces.
fn used(source: &str) -> Vec<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let first = |text: &str| text.chars().take_while(|&c| is_name(c)).collect::<String>();
    let mut used = Vec::new();
    for after in source.split("crate::").skip(1) {
        let Some(list) = after.strip_prefix('{') else {
            used.push(first(after));
            continue;
        };
        let mut depth = 0_usize;
        let mut name_begins = true;
        for (index, c) in list.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => name_begins = true,
                c if name_begins && is_name(c) => {
                    used.push(first(&list[index..]));
                    name_begins = false;
                }
                _ => {}
            }
        }
    }
    used
}

fn level(module: &str) -> usize {
    let level = LEVELS.iter().position(|level| level.contains(&module));
    level.unwrap_or_else(|| panic!("module {module} has no level"))
}

#[test]
fn modules_use_lower_levels_only() {
    let sources = sources();
    assert!(sources.len() > 30, "only {} files were read", sources.len());
    for (module, source) in sources {
        for other in used(&source) {
            let is_lower = level(&other) < level(&module);
            assert!(is_lower, "{module} must not use {other}");
        }
    }
}

#[test]
fn names_behind_the_crate_are_found_in_braces_too() {
    let source = "use crate::{\n    client::{Client, ask},\n    terminal::{Exit,\n line},\n};\nfn f() { crate::cli::g() }";
    assert_eq!(used(source), ["client", "terminal", "cli"]);
}
