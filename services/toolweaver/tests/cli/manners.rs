//! Manners of all commands, whatever they do: help, version, completions, manual pages, full disks.

use std::{fs::File, process::Stdio};

use crate::support::{program, run};

/// Width that is asked for where a test wants lines to be wrapped.
const COLUMNS: usize = 80;

#[test]
fn help_fits_the_terminal_and_lists_every_command() {
    let commands = [
        "up",
        "register",
        "remove",
        "import",
        "search",
        "get",
        "domains",
        "status",
        "doctor",
        "model",
        "eval",
        "completions",
        "man",
    ];
    let help = run(&["--help"], "").expect_code(0).stdout;
    for command in commands {
        assert!(help.lines().any(|line| line.trim().starts_with(command)), "{command} in\n{help}");
        let output =
            program().args([command, "--help"]).env("COLUMNS", COLUMNS.to_string()).output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        let widest = help.lines().max_by_key(|line| line.chars().count()).unwrap();
        assert!(widest.chars().count() <= COLUMNS, "{command}: {widest}");
    }
}

#[test]
fn no_help_speaks_of_the_tools_of_this_repository() {
    for command in ["up", "register", "search", "doctor", "model", "eval", "completions"] {
        let help = run(&[command, "--help"], "").expect_code(0).stdout;
        assert!(!help.contains("cargo "), "{help}");
    }
}

#[test]
fn the_version_names_the_commit() {
    let version = run(&["--version"], "").expect_code(0).stdout;
    let commit = version.trim().strip_prefix(concat!("toolweaver ", env!("CARGO_PKG_VERSION"), " ("));
    let commit = commit.and_then(|rest| rest.strip_suffix(')')).unwrap_or_else(|| panic!("{version}"));
    let is_hash = commit.len() >= 7 && commit.chars().all(|c| c.is_ascii_hexdigit());
    assert!(is_hash || commit == "unknown" || std::env::var("GIT_COMMIT").is_ok(), "{version}");
}

#[test]
fn each_shell_gets_completions_and_bash_can_source_them() {
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = run(&["completions", shell], "").expect_code(0).stdout;
        assert!(script.contains("toolweaver") && script.contains("budget-tokens"), "{shell}");
    }
    run(&["completions", "cmd.exe"], "").expect_code(2);
    let bash = std::process::Command::new("bash").arg("--version").output();
    if bash.is_err() {
        eprintln!("no bash here: its completions were made, not sourced");
        return;
    }
    let script = run(&["completions", "bash"], "").stdout;
    let test = format!(
        "set -eu\n{script}\nCOMP_WORDS=(toolweaver sea); COMP_CWORD=1; COMPREPLY=()\n\
         _toolweaver toolweaver sea toolweaver\necho \"${{COMPREPLY[@]}}\""
    );
    let output = std::process::Command::new("bash").args(["-c", &test]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "search", "{output:?}");
}

#[test]
fn there_is_a_manual_page_for_each_command() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("man1");
    run(&["man", dir.to_str().unwrap()], "").expect_code(0);
    for page in ["toolweaver.1", "toolweaver-search.1", "toolweaver-model-pull.1"] {
        let text = std::fs::read_to_string(dir.join(page)).unwrap();
        assert!(text.contains(".TH") && text.contains(".SH NAME"), "{page}");
    }
    let refused = run(&["man", "/dev/null/man1"], "").expect_code(1);
    assert!(refused.stderr.contains("/dev/null/man1"), "{}", refused.stderr);
}

#[test]
fn a_full_disk_is_an_error_and_a_closed_pipe_is_not() {
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    for args in [&["--help"][..], &["--version"], &["completions", "bash"], &["completions", "zsh"]] {
        let output = program().args(args).stdout(full()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {stderr}");
        assert_eq!(stderr.matches("stdout").count(), 1, "{args:?}: {stderr}");

        let mut child = program().args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{args:?}: {output:?}");
    }
}
