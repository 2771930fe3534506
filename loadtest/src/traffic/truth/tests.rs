use std::time::Instant;

use serde_json::json;
use toolweaver_contracts::{GetReply, SearchReply, ToolId};

use super::{Fact, SETTLED_AFTER, Truth, Verdict};

const FINE: Verdict = Verdict { is_older: false, is_behind: false, shows_change: false, stale: None };

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
    let honest = Verdict { is_older: true, ..FINE };
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
    assert!(truth.known().judge_get(&get(9, "a.tool", "third")).shows_change);
}

#[test]
fn a_tool_that_answers_a_query_must_be_in_its_answers_alone() {
    let truth = Truth::default();
    truth.learn(Fact::Answers("q".to_owned(), tool("a.answer")), 7);
    let without = search(7, &[("a.there", "")]);
    assert!(truth.known().judge_search("q", &without).stale.is_some());
    assert_eq!(truth.known().judge_search("other", &without), FINE);
    let seen = Verdict { shows_change: true, ..FINE };
    assert_eq!(truth.known().judge_search("q", &search(8, &[("a.answer", "")])), seen);
}

#[test]
fn a_version_before_a_known_one_is_older() {
    let truth = Truth::default();
    truth.learn(Fact::Added, 7);
    truth.learn(Fact::Added, 5);
    assert!(truth.known().judge_search("q", &search(6, &[])).is_older);
    assert!(!truth.known().judge_search("q", &search(7, &[])).is_older);
}

#[test]
fn a_version_is_settled_after_some_seconds() {
    let truth = Truth::default();
    truth.learn(Fact::Added, 7);
    assert_eq!(truth.settled(), 0, "known just now");
    let long_ago = Instant::now().checked_sub(SETTLED_AFTER).unwrap();
    truth.versions.lock().unwrap().extend([(long_ago, 6), (long_ago, 5)]);
    assert_eq!(truth.settled(), 6);
}
