//! `cargo xtask demo`: from nothing to searching GitHub's whole REST API, with the times that a client sees.

use std::env;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::downloads;
use crate::nats::Connection;
use crate::process::{self, Scratch, command};
use crate::up::{self, Up};

/// Questions of a person, each with the operations that answer it. Names are compared by their letters alone.
const QUESTIONS: [(&str, &[&str]); 5] = [
    ("open a pull request", &["pulls/create"]),
    ("list issues of a repository", &["issues/list-for-repo"]),
    ("create a new repository", &["repos/create-for-authenticated-user", "repos/create-in-org"]),
    ("add a label to an issue", &["issues/add-labels"]),
    ("invite somebody to my organization", &["orgs/create-invitation"]),
];
const RIGHT_ANSWERS_MIN: usize = 4;

pub(crate) fn run(keep: bool) -> Result<()> {
    let runtime = downloads::runtime()?;
    let github_api = downloads::github_api()?;
    let toolweaver = up::build()?;
    let data = Scratch::new(&env::temp_dir(), "toolweaver-demo")?;

    let started = Instant::now();
    let up = Up::start(&toolweaver, data.path(), &runtime, keep)?;
    println!("\ntoolweaver up: ready after {:.1} s on {}", started.elapsed().as_secs_f32(), up.nats_url());

    let started = Instant::now();
    let mut import = command(&toolweaver);
    import.args(["import", "openapi"]).arg(&github_api).args(["--domain", "github", "--wait"]);
    process::run(import.args(["--nats-url", up.nats_url()]))?;
    println!("GitHub's REST API: imported and searchable after {:.1} s", started.elapsed().as_secs_f32());

    let mut nats = Connection::open(up.nats_url())?;
    let right = ask(&mut nats)?;
    register(&mut nats)?;
    if keep {
        let url = up.nats_url().to_owned();
        let id = up.leave_running();
        println!("\nIt keeps running. With any NATS client:");
        println!("  nats -s {url} req search.v1.default '{}'", json!({ "query": "merge a pull request" }));
        println!("or with ours:\n  {} search 'merge a pull request' --nats-url {url}", toolweaver.display());
        println!("Its data and log are in {}. Stop it with: kill {id}", data.keep().display());
    } else {
        up.stop()?;
    }
    if right < RIGHT_ANSWERS_MIN {
        bail!("only {right} of {} questions found the right operation first", QUESTIONS.len());
    }
    Ok(())
}

/// Asks every question and returns how many found a right operation first.
fn ask(nats: &mut Connection) -> Result<usize> {
    // The first request of a connection also pays for what is set up once.
    search(nats, &json!({ "query": "warm up" }))?;
    let mut right = 0;
    for (question, answers) in QUESTIONS {
        let sent = Instant::now();
        let reply = search(nats, &json!({ "query": question, "top_k": 3 }))?;
        let round_trip_ms = sent.elapsed().as_secs_f64() * 1e3;
        let found = names(&reply);
        let first = found.first().context("a search found nothing")?;
        let is_right = answers.iter().any(|answer| letters(answer) == letters(first));
        right += usize::from(is_right);
        let took_ms = reply["took_ms"].as_f64().context("a reply lacks took_ms")?;
        println!("\n\"{question}\"  took {took_ms:.1} ms, {round_trip_ms:.1} ms with the round trip");
        println!("  {} {first}", if is_right { "✓" } else { "✗" });
        for other in &found[1..] {
            println!("    {other}");
        }
    }
    println!("\n{right} of {} found the right operation first", QUESTIONS.len());
    Ok(right)
}

/// Registers one tool and measures until a search returns it.
fn register(nats: &mut Connection) -> Result<()> {
    let tool = json!({
        "tool_name": "translate_whale_song", "tool_type": "function", "domain": "marine",
        "description": "Turns a recording of a humpback whale into written words",
        "parameters": { "type": "object", "properties": { "recording_url": { "type": "string" } } },
        "version": "1.0.0",
    });
    let sent = Instant::now();
    let acknowledged = nats.request(
        "tools.v1.default.marine.translate_whale_song",
        &json!({ "event": "registered", "tool": tool }),
    )?;
    let revision = acknowledged["seq"].as_u64().with_context(|| format!("not stored: {acknowledged}"))?;
    let stored_ms = sent.elapsed().as_secs_f64() * 1e3;
    let question =
        json!({ "query": "what is the whale saying", "min_revision": revision, "wait_ms": 10_000 });
    let reply = search(nats, &question)?;
    let found_ms = sent.elapsed().as_secs_f64() * 1e3;
    let found = names(&reply);
    if !found.first().is_some_and(|first| letters(first).ends_with("translatewhalesong")) {
        bail!("the tool registered last was not found first, but: {found:?}");
    }
    println!("\nOne more tool: stored after {stored_ms:.1} ms, returned by a search after {found_ms:.1} ms");
    Ok(())
}

fn search(nats: &mut Connection, request: &Value) -> Result<Value> {
    nats.request("search.v1.default", request)
}

/// Returns the tools of a reply, best first.
fn names(reply: &Value) -> Vec<&str> {
    let results = reply["results"].as_array().map(Vec::as_slice).unwrap_or_default();
    results.iter().filter_map(|result| result["tool_name"].as_str()).collect()
}

/// Removes the punctuation that an importer may choose differently.
fn letters(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
}
