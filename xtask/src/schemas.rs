//! `cargo xtask schemas`: the JSON Schemas, which the contracts write themselves; this only says where to.

use std::fs;
use std::path::Path;

use anyhow::{Result, bail};

use crate::downloads;
use crate::process::{self, Scratch, cargo, root};

pub(crate) fn run(check: bool) -> Result<()> {
    let schemas = root().join("schemas");
    if !check {
        return write(&schemas);
    }
    let scratch = Scratch::new(&downloads::folder(), "schemas")?;
    write(scratch.path())?;
    for entry in fs::read_dir(scratch.path())? {
        let (written, committed) = (entry?.path(), &schemas);
        let name = written.file_name().expect("a listed file has a name");
        if fs::read(&written)? != fs::read(committed.join(name)).unwrap_or_default() {
            bail!("schemas/{} is not what the contracts say: run `cargo xtask schemas`", name.display());
        }
    }
    Ok(())
}

fn write(folder: &Path) -> Result<()> {
    let mut example =
        cargo(&["run", "--quiet", "--package", "toolweaver-contracts", "--example", "write_schemas"]);
    process::run(example.arg("--").arg(folder))
}
