//! Crate graph: which crate may depend on which, and the top level that everyone relies on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// Levels of the workspace, lowest first: a crate depends on lower levels only, and on nothing beside it.
///
/// A crate that does not exist yet may stand here; one that exists and does not stand here fails the test.
const LEVELS: [&[&str]; 5] = [
    &["toolweaver-contracts", "toolweaver-resilience"],
    &[
        "toolweaver-catalog-cache",
        "toolweaver-embedding",
        "toolweaver-mcp-import",
        "toolweaver-messaging",
        "toolweaver-openapi-import",
        "toolweaver-prompt-format",
        "toolweaver-ranking",
        "toolweaver-service-runtime",
        "toolweaver-vector-store",
    ],
    &["toolweaver-cache-invalidator", "toolweaver-embedding-worker", "toolweaver-query-worker"],
    // Judges the ranking that the query worker computes; joined to the product by the command line alone.
    &["toolweaver-eval"],
    &["toolweaver"],
];

/// Crates beside the levels, each with all of ours that it may depend on.
const BESIDE: [(&str, &[&str]); 6] = [
    // Outside clients: they know a running system by its contract alone.
    ("toolweaver-clients", &["toolweaver-contracts"]),
    ("toolweaver-loadtest", &["toolweaver-contracts"]),
    // Real servers and doubles for tests.
    ("toolweaver-testkit", &["toolweaver-contracts"]),
    // They see built programs, charts and pages, and no Rust of the product.
    ("toolweaver-dashboards", &[]),
    ("toolweaver-deployment-checks", &[]),
    ("xtask", &["toolweaver-dashboards", "toolweaver-deployment-checks"]),
];

/// Crate that only tests depend on.
const TESTKIT: &str = "toolweaver-testkit";

/// Only crate that may use `backoff`.
const RESILIENCE: &str = "toolweaver-resilience";

const TOP_LEVEL: [&str; 21] = [
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "dashboards",
    "deny.toml",
    "deploy",
    "deployment-checks",
    "docker-compose.yml",
    "docs",
    "eval",
    "examples",
    "helm",
    "loadtest",
    "schemas",
    "services",
    "shared",
    "xtask",
];

fn workspace() -> Metadata {
    MetadataCommand::new().no_deps().other_options(["--locked".to_owned()]).exec().expect("cargo metadata")
}

/// Returns the workspace crates that a crate depends on, by kind of dependency.
fn ours<'a>(metadata: &Metadata, package: &'a Package, development: bool) -> BTreeSet<&'a str> {
    let members: BTreeSet<_> = metadata.packages.iter().map(|member| member.name.as_str()).collect();
    let wanted = |kind| (kind == DependencyKind::Development) == development;
    let names = package.dependencies.iter().filter(|dependency| wanted(dependency.kind));
    names.map(|dependency| dependency.name.as_str()).filter(|name| members.contains(name)).collect()
}

/// Returns, for each crate of the table, all of ours that it may depend on apart from its tests.
fn allowed() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let mut allowed = BTreeMap::new();
    let mut lower = BTreeSet::new();
    for level in LEVELS {
        allowed.extend(level.iter().map(|name| (*name, lower.clone())));
        lower.extend(level);
    }
    allowed.extend(BESIDE.map(|(name, uses)| (name, uses.iter().copied().collect())));
    allowed
}

#[test]
fn every_crate_has_a_place_in_the_table() {
    let (metadata, allowed) = (workspace(), allowed());
    let names = metadata.packages.iter().map(|package| package.name.as_str());
    let strangers: Vec<_> = names.filter(|name| !allowed.contains_key(name)).collect();
    assert!(strangers.is_empty(), "no level is given for {strangers:?}");
}

#[test]
fn crates_depend_on_lower_levels_only() {
    let (metadata, allowed) = (workspace(), allowed());
    for package in &metadata.packages {
        let used = ours(&metadata, package, false);
        let forbidden: Vec<_> = used.difference(&allowed[package.name.as_str()]).collect();
        assert!(forbidden.is_empty(), "{} must not depend on {forbidden:?}", package.name);
    }
}

#[test]
fn tests_may_use_the_test_kit_and_nothing_else_of_ours() {
    let (metadata, allowed) = (workspace(), allowed());
    for package in &metadata.packages {
        let mut used = ours(&metadata, package, true);
        used.remove(TESTKIT);
        let forbidden: Vec<_> = used.difference(&allowed[package.name.as_str()]).collect();
        assert!(forbidden.is_empty(), "the tests of {} must not depend on {forbidden:?}", package.name);
    }
}

#[test]
fn only_the_ground_floor_uses_backoff() {
    for package in workspace().packages {
        let uses = package.dependencies.iter().any(|dependency| dependency.name == "backoff");
        assert!(!uses || package.name == RESILIENCE, "{} depends on backoff", package.name);
    }
}

#[test]
fn the_expected_folders_are_there() {
    let metadata = workspace();
    let root = Path::new(metadata.workspace_root.as_std_path());
    let missing: Vec<_> = TOP_LEVEL.into_iter().filter(|name| !root.join(name).exists()).collect();
    assert!(missing.is_empty(), "the top level lacks {missing:?}");
}
