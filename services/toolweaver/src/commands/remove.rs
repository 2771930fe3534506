//! `remove`: removal of tools from the catalog.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use toolweaver_contracts::{
    ErrorCode, Fault, IndexedEvent, ToolEvent, ToolId, ToolKey, decode, encode, subjects,
};
use toolweaver_messaging::{
    Outgoing, publish,
    publish::{StoredMessage, last_message},
};
use toolweaver_resilience::error_chain;

use crate::{
    client::{Client, not_stored, until_searchable},
    data_dir::DataDir,
    options::{Common, Connection, WaitArgs},
    registration::TOMBSTONE_KEPT,
    terminal::{Exit, Output, bar},
};

#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// Tools, written `domain.tool_name`
    #[arg(required = true, value_name = "TOOL_ID")]
    tool_ids: Vec<ToolId>,

    #[command(flatten)]
    wait: WaitArgs,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Report of a run, as `--json` prints it.
#[derive(Debug, Default, Serialize)]
struct Report {
    removed: Vec<ToolId>,
    not_found: Vec<ToolId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_revision: Option<u64>,
    /// True when no search finds them any more, with `--wait`.
    #[serde(skip_serializing_if = "Option::is_none")]
    gone: Option<bool>,
}

/// `remove TOOL_ID...`.
pub(crate) async fn remove(args: RemoveArgs, common: &Common) -> Result<Exit, Fault> {
    let client = Client::connect(&args.connection, &DataDir::new(common.data_dir.as_deref())?).await?;
    let mut report = Report::default();
    for tool_id in args.tool_ids {
        match remove_one(&client, &tool_id).await? {
            Some(revision) => {
                report.last_revision = report.last_revision.max(Some(revision));
                report.removed.push(tool_id);
            }
            None => report.not_found.push(tool_id),
        }
    }
    if let Some(revision) = report.last_revision.filter(|_| args.wait.wait) {
        let progress = bar(None, "removing");
        let timeout = Duration::from_secs(args.wait.timeout);
        let outcome = until_searchable(&client, revision, report.removed.len() > 1, timeout, &progress).await;
        progress.finish_and_clear();
        outcome?;
        report.gone = Some(true);
    }
    Output { json: common.json }.result(&report, || report.human())?;
    Ok(match (report.removed.is_empty(), report.not_found.is_empty()) {
        (_, true) => Exit::Done,
        (true, false) => Exit::NotFound,
        (false, false) => Exit::Partly,
    })
}

/// Publishes the removal and returns its revision; none if there is no such tool.
///
/// TOOLS is asked first: it knows all that was registered and removed, indexed or not.
async fn remove_one(client: &Client, tool_id: &ToolId) -> Result<Option<u64>, Fault> {
    let key = ToolKey {
        tenant: client.tenant.clone(),
        domain: tool_id.domain.clone(),
        tool_name: tool_id.tool_name.clone(),
    };
    let subject = subjects::tools(&key);
    let last = last_in(client, subjects::TOOLS_STREAM, &subject).await?;
    let is_there = last.is_some_and(|message| {
        // A registration that was rejected can be removed too.
        !matches!(ToolEvent::decode(&subject, &message.payload), Ok((_, ToolEvent::Removed)))
    });
    // A removal that was given up left the tool as it was, and must be possible again.
    if !is_there && !is_indexed(client, &key).await? {
        return Ok(None);
    }
    let removal = Outgoing::new(subject, encode(&ToolEvent::Removed)).expiring_after(TOMBSTONE_KEPT);
    match publish(&client.nats, removal).await {
        Ok(stored) => Ok(Some(stored.stream_sequence)),
        Err(error) => Err(not_stored(&error)),
    }
}

/// Returns whether searches find the tool.
async fn is_indexed(client: &Client, key: &ToolKey) -> Result<bool, Fault> {
    let last = last_in(client, subjects::INDEXED_STREAM, &subjects::indexed(key)).await?;
    Ok(last.is_some_and(|message| {
        matches!(decode::<IndexedEvent>(&message.payload), Ok(IndexedEvent::Indexed { .. }))
    }))
}

async fn last_in(client: &Client, stream: &str, subject: &str) -> Result<Option<StoredMessage>, Fault> {
    last_message(&client.nats, stream, subject).await.map_err(|error| {
        Fault::new(ErrorCode::Unavailable, error_chain(&error).to_string())
            .hint("start the workers with `toolweaver up`; they create the streams")
    })
}

impl Report {
    fn human(&self) -> String {
        let list = |ids: &[ToolId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let mut lines = Vec::new();
        if !self.removed.is_empty() {
            let gone = if self.gone == Some(true) { ", and gone from search" } else { "" };
            lines.push(format!("removed {}{gone}", list(&self.removed)));
        }
        if !self.not_found.is_empty() {
            lines.push(format!("not found: {}", list(&self.not_found)));
        }
        lines.join("\n")
    }
}
