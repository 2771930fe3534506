//! The child process: found, started, stopped, taken over.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use toolweaver_messaging::local_server::LocalServerError;
use toolweaver_messaging::{LocalServer, LocalServerConfig, NatsConfig, connect};
use toolweaver_testkit::{parts, wait};

use crate::support::{SOON, TestServer, config, contents, publish_tools};

#[tokio::test]
async fn starts_on_a_free_port_and_stops_when_dropped() {
    let server = TestServer::start().await;
    let nats = server.ready().await;
    publish_tools(&nats, 1).await;
    assert!(server.server.url().starts_with("nats://127.0.0.1:"));
    assert_ne!(server.server.port(), 0);
    let (pid, url) = (server.server.pid(), server.server.url().to_owned());
    assert!(fs::read_to_string(server.server.log_path()).unwrap().contains("Server is ready"));
    drop(server);
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    assert!(connect(&NatsConfig::for_url(url), "test").await.is_err());
}

#[tokio::test]
async fn data_and_port_survive_a_restart() {
    let server = TestServer::start().await;
    publish_tools(&server.ready().await, 3).await;
    let url = server.server.url().to_owned();
    let server = server.restart().await;
    assert_eq!(server.server.url(), url);
    assert_eq!(contents(&server.connect().await, "TOOLS").await.len(), 3);
}

#[tokio::test]
async fn a_missing_program_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let config = LocalServerConfig {
        binary: Some("/nowhere/nats-server".into()),
        data_dir: dir.path().to_owned(),
        port: 0,
    };
    let text = LocalServer::start(config).await.unwrap_err().to_string();
    for part in ["/nowhere/nats-server", "install nats-server", "--nats-url"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[tokio::test]
async fn a_server_that_cannot_start_gives_its_last_words() {
    let running = TestServer::start().await;
    let dir = tempfile::tempdir().unwrap();
    let error = LocalServer::start(config(&dir, running.server.port())).await.unwrap_err();
    assert!(
        matches!(&error, LocalServerError::Died { log, .. } if log.contains("address already in use")),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_dies_is_noticed() {
    let server = TestServer::start().await;
    kill(server.server.pid());
    let error = tokio::time::timeout(SOON, server.server.died()).await.unwrap();
    assert!(matches!(error, LocalServerError::Died { .. }), "{error}");
}

#[tokio::test]
async fn a_server_left_behind_is_taken_over() {
    let first = TestServer::start().await;
    publish_tools(&first.ready().await, 3).await;
    let TestServer { server: first, dir } = first;
    let port = first.port();
    first.shutdown().await;
    // What kill -9 of our process leaves: the server runs on with the arguments we gave it, its pid file is
    // there.
    let store = dir.path().join("nats").canonicalize().unwrap();
    let pid_file = dir.path().join("nats-server.pid");
    let mut orphan = Command::new(parts::nats_server())
        .args(["--addr", "127.0.0.1", "--jetstream", "--port", &port.to_string(), "--store_dir"])
        .args([&store, Path::new("--pid"), &pid_file])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait::until("the orphan runs", SOON, async || {
        async_nats::connect(format!("127.0.0.1:{port}")).await.is_ok()
    })
    .await;

    let begin = Instant::now();
    let server = LocalServer::start(config(&dir, port)).await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(2), "taken over in {:?}", begin.elapsed());
    assert!(orphan.try_wait().unwrap().is_some(), "the orphan has ended");
    let server = TestServer { server, dir };
    assert_eq!(contents(&server.connect().await, "TOOLS").await.len(), 3);
}

#[tokio::test]
async fn the_server_of_a_living_process_is_not_taken_over() {
    let mut server = TestServer::start().await;
    let error = LocalServer::start(config(&server.dir, 0)).await.unwrap_err();
    assert!(matches!(error, LocalServerError::InUse { .. }), "{error}");
    assert!(server.connect().await.is_connected());
    server = server.restart().await;
    assert!(server.connect().await.is_connected());
}

#[tokio::test]
async fn a_stranger_behind_an_old_pid_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut stranger = Command::new("sleep").arg("60").spawn().unwrap();
    fs::write(dir.path().join("nats-server.pid"), stranger.id().to_string()).unwrap();
    let server = LocalServer::start(config(&dir, 0)).await.unwrap();
    assert!(stranger.try_wait().unwrap().is_none(), "it was not ours to stop");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    drop(server);
}

#[tokio::test]
async fn user_password_and_token_are_used() {
    for (flags, good, bad) in [
        (&["--user", "ann", "--pass", "s@cret"][..], "ann:s%40cret@", "ann:wrong@"),
        (&["--auth", "t0ken"][..], "t0ken@", "other@"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(parts::nats_server())
            .args(["--addr", "127.0.0.1", "--port", "-1", "--ports_file_dir"])
            .arg(dir.path())
            .args(flags)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let ports_file = dir.path().join(format!("nats-server_{}.ports", child.id()));
        let port = wait::until("the server listens", SOON, async || {
            let ports: serde_json::Value = serde_json::from_slice(&fs::read(&ports_file).ok()?).ok()?;
            Some(ports["nats"][0].as_str()?.rsplit(':').next()?.to_owned())
        })
        .await;
        let with = |user: &str| NatsConfig::for_url(format!("nats://{user}127.0.0.1:{port}"));
        let good = connect(&with(good), "test").await;
        let refused = connect(&with(bad), "test").await.unwrap_err();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(good.is_ok(), "{flags:?}");
        assert!(!refused.is_transient(), "{refused}");
    }
}

fn kill(pid: u32) {
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
}
