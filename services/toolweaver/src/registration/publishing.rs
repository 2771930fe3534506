//! Concurrent publishing of registrations into TOOLS, and the outcome of each.
//!
//! ```text
//! file ─▶ reading thread ──256──▶ publishing, 512 unacknowledged ──▶ TOOLS
//! ```

use std::{
    collections::{HashMap, HashSet},
    ops::ControlFlow,
    time::Instant,
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use indicatif::ProgressBar;
use serde::Serialize;
use tokio::sync::mpsc;
use toolweaver_contracts::{Fault, ToolId, ToolKey, subjects};
use toolweaver_messaging::{Nats, Outgoing, PublishError, Stored, publish};

use super::source::{BadTool, Entry, Prepared};
use crate::client::not_stored;

/// Tools read ahead of publishing.
const READ_AHEAD: usize = 256;
/// Publishes that wait for their acknowledgement at a time.
const IN_FLIGHT: usize = 512;

/// Tool that was refused, for the report.
#[derive(Debug, Serialize)]
pub(crate) struct Refused {
    /// Line of the file, or number of the operation.
    pub(crate) line: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tool: Option<String>,
    pub(crate) reason: Fault,
}

/// Outcomes of all tools.
#[derive(Debug, Default)]
pub(crate) struct Published {
    /// Stored in TOOLS, by revision: line of the input and tool.
    pub(crate) stored: HashMap<u64, (u64, ToolId)>,
    pub(crate) refused: Vec<Refused>,
    /// Seconds from the first read to the last acknowledgement.
    pub(crate) seconds: f64,
    /// Fault that ended publishing early, if one did.
    pub(crate) broken_off: Option<Fault>,
}

impl Published {
    pub(crate) fn last_revision(&self) -> Option<u64> {
        self.stored.keys().max().copied()
    }

    fn add(&mut self, outcome: Outcome) {
        let Outcome { line, key, result, .. } = outcome;
        match result {
            Ok(stored) => {
                self.stored.insert(stored.stream_sequence, (line, key.tool_id()));
            }
            // Nothing else would get in either. What was stored stays; the rest is for another run.
            Err(error) if error.is_transient() => self.broken_off = Some(not_stored(&error)),
            Err(error) => {
                let tool = Some(key.tool_name.to_string());
                self.refused.push(Refused { line, tool, reason: not_stored(&error) });
            }
        }
    }
}

/// Publishes all that `read` emits. `read` runs on a thread of its own and stops when told to.
pub(crate) async fn publish_all<R>(nats: &Nats, bar: &ProgressBar, read: R) -> Published
where
    R: FnOnce(&mut dyn FnMut(Entry) -> ControlFlow<()>) -> Result<(), Fault> + Send + 'static,
{
    let begin = Instant::now();
    let (sender, mut receiver) = mpsc::channel(READ_AHEAD);
    let reader = tokio::task::spawn_blocking(move || {
        read(&mut |entry| match sender.blocking_send(entry) {
            Ok(()) => ControlFlow::Continue(()),
            // The receiver has given up, and says why.
            Err(_) => ControlFlow::Break(()),
        })
    });
    let mut published = Published::default();
    let mut in_flight = FuturesUnordered::new();
    // Two registrations of one tool on their way at once could be stored in the wrong order.
    let mut tools_in_flight = HashSet::new();
    let mut next: Option<Registration> = None;
    let mut is_open = true;
    while published.broken_off.is_none() && (is_open || next.is_some() || !in_flight.is_empty()) {
        if let Some(registration) = next.take_if(|next| !tools_in_flight.contains(&next.prepared.key)) {
            tools_in_flight.insert(registration.prepared.key.clone());
            in_flight.push(publish_one(nats, registration));
        }
        tokio::select! {
            entry = receiver.recv(), if is_open && next.is_none() && in_flight.len() < IN_FLIGHT => match entry {
                None => is_open = false,
                Some(Entry { line, position, tool: Ok(prepared) }) => {
                    next = Some(Registration { line, position, prepared });
                }
                Some(Entry { line, tool: Err(BadTool { name, fault }), .. }) => {
                    published.refused.push(Refused { line, tool: name, reason: fault });
                }
            },
            Some(outcome) = in_flight.next(), if !in_flight.is_empty() => {
                tools_in_flight.remove(&outcome.key);
                bar.set_position(outcome.position.max(bar.position()));
                published.add(outcome);
                bar.set_message(format!("{} tools", published.stored.len()));
            }
        }
    }
    published.seconds = begin.elapsed().as_secs_f64();
    published.refused.sort_by_key(|refused| refused.line);
    // Broken off, the reader may be waiting for input that never comes; nobody waits for it.
    if published.broken_off.is_none() {
        published.broken_off = reader.await.expect("reading does not panic").err();
    }
    published
}

struct Registration {
    line: u64,
    position: u64,
    prepared: Prepared,
}

struct Outcome {
    line: u64,
    position: u64,
    key: ToolKey,
    result: Result<Stored, PublishError>,
}

async fn publish_one(nats: &Nats, registration: Registration) -> Outcome {
    let Registration { line, position, prepared: Prepared { key, event } } = registration;
    let result = publish(nats, Outgoing::new(subjects::tools(&key), event)).await;
    Outcome { line, position, key, result }
}
