//! `import openapi`: the operations of an API as tools.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use toolweaver_contracts::{Domain, Fault, encode};
use toolweaver_openapi_import as openapi;

use crate::{
    options::{Common, Connection, WaitArgs},
    registration::{Entry, Job, prepare, unreadable},
    terminal::{Exit, line, note},
};

#[derive(Debug, Subcommand)]
pub(crate) enum ImportCommand {
    /// Every operation of an OpenAPI 3 document, JSON or YAML
    Openapi(OpenapiArgs),
}

#[derive(Debug, Args)]
pub(crate) struct OpenapiArgs {
    /// The document; - reads stdin
    #[arg(value_name = "FILE|-")]
    file: PathBuf,

    /// Domain of the tools
    #[arg(long)]
    domain: Domain,

    /// Print the tools as JSON Lines and register nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    wait: WaitArgs,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

impl ImportCommand {
    /// Returns the connection it registers over.
    pub(crate) fn connection(&self) -> &Connection {
        let Self::Openapi(args) = self;
        &args.connection
    }
}

/// Runs `import openapi FILE|-`.
pub(crate) async fn import(command: ImportCommand, common: &Common) -> Result<Exit, Fault> {
    let ImportCommand::Openapi(OpenapiArgs { file, domain, dry_run, wait, connection }) = command;
    let mut text = Vec::new();
    let outcome = if file == Path::new("-") {
        io::stdin().lock().read_to_end(&mut text)
    } else {
        File::open(&file).and_then(|mut file| file.read_to_end(&mut text))
    };
    outcome.map_err(|error| unreadable(&file, &error))?;
    let imported = openapi::import(&openapi::parse(&text)?, &domain)?;
    for remark in remarks(&imported) {
        note(&remark);
    }
    if dry_run {
        for tool in &imported.tools {
            line(&String::from_utf8_lossy(&encode(tool)))?;
        }
        return Ok(Exit::Done);
    }
    let tenant = connection.tenant.clone();
    let job = Job { connection: &connection, common, wait, size: Some(imported.tools.len() as u64) };
    job.run(move |emit| {
        for (number, tool) in (1..).zip(imported.tools) {
            let entry = Entry { line: number, position: number, tool: prepare(tool, &tenant) };
            if emit(entry).is_break() {
                break;
            }
        }
        Ok(())
    })
    .await
}

/// Returns a line for each kind of content that the tools lack.
fn remarks(imported: &openapi::Import) -> Vec<String> {
    let mut remarks = Vec::new();
    if imported.pruned > 0 {
        remarks.push(format!(
            "{} parts of the parameters of {} operations lay too deep or were too large and are left out",
            imported.pruned, imported.tools_pruned
        ));
    }
    if imported.unresolved > 0 {
        remarks.push(format!(
            "{} references lead out of the document and are left open; bundle it into one file to keep them",
            imported.unresolved
        ));
    }
    if imported.sentences_shared > 0 {
        remarks.push(format!(
            "{} sentences that many operations share are left out: they do not tell one from another",
            imported.sentences_shared
        ));
    }
    remarks
}

#[cfg(test)]
mod tests {
    use toolweaver_contracts::Tool;

    use super::*;

    #[test]
    fn a_registered_tool_can_be_read_again() {
        // `import --dry-run | register -` must be the same as `import`.
        let document =
            serde_json::json!({ "openapi": "3.0.0", "paths": { "/a": { "get": { "summary": "A" } } } });
        let tools = openapi::import(&document, &"x".parse().unwrap()).unwrap().tools;
        let again: Tool = serde_json::from_slice(&encode(&tools[0])).unwrap();
        assert_eq!(again, tools[0]);
    }
}
