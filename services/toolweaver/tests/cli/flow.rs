//! Everything a user does, from the first tool to the last, on one `up` with the real model.

use std::time::Duration;

use serde_json::json;
use toolweaver_contracts::{Rejection, decode, subjects};
use toolweaver_messaging::{Nats, NatsConfig, Outgoing, connect, publish, publish::last_message};
use toolweaver_testkit::wait;

use crate::support::{Up, With, json_lines, run, run_in_columns};

const TOOLS: &str = r#"{"tool_name":"create_pull_request","domain":"github","description":"Open a pull request from one branch to another","tags":["git"],"parameters":{"type":"object","properties":{"title":{"type":"string"}},"required":["title"]}}
{"tool_name":"list_issues","domain":"github","description":"List the issues of a repository"}
{"tool_name":"send_invoice","domain":"billing","description":"Send an invoice to a customer by mail"}
{"tool_name":"broken","domain":"billing","parameters":[]}
{"tool_name":"get_forecast","description":"The weather of the coming days at a place"}
{"tool_name":"payroll","domain":"billing","description":"Pay the salaries","allowed_roles":["finance"]}
"#;

const OPENAPI: &str = "
openapi: 3.1.0
info: {title: Pets, version: '1'}
paths:
  /pets:
    get: {operationId: listPets, summary: List all pets of the shop}
    post: {operationId: adoptPet, summary: Take a cat or a dog home, deprecated: true}
";

#[test]
fn tools_from_registration_to_removal() {
    let data_dir = tempfile::tempdir().unwrap();
    let up = Up::start(&data_dir, With::Model);
    nothing_yet(&up);
    register(&up);
    search_and_look(&up);
    search_for_a_prompt(&up);
    import(&up);
    health(&up);
    doctor(&up);
    tables_fit(&up);
    bad_input_blocks_nobody(&up);
    quick_updates(&up);
    remove(&up);
    only_one_on_a_folder(&up, data_dir.path().to_str().unwrap());
    end(up, data_dir.path());
}

fn nothing_yet(up: &Up) {
    let connection = ["--nats-url", &up.nats_url];
    for command in [&["search", "open a pull request"][..], &["domains"]] {
        let empty = run(&[command, &connection].concat(), "").stdout;
        assert!(
            empty.contains("tenant default is empty: register tools with `toolweaver register"),
            "{empty}"
        );
    }
    let shaped = ["search", "open a pull request", "--shape", "mcp_tool"];
    let shaped = run(&[&shaped[..], &connection].concat(), "").expect_code(3);
    assert!(shaped.stdout.trim() == "[]" && shaped.stderr.contains("is empty"), "{shaped:?}");
}

fn register(up: &Up) {
    // Enough others that a search is one.
    let others = up.run_with(&["register", "-", "--wait"], &json_lines("filler", 40)).expect_code(0).json();
    assert_eq!(others["registered"], 40);
    assert!(others["searchable_seconds"].as_f64().is_some_and(|seconds| seconds > 0.0), "{others}");

    let report = up.run_with(&["register", "-", "--wait"], TOOLS).expect_code(5).json();
    assert_eq!(report["registered"], 5, "{report}");
    let rejected = &report["rejected"][0];
    assert_eq!((&rejected["line"], &rejected["tool"]), (&json!(4), &json!("broken")));
    assert_eq!(rejected["reason"]["pointer"], "/parameters");

    let nothing_good = up.run_with(&["register", "-"], "{\"tool_name\":\" \"}").expect_code(2).json();
    assert_eq!(nothing_good["rejected"][0]["reason"]["pointer"], "/tool_name");
    up.run(&["register", "/no/such/file"]).expect_code(2);
}

fn search_and_look(up: &Up) {
    let reply = up.run(&["search", "please", "open a pull request"]).expect_code(0).json();
    assert_eq!(reply["results"][0]["tool_id"], "github.create_pull_request", "{reply}");
    assert_eq!(reply["degraded"], json!([]));
    let forecast =
        up.run(&["search", "will it rain tomorrow", "-k", "1", "--detail", "schema"]).expect_code(0);
    assert_eq!(forecast.json()["results"][0]["tool"]["tool_name"], "get_forecast", "{}", forecast.stdout);
    let tagged = up.run(&["search", "anything", "--tag", "git", "--explain"]);
    assert_eq!(tagged.json()["results"].as_array().map(Vec::len), Some(1), "{}", tagged.stdout);
    up.run(&["search", " "]).expect_code(2);

    let tool = up.run(&["get", "github.create_pull_request"]).expect_code(0).json();
    assert_eq!(tool["tool"]["parameters"]["required"], json!(["title"]));
    up.run(&["get", "billing.payroll"]).expect_code(3);
    up.run(&["get", "billing.payroll", "--role", "finance"]).expect_code(0);
    let missing = up.run(&["get", "github.nothing"]).expect_code(3).json();
    assert_eq!(missing["error"]["code"], 404);

    let domains = up.run(&["domains"]).expect_code(0).json();
    assert_eq!(domains["tools"], 44, "one of the 45 is for another role: {domains}");
    let elsewhere = up.run(&["domains", "--tenant", "other"]).expect_code(0).json();
    assert_eq!(elsewhere["tools"], 0);

    // Without --json the same is a table.
    let table = run(&["search", "open a pull request", "--nats-url", &up.nats_url], "").expect_code(0).stdout;
    assert!(table.contains("github.create_pull_request") && table.contains("catalog version"), "{table}");
    let table =
        run(&["get", "github.create_pull_request", "--nats-url", &up.nats_url], "").expect_code(0).stdout;
    assert!(table.contains("title") && table.contains("required"), "{table}");
}

fn search_for_a_prompt(up: &Up) {
    let search = ["search", "open a pull request", "-k", "2", "--nats-url", &up.nats_url];
    // With a shape, stdout is an array for the vendor's request and nothing else.
    let shaped = run(&[&search[..], &["--shape", "openai_function"]].concat(), "").expect_code(0).json();
    let functions = shaped.as_array().unwrap();
    assert_eq!((functions.len(), &functions[0]["type"]), (2, &json!("function")), "{shaped}");
    assert_eq!(functions[0]["function"]["name"], "github__create_pull_request");
    assert_eq!(functions[0]["function"]["parameters"]["required"], json!(["title"]));

    let tight = ["--shape", "anthropic_tool_reference", "--budget-tokens", "1"];
    let nothing = run(&[&search[..], &tight].concat(), "").expect_code(0);
    assert_eq!(nothing.json(), json!([]));
    assert!(nothing.stderr.contains("0 of 1 tokens; no room for github."), "{}", nothing.stderr);
    let table = run(&[&search[..], &["--budget-tokens", "1"]].concat(), "").expect_code(0).stdout;
    assert!(table.contains("no room for github.create_pull_request ("), "{table}");
    let whole = up.run(&["search", "open a pull request", "--shape", "mcp_tool", "--budget-tokens", "200"]);
    let whole = whole.expect_code(0).json();
    assert_eq!(whole["shaped"][0]["name"], "github.create_pull_request", "{whole}");
    assert_eq!(whole["budget"]["tokens_max"], 200, "{whole}");
}

fn import(up: &Up) {
    let lines =
        up.run_with(&["import", "openapi", "-", "--domain", "pets", "--dry-run"], OPENAPI).expect_code(0);
    assert_eq!(lines.stdout.lines().count(), 2, "{}", lines.stdout);
    up.run(&["get", "pets.adoptPet"]).expect_code(3);
    let report =
        up.run_with(&["import", "openapi", "-", "--domain", "pets", "--wait"], OPENAPI).expect_code(0);
    assert_eq!(report.json()["registered"], 2);
    let tool = up.run(&["get", "pets.adoptPet"]).expect_code(0).json();
    assert_eq!(tool["tool"]["tags"], json!(["deprecated"]));
    let refused =
        up.run_with(&["import", "openapi", "-", "--domain", "pets"], "swagger: '2.0'").expect_code(2);
    assert_eq!(refused.json()["error"]["pointer"], "/swagger");
}

fn health(up: &Up) {
    let status = up.run(&["status"]).expect_code(0).json();
    assert_eq!(
        (&status["unindexed"], &status["projection_pending"], &status["tools"]),
        (&json!(0), &json!(0), &json!(47))
    );
    assert_eq!(status["streams"].as_array().map(Vec::len), Some(3), "{status}");
    let consumers = status["consumers"].as_array().unwrap();
    let named =
        |name: &str| consumers.iter().any(|consumer| consumer["name"].as_str().unwrap().starts_with(name));
    assert!(named("embedding-worker-") && named("cache-invalidator"), "{status}");
    let requests: u64 = status["workers"][0]["endpoints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|endpoint| endpoint["requests"].as_u64().unwrap())
        .sum();
    assert!(requests > 10, "{status}");

    let table = run(&["status", "--nats-url", &up.nats_url], "").expect_code(0).stdout;
    assert!(table.contains("no lag") && table.contains("toolweaver-query"), "{table}");
}

fn doctor(up: &Up) {
    // The model is that of the worker, which was found with --model-dir: there is none in the data folder.
    let doctor = up.run(&["doctor", "--round-trip"]).expect_code(0).json();
    assert_eq!(doctor["ok"], true, "{doctor}");
    let findings = doctor["findings"].as_array().unwrap();
    let of = |check: &str| findings.iter().find(|finding| finding["part"] == check).map(ToString::to_string);
    assert!(of("query worker: model").is_some_and(|model| model.contains("fingerprint")), "{doctor}");
    assert!(of("query worker: vectors").is_some() && of("query worker: cache").is_some(), "{doctor}");
    assert!(of("query worker").is_some_and(|worker| worker.contains(env!("CARGO_PKG_VERSION"))), "{doctor}");

    let model_dir = toolweaver_testkit::parts::model_dir();
    let model_dir = model_dir.to_str().unwrap();
    let healthy = ["doctor", "--model-dir", model_dir, "--nats-url", &up.nats_url];
    let table = run(&healthy, "").expect_code(0).stdout;
    assert!(table.contains("everything is in order") && table.contains("hash as published"), "{table}");
    let unwell =
        ["doctor", "--model-dir", "/nowhere", "--use-vector-db", "--qdrant-url", "http://127.0.0.1:9"];
    let report = up.run(&unwell).expect_code(1).json();
    let failed: Vec<&str> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["ok"] == false && finding["what_to_do"].is_string())
        .map(|finding| finding["part"].as_str().unwrap())
        .collect();
    assert_eq!(failed, ["model", "Qdrant"], "{report}");
    let table = run(&[&unwell[..], &["--nats-url", &up.nats_url]].concat(), "").expect_code(1).stdout;
    assert!(table.contains("FAIL") && table.contains("2 checks failed"), "{table}");
    assert_eq!(table.matches("refused").count(), 1, "{table}");
}

fn tables_fit(up: &Up) {
    for columns in [80, 60] {
        for command in [
            &["search", "open a pull request", "--explain"][..],
            &["get", "github.create_pull_request"],
            &["domains"],
            &["status"],
            &["doctor"],
        ] {
            // The id, the widest thing there is, fits into 60; of `status` only 80 is asked.
            if command == ["status"] && columns < 80 {
                continue;
            }
            let command = [command, &["--nats-url", &up.nats_url]].concat();
            let text = run_in_columns(columns, &command).expect_code(0).stdout;
            let rows = text.lines().take_while(|line| !line.contains(" found in "));
            let widest = rows.max_by_key(|line| line.chars().count()).unwrap();
            assert!(widest.chars().count() <= columns, "{widest}\n{text}");
        }
        let found = ["search", "open a pull request", "--nats-url", &up.nats_url];
        let found = run_in_columns(columns, &found).stdout;
        assert!(found.contains("github.create_pull_request"), "{found}");
    }
    let narrow = ["search", "open a pull request", "--nats-url", &up.nats_url];
    let narrow = run_in_columns(10, &narrow).stdout;
    assert!(narrow.contains("github.create_pull_request"), "an id is never broken: {narrow}");
}

/// Events that go past the command line's own checks: published by any NATS client.
fn bad_input_blocks_nobody(up: &Up) {
    let name_too_long = format!("tools.v1.default.raw.{}", "x".repeat(257));
    let tool = |fields: &str| format!("{{\"event\":\"registered\",\"tool\":{{{fields}}}}}").into_bytes();
    let deep = "{\"a\":".repeat(40) + "1" + &"}".repeat(40);
    let bad: Vec<(&str, Vec<u8>, &str)> = vec![
        ("tools.v1.default.raw.json", b"{\"event\":".to_vec(), "JSON"),
        ("tools.v1.default.raw.utf8", b"{\"event\":\"\xff\"}".to_vec(), "UTF-8"),
        ("tools.v1.default.raw.type", tool("\"tool_name\":\"type\",\"tags\":\"x\""), "sequence"),
        ("tools.v1.default.raw.empty", tool("\"tool_name\":\"\""), "empty"),
        ("tools.v1.default.raw.other", tool("\"tool_name\":\"another\""), "subject"),
        (
            "tools.v1.default.raw.deep",
            tool(&format!("\"tool_name\":\"deep\",\"parameters\":{deep}")),
            "nested",
        ),
        (
            "tools.v1.default.raw.large",
            tool(&format!("\"tool_name\":\"large\",\"x\":\"{}\"", "x".repeat(256 * 1024))),
            "bytes",
        ),
        (
            "tools.v1.default.raw.words",
            tool(&format!("\"tool_name\":\"words\",\"description\":\"{}\"", "x".repeat(16 * 1024 + 1))),
            "description",
        ),
        (&name_too_long, tool("\"tool_name\":\"x\""), "257"),
    ];
    in_runtime(async {
        let nats = connect(&NatsConfig::for_url(&up.nats_url), "test").await.unwrap();
        for (subject, body, _) in &bad {
            publish(&nats, Outgoing::new(*subject, body.clone())).await.unwrap();
        }
        let good = tool("\"tool_name\":\"good\",\"description\":\"behind all of them\"");
        publish(&nats, Outgoing::new("tools.v1.default.raw.good", good)).await.unwrap();
        wait::until("the good one is searchable", Duration::from_secs(20), async || {
            up.run(&["get", "raw.good"]).code == 0
        })
        .await;
        for (subject, _, word) in &bad {
            let reason = rejected(&nats, subject).await.reason;
            assert!(reason.message.contains(word), "{subject}: {reason}");
            assert!(reason.hint.is_some(), "{subject}: {reason}");
        }
    });
}

async fn rejected(nats: &Nats, subject: &str) -> Rejection {
    let subject = subjects::rejected(subject);
    let message = wait::until(&subject, Duration::from_secs(20), async || {
        last_message(nats, subjects::REJECTED_STREAM, &subject).await.unwrap()
    })
    .await;
    decode(&message.payload).unwrap()
}

fn quick_updates(up: &Up) {
    let before = up.metric("toolweaver_tool_vectors_total");
    let line =
        |i| json!({ "tool_name": "busy", "domain": "raw", "description": format!("State {i}") }).to_string();
    let lines = (1..=100).map(line).collect::<Vec<_>>().join("\n");
    let report = up.run_with(&["register", "-", "--wait"], &lines).expect_code(0).json();
    assert_eq!(report["registered"], 100);
    let tool = up.run(&["get", "raw.busy"]).expect_code(0).json();
    assert_eq!(
        (&tool["tool"]["description"], &tool["revision"]),
        (&json!("State 100"), &report["last_revision"])
    );
    let computed = up.metric("toolweaver_tool_vectors_total") - before;
    assert!((1.0..100.0).contains(&computed), "{computed} embeddings");
}

fn remove(up: &Up) {
    let report = up.run(&["remove", "raw.busy", "raw.never", "--wait"]).expect_code(5).json();
    assert_eq!((&report["removed"], &report["not_found"]), (&json!(["raw.busy"]), &json!(["raw.never"])));
    up.run(&["get", "raw.busy"]).expect_code(3);
    let reply = up.run(&["search", "busy"]).json();
    let ids: Vec<&str> = reply["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| result["tool_id"].as_str().unwrap())
        .collect();
    assert!(!ids.contains(&"raw.busy"), "{ids:?}");
    let domains = up.run(&["domains"]).json();
    assert!(
        domains["domains"].as_array().unwrap().contains(&json!({ "domain": "raw", "tools": 1 })),
        "{domains}"
    );
    up.run(&["remove", "raw.busy"]).expect_code(3);
}

fn only_one_on_a_folder(up: &Up, data_dir: &str) {
    let again = [
        "up",
        "--data-dir",
        data_dir,
        "--nats-port",
        "0",
        "--http-addr",
        "127.0.0.1:0",
        "--model",
        "hashing",
    ];
    let refused = run(&again, "").expect_code(1);
    assert!(refused.stderr.contains("another `toolweaver up`"), "{}", refused.stderr);
    // And the port of the first one is not taken from it.
    let port = up.nats_url.rsplit(':').next().unwrap();
    let other = tempfile::tempdir().unwrap();
    let other = other.path().to_str().unwrap();
    let taken =
        ["up", "--data-dir", other, "--nats-port", port, "--http-addr", "127.0.0.1:0", "--model", "hashing"];
    let refused = run(&taken, "").expect_code(4);
    assert!(
        refused.stderr.contains("is taken") && refused.stderr.contains("--nats-port 0"),
        "{}",
        refused.stderr
    );
}

fn end(up: Up, data_dir: &std::path::Path) {
    let url = up.nats_url.clone();
    assert!(data_dir.join("nats.url").exists());
    assert_eq!(up.terminate(), Some(0));
    assert!(!data_dir.join("nats.url").exists());
    let gone = run(&["search", "anything", "--json", "--nats-url", &url], "").expect_code(4).json();
    assert!(gone["error"]["hint"].as_str().unwrap().contains("toolweaver up"), "{gone}");
}

fn in_runtime<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(work)
}
