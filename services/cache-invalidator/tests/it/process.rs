//! The program itself: exit codes and signals.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Output, Stdio};

use crate::support::World;

const PROGRAM: &str = env!("CARGO_BIN_EXE_toolweaver-cache-invalidator");

fn program() -> Command {
    let mut program = Command::new(PROGRAM);
    program.env_clear().env("HTTP_ADDR", "127.0.0.1:0").stdin(Stdio::null());
    program
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn all_faults_of_the_configuration_are_told_at_once() {
    let output = program()
        .env("NATS_URL", "http://host")
        .env("USE_REDIS", "true")
        .env("REDIS_URL", "memcached://host")
        .env("REDIS_POOL_SIZE", "1")
        .env("INVALIDATION_LINGER_MS", "60000")
        .env("OTEL_TRACES_SAMPLER_ARG", "7")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = text(&output);
    for variable in
        ["NATS_URL", "REDIS_URL", "REDIS_POOL_SIZE", "INVALIDATION_LINGER_MS", "OTEL_TRACES_SAMPLER_ARG"]
    {
        assert!(told.contains(variable), "{variable} is not in:\n{told}");
    }
}

#[tokio::test]
async fn a_terminated_process_has_raised_what_it_acknowledged_and_exits_with_0() {
    let world = World::start().await;
    let mut last = 0;
    for tool in 0..200 {
        last = world.indexed(&format!("indexed.v1.acme.github.tool_{tool}")).await;
    }
    let process = program()
        .env("NATS_URL", world.nats_server.url())
        .env("USE_REDIS", "true")
        .env("REDIS_URL", world.redis.url())
        .env("LOG_FORMAT", "json")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    world.until_version("acme", last).await;
    let signalled = Command::new("kill").args(["-TERM", &process.id().to_string()]).status().unwrap();
    assert!(signalled.success());
    let output = tokio::task::spawn_blocking(|| process.wait_with_output().unwrap()).await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    for line in text(&output).lines() {
        let _: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
    }
    world.until_all_acknowledged().await;
}

#[test]
fn a_process_that_waits_for_nats_can_be_terminated() {
    let mut process = program().env("NATS_URL", "nats://127.0.0.1:1").stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(process.stderr.take().unwrap()).lines().map(Result::unwrap);
    // From this line on it obeys signals.
    assert!(log.any(|line| line.contains("serving /livez")));
    assert!(Command::new("kill").args(["-TERM", &process.id().to_string()]).status().unwrap().success());
    let rest: Vec<String> = log.collect();
    assert_eq!(process.wait().unwrap().code(), Some(0), "{rest:?}");
}
