//! Commands in the fenced blocks of the pages: each runs here, or is of a kind that cannot.
//!
//! In an `sh` block every line is a command. In a `console` block the lines after `$ ` are commands, and what
//! stands below one is its output. Every command must exit with 0.

use std::{cell::LazyCell, path::Path};

use crate::{
    output::first_missing,
    pages::{Page, pages},
    workspace::{Workspace, shell},
};

/// Beginnings of commands that are not run, and the reason. A command of neither list is a fault.
const NOT_RUN: [(&str, &str); 11] = [
    ("cargo ", "builds; `cargo xtask test` is what runs this test"),
    ("curl ", "asks a Qdrant that is not here"),
    ("docker compose ", "needs Docker: `cargo xtask compose-check` and the workflow `images` check it"),
    ("helm ", "needs a cluster: `cargo xtask helm-check` and the workflow `images` check it"),
    ("kubectl ", "needs a cluster"),
    ("nats ", "the NATS command line is not among the tests' programs"),
    ("pip install ", "asks a package index"),
    ("target/debug/loadtest ", "puts load on a machine for minutes"),
    (
        "toolweaver model pull",
        "downloads: the tests of the command line run it against a mirror of their own",
    ),
    ("toolweaver up", "runs already: it is what the other commands find"),
    ("valkey-cli ", "asks a Redis that is not here"),
];
/// Programs whose commands are run.
const RUN: [&str; 3] = ["mkdir", "python3", "toolweaver"];

/// A command of a page, and what the page shows of its output.
struct Documented<'a> {
    place: String,
    line: String,
    output: Vec<&'a str>,
}

#[test]
fn the_commands_of_every_page_run() {
    let faults: Vec<String> = pages().iter().flat_map(faults_of).collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

fn faults_of(page: &Page) -> Vec<String> {
    // Started by the first command that needs it, and kept: a page is read from the top.
    let workspace: LazyCell<Workspace> = LazyCell::new(Workspace::start);
    documented(page).iter().filter_map(|command| fault_of(command, &workspace)).collect()
}

fn fault_of(command: &Documented<'_>, workspace: &LazyCell<Workspace>) -> Option<String> {
    let Documented { place, line, output } = command;
    if NOT_RUN.iter().any(|(beginning, _)| line.starts_with(beginning)) {
        return None;
    }
    let program = line.split_whitespace().find(|word| !word.contains('=')).unwrap_or_default();
    if !RUN.contains(&program) {
        return Some(format!("{place}: `{line}` is neither run nor on the list of what is not"));
    }
    if program == "python3"
        && !shell(Path::new("."), "python3 -c 'import nats'").output().unwrap().status.success()
    {
        eprintln!("SKIPPED {place}: nats-py is not installed; `cargo xtask test` runs the example");
        return None;
    }
    let ran = workspace.run(line);
    let (stdout, stderr) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    if !ran.status.success() {
        return Some(format!("{place}: `{line}` ended with {}:\n{stdout}{stderr}", ran.status));
    }
    let missing = first_missing(output, &stdout)?;
    Some(format!("{place}: `{line}` does not print `{missing}` there, but:\n{stdout}"))
}

fn documented(page: &Page) -> Vec<Documented<'_>> {
    let mut commands: Vec<Documented<'_>> = Vec::new();
    for line in page.lines() {
        let command = match line.block {
            Some("sh") => Some(line.text),
            Some("console") => line.text.strip_prefix("$ "),
            _ => continue,
        };
        if let Some(begun) = commands.last_mut().filter(|command| command.line.ends_with('\\')) {
            begun.line.pop();
            begun.line.push_str(line.text.trim_start());
        } else if let Some(command) = command {
            let is_command = !command.trim().is_empty() && !command.starts_with('#');
            let documented =
                || Documented { place: page.place(&line), line: command.to_owned(), output: Vec::new() };
            commands.extend(is_command.then(documented));
        } else if let Some(command) = commands.last_mut() {
            command.output.push(line.text);
        }
    }
    commands
}
