//! The proxy that other tests put in front of real servers.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use toolweaver_testkit::proxy::Proxy;

const LATENCY: Duration = Duration::from_millis(100);
/// Within this a healthy loopback connection has answered.
const SOON: Duration = Duration::from_secs(5);

/// Starts a server that says everything back.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let address = listener.local_addr().expect("the address of a bound socket");
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = connection.split();
                copy(&mut from, &mut to).await.ok();
            });
        }
    });
    address
}

async fn proxied() -> (Proxy, TcpStream) {
    let proxy = Proxy::start(echo().await).await;
    let mut connection = TcpStream::connect(proxy.address()).await.expect("the proxy accepts");
    assert_eq!(round_trip(&mut connection).await, b"ping");
    (proxy, connection)
}

async fn round_trip(connection: &mut TcpStream) -> Vec<u8> {
    connection.write_all(b"ping").await.expect("the socket takes four bytes");
    read(connection).await
}

/// Reads four bytes, or fewer where the connection ends first.
async fn read(connection: &mut TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    timeout(SOON, connection.take(4).read_to_end(&mut answer)).await.expect("an answer or an end").ok();
    answer
}

#[tokio::test]
async fn latency_delays_each_direction_of_a_standing_connection() {
    let (proxy, mut connection) = proxied().await;
    proxy.set_latency(LATENCY);
    let started = Instant::now();
    assert_eq!(round_trip(&mut connection).await, b"ping");
    assert!(started.elapsed() >= LATENCY * 2, "{:?}", started.elapsed());
}

#[tokio::test]
async fn what_was_stalled_arrives_after_healing() {
    let (proxy, mut connection) = proxied().await;
    proxy.stall();
    connection.write_all(b"ping").await.unwrap();
    let mut byte = [0];
    timeout(LATENCY, connection.read(&mut byte)).await.expect_err("nothing passes a black hole");
    let mut second = TcpStream::connect(proxy.address()).await.expect("a black hole accepts");

    proxy.heal();
    assert_eq!(read(&mut connection).await, b"ping");
    assert_eq!(round_trip(&mut second).await, b"ping");
}

#[tokio::test]
async fn a_cut_ends_old_and_new_connections_until_healed() {
    let (proxy, mut connection) = proxied().await;
    proxy.cut();
    assert_eq!(read(&mut connection).await, b"", "the standing connection ends");
    let mut refused = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(read(&mut refused).await, b"", "a new one ends at once");

    proxy.heal();
    let mut healed = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(round_trip(&mut healed).await, b"ping");
}

#[tokio::test]
async fn a_cut_that_is_healed_at_once_is_still_a_cut() {
    let (proxy, mut connection) = proxied().await;
    proxy.cut();
    proxy.heal();
    assert_eq!(read(&mut connection).await, b"");
}

#[tokio::test]
async fn nothing_outlives_the_proxy() {
    let (proxy, mut connection) = proxied().await;
    let address = proxy.address();
    drop(proxy);
    assert_eq!(read(&mut connection).await, b"");
    TcpStream::connect(address).await.expect_err("nobody listens any more");
}
