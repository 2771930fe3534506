//! `eval` on a small set whose figures are known: what it prints, saves, compares and refuses.

use std::{fmt::Write as _, fs, path::Path, time::Duration};

use serde_json::{Value, json};
use toolweaver_testkit::wait;

use crate::support::{Outcome, Up, With, run};

/// Tools of one set: 30 whose names and words nothing else has, in two domains.
const TOOLS: usize = 30;
/// Words that make them different, three each.
const WORDS: [&str; 10] =
    ["amber", "birch", "cobalt", "dune", "ember", "fjord", "granite", "harbour", "indigo", "juniper"];

#[test]
fn a_set_is_measured_from_files_to_figures() {
    let folder = tempfile::tempdir().unwrap();
    write_set(folder.path(), "small");
    write_set(folder.path(), "foreign");
    fs::write(folder.path().join("foreign/queries.jsonl"), query_line("f1", "zzyzx quux frobnicate"))
        .unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();

    let set = &[&at("small"), "--model", "hashing"];
    let all = ["--json", "--names", "--off-catalogue", &at("foreign")];
    let files = ["--save", &at("run.json"), "--failures", &at("lost.txt")];
    let report = eval(set, &[&all[..], &files].concat()).expect_code(0).json();
    let summary = &report["sets"][0];
    figures(summary);
    by_name_and_off_catalogue(summary);
    assert!(report["comparison"].is_null(), "{report}");

    let lost = fs::read_to_string(at("lost.txt")).unwrap();
    assert!(lost.contains("## lost") && lost.contains("wanted") && lost.contains("lexical #"), "{lost}");
    let saved: Value = serde_json::from_slice(&fs::read(at("run.json")).unwrap()).unwrap();
    assert_eq!(saved["sets"][0]["queries"].as_array().map(Vec::len), Some(TOOLS + 1));

    // The same again is no different; of a table, in words.
    let table = eval(set, &["--compare", &at("run.json")]).expect_code(0).stdout;
    assert!(table.contains("nDCG@10") && table.contains("round trip"), "{table}");
    assert!(table.contains("no significant difference") && table.contains("compared with"), "{table}");
    assert!(table.contains("of 31 queries without a domain"), "{table}");
}

#[test]
fn workers_that_run_elsewhere_are_measured_and_left_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    write_set(folder.path(), "small");
    let data_dir = tempfile::tempdir().unwrap();
    let up = Up::start(&data_dir, With::Hashing);
    let set = folder.path().join("small");
    let set = set.to_str().unwrap();
    let arguments =
        ["eval", set, "--nats-url", &up.nats_url, "--queries-max", "5", "--settle", "0", "--json"];
    let report = run(&arguments, "").expect_code(0).json();
    let summary = &report["sets"][0];
    assert_eq!((&summary["queries"], &summary["queries_all"]), (&json!(5), &json!(TOOLS + 1)), "{summary}");
    let drawn = run(&arguments, "").expect_code(0).json();
    assert_eq!(drawn["sets"][0]["fused"], summary["fused"], "the same seed draws the same queries");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(wait::until("nothing is left", Duration::from_secs(20), async || {
        up.run(&["status"]).expect_code(0).json()["tools"] == 0
    }));
}

#[test]
fn what_cannot_be_measured_is_refused_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    write_set(folder.path(), "small");
    let small = folder.path().join("small");
    let small = small.to_str().unwrap();
    let refused = |arguments: &[&str], word: &str| {
        let outcome = eval(&[small, "--model", "hashing"], arguments).expect_code(2);
        assert!(outcome.stderr.contains(word), "{word} in {outcome:?}");
    };
    refused(&[small], "two sets");
    refused(&["--compare", "/no/such/file"], "--save");
    refused(&["--save", "/no/such/folder/run.json"], "no folder");
    refused(&["--off-catalogue", "/no/such/folder"], "cannot read");
    refused(&["--names-max", "3"], "--names");
    fs::write(folder.path().join("small/qrels.tsv"), "q1\tnobody\t1\n").unwrap();
    refused(&[], "qrels.tsv:1: there is no tool nobody");
}

fn eval(set: &[&str], arguments: &[&str]) -> Outcome {
    run(&[&["eval", "--settle", "0"], set, arguments].concat(), "")
}

fn figures(summary: &Value) {
    let by_hand = |value: &Value, wanted: f64| {
        assert!((value["mean"].as_f64().unwrap() - wanted).abs() < 1e-9, "{wanted} is not {value}");
        let bound = |name: &str| value[name].as_f64().unwrap();
        assert!(bound("low") <= wanted && wanted <= bound("high"), "{value}");
    };
    assert_eq!((&summary["tools"], &summary["queries"]), (&json!(TOOLS), &json!(TOOLS + 1)));
    // Every query has the words of its tool; of the last one a second tool is wanted that has none of them.
    let recall = 1.0 - 0.5 / 31.0;
    by_hand(&summary["fused"]["mrr_10"], 1.0);
    assert!(summary["fused"]["ndcg_10"]["mean"].as_f64().unwrap() < 1.0, "{summary}");
    assert!(summary["fused"]["recall_5"]["mean"].as_f64().unwrap() >= recall - 1e-9, "{summary}");
    let arms: Vec<&str> =
        summary["arms"].as_array().unwrap().iter().map(|arm| arm["arm"].as_str().unwrap()).collect();
    assert_eq!(arms, ["lexical", "dense"]);
    for arm in summary["arms"].as_array().unwrap() {
        assert!(arm["scores"]["mrr_10"]["mean"].as_f64().unwrap() > 0.5, "{arm}");
        assert!(arm["fused_against"]["p"].as_f64().unwrap() > 0.0, "{arm}");
    }
    assert_eq!(summary["kinds"].as_object().map(serde_json::Map::len), Some(2), "{summary}");
    assert!(summary["latency"]["round_trip"]["p95"].as_f64().unwrap() > 0.0, "{summary}");
    assert_eq!(summary["routing"]["domains"], 2);
}

fn by_name_and_off_catalogue(summary: &Value) {
    let names = summary["names"].as_array().unwrap();
    let forms: Vec<&str> = names.iter().map(|form| form["form"].as_str().unwrap()).collect();
    assert_eq!(forms, ["verbatim", "spaced", "joined", "typo"]);
    for form in &names[..3] {
        assert_eq!((&form["unique"], &form["first"]), (&json!(TOOLS), &json!(1.0)), "{form}");
    }
    let off = &summary["off_catalogue"];
    let sources: Vec<&str> =
        off["sources"].as_array().unwrap().iter().map(|source| source["source"].as_str().unwrap()).collect();
    assert_eq!(sources, ["foreign", "random words"]);
    assert_eq!((&off["sources"][0]["queries"], &off["all"]["queries"]), (&json!(1), &json!(201)));
}

/// A set whose queries each have two words of their tool, but for one that wants a second tool too.
fn write_set(parent: &Path, name: &str) {
    let folder = parent.join(name);
    fs::create_dir(&folder).unwrap();
    let (mut tools, mut queries, mut qrels) = (String::new(), String::new(), String::new());
    for i in 0..TOOLS {
        let (a, b, c) = (WORDS[i % 10], WORDS[(i / 10 + i + 1) % 10], WORDS[(i / 10 + i + 4) % 10]);
        let domain = if i % 2 == 0 { "even" } else { "odd" };
        let tool_name = format!("{a}_{b}_{c}_{i}");
        let description = format!("Number{i} of {a} and {b} with {c}");
        let tool = json!({ "tool_name": tool_name, "domain": domain, "description": description });
        writeln!(tools, "{tool}").unwrap();
        queries.push_str(&query_line(&format!("q{i}"), &format!("number{i} {a} {b} {c}")));
        writeln!(qrels, "q{i}\t{tool_name}\t1").unwrap();
        if i == 0 || i == 17 {
            writeln!(qrels, "lost\t{tool_name}\t1").unwrap();
        }
    }
    let lost = json!({ "id": "lost", "text": "number0 amber birch ember", "kind": "two" });
    writeln!(queries, "{lost}").unwrap();
    fs::write(folder.join("tools.jsonl"), tools).unwrap();
    fs::write(folder.join("queries.jsonl"), queries).unwrap();
    fs::write(folder.join("qrels.tsv"), qrels).unwrap();
}

fn query_line(id: &str, text: &str) -> String {
    format!("{}\n", json!({ "id": id, "text": text, "kind": "one" }))
}
