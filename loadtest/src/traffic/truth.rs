//! Oracle of the catalog: facts that replies must agree with.
//!
//! A change counts once a search that waited for it has told a version of the catalog that holds it. From
//! then on a reply of that version or a later one must show it. A reply may always show more: what was
//! published since.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use toolweaver_contracts::{GetReply, SearchReply, ToolId};

use super::lock;

#[cfg(test)]
mod tests;

/// Time after which every worker must hold a version.
const SETTLED_AFTER: Duration = Duration::from_secs(5);

/// Fact about replies that follows from a visible change.
#[derive(Debug, Clone)]
pub(super) enum Fact {
    /// One more tool is there, which no answer is known to need.
    Added,
    /// The tool is in no answer.
    Removed(ToolId),
    /// The tool is never shown with this description again.
    Outdated(ToolId, String),
    /// The tool is in every answer to this query.
    Answers(String, ToolId),
    /// The tool is in every answer to this query, if no better tools leave it out.
    MayAnswer(String, ToolId),
}

/// Facts known now; they grow while traffic runs.
#[derive(Default)]
pub(super) struct Truth {
    known: Mutex<Arc<Known>>,
    /// Tools whose removal was published, whether or not it is visible yet.
    leaving: Mutex<HashSet<ToolId>>,
    /// Moments at which each version became known.
    versions: Mutex<Vec<(Instant, u64)>>,
}

/// Facts known at one moment, each with the version from which it is visible.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    version: u64,
    removed: HashMap<ToolId, u64>,
    outdated: HashMap<ToolId, HashMap<String, u64>>,
    answers: HashMap<String, (ToolId, u64)>,
}

/// Judgement of a reply.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Verdict {
    /// True for a version before one that was known when the request left.
    pub(super) is_older: bool,
    /// True for a version before one that had been known for seconds.
    pub(super) is_behind: bool,
    /// True where it shows a change: a tool that it must hold, or the newer description of one.
    pub(super) shows_change: bool,
    /// Contradiction to the facts of its own version.
    pub(super) stale: Option<String>,
}

impl Truth {
    /// Returns the facts that a request sent now is judged by.
    pub(super) fn known(&self) -> Arc<Known> {
        Arc::clone(&lock(&self.known))
    }

    /// Returns the newest version that every worker should hold by now.
    pub(super) fn settled(&self) -> u64 {
        let versions = lock(&self.versions);
        let settled = versions.iter().filter(|(since, _)| since.elapsed() >= SETTLED_AFTER);
        settled.map(|(_, version)| *version).max().unwrap_or_default()
    }

    /// Adds a fact that is visible from this version on.
    pub(super) fn learn(&self, fact: Fact, version: u64) {
        lock(&self.versions).push((Instant::now(), version));
        let mut known = lock(&self.known);
        // Copies only what a request on its way still holds.
        let known = Arc::make_mut(&mut known);
        known.version = known.version.max(version);
        match fact {
            // What is not certain is nothing to judge by.
            Fact::Added | Fact::MayAnswer(..) => {}
            Fact::Removed(tool) => {
                known.removed.insert(tool, version);
            }
            Fact::Outdated(tool, description) => {
                known.outdated.entry(tool).or_default().insert(description, version);
            }
            Fact::Answers(query, tool) => {
                known.answers.insert(query, (tool, version));
            }
        }
    }

    /// Marks a tool whose removal is about to be published: from now on it may be missing.
    pub(super) fn leaves(&self, tool: &ToolId) {
        lock(&self.leaving).insert(tool.clone());
    }

    pub(super) fn may_be_missing(&self, tool: &ToolId) -> bool {
        lock(&self.leaving).contains(tool)
    }
}

impl Known {
    /// Returns the newest version that anything is known of.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn judge_search(&self, query: &str, reply: &SearchReply) -> Verdict {
        let version = reply.catalog_version;
        let mut verdict = self.judge_version(version);
        for result in &reply.results {
            self.judge_tool(&mut verdict, &result.tool_id, &result.description, version);
        }
        let answer = self.answers.get(query).filter(|(_, since)| version >= *since);
        if let Some((tool, since)) = answer {
            if reply.results.iter().any(|result| result.tool_id == *tool) {
                verdict.shows_change = true;
            } else {
                let text =
                    format!("{tool}, there since version {since}, is missing at {version} from {query:?}");
                verdict.stale = Some(text);
            }
        }
        verdict
    }

    pub(super) fn judge_get(&self, reply: &GetReply) -> Verdict {
        let version = reply.catalog_version;
        let mut verdict = self.judge_version(version);
        self.judge_tool(&mut verdict, &reply.tool_id, &reply.tool.description, version);
        verdict
    }

    fn judge_version(&self, version: u64) -> Verdict {
        Verdict { is_older: version < self.version, ..Verdict::default() }
    }

    /// Returns true where the tool may be shown like this in a reply of this version.
    fn judge_tool(&self, verdict: &mut Verdict, tool: &ToolId, description: &str, version: u64) {
        if let Some(since) = self.removed.get(tool).filter(|since| version >= **since) {
            verdict.stale = Some(format!("{tool}, removed since version {since}, is shown at {version}"));
        }
        let Some(outdated) = self.outdated.get(tool) else { return };
        match outdated.get(description) {
            Some(since) if version >= *since => {
                let text =
                    format!("{tool} is shown at {version} as it was before version {since}: {description:?}");
                verdict.stale = Some(text);
            }
            // An honest older reply.
            Some(_) => {}
            None => verdict.shows_change = true,
        }
    }
}
