//! Services as callers and stock tools see them: the other side is a plain client.

use std::sync::Arc;
use std::time::Duration;

use async_nats::service::{Info, PingResponse, Stats};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use toolweaver_contracts::{ErrorBody, ErrorCode, Fault};
use toolweaver_messaging::{
    Endpoint, Limits, Nats, Request, RequestError, Service, ServiceConfig, ServiceError, request,
};

use crate::support::{SOON, TestServer, at_most};

pub(crate) struct Serving {
    stop: CancellationToken,
    task: JoinHandle<Result<(), ServiceError>>,
}

impl Serving {
    pub(crate) async fn stop(self) -> Result<(), ServiceError> {
        self.stop.cancel();
        tokio::time::timeout(SOON, self.task).await.expect("the service stops in time").unwrap()
    }
}

pub(crate) fn serve(service: Service, drain_within: Duration) -> Serving {
    let stop = CancellationToken::new();
    let task = tokio::spawn(service.run(stop.clone(), drain_within));
    Serving { stop, task }
}

pub(crate) async fn service(nats: &Nats) -> Service {
    let config = ServiceConfig::new("finder", "1.2.3").description("finds tools").queue_group("finders");
    Service::start(nats, config).await.unwrap()
}

async fn echo(request: Request) -> Result<Bytes, Fault> {
    match &request.payload[..] {
        b"bad" => Err(Fault::bad("/query", "two\r\nlines").hint("say it in one")),
        b"panic" => panic!("as the test asked"),
        b"large" => Ok(vec![b' '; 2 * 1024 * 1024].into()),
        _ => Ok(format!("{} {}", request.subject, String::from_utf8_lossy(&request.payload)).into()),
    }
}

/// Asks a service as a stock tool does; several subjects, one answer each.
async fn ask<T: serde::de::DeserializeOwned>(client: &async_nats::Client, subject: &str) -> T {
    let answer = client.request(subject.to_owned(), Bytes::new()).await.unwrap();
    serde_json::from_slice(&answer.payload).unwrap()
}

#[tokio::test]
async fn stock_tools_find_the_service_and_its_figures() {
    let server = TestServer::start().await;
    let nats = server.connect().await;
    let mut service = service(&nats).await;
    service.endpoint(Endpoint::new("search", "search.v1.*"), echo).await.unwrap();
    service.endpoint(Endpoint::new("get", "get.v1.*").queue_group("getters"), echo).await.unwrap();
    let id = service.id().to_owned();
    let serving = serve(service, SOON);
    let plain = async_nats::connect(server.server.url()).await.unwrap();

    for subject in ["$SRV.PING", "$SRV.PING.finder", &format!("$SRV.PING.finder.{id}")] {
        let ping: PingResponse = ask(&plain, subject).await;
        assert_eq!((ping.kind.as_str(), ping.name.as_str()), ("io.nats.micro.v1.ping_response", "finder"));
        assert_eq!((&ping.id, ping.version.as_str()), (&id, "1.2.3"));
    }
    let info: Info = ask(&plain, "$SRV.INFO.finder").await;
    assert_eq!(
        (info.kind.as_str(), info.description.as_str()),
        ("io.nats.micro.v1.info_response", "finds tools")
    );
    let endpoints: Vec<_> = info
        .endpoints
        .iter()
        .map(|one| (one.name.as_str(), one.subject.as_str(), one.queue_group.as_str()))
        .collect();
    assert_eq!(endpoints, [("search", "search.v1.*", "finders"), ("get", "get.v1.*", "getters")]);

    for body in ["one", "two", "bad"] {
        plain.request("search.v1.acme", body.into()).await.unwrap();
    }
    let stats: Stats = ask(&plain, "$SRV.STATS.finder").await;
    let search = &stats.endpoints[0];
    assert_eq!((search.requests, search.errors), (3, 1));
    assert_eq!(search.last_error.as_ref().unwrap().code, 400);
    assert!(
        search.processing_time > Duration::ZERO && search.average_processing_time < search.processing_time
    );
    assert_eq!(stats.endpoints[1].requests, 0);
    serving.stop().await.unwrap();
}

#[tokio::test]
async fn answers_and_errors_have_the_shape_of_the_contract() {
    let server = TestServer::start().await;
    let nats = server.connect().await;
    let mut service = service(&nats).await;
    service.endpoint(Endpoint::new("search", "search.v1.*"), echo).await.unwrap();
    let serving = serve(service, SOON);

    let plain = async_nats::connect(server.server.url()).await.unwrap();
    let good = plain.request("search.v1.acme", "hello".into()).await.unwrap();
    assert_eq!(&good.payload[..], b"search.v1.acme hello");
    assert!(good.headers.is_none());

    let bad = plain.request("search.v1.acme", "bad".into()).await.unwrap();
    let headers = bad.headers.unwrap();
    assert_eq!(headers.get("Nats-Service-Error-Code").unwrap().as_str(), "400");
    assert_eq!(headers.get("Nats-Service-Error").unwrap().as_str(), "two  lines");
    let body: ErrorBody = serde_json::from_slice(&bad.payload).unwrap();
    let expected = Fault::bad("/query", "two\r\nlines").hint("say it in one");
    assert_eq!(body.error, expected);

    let fault = |error: RequestError| match error {
        RequestError::Fault(fault) => fault,
        other => panic!("{other}"),
    };
    let ours = request(&nats, "search.v1.acme", "bad", SOON).await.unwrap_err();
    assert_eq!(fault(ours), expected);
    let broken = fault(request(&nats, "search.v1.acme", "panic", SOON).await.unwrap_err());
    assert_eq!(broken.code, ErrorCode::Internal);
    let large = fault(request(&nats, "search.v1.acme", "large", SOON).await.unwrap_err());
    assert_eq!(large.code, ErrorCode::Internal);
    // A broken request broke nothing else.
    assert_eq!(&request(&nats, "search.v1.b", "x", SOON).await.unwrap()[..], b"search.v1.b x");
    serving.stop().await.unwrap();
    let nobody = request(&nats, "search.v1.acme", "hello", SOON).await.unwrap_err();
    assert!(matches!(nobody, RequestError::NoService { .. }), "{nobody}");
}

/// Requests of one endpoint that are held until the test lets them go; two at a time, and none waits for its
/// turn.
struct Held {
    entered: Arc<Semaphore>,
    go_on: Arc<Notify>,
}

async fn held(service: &mut Service) -> Held {
    let held = Held { entered: Arc::new(Semaphore::new(0)), go_on: Arc::new(Notify::new()) };
    let (entered, go_on) = (Arc::clone(&held.entered), Arc::clone(&held.go_on));
    let limits = Limits { concurrency_max: at_most(2), queue_max: 0, ..Limits::default() };
    let endpoint = Endpoint::new("slow", "slow.v1").limits(limits);
    service
        .endpoint(endpoint, move |_| {
            let (entered, go_on) = (Arc::clone(&entered), Arc::clone(&go_on));
            async move {
                let released = go_on.notified();
                entered.add_permits(1);
                released.await;
                Ok(Bytes::from_static(b"done"))
            }
        })
        .await
        .unwrap();
    held
}

fn ask_slow(nats: &Nats) -> JoinHandle<Result<Bytes, RequestError>> {
    let nats = nats.clone();
    tokio::spawn(async move { request(&nats, "slow.v1", "", SOON).await })
}

#[tokio::test]
async fn a_full_endpoint_without_a_queue_says_busy_at_once() {
    let server = TestServer::start().await;
    let nats = server.connect().await;
    let mut service = service(&nats).await;
    let held = held(&mut service).await;
    let serving = serve(service, SOON);
    let accepted = [ask_slow(&nats), ask_slow(&nats)];
    held.entered.acquire_many(2).await.unwrap().forget();
    let third = request(&nats, "slow.v1", "", Duration::from_secs(2)).await.unwrap_err();
    assert!(matches!(&third, RequestError::Fault(fault) if fault.code == ErrorCode::Busy), "{third}");
    assert!(third.is_transient());
    held.go_on.notify_waiters();
    for one in accepted {
        assert_eq!(&one.await.unwrap().unwrap()[..], b"done");
    }
    serving.stop().await.unwrap();
}

#[tokio::test]
async fn a_stop_answers_what_was_taken() {
    let server = TestServer::start().await;
    let nats = server.connect().await;
    let mut service = service(&nats).await;
    let held = held(&mut service).await;
    let serving = serve(service, SOON);
    let taken = ask_slow(&nats);
    held.entered.acquire().await.unwrap().forget();
    serving.stop.cancel();
    toolweaver_testkit::wait::until("no more requests are taken", SOON, async || {
        let refused = request(&nats, "slow.v1", "", Duration::from_millis(100)).await.unwrap_err();
        matches!(refused, RequestError::NoService { .. })
    })
    .await;
    assert!(!taken.is_finished());
    held.go_on.notify_waiters();
    assert_eq!(&taken.await.unwrap().unwrap()[..], b"done");
    serving.stop().await.unwrap();
}

#[tokio::test]
async fn a_drain_that_takes_too_long_is_an_error_and_tells_the_callers() {
    let server = TestServer::start().await;
    let nats = server.connect().await;
    let mut service = service(&nats).await;
    let held = held(&mut service).await;
    let serving = serve(service, Duration::from_millis(50));
    let taken = ask_slow(&nats);
    held.entered.acquire().await.unwrap().forget();
    let error = serving.stop().await.unwrap_err();
    assert!(matches!(error, ServiceError::DrainTimedOut { count: 1, .. }), "{error}");
    let answer = taken.await.unwrap().unwrap_err();
    assert!(
        matches!(&answer, RequestError::Fault(fault) if fault.code == ErrorCode::Unavailable),
        "{answer}"
    );
}

#[tokio::test]
async fn no_request_is_lost_when_one_of_two_workers_stops_under_load() {
    let server = TestServer::start().await;
    let caller = server.connect().await;
    let mut workers = Vec::new();
    for _ in 0..2 {
        let nats = server.connect().await;
        let mut service = service(&nats).await;
        service.endpoint(Endpoint::new("search", "search.v1.*"), echo).await.unwrap();
        workers.push(serve(service, SOON));
        nats.round_trip().await.unwrap();
    }
    let first = workers.remove(0);
    let calls = futures_util::stream::iter(0..4_000).map(|_| {
        let caller = caller.clone();
        async move { request(&caller, "search.v1.acme", "x", Duration::from_secs(2)).await }
    });
    let mut calls = std::pin::pin!(calls.buffer_unordered(32));
    let mut answered = 0;
    let mut stopping = None;
    let mut first = Some(first);
    while let Some(answer) = calls.next().await {
        answer.unwrap();
        answered += 1;
        if answered == 1_000 {
            stopping = first.take().map(|first| tokio::spawn(first.stop()));
        }
    }
    assert_eq!(answered, 4_000);
    stopping.unwrap().await.unwrap().unwrap();
    workers.remove(0).stop().await.unwrap();
}

#[tokio::test]
async fn names_and_versions_are_checked() {
    let server = TestServer::start().await;
    let nats = server.connect().await;
    for (name, version) in [("has space", "1.0.0"), ("", "1.0.0"), ("finder", "one")] {
        let error = Service::start(&nats, ServiceConfig::new(name, version)).await.unwrap_err();
        assert!(matches!(error, ServiceError::Invalid { .. }), "{error}");
    }
}
