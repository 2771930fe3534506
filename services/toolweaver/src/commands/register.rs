//! `register`: tools from a file or from stdin.

use std::{
    fs::{File, Metadata},
    io::{self, BufReader},
    path::{Path, PathBuf},
};

use clap::Args;
use toolweaver_contracts::{Domain, Fault};

use crate::{
    options::{Common, Connection, WaitArgs},
    registration::{Job, Scope, read, unreadable},
    terminal::Exit,
};

/// Bytes read from a file at a time.
const BUFFER_BYTES: usize = 1 << 16;

#[derive(Debug, Args)]
pub(crate) struct RegisterArgs {
    /// A tool, a JSON array of tools, or JSON Lines with one tool a line; - reads stdin
    #[arg(value_name = "FILE|-")]
    file: PathBuf,

    /// Domain of tools that do not name one
    #[arg(long, default_value_t)]
    domain: Domain,

    #[command(flatten)]
    wait: WaitArgs,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Runs `register FILE|-`.
pub(crate) async fn register(args: RegisterArgs, common: &Common) -> Result<Exit, Fault> {
    let RegisterArgs { file, domain, wait, connection } = args;
    let scope = Scope { tenant: connection.tenant.clone(), domain };
    let is_stdin = file == Path::new("-");
    let input =
        if is_stdin { None } else { Some(File::open(&file).map_err(|error| unreadable(&file, &error))?) };
    let metadata = input.as_ref().and_then(|file| file.metadata().ok());
    let size = metadata.filter(Metadata::is_file).map(|metadata| metadata.len());
    let job = Job { connection: &connection, common, wait, size };
    job.run(move |emit| {
        match input {
            Some(input) => read(BufReader::with_capacity(BUFFER_BYTES, input), &scope, emit),
            None => read(io::stdin().lock(), &scope, emit),
        }
        .map_err(|error| unreadable(&file, &error))
    })
    .await
}
