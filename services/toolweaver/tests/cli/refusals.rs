//! Commands that cannot do what they are asked: they say why, what to do, and end with a code for scripts.

use crate::support::run;

/// A port that nobody listens on: the discard service is long gone everywhere.
const NOBODY: &str = "nats://127.0.0.1:9";

#[test]
fn nobody_at_the_url_is_told_with_advice() {
    for command in [
        &["search", "x"][..],
        &["get", "a.b"],
        &["domains"],
        &["status"],
        &["remove", "a.b"],
        &["register", "-"],
    ] {
        let outcome = run(&[command, &["--nats-url", NOBODY]].concat(), "").expect_code(4);
        assert!(
            outcome.stderr.contains("127.0.0.1:9") && outcome.stderr.contains("toolweaver up"),
            "{outcome:?}"
        );
        assert_eq!(outcome.stdout, "");
        let told = run(&[command, &["--nats-url", NOBODY, "--json"]].concat(), "").expect_code(4).json();
        assert_eq!(told["error"]["code"], 503);
    }
    let doctor = run(&["doctor", "--nats-url", NOBODY, "--json"], "").expect_code(1).json();
    assert_eq!(doctor["findings"][0]["ok"], false, "{doctor}");
}

#[test]
fn arguments_are_checked_before_anybody_is_asked() {
    let long = "x".repeat(8 * 1024 + 1);
    for command in [
        &["search", "x", "--top-k", "0"][..],
        &["search", "x", "--top-k", "101"],
        &["search", "x", "--shape", "anthropic-tool"],
        &["search", "x", "--budget-tokens", "0"],
        &["search", "x", "--wait-ms", "30001"],
        &["search", "x", "--domain", "a domain"],
        &["search", "x", "--exclude", "no-domain"],
        &["search", " "],
        &["search", &long],
        &["get", "no-domain"],
        &["domains", "--tenant", "a.b"],
        &["remove", "no-domain"],
        &["register", "-", "--domain", ""],
        &["register", "/no/such/file"],
        &["import", "openapi", "-", "--domain", "a.b"],
    ] {
        // Asked, nobody would answer, which is 4.
        let outcome = run(&[command, &["--nats-url", NOBODY]].concat(), "").expect_code(2);
        assert!(!outcome.stderr.contains("127.0.0.1:9"), "{outcome:?}");
    }
}

#[test]
fn a_cause_is_said_once() {
    let outcome = run(&["domains", "--nats-url", NOBODY], "").expect_code(4);
    assert_eq!(outcome.stderr.matches("refused").count(), 1, "{}", outcome.stderr);
    assert_eq!(outcome.stderr.matches("127.0.0.1:9").count(), 1, "{}", outcome.stderr);
    let doctor = run(&["doctor", "--nats-url", NOBODY], "").expect_code(1).stdout;
    assert_eq!((doctor.matches("FAIL").count(), doctor.matches("refused").count()), (1, 1), "{doctor}");
    assert_eq!(doctor.matches("127.0.0.1:9").count(), 1, "{doctor}");
}

#[test]
fn wrong_usage_is_two() {
    run(&["search"], "").expect_code(2);
    run(&["get", "no-domain"], "").expect_code(2);
    run(&["frobnicate"], "").expect_code(2);
    let help = run(&["--help"], "").expect_code(0);
    assert!(help.stdout.contains("Exit codes"), "{}", help.stdout);
}

#[test]
fn up_says_what_it_lacks_before_it_starts_anything() {
    let data_dir = tempfile::tempdir().unwrap();
    let path = data_dir.path().to_str().unwrap();
    let program = |args: &[&str]| {
        let mut command = crate::support::program();
        // No model in a default folder either.
        command.args(args).env("XDG_DATA_HOME", path);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, stderr) = program(&["up", "--data-dir", path]);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("model pull") && stderr.contains("--model-dir"), "{stderr}");
    let faulty = [
        "up",
        "--data-dir",
        path,
        "--model",
        "hashing",
        "--nats-url",
        "http://x",
        "--use-redis",
        "--redis-url",
        "x",
    ];
    let (code, stderr) = program(&faulty);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("NATS_URL") && stderr.contains("REDIS_URL"), "all faults at once: {stderr}");
    assert_eq!(std::fs::read_dir(path).unwrap().count(), 0, "nothing was begun");
}
