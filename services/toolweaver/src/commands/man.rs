//! `man`: manual pages, one for the program and one for each command.

use std::{fs, path::PathBuf};

use clap::Args;
use toolweaver_contracts::{ErrorCode, Fault};

use crate::{
    options::Common,
    terminal::{Exit, Output},
};

#[derive(Debug, Args)]
#[command(after_help = "Example: toolweaver man ~/.local/share/man/man1 && man toolweaver-search")]
pub(crate) struct ManArgs {
    /// Folder that the pages are written into; made where it is missing
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Runs `man DIR` for a program with this command line.
pub(crate) fn man(args: &ManArgs, program: clap::Command, common: &Common) -> Result<Exit, Fault> {
    let dir = &args.dir;
    fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(program, dir)).map_err(|error| {
        Fault::new(ErrorCode::Internal, format!("cannot write the pages into {}: {error}", dir.display()))
            .hint("check its permissions and free space, or give another folder")
    })?;
    let report = serde_json::json!({ "dir": dir });
    let text = || format!("manual pages are in {}; `man -l {0}/toolweaver.1` shows the first", dir.display());
    Output { json: common.json }.result(&report, text)?;
    Ok(Exit::Done)
}
