//! `register` and `import`: tools into the log, and the report of what became of them.

use std::{
    fs::{File, Metadata},
    io::{self, BufReader, Read as _},
    ops::ControlFlow,
    path::Path,
    time::{Duration, Instant},
};

use serde::Serialize;
use toolweaver_contracts::{ErrorCode, Fault, encode};
use toolweaver_openapi_import as openapi;

use crate::{
    cli::{Common, Connection, OpenapiArgs, RegisterArgs, WaitArgs},
    client::Client,
    data_dir::DataDir,
    exit::Exit,
    output::{Output, line, note, told},
    progress::bar,
    publishing::{Published, Refused, publish_all},
    source::{Entry, Scope, prepare, read},
    waiting::{Rejections, until_searchable},
};

/// Refused tools that the human report names one by one.
const REFUSED_SHOWN: usize = 20;

/// What became of a run, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Report {
    /// Tools stored in TOOLS.
    registered: usize,
    /// Tools that did not get in, or that the workers rejected.
    rejected: Vec<Refused>,
    /// The highest revision of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_revision: Option<u64>,
    seconds: f64,
    tools_per_second: f64,
    /// Seconds from the first tool read until all were searchable, with `--wait`.
    #[serde(skip_serializing_if = "Option::is_none")]
    searchable_seconds: Option<f64>,
    /// Why not everything was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Fault>,
}

/// `register FILE|-`.
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
            Some(input) => read(BufReader::with_capacity(1 << 16, input), &scope, emit),
            None => read(io::stdin().lock(), &scope, emit),
        }
        .map_err(|error| unreadable(&file, &error))
    })
    .await
}

/// `import openapi FILE`.
pub(crate) async fn import_openapi(args: OpenapiArgs, common: &Common) -> Result<Exit, Fault> {
    let OpenapiArgs { file, domain, dry_run, wait, connection } = args;
    let mut text = Vec::new();
    let outcome = if file == Path::new("-") {
        io::stdin().lock().read_to_end(&mut text)
    } else {
        File::open(&file).and_then(|mut file| file.read_to_end(&mut text))
    };
    outcome.map_err(|error| unreadable(&file, &error))?;
    let imported = openapi::import(&openapi::parse(&text)?, &domain)?;
    if imported.pruned > 0 {
        note(&format!(
            "{} parts of the parameters of {} operations lay too deep or were too large and are left out",
            imported.pruned, imported.tools_pruned
        ));
    }
    if imported.unresolved > 0 {
        note(&format!(
            "{} references lead out of the document and are left open; bundle it into one file to keep them",
            imported.unresolved
        ));
    }
    if imported.sentences_shared > 0 {
        note(&format!(
            "{} sentences that many operations share are left out: they do not tell one from another",
            imported.sentences_shared
        ));
    }
    if dry_run {
        for tool in &imported.tools {
            line(&String::from_utf8_lossy(&encode(tool)));
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

struct Job<'a> {
    connection: &'a Connection,
    common: &'a Common,
    wait: WaitArgs,
    /// Size of the input in the unit of its entries' positions.
    size: Option<u64>,
}

impl Job<'_> {
    async fn run<R>(self, read: R) -> Result<Exit, Fault>
    where
        R: FnOnce(&mut dyn FnMut(Entry) -> ControlFlow<()>) -> Result<(), Fault> + Send + 'static,
    {
        let client =
            Client::connect(self.connection, &DataDir::new(self.common.data_dir.as_deref())?).await?;
        let rejections = if self.wait.wait { Some(Rejections::listen(&client).await?) } else { None };
        let begin = Instant::now();
        let progress = bar(self.size, "registering");
        let published = publish_all(&client.nats, &progress, read).await;
        progress.finish_and_clear();
        let mut report = report(&published);
        report.rejected = published.refused;
        report.error = published.broken_off;
        if let (Some(rejections), Some(revision)) = (rejections, report.last_revision) {
            let progress = bar(Some(published.stored.len() as u64), "indexing");
            let timeout = Duration::from_secs(self.wait.timeout);
            let several = published.stored.len() > 1;
            match until_searchable(&client, revision, several, timeout, &progress).await {
                Ok(()) => report.searchable_seconds = Some(begin.elapsed().as_secs_f64()),
                Err(fault) => report.error = report.error.or(Some(fault)),
            }
            progress.finish_and_clear();
            let ours = rejections.heard().into_iter().filter_map(|rejection| {
                let (line, tool) = published.stored.get(&rejection.revision)?;
                Some(Refused { line: *line, tool: Some(tool.to_string()), reason: rejection.reason })
            });
            report.rejected.extend(ours);
        }
        Ok(report.print(Output { json: self.common.json }))
    }
}

fn report(published: &Published) -> Report {
    let registered = published.stored.len();
    Report {
        registered,
        rejected: Vec::new(),
        last_revision: published.last_revision(),
        seconds: published.seconds,
        #[expect(clippy::cast_precision_loss, reason = "a rate is shown with three digits")]
        tools_per_second: registered as f64 / published.seconds.max(f64::EPSILON),
        searchable_seconds: None,
        error: None,
    }
}

impl Report {
    fn print(&self, output: Output) -> Exit {
        output.result(self, || self.human());
        match &self.error {
            Some(fault) => {
                if !output.json {
                    output.failure(fault);
                }
                fault.code.into()
            }
            None if self.rejected.is_empty() => Exit::Done,
            None if self.registered == 0 => Exit::BadInput,
            None => Exit::Partly,
        }
    }

    fn human(&self) -> String {
        let revision = self.last_revision.map(|revision| format!(", last revision {revision}"));
        let mut lines = vec![format!(
            "registered {} tools in {:.2} s ({:.0} tools/s){}",
            self.registered,
            self.seconds,
            self.tools_per_second,
            revision.unwrap_or_default()
        )];
        if let Some(seconds) = self.searchable_seconds {
            lines.push(format!("all searchable after {seconds:.2} s"));
        }
        if !self.rejected.is_empty() {
            lines.push(format!("rejected {}:", self.rejected.len()));
        }
        for Refused { line, tool, reason } in self.rejected.iter().take(REFUSED_SHOWN) {
            let tool = tool.as_deref().map(|tool| format!(" {tool}")).unwrap_or_default();
            lines.push(format!("  {line}:{tool} {}", told(reason).replace("\n  ", "; ")));
        }
        if self.rejected.len() > REFUSED_SHOWN {
            lines.push(format!("  and {} more; --json lists all", self.rejected.len() - REFUSED_SHOWN));
        }
        lines.join("\n")
    }
}

fn unreadable(file: &Path, error: &io::Error) -> Fault {
    Fault::new(ErrorCode::BadRequest, format!("cannot read {}: {error}", file.display()))
        .hint("give a file that is there, or - for stdin")
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
