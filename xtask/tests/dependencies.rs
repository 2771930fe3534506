//! Licences and bans of deny.toml, held without cargo-deny, which is not installed everywhere.

use std::fs;
use std::path::Path;

use cargo_metadata::{Metadata, MetadataCommand};

/// Returns every package of the tree, on all platforms.
fn tree() -> Metadata {
    MetadataCommand::new().other_options(["--locked".to_owned()]).exec().expect("cargo metadata")
}

/// Returns the quoted strings that open the entries of one list in deny.toml.
fn listed(key: &str) -> Vec<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deny.toml");
    let text = fs::read_to_string(file).expect("deny.toml is readable");
    let start = text.find(&format!("\n{key} = [\n")).expect("deny.toml has the list");
    let entries = text[start..].lines().skip(2).take_while(|line| *line != "]");
    entries.map(|line| line.split('"').nth(1).expect("an entry is a quoted string").to_owned()).collect()
}

/// Returns true where an SPDX expression can be met with the allowed licences. `/` is the old spelling of
/// `OR`.
fn permits(expression: &str, allowed: &[String]) -> bool {
    // Parentheses occur only as `(A OR B) AND C`, so every factor of AND can be read by itself.
    expression.split(" AND ").all(|factor| {
        let factor = factor.trim_matches(['(', ')']).replace('/', " OR ");
        factor.split(" OR ").any(|licence| allowed.iter().any(|allowed| allowed == licence.trim()))
    })
}

#[test]
fn every_licence_is_on_the_list() {
    let allowed = listed("allow");
    for package in tree().packages {
        let licence = package.license.as_deref().unwrap_or("none");
        assert!(permits(licence, &allowed), "{} {} has the licence {licence}", package.name, package.version);
    }
}

#[test]
fn nothing_banned_is_in_the_tree() {
    let banned = listed("deny");
    assert!(!banned.is_empty(), "deny.toml names what is banned");
    for package in tree().packages {
        assert!(!banned.contains(&package.name.to_string()), "{} is banned", package.name);
    }
}

#[test]
fn expressions_are_read_as_their_authors_meant_them() {
    let allowed = ["MIT".to_owned(), "ISC".to_owned()];
    assert!(permits("MIT/Apache-2.0", &allowed));
    assert!(permits("(MIT OR GPL-3.0) AND ISC", &allowed));
    assert!(!permits("MIT AND GPL-3.0", &allowed));
    assert!(!permits("none", &allowed));
}
