//! The Redis process that other tests rely on.

use std::time::Duration;

use tokio::time::timeout;
use toolweaver_testkit::redis::RedisServer;

#[tokio::test]
async fn two_servers_live_side_by_side() {
    let (one, two) = tokio::join!(RedisServer::start(), RedisServer::start());
    assert_ne!(one.url(), two.url());
    assert!(one.command("SET name one").await.unwrap().starts_with("+OK"));
    assert!(
        two.command("GET name").await.unwrap().starts_with("$-1"),
        "the other server knows nothing of it"
    );
}

#[tokio::test]
async fn comes_back_on_the_same_port_after_a_stop_and_a_kill() {
    let mut server = RedisServer::start_with(&["--appendonly", "yes", "--appendfsync", "always"]).await;
    server.command("SET kept yes").await.unwrap();
    let url = server.url();

    server.stop().await;
    server.command("PING").await.expect_err("a stopped server does not answer");
    server.restart().await;
    server.kill();
    server.command("PING").await.expect_err("a killed server does not answer");
    server.restart().await;

    assert_eq!(server.url(), url);
    assert!(server.command("GET kept").await.unwrap().contains("yes"));
}

#[tokio::test]
async fn answers_nothing_while_paused() {
    let server = RedisServer::start().await;
    server.pause();
    timeout(Duration::from_millis(100), server.command("PING")).await.expect_err("a paused server is silent");
    server.resume();
    assert!(server.command("PING").await.unwrap().starts_with("+PONG"));
}
