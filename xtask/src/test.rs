//! `cargo xtask test`: every check of the repository, in the order in which a mistake costs least to find.

use std::env;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::downloads;
use crate::process::{self, cargo, on_path, root};
use crate::{charts, compose, dashboards, example, exported, up, workflows};

pub(crate) fn run() -> Result<()> {
    let runtime = downloads::runtime()?;
    let mut report = Report::default();
    report.check("format", || process::run(&mut cargo(&["fmt", "--all", "--check"])));
    report.check("compose", compose::compose_check);
    if workflows::can_check() {
        report.check("workflows", workflows::check);
    } else {
        report.skip("workflows", "npm and node are not installed");
    }
    report.check("chart", charts::helm_check);
    report.check("dashboards", || dashboards::run(true));
    report.check("rules", dashboards::rules_check);
    if on_path("cargo-deny").is_some() {
        report.check("dependencies", || process::run(&mut cargo(&["deny", "check"])));
    } else {
        report.skip(
            "advisories of dependencies",
            "cargo-deny is not installed (a test checks licences and bans)",
        );
    }
    report.check("clippy", || {
        process::run(&mut cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--quiet",
            "--",
            "--deny",
            "warnings",
        ]))
    });
    // One build for all that follows: the tests' features differ from a plain build's, so that two would be
    // two.
    report.check("build", || process::run(&mut cargo(&["build", "--workspace", "--bins", "--tests"])));
    report.stop_if_failed("build")?;
    report.check("environment", || charts::environment_check(&up::programs()));
    report.check("exported metrics", || exported::exported_check(&up::programs()));
    report.check("python example", || example::run(&up::programs().join("toolweaver"), &runtime));

    if env::var_os("TOOLWEAVER_TEST_QDRANT_URL").is_none() {
        report
            .skip("a real Qdrant", "TOOLWEAVER_TEST_QDRANT_URL is not set (the in-process double is tested)");
    }
    if !root().join("../shared").is_dir() {
        report.skip("real catalogs", "there is no ../shared folder");
    }
    let mut documentation = cargo(&["test", "--workspace", "--doc", "--quiet"]);
    report.check("doc tests", || process::run(documentation.envs(runtime.environment())));
    // Last, so that its summary ends the output.
    let mut tests = if on_path("cargo-nextest").is_some() {
        cargo(&["nextest", "run", "--workspace", "--profile", "ci"])
    } else {
        report.skip(
            "cargo-nextest",
            "it is not installed: `cargo test` runs the same tests, without its time limits",
        );
        cargo(&["test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast"])
    };
    report.check("tests", || process::run(tests.envs(runtime.environment())));
    report.finish()
}

/// Results of the checks, with their durations, and the checks skipped.
#[derive(Default)]
struct Report {
    checked: Vec<(&'static str, u64, Result<()>)>,
    skipped: Vec<(&'static str, &'static str)>,
}

impl Report {
    fn check(&mut self, name: &'static str, check: impl FnOnce() -> Result<()>) {
        let started = Instant::now();
        let result = check();
        if let Err(error) = &result {
            println!("{name}: {error:#}");
        }
        self.checked.push((name, started.elapsed().as_secs(), result));
    }

    fn skip(&mut self, name: &'static str, reason: &'static str) {
        self.skipped.push((name, reason));
    }

    fn stop_if_failed(&self, name: &str) -> Result<()> {
        match self.checked.last() {
            Some((last, _, Err(_))) if *last == name => self.finish(),
            _ => Ok(()),
        }
    }

    fn finish(&self) -> Result<()> {
        println!();
        for (name, seconds, result) in &self.checked {
            println!("{} {name} ({seconds} s)", if result.is_ok() { "ok    " } else { "FAILED" });
        }
        for (name, reason) in &self.skipped {
            println!("SKIPPED {name}: {reason}");
        }
        let failed = self.checked.iter().filter(|(_, _, result)| result.is_err()).count();
        if failed > 0 {
            bail!("{failed} of {} checks failed", self.checked.len());
        }
        Ok(())
    }
}
