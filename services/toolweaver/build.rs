//! Names the commit that the program is built from, for `--version`.
//!
//! `GIT_COMMIT` wins, for builds without a repository, as in a container. Without both it is "unknown".

use std::{env, path::Path, process::Command};

/// Characters of the commit that are shown.
const COMMIT_SHOWN: &str = "--short=12";

fn main() {
    println!("cargo::rerun-if-env-changed=GIT_COMMIT");
    // Nothing else: a commit that changes no file of this crate recompiles this crate and no other.
    for file in watched() {
        println!("cargo::rerun-if-changed={file}");
    }
    let commit = env::var("GIT_COMMIT").ok().filter(|commit| !commit.trim().is_empty());
    let commit = commit.or_else(|| git(&["rev-parse", COMMIT_SHOWN, "HEAD"]));
    println!("cargo::rustc-env=TOOLWEAVER_COMMIT={}", commit.as_deref().map_or("unknown", str::trim));
}

/// Returns the files that change when another commit is checked out, and those of this script.
fn watched() -> Vec<String> {
    let branch = git(&["symbolic-ref", "--quiet", "HEAD"]);
    let names = ["HEAD", "packed-refs"].into_iter().chain(branch.as_deref());
    let files = names.filter_map(|name| git(&["rev-parse", "--git-path", name]));
    // One that is missing would count as changed for ever.
    let files = files.filter(|file| Path::new(file).exists());
    files.chain(["build.rs".to_owned()]).collect()
}

/// Returns what git answers; none without git, or outside our own repository.
fn git(args: &[&str]) -> Option<String> {
    // The sources may be unpacked somewhere inside another repository.
    if !Path::new("../../.git").exists() {
        return None;
    }
    let output = Command::new("git").args(args).output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}
