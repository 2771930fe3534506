//! A process from its start to its end: readiness over real HTTP, dying tasks, draining.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use toolweaver_service_runtime::telemetry::metrics;
use toolweaver_service_runtime::{DrainConfig, HttpConfig, Runtime, ServiceError};

const PATIENCE: DrainConfig = DrainConfig { drain_timeout_seconds: 20 };

async fn served() -> (Runtime, SocketAddr) {
    let loopback = HttpConfig { http_addr: SocketAddr::from(([127, 0, 0, 1], 0)), healthcheck: false };
    let runtime = Runtime::start(&loopback, PATIENCE).await.expect("a free port");
    let address = runtime.http_address().expect("it serves");
    (runtime, address)
}

/// Returns status code and body of a GET, over a plain socket: no HTTP client is among the dependencies.
async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut connection = TcpStream::connect(address).await.expect("the server answers");
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await.expect("the server answers");
    let mut reply = String::new();
    connection.read_to_string(&mut reply).await.expect("the server answers");
    let (head, body) = reply.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status code");
    (status, body.to_owned())
}

#[tokio::test]
async fn tells_over_http_which_gates_are_closed() {
    let (runtime, address) = served().await;
    assert_eq!(get(address, "/readyz").await.0, 503, "nothing has started yet");
    assert_eq!(get(address, "/livez").await.0, 200);

    let (nats, projection) = (runtime.health.gate("nats"), runtime.health.gate("projection"));
    nats.ready();
    projection.not_ready("12 events behind");
    let (status, body) = get(address, "/readyz").await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 503);
    assert_eq!(body["ready"], false);
    assert_eq!(
        body["not_ready"],
        serde_json::json!([{ "gate": "projection", "reason": "12 events behind" }])
    );

    projection.ready();
    assert_eq!(get(address, "/readyz").await.0, 200);
    assert_eq!(get(address, "/nothing-here").await.0, 404);
}

#[tokio::test]
async fn a_taken_port_is_a_clear_error() {
    let (_runtime, address) = served().await;
    let error =
        Runtime::start(&HttpConfig { http_addr: address, healthcheck: false }, PATIENCE).await.unwrap_err();
    assert!(format!("{error:#}").contains(&address.to_string()), "{error:#}");
}

#[tokio::test]
async fn metrics_have_the_names_that_the_code_gives_them() {
    metrics::install("test-service");
    let (_runtime, address) = served().await;
    let meter = opentelemetry::global::meter("test");
    meter.u64_counter("toolweaver_test_total").build().add(3, &[]);
    meter.f64_histogram("toolweaver_test_duration_seconds").build().record(0.003, &[]);

    let (status, text) = get(address, "/metrics").await;
    assert_eq!(status, 200);
    for line in [
        "toolweaver_test_total 3",
        "toolweaver_test_duration_seconds_bucket{le=\"0.0025\"} 0",
        "toolweaver_test_duration_seconds_bucket{le=\"0.005\"} 1",
        "toolweaver_build_info{service=\"test-service\",version=\"",
        "process_start_time_seconds 1",
    ] {
        assert!(text.contains(line), "{line} is not in:\n{text}");
    }
    if cfg!(target_os = "linux") {
        let bytes = value(&text, "process_resident_memory_bytes");
        assert!(bytes > 1e6, "a process of {bytes} bytes");
        // A young process may have used less than the hundredth of a second that is the finest step.
        assert!(value(&text, "process_cpu_seconds_total") >= 0.0);
    }
}

fn value(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name}"));
    line.trim().parse().expect("a number")
}

#[tokio::test]
async fn a_shutdown_lets_tasks_finish_what_they_have_begun() {
    let (runtime, address) = served().await;
    runtime.health.gate("only").ready();
    let finished = Arc::new(AtomicBool::new(false));
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let (go_on, may_go_on) = tokio::sync::oneshot::channel::<()>();
    runtime.tasks.spawn("worker", {
        let finished = finished.clone();
        async move {
            begun.send(()).unwrap();
            may_go_on.await?;
            finished.store(true, Ordering::SeqCst);
            Ok(())
        }
    });
    has_begun.await.unwrap();
    runtime.shutdown.begin();
    let joined = tokio::spawn({
        let runtime = runtime.clone();
        async move { runtime.join().await }
    });
    tokio::task::yield_now().await;
    let (status, body) = get(address, "/readyz").await;
    assert_eq!(status, 503, "no new requests while draining");
    assert!(body.contains("draining"), "{body}");

    go_on.send(()).unwrap();
    joined.await.unwrap().unwrap();
    assert!(finished.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_dying_task_stops_the_others_and_is_the_error() {
    let (runtime, address) = served().await;
    let soft = runtime.shutdown.soft().clone();
    runtime.tasks.spawn("steady", async move {
        soft.cancelled().await;
        Ok(())
    });
    runtime.tasks.spawn("fragile", async { bail!("the disk is full") });
    let error = runtime.join().await.unwrap_err();
    assert!(matches!(&error, ServiceError::TaskFailed { task, .. } if task == "fragile"), "{error:?}");
    assert!(format!("{:#}", anyhow::Error::from(error)).contains("the disk is full"));
    let (status, body) = get(address, "/livez").await;
    assert_eq!(status, 503);
    assert!(body.contains("the disk is full"), "{body}");
}

#[tokio::test]
async fn a_panic_and_an_early_end_are_deaths_too() {
    let runtime = Runtime::new(PATIENCE);
    runtime.tasks.spawn("panics", async { panic!("index out of bounds") });
    let error = runtime.join().await.unwrap_err();
    assert!(
        matches!(&error, ServiceError::TaskPanicked { task, message } if task == "panics" && message.contains("bounds")),
        "{error:?}"
    );

    let runtime = Runtime::new(PATIENCE);
    runtime.tasks.spawn("leaves", async { Result::Ok(()) });
    let error = runtime.join().await.unwrap_err();
    assert!(matches!(&error, ServiceError::TaskEnded { task } if task == "leaves"), "{error:?}");
}

#[tokio::test]
async fn a_task_that_does_not_end_is_dropped_and_named_when_the_time_is_up() {
    let runtime = Runtime::new(DrainConfig { drain_timeout_seconds: 0 });
    runtime.tasks.spawn("stubborn", std::future::pending());
    runtime.shutdown.begin();
    let error = runtime.join().await.unwrap_err();
    assert!(matches!(&error, ServiceError::DrainTimedOut { tasks } if tasks == &["stubborn"]), "{error:?}");
}

#[tokio::test]
async fn an_abort_does_not_wait_for_the_drain() {
    let runtime = Runtime::new(PATIENCE);
    runtime.tasks.spawn("stubborn", std::future::pending());
    let begun = Instant::now();
    runtime.shutdown.abort();
    runtime.join().await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(10), "it took {:?}", begun.elapsed());
}
