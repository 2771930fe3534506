//! Registration of many tools: publish, wait where that is asked for, report.

use std::{
    ops::ControlFlow,
    time::{Duration, Instant},
};

use serde::Serialize;
use toolweaver_contracts::Fault;

use super::{
    publishing::{Published, Refused, publish_all},
    source::Entry,
};
use crate::{
    client::{Client, Rejections, until_searchable},
    data_dir::DataDir,
    options::{Common, Connection, WaitArgs},
    terminal::{Exit, Output, bar, told},
};

/// Refused tools that the human report names one by one.
const REFUSED_SHOWN: usize = 20;

/// Report of a run, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Report {
    /// Tools stored in TOOLS.
    registered: usize,
    /// Tools that were refused here, or rejected by the workers.
    rejected: Vec<Refused>,
    /// The highest revision of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_revision: Option<u64>,
    seconds: f64,
    tools_per_second: f64,
    /// Seconds from the first tool read until all were searchable, with `--wait`.
    #[serde(skip_serializing_if = "Option::is_none")]
    searchable_seconds: Option<f64>,
    /// Fault that kept the run from doing everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Fault>,
}

/// One run of `register` or `import`.
pub(crate) struct Job<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) common: &'a Common,
    pub(crate) wait: WaitArgs,
    /// Size of the input in the unit of its entries' positions.
    pub(crate) size: Option<u64>,
}

impl Job<'_> {
    /// Publishes all that `read` emits, and prints the report.
    pub(crate) async fn run<R>(self, read: R) -> Result<Exit, Fault>
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
        report.print(Output { json: self.common.json })
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
    fn print(&self, output: Output) -> Result<Exit, Fault> {
        output.result(self, || self.human())?;
        Ok(match &self.error {
            Some(fault) => {
                if !output.json {
                    output.failure(fault);
                }
                fault.code.into()
            }
            None if self.rejected.is_empty() => Exit::Done,
            None if self.registered == 0 => Exit::BadInput,
            None => Exit::Partly,
        })
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
