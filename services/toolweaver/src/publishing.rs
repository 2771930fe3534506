//! Tools on their way into the log: many at a time, and what became of each.
//!
//! ```text
//! file ─▶ reading thread ──256──▶ publishing, 512 unacknowledged ──▶ TOOLS
//! ```

use std::{collections::HashMap, ops::ControlFlow, time::Instant};

use futures_util::{StreamExt as _, stream};
use indicatif::ProgressBar;
use serde::Serialize;
use tokio::sync::mpsc;
use toolweaver_contracts::{Fault, ToolId, subjects};
use toolweaver_messaging::{Nats, Outgoing, publish};

use crate::{
    exit::not_stored,
    source::{BadTool, Entry},
};

/// Tools read ahead of publishing.
const READ_AHEAD: usize = 256;
/// Publishes that wait for their acknowledgement at a time.
const IN_FLIGHT: usize = 512;

/// A tool that did not get in, for the report.
#[derive(Debug, Serialize)]
pub(crate) struct Refused {
    /// Line of the file, or number of the operation.
    pub(crate) line: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tool: Option<String>,
    pub(crate) reason: Fault,
}

/// What became of all tools.
#[derive(Debug, Default)]
pub(crate) struct Published {
    /// Stored in TOOLS, by revision: line of the input and tool.
    pub(crate) stored: HashMap<u64, (u64, ToolId)>,
    pub(crate) refused: Vec<Refused>,
    /// Seconds from the first read to the last acknowledgement.
    pub(crate) seconds: f64,
    /// Why publishing ended early, if it did.
    pub(crate) broken_off: Option<Fault>,
}

impl Published {
    pub(crate) fn last_revision(&self) -> Option<u64> {
        self.stored.keys().max().copied()
    }
}

/// Publishes all that `read` hands over. `read` runs on a thread of its own and stops when told to.
pub(crate) async fn publish_all<R>(nats: &Nats, bar: &ProgressBar, read: R) -> Result<Published, Fault>
where
    R: FnOnce(&mut dyn FnMut(Entry) -> ControlFlow<()>) -> Result<(), Fault> + Send + 'static,
{
    let begin = Instant::now();
    let (sender, receiver) = mpsc::channel(READ_AHEAD);
    let reader = tokio::task::spawn_blocking(move || {
        read(&mut |entry| match sender.blocking_send(entry) {
            Ok(()) => ControlFlow::Continue(()),
            // The receiver has given up, and says why.
            Err(_) => ControlFlow::Break(()),
        })
    });
    let entries = stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
    let mut outcomes =
        std::pin::pin!(entries.map(|entry| publish_one(nats, entry)).buffer_unordered(IN_FLIGHT));
    let mut published = Published::default();
    while let Some(Outcome { line, position, result }) = outcomes.next().await {
        bar.set_position(position.max(bar.position()));
        match result {
            Ok((revision, tool_id)) => {
                published.stored.insert(revision, (line, tool_id));
            }
            Err(Trouble::Tool(BadTool { name, fault })) => {
                published.refused.push(Refused { line, tool: name, reason: fault });
            }
            Err(Trouble::Log(fault)) => {
                // Trying again here could store an older registration behind a newer one of the same tool.
                published.broken_off = Some(fault);
                break;
            }
        }
        bar.set_message(format!("{} tools", published.stored.len()));
    }
    published.seconds = begin.elapsed().as_secs_f64();
    published.refused.sort_by_key(|refused| refused.line);
    if published.broken_off.is_none() {
        reader.await.expect("reading does not panic")?;
    }
    Ok(published)
}

struct Outcome {
    line: u64,
    position: u64,
    result: Result<(u64, ToolId), Trouble>,
}

enum Trouble {
    /// This tool cannot get in; others can.
    Tool(BadTool),
    /// Nothing gets in.
    Log(Fault),
}

async fn publish_one(nats: &Nats, entry: Entry) -> Outcome {
    let Entry { line, position, tool } = entry;
    let result = match tool {
        Err(bad) => Err(Trouble::Tool(bad)),
        Ok(prepared) => {
            let message = Outgoing::new(subjects::tools(&prepared.key), prepared.event);
            match publish(nats, message).await {
                Ok(stored) => Ok((stored.stream_sequence, prepared.key.tool_id())),
                Err(error) if error.is_transient() => Err(Trouble::Log(not_stored(&error))),
                Err(error) => {
                    let name = Some(prepared.key.tool_name.to_string());
                    Err(Trouble::Tool(BadTool { name, fault: not_stored(&error) }))
                }
            }
        }
    };
    Outcome { line, position, result }
}
