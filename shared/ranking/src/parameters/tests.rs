//! The name of the ranking follows its parameters, and no parameter stands elsewhere.

use std::{fmt::Write as _, fs, path::Path};

use sha2::{Digest as _, Sha256};

use super::{ABBREVIATIONS, IDIOMS, NUMBERS, RANKER, STOP_WORDS, SYNONYM_GROUPS};

/// Formulas' own constants: idf's halves, and what begins or ends a range.
const OF_FORMULAS: [&str; 3] = ["0.0", "0.5", "1.0"];

/// Bounds of memory and of what is shown: they decide no order.
const NO_PARAMETERS: [&str; 4] =
    ["WRITER_HEAP_BYTES", "CANDIDATES_BYTES_MAX", "STEMS_KNOWN_MAX", "CANDIDATES_SHOWN"];

/// Every parameter as `NAME=value`, one a line.
fn listed() -> String {
    let mut all = String::new();
    for (name, value) in NUMBERS {
        writeln!(all, "{name}={value:?}").unwrap();
    }
    write!(all, "{IDIOMS:?}\n{ABBREVIATIONS:?}\n{SYNONYM_GROUPS:?}\n{STOP_WORDS:?}\n").unwrap();
    all
}

#[test]
fn the_name_ends_with_a_hash_of_every_parameter() {
    let hash = format!("{:x}", Sha256::digest(listed()));
    let (generation, named) = RANKER.rsplit_once('-').unwrap();
    assert_eq!(named, &hash[..8], "a parameter has changed: RANKER must be {generation}-{}", &hash[..8]);
}

#[test]
fn no_parameter_stands_outside_this_module() {
    let mut strays = Vec::new();
    visit(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut strays);
    assert!(
        strays.is_empty(),
        "move into parameters.rs, so that the name of the ranking knows them:\n{strays:#?}"
    );
}

fn visit(folder: &Path, strays: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_ours = path.file_stem().is_some_and(|stem| stem == "parameters" || stem == "tests");
        if is_ours {
            continue;
        }
        if path.is_dir() {
            visit(&path, strays);
        } else {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            let lines = (1..).zip(code.lines()).filter(|(_, line)| !line.trim_start().starts_with("//"));
            let stray = lines.filter(|(_, line)| holds_parameter(line));
            strays
                .extend(stray.map(|(number, line)| format!("{}:{number}: {}", path.display(), line.trim())));
        }
    }
}

/// Whether a line declares a number or a list of words, or writes a fraction.
fn holds_parameter(line: &str) -> bool {
    let declares =
        line.split_once("const ").filter(|(_, rest)| !rest.starts_with("fn ")).is_some_and(|(_, rest)| {
            let (name, kind) = rest.split_once(':').unwrap_or((rest, ""));
            let kind = kind.trim_start();
            let is_number_or_words =
                ["f32", "f64", "u", "i", "&str", "[("].iter().any(|start| kind.starts_with(start));
            is_number_or_words
                && !NO_PARAMETERS.contains(&name.trim())
                && !name.ends_with("_ANALYZER")
                && name != "EVERYONE"
        });
    declares || fractions(line).any(|fraction| !OF_FORMULAS.contains(&fraction.as_str()))
}

fn fractions(line: &str) -> impl Iterator<Item = String> {
    let tokens = line
        .split(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_'))
        .map(|token| token.trim_matches('_'));
    let is_fraction = |token: &&str| {
        token.split_once('.').is_some_and(|(whole, part)| {
            let is_digits = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            is_digits(whole) && is_digits(part)
        })
    };
    tokens.filter(is_fraction).map(str::to_owned).collect::<Vec<_>>().into_iter()
}
