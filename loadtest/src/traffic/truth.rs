//! What is known to be true of the catalogue, and whether a reply is.
//!
//! A change counts once a search that waited for it has told a version of the catalogue that holds it. From then on a
//! reply of that version or a later one must show it. A reply may always show more: what was published since.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use toolweaver_contracts::{GetReply, SearchReply, ToolId};

/// What a visible change means for replies.
#[derive(Debug, Clone)]
pub(super) enum Fact {
    /// There is one more tool, which nothing is known to need.
    Added,
    /// The tool is in no answer.
    Removed(ToolId),
    /// The tool is never shown with this description again.
    Outdated(ToolId, String),
    /// The tool is in every answer to this query.
    Answers(String, ToolId),
}

/// What is known now. Grows while traffic runs.
#[derive(Default)]
pub(super) struct Truth {
    known: Mutex<Arc<Known>>,
    /// Tools whose removal was published, whether or not it is visible yet.
    leaving: Mutex<HashSet<ToolId>>,
}

/// What was known at one moment, each with the version from which it is visible.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    version: u64,
    removed: HashMap<ToolId, u64>,
    outdated: HashMap<ToolId, HashMap<String, u64>>,
    answers: HashMap<String, (ToolId, u64)>,
}

/// What was wrong with a reply.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Verdict {
    /// It is of a version before one that was known when it was asked for.
    pub(super) is_older: bool,
    /// How it contradicts what holds in its own version.
    pub(super) stale: Option<String>,
}

impl Truth {
    /// What a request that is sent now can be judged by.
    pub(super) fn known(&self) -> Arc<Known> {
        Arc::clone(&lock(&self.known))
    }

    /// A fact is visible from this version on.
    pub(super) fn learn(&self, fact: Fact, version: u64) {
        let mut known = lock(&self.known);
        // Copies only what a request on its way still holds.
        let known = Arc::make_mut(&mut known);
        known.version = known.version.max(version);
        match fact {
            Fact::Added => {}
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

    /// The removal of a tool is about to be published: from now on it may be missing.
    pub(super) fn leaves(&self, tool: &ToolId) {
        lock(&self.leaving).insert(tool.clone());
    }

    pub(super) fn may_be_missing(&self, tool: &ToolId) -> bool {
        lock(&self.leaving).contains(tool)
    }
}

/// Whoever panicked while holding the lock has ended the run.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Known {
    pub(super) fn judge_search(&self, query: &str, reply: &SearchReply) -> Verdict {
        let version = reply.catalog_version;
        let shown = reply.results.iter();
        let wrong =
            shown.clone().find_map(|result| self.shown(&result.tool_id, &result.description, version));
        let missing = || {
            let (tool, since) = self.answers.get(query)?;
            let is_missing = version >= *since && !shown.clone().any(|result| result.tool_id == *tool);
            is_missing.then(|| format!("{tool}, there since version {since}, is missing from {query:?}"))
        };
        Verdict { is_older: version < self.version, stale: wrong.or_else(missing) }
    }

    pub(super) fn judge_get(&self, reply: &GetReply) -> Verdict {
        let version = reply.catalog_version;
        let stale = self.shown(&reply.tool_id, &reply.tool.description, version);
        Verdict { is_older: version < self.version, stale }
    }

    /// What is wrong about showing a tool like this in a reply of this version.
    fn shown(&self, tool: &ToolId, description: &str, version: u64) -> Option<String> {
        if let Some(since) = self.removed.get(tool).filter(|since| version >= **since) {
            return Some(format!("{tool}, removed since version {since}, is shown at {version}"));
        }
        let since = self.outdated.get(tool)?.get(description).filter(|since| version >= **since)?;
        Some(format!("{tool} is shown at {version} as it was before version {since}: {description:?}"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use toolweaver_contracts::{GetReply, SearchReply, ToolId};

    use super::{Fact, Truth, Verdict};

    const FINE: Verdict = Verdict { is_older: false, stale: None };

    fn tool(id: &str) -> ToolId {
        id.parse().unwrap()
    }

    fn search(version: u64, shown: &[(&str, &str)]) -> SearchReply {
        let results = shown.iter().map(|(id, description)| {
            let ToolId { domain, tool_name } = tool(id);
            json!({ "tool_id": id, "tool_name": tool_name, "domain": domain, "tool_type": "function",
                    "description": description, "score": 1.0 })
        });
        serde_json::from_value(json!({
            "search_id": "1", "status": "matched", "results": results.collect::<Vec<_>>(),
            "catalog_version": version, "lag_ms": 0, "ranker": "r", "served_from": "cache", "degraded": [],
            "routed": { "by": "none", "fell_back": false, "strategy": "hybrid" }, "took_ms": 1.0
        }))
        .unwrap()
    }

    fn get(version: u64, id: &str, description: &str) -> GetReply {
        serde_json::from_value(json!({
            "tool_id": id, "tool": { "tool_name": tool(id).tool_name, "description": description },
            "revision": 1, "catalog_version": version
        }))
        .unwrap()
    }

    #[test]
    fn a_removed_tool_is_stale_from_its_version_on() {
        let truth = Truth::default();
        let before = truth.known();
        truth.learn(Fact::Removed(tool("a.gone")), 7);
        let reply = search(7, &[("a.there", ""), ("a.gone", "")]);
        assert!(truth.known().judge_search("q", &reply).stale.is_some());
        assert!(truth.known().judge_get(&get(7, "a.gone", "")).stale.is_some());
        assert_eq!(before.judge_search("q", &reply), FINE, "asked before it was known");
        let honest = Verdict { is_older: true, stale: None };
        assert_eq!(truth.known().judge_search("q", &search(6, &[("a.gone", "")])), honest);
    }

    #[test]
    fn an_old_description_is_stale_and_a_newer_one_is_not() {
        let truth = Truth::default();
        truth.learn(Fact::Outdated(tool("a.tool"), "first".to_owned()), 7);
        truth.learn(Fact::Outdated(tool("a.tool"), "second".to_owned()), 9);
        let judge = |version, description| {
            let (searched, got) =
                (search(version, &[("a.tool", description)]), get(version, "a.tool", description));
            let stale = truth.known().judge_search("q", &searched).stale;
            assert_eq!(truth.known().judge_get(&got).stale, stale);
            stale.is_some()
        };
        assert!(judge(9, "first") && judge(9, "second"));
        assert!(!judge(8, "second") && !judge(9, "third"));
    }

    #[test]
    fn a_tool_that_answers_a_query_must_be_in_its_answers_alone() {
        let truth = Truth::default();
        truth.learn(Fact::Answers("q".to_owned(), tool("a.answer")), 7);
        let without = search(7, &[("a.there", "")]);
        assert!(truth.known().judge_search("q", &without).stale.is_some());
        assert_eq!(truth.known().judge_search("other", &without), FINE);
        assert_eq!(truth.known().judge_search("q", &search(8, &[("a.answer", "")])), FINE);
    }

    #[test]
    fn a_version_before_a_known_one_is_older() {
        let truth = Truth::default();
        truth.learn(Fact::Added, 7);
        truth.learn(Fact::Added, 5);
        assert!(truth.known().judge_search("q", &search(6, &[])).is_older);
        assert!(!truth.known().judge_search("q", &search(7, &[])).is_older);
    }
}
