//! Typed endpoints: a request is decoded once, waits under no limit, and is answered by its deadline.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;
use toolweaver_contracts::{ErrorCode, Fault};
use toolweaver_messaging::{Accepted, Endpoint, Limits, Nats, Request, RequestError, request};
use toolweaver_resilience::Deadline;

use crate::service::{Serving, serve, service};
use crate::support::{SOON, TestServer, at_most};

/// One request in flight, and the others queued as long as a test may take.
fn one_at_a_time() -> Limits {
    Limits {
        concurrency_min: at_most(1),
        concurrency_max: at_most(1),
        queue_wait_max: SOON,
        ..Limits::default()
    }
}

/// Returns the code of a fault that a service answered.
async fn code(nats: &Nats, body: &'static str) -> ErrorCode {
    match request(nats, "double.v1.acme", body, SOON).await {
        Err(RequestError::Fault(fault)) => fault.code,
        other => panic!("{other:?}"),
    }
}

/// Serves requests whose body is a number and whose answer is twice that. Each handler takes a permit.
async fn doubling(
    nats: &Nats,
    accept: impl Fn(u64, &Request) -> Accepted<u64> + Send + Sync + 'static,
) -> (Serving, Arc<AtomicUsize>, Arc<Semaphore>) {
    let mut service = service(nats).await;
    let (decoded, permits) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let counted = Arc::clone(&decoded);
    let decode = move |request: &Request| {
        counted.fetch_add(1, Ordering::SeqCst);
        let text = std::str::from_utf8(&request.payload).unwrap();
        assert_ne!(text, "panic");
        let number = text.parse().map_err(|_| Fault::bad("", "it is no number"))?;
        Ok(accept(number, request))
    };
    let inside = Arc::clone(&permits);
    let handler = move |_: Request, number: u64| {
        let permits = Arc::clone(&inside);
        async move {
            permits.acquire().await.unwrap().forget();
            Ok(Bytes::from((number * 2).to_string()))
        }
    };
    let endpoint = Endpoint::new("double", "double.v1.*").limits(one_at_a_time());
    service.typed_endpoint(endpoint, decode, handler).await.unwrap();
    (serve(service, SOON), decoded, permits)
}

#[tokio::test]
async fn a_request_is_decoded_once_and_a_faulty_one_takes_no_place() {
    let server = TestServer::start().await;
    let nats = server.connect().await;
    let (serving, decoded, permits) = doubling(&nats, |number, _| Accepted::new(number)).await;
    let pending = tokio::spawn({
        let nats = nats.clone();
        async move { request(&nats, "double.v1.acme", "21", SOON).await }
    });
    // The only place is taken, and both are answered all the same.
    assert_eq!(code(&nats, "many").await, ErrorCode::BadRequest);
    assert_eq!(code(&nats, "panic").await, ErrorCode::Internal);
    permits.add_permits(1);
    assert_eq!(pending.await.unwrap().unwrap(), "42");
    assert_eq!(decoded.load(Ordering::SeqCst), 3);
    serving.stop().await.unwrap();
}

#[tokio::test]
async fn a_request_that_waits_for_its_condition_takes_no_place_either() {
    let server = TestServer::start().await;
    let nats = server.connect().await;
    let condition = Arc::new(Semaphore::new(0));
    let awaited = Arc::clone(&condition);
    let accept = move |number, _: &Request| {
        let awaited = Arc::clone(&awaited);
        let accepted = Accepted::new(number);
        if number == 0 {
            return accepted;
        }
        accepted.after(async move {
            awaited.acquire().await.unwrap().forget();
            if number == 1 { Ok(()) } else { Err(Fault::new(ErrorCode::NotYet, "it never will")) }
        })
    };
    let (serving, _, permits) = doubling(&nats, accept).await;
    permits.add_permits(2);
    let waiting = ["1", "2"].map(|body| {
        let nats = nats.clone();
        tokio::spawn(async move { request(&nats, "double.v1.acme", body, SOON).await })
    });
    assert_eq!(request(&nats, "double.v1.acme", "0", SOON).await.unwrap(), "0");
    condition.add_permits(2);
    let [held, refused] = waiting;
    assert_eq!(held.await.unwrap().unwrap(), "2");
    let refused = refused.await.unwrap().unwrap_err();
    assert!(matches!(&refused, RequestError::Fault(fault) if fault.code == ErrorCode::NotYet), "{refused}");
    serving.stop().await.unwrap();
}

#[tokio::test]
async fn a_deadline_ends_waiting_queueing_and_work_alike() {
    let server = TestServer::start().await;
    let nats = server.connect().await;
    let accept = |number, request: &Request| {
        let accepted =
            Accepted::new(number).by(Deadline::since(request.received_at, Duration::from_millis(50)));
        if number == 0 { accepted.after(std::future::pending()) } else { accepted }
    };
    let (serving, _, permits) = doubling(&nats, accept).await;
    let asking = ["0", "1", "2"].map(|body| code(&nats, body));
    // One waits for what never comes, one is in a handler that never ends, one is queued behind it.
    let codes = futures_util::future::join_all(asking).await;
    assert_eq!(codes, [ErrorCode::Deadline; 3]);
    permits.add_permits(1);
    assert_eq!(request(&nats, "double.v1.acme", "3", SOON).await.unwrap(), "6", "the place is free again");
    serving.stop().await.unwrap();
}
