use std::{fs, io::Write as _};

use flate2::{Compression, write::GzEncoder};
use tempfile::TempDir;

use super::{Sample, Set};

const ALL: Sample = Sample { queries_max: None, seed: 1 };
const TOOLS: &str = "{\"tool_name\":\"a\",\"domain\":\"x\"}\n\n{\"tool_name\":\"a\",\"domain\":\"y\"}\n{\"tool_name\":\"b\"}\n";
const QUERIES: &str = "{\"id\":\"1\",\"text\":\"do a\",\"kind\":\"short\",\"domain_hint\":\"x\"}\n{\"id\":\"2\",\"text\":\"do b\"}\n{\"id\":\"3\",\"text\":\"c\"}\n";
const QRELS: &str = "1\ta\t2\n1\tb\t1\n2\tb\t1\n2\ta\t0\n";

fn folder(tools: &str, queries: &str, qrels: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tools.jsonl"), tools).unwrap();
    let mut compressed = GzEncoder::new(Vec::new(), Compression::fast());
    compressed.write_all(queries.as_bytes()).unwrap();
    fs::write(folder.path().join("queries.dev.jsonl.gz"), compressed.finish().unwrap()).unwrap();
    fs::write(folder.path().join("qrels.dev.tsv"), qrels).unwrap();
    folder
}

#[test]
fn a_set_is_read_plain_and_compressed() {
    let set = Set::read(folder(TOOLS, QUERIES, QRELS).path(), ALL).unwrap();
    assert_eq!((set.tools.len(), set.queries.len(), set.queries_all, set.unjudged), (3, 2, 2, 1));
    assert_eq!(set.domains(), 3);
    let query = &set.queries[0];
    assert_eq!((query.kind.as_deref(), query.relevances()), (Some("short"), vec![2, 1]));
    let found = ["y.a", "x.a", "general.b"].map(|id| id.parse().unwrap());
    assert_eq!(query.gains(&found), [2, 0, 1], "the second tool of a name is no gain");
}

#[test]
fn a_sample_depends_on_ids_and_seed_only() {
    let lines: Vec<String> = (0..50).map(|i| format!("{{\"id\":\"{i}\",\"text\":\"t\"}}")).collect();
    let qrels: Vec<String> = (0..50).map(|i| format!("{i}\ta\t1")).collect();
    let ids = |lines: &[String], seed| {
        let sample = Sample { queries_max: Some(10), seed };
        let set = Set::read(folder(TOOLS, &lines.join("\n"), &qrels.join("\n")).path(), sample).unwrap();
        set.queries.into_iter().map(|query| query.id).collect::<Vec<_>>()
    };
    let drawn = ids(&lines, 1);
    let reversed: Vec<String> = lines.iter().rev().cloned().collect();
    assert_eq!((drawn.len(), &drawn), (10, &ids(&reversed, 1)));
    assert_ne!(drawn, ids(&lines, 2));
}

#[test]
fn faults_name_file_and_line() {
    let twice = "{\"tool_name\":\"a\"}\n{\"tool_name\":\"a\"}";
    for (tools, queries, qrels, place, word) in [
        ("{\"tool_name\":\"a\"}\n{\"tool_name\":\" \"}", QUERIES, QRELS, "tools.jsonl:2: ", "empty"),
        ("{\"tool_name\":", QUERIES, QRELS, "tools.jsonl:1: ", "JSON"),
        (twice, QUERIES, QRELS, "tools.jsonl:2: ", "line 1 already"),
        (TOOLS, "\n{\"id\":\"1\",\"text\":\" \"}", QRELS, "queries.dev.jsonl.gz:2: ", "empty"),
        (TOOLS, "{\"id\":\"1\"}", QRELS, "queries.dev.jsonl.gz:1: ", "text"),
        (
            TOOLS,
            "{\"id\":\"1\",\"text\":\"x\"}\n{\"id\":\"1\",\"text\":\"y\"}",
            QRELS,
            ".gz:2: ",
            "two queries",
        ),
        (TOOLS, QUERIES, "1\ta\t1\n1\tb\n", "qrels.dev.tsv:2: ", "tabs"),
        (TOOLS, QUERIES, "9\ta\t1\n", "qrels.dev.tsv:1: ", "no query 9"),
        (TOOLS, QUERIES, "1\tz\t1\n", "qrels.dev.tsv:1: ", "no tool z"),
        (TOOLS, QUERIES, "1\ta\t-1\n", "qrels.dev.tsv:1: ", "whole number"),
        (TOOLS, QUERIES, "1\ta\t1\n1\ta\t1\n", "qrels.dev.tsv:2: ", "twice"),
        (TOOLS, QUERIES, "1\ta\t0\n", "no query of", "relevant"),
    ] {
        let fault = Set::read(folder(tools, queries, qrels).path(), ALL).unwrap_err();
        assert!(fault.message.contains(place) && fault.message.contains(word), "{place}: {}", fault.message);
    }
}

#[test]
fn a_folder_that_lacks_a_file_or_has_two_says_so() {
    let folder = folder(TOOLS, QUERIES, QRELS);
    fs::write(folder.path().join("tools.jsonl.gz"), "").unwrap();
    assert!(Set::read(folder.path(), ALL).unwrap_err().message.contains("one file of tools"));
    for file in ["tools.jsonl.gz", "qrels.dev.tsv"] {
        fs::remove_file(folder.path().join(file)).unwrap();
    }
    assert!(Set::read(folder.path(), ALL).unwrap_err().message.contains("qrels*.tsv"));
    assert!(Set::read(&folder.path().join("nowhere"), ALL).unwrap_err().message.contains("cannot read"));
}
