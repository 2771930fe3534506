//! Crate graph: the directions in which crates may depend on each other, and the top level that everyone
//! relies on.

use std::collections::BTreeSet;
use std::path::Path;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

const SERVICES: [&str; 3] =
    ["toolweaver-cache-invalidator", "toolweaver-embedding-worker", "toolweaver-query-worker"];
const SHARED: [&str; 8] = [
    "toolweaver-catalog-cache",
    "toolweaver-contracts",
    "toolweaver-embedding",
    "toolweaver-messaging",
    "toolweaver-openapi-import",
    "toolweaver-service-runtime",
    "toolweaver-testkit",
    "toolweaver-vector-store",
];
const CONTRACTS: &str = "toolweaver-contracts";
const TESTKIT: &str = "toolweaver-testkit";
const EVAL: &str = "toolweaver-eval";
const DASHBOARDS: &str = "toolweaver-dashboards";
const DEPLOYMENT_CHECKS: &str = "toolweaver-deployment-checks";
const TOP_LEVEL: [&str; 19] = [
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "dashboards",
    "deny.toml",
    "deploy",
    "deployment-checks",
    "docker-compose.yml",
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

/// Returns the workspace crates that a crate may depend on, apart from tests.
fn allowed(package: &str) -> BTreeSet<&'static str> {
    let shared = SHARED.into_iter().filter(|name| *name != TESTKIT);
    match package {
        CONTRACTS | DASHBOARDS | DEPLOYMENT_CHECKS => BTreeSet::new(),
        "xtask" => BTreeSet::from([DASHBOARDS, DEPLOYMENT_CHECKS]),
        // The command line is what joins the services in one process, and the evaluation of them.
        "toolweaver" => shared.chain(SERVICES).chain([EVAL]).collect(),
        // It measures the query worker's own searcher, without NATS.
        EVAL => shared.chain(["toolweaver-query-worker"]).collect(),
        service if SERVICES.contains(&service) => shared.collect(),
        // An outside client, and the shared crates beside the contracts.
        _ => BTreeSet::from([CONTRACTS]),
    }
}

#[test]
fn crates_depend_on_each_other_in_one_direction() {
    let metadata = workspace();
    for package in &metadata.packages {
        let forbidden: Vec<_> = ours(&metadata, package, false)
            .difference(&allowed(&package.name))
            .map(|name| (*name).to_owned())
            .collect();
        assert!(forbidden.is_empty(), "{} must not depend on {forbidden:?}", package.name);
    }
}

#[test]
fn tests_may_use_the_test_kit_and_nothing_else_of_ours() {
    let metadata = workspace();
    for package in &metadata.packages {
        let mut used = ours(&metadata, package, true);
        used.remove(TESTKIT);
        let allowed = allowed(&package.name);
        let forbidden: Vec<_> = used.difference(&allowed).collect();
        assert!(forbidden.is_empty(), "the tests of {} must not depend on {forbidden:?}", package.name);
    }
}

#[test]
fn only_the_service_runtime_retries_with_backoff() {
    for package in workspace().packages {
        let uses = package.dependencies.iter().any(|dependency| dependency.name == "backoff");
        assert!(!uses || package.name == "toolweaver-service-runtime", "{} depends on backoff", package.name);
    }
}

#[test]
fn the_expected_crates_and_folders_are_there() {
    let metadata = workspace();
    let members: BTreeSet<_> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    let expected = SHARED.into_iter().chain(SERVICES).chain([
        "toolweaver",
        EVAL,
        DASHBOARDS,
        DEPLOYMENT_CHECKS,
        "toolweaver-loadtest",
        "xtask",
    ]);
    let missing: Vec<_> = expected.filter(|name| !members.contains(name)).collect();
    assert!(missing.is_empty(), "no member is named {missing:?}");

    let root = Path::new(metadata.workspace_root.as_std_path());
    let missing: Vec<_> = TOP_LEVEL.into_iter().filter(|name| !root.join(name).exists()).collect();
    assert!(missing.is_empty(), "the top level lacks {missing:?}");
}
