//! Refusals of a service over a real server. The laws behind them have tests of their own.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::Semaphore;
use toolweaver_contracts::{ErrorBody, ErrorCode, Fault};
use toolweaver_messaging::{Endpoint, Limits, Nats, RequestError, Service, TenantRate, request};

use crate::service::{Serving, serve, service};
use crate::support::{SOON, TestServer, at_most};

/// One request at a time, and the others wait as long as a test may take.
fn one_at_a_time() -> Limits {
    Limits { concurrency_max: at_most(1), queue_max: 4, queue_wait_max: SOON, ..Limits::default() }
}

/// Requests on `work.v1.*` that each wait for a permit, with their callers in the order in which they were
/// worked on.
#[derive(Clone)]
struct Gate {
    entered: Arc<Mutex<Vec<String>>>,
    permits: Arc<Semaphore>,
}

impl Gate {
    async fn open_on(service: &mut Service, limits: Limits) -> Self {
        let gate = Self { entered: Arc::default(), permits: Arc::new(Semaphore::new(0)) };
        let inside = gate.clone();
        let endpoint = Endpoint::new("work", "work.v1.*").limits(limits);
        let handler = move |request: toolweaver_messaging::Request| {
            let gate = inside.clone();
            async move {
                gate.entered.lock().unwrap().push(request.subject);
                gate.permits.acquire().await.unwrap().forget();
                Ok(Bytes::from_static(b"done"))
            }
        };
        service.endpoint(endpoint, handler).await.unwrap();
        gate
    }

    async fn has_entered(&self, count: usize) {
        toolweaver_testkit::wait::until("requests are worked on", SOON, async || {
            self.entered.lock().unwrap().len() >= count
        })
        .await;
    }
}

/// Requests whose answers are read together, in the order in which they come.
struct Asked {
    nats: Nats,
    inbox: String,
    answers: async_nats::Subscriber,
}

impl Asked {
    async fn new(nats: &Nats) -> Self {
        let inbox = nats.client().new_inbox();
        let answers = nats.client().subscribe(inbox.clone()).await.unwrap();
        Self { nats: nats.clone(), inbox, answers }
    }

    /// Sends so many, and returns when the server has them.
    async fn ask(&self, subject: &'static str, count: usize) {
        for _ in 0..count {
            self.nats.client().publish_with_reply(subject, self.inbox.clone(), Bytes::new()).await.unwrap();
        }
        self.nats.round_trip().await.unwrap();
    }

    /// Returns the next answer: done, or the fault.
    async fn next(&mut self) -> Result<(), Fault> {
        let answer =
            tokio::time::timeout(SOON, self.answers.next()).await.expect("an answer in time").unwrap();
        match &answer.payload[..] {
            b"done" => Ok(()),
            body => Err(serde_json::from_slice::<ErrorBody>(body).unwrap().error),
        }
    }

    async fn next_code(&mut self) -> Option<ErrorCode> {
        self.next().await.err().map(|fault| fault.code)
    }
}

async fn serving_gate(nats: &Nats, limits: Limits, drain_within: Duration) -> (Gate, Serving) {
    let mut service = service(nats).await;
    let gate = Gate::open_on(&mut service, limits).await;
    (gate, serve(service, drain_within))
}

#[tokio::test]
async fn a_flood_is_refused_at_once_and_starves_nobody() {
    let server = TestServer::start().await;
    let nats = server.connect().await;
    let (gate, serving) = serving_gate(&nats, one_at_a_time(), SOON).await;
    let mut asked = Asked::new(&nats).await;

    asked.ask("work.v1.flood", 7).await;
    for _ in 0..2 {
        let fault = asked.next().await.unwrap_err();
        assert_eq!(fault.code, ErrorCode::Busy);
        assert!(fault.hint.as_ref().unwrap().starts_with("try again in "), "{fault}");
    }
    asked.ask("work.v1.modest", 1).await;
    assert_eq!(asked.next_code().await, Some(ErrorCode::Busy), "the flood gives up a place");
    assert_eq!(gate.entered.lock().unwrap().len(), 1, "nothing that was taken has been answered");

    gate.permits.add_permits(5);
    for _ in 0..5 {
        assert_eq!(asked.next_code().await, None);
    }
    let entered = gate.entered.lock().unwrap().clone();
    assert_eq!(entered[..2], ["work.v1.flood"; 2]);
    assert_eq!(entered[2..], ["work.v1.modest", "work.v1.flood", "work.v1.flood"]);
    serving.stop().await.unwrap();
}

#[tokio::test]
async fn nobody_waits_for_a_turn_longer_than_said() {
    let server = TestServer::start().await;
    let nats = server.connect().await;
    let limits = Limits { queue_wait_max: Duration::from_millis(50), ..one_at_a_time() };
    let (gate, serving) = serving_gate(&nats, limits, SOON).await;
    let mut asked = Asked::new(&nats).await;
    asked.ask("work.v1.acme", 3).await;
    for _ in 0..2 {
        assert_eq!(asked.next_code().await, Some(ErrorCode::Busy));
    }
    gate.permits.add_permits(1);
    assert_eq!(asked.next_code().await, None);
    assert_eq!(gate.entered.lock().unwrap().len(), 1);
    serving.stop().await.unwrap();
}

#[tokio::test]
async fn a_stop_answers_what_waits() {
    let server = TestServer::start().await;
    let nats = server.connect().await;
    let (gate, serving) = serving_gate(&nats, one_at_a_time(), SOON).await;
    let mut asked = Asked::new(&nats).await;
    asked.ask("work.v1.acme", 4).await;
    gate.has_entered(1).await;
    let stopping = tokio::spawn(serving.stop());
    gate.permits.add_permits(4);
    for _ in 0..4 {
        assert_eq!(asked.next_code().await, None);
    }
    stopping.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stop_that_takes_too_long_tells_those_who_wait() {
    let server = TestServer::start().await;
    let nats = server.connect().await;
    let (gate, serving) = serving_gate(&nats, one_at_a_time(), Duration::from_millis(50)).await;
    let mut asked = Asked::new(&nats).await;
    asked.ask("work.v1.acme", 4).await;
    gate.has_entered(1).await;
    serving.stop().await.unwrap_err();
    for _ in 0..4 {
        assert_eq!(asked.next_code().await, Some(ErrorCode::Unavailable));
    }
    assert_eq!(gate.entered.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn under_overload_every_request_is_answered_and_those_taken_have_not_waited_long() {
    let server = TestServer::start().await;
    let nats = server.connect().await;
    let limits = Limits { concurrency_max: at_most(4), queue_max: 32, ..Limits::default() };
    let queue_wait_max = limits.queue_wait_max;
    let mut service = service(&nats).await;
    let (in_flight, waits) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
    let handler = {
        let (in_flight, waits) = (Arc::clone(&in_flight), Arc::clone(&waits));
        move |request: toolweaver_messaging::Request| {
            waits.lock().unwrap().push((in_flight.fetch_add(1, Ordering::SeqCst) + 1, request.queued_for));
            let in_flight = Arc::clone(&in_flight);
            async move {
                tokio::time::sleep(Duration::from_millis(10)).await;
                in_flight.fetch_sub(1, Ordering::SeqCst);
                Ok(Bytes::from_static(b"done"))
            }
        }
    };
    service.endpoint(Endpoint::new("work", "work.v1.*").limits(limits), handler).await.unwrap();
    let serving = serve(service, SOON);

    // Three times as many at a time as are in flight and queued.
    let calls = futures_util::stream::iter(0..2_000)
        .map(|_| async { request(&nats, "work.v1.acme", "", SOON).await })
        .buffer_unordered(3 * (4 + 32));
    let (mut done, mut busy) = (0, 0);
    let mut calls = std::pin::pin!(calls);
    while let Some(answer) = calls.next().await {
        match answer {
            Ok(_) => done += 1,
            Err(RequestError::Fault(fault)) if fault.code == ErrorCode::Busy => busy += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(done + busy, 2_000);
    assert!(done >= 36 && busy > 0, "{done} done, {busy} told to come back");
    let waits = std::mem::take(&mut *waits.lock().unwrap());
    assert_eq!(waits.len(), done);
    assert!(
        waits.iter().all(|(in_flight, queued_for)| *in_flight <= 4 && *queued_for < queue_wait_max),
        "{waits:?}"
    );
    assert!(waits.iter().any(|(_, queued_for)| !queued_for.is_zero()), "some have waited");
    serving.stop().await.unwrap();
}

#[tokio::test]
async fn the_limit_grows_while_it_is_in_use_and_costs_no_latency() {
    let server = TestServer::start().await;
    let nats = server.connect().await;
    let limits = Limits { concurrency_min: at_most(2), concurrency_max: at_most(32), ..Limits::default() };
    let mut service = service(&nats).await;
    let (in_flight, peak) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let handler = {
        let peak = Arc::clone(&peak);
        move |_| {
            peak.fetch_max(in_flight.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let in_flight = Arc::clone(&in_flight);
            async move {
                tokio::time::sleep(Duration::from_millis(5)).await;
                in_flight.fetch_sub(1, Ordering::SeqCst);
                Ok(Bytes::from_static(b"done"))
            }
        }
    };
    service.endpoint(Endpoint::new("work", "work.v1.*").limits(limits), handler).await.unwrap();
    let serving = serve(service, SOON);
    let asking = futures_util::stream::repeat(()).for_each_concurrent(16, |()| async {
        // Whether it is answered or told to come back is of no interest here.
        let _ = request(&nats, "work.v1.acme", "", SOON).await;
    });
    let grown = toolweaver_testkit::wait::until("more than the minimum are in flight", SOON, async || {
        peak.load(Ordering::SeqCst) >= 8
    });
    tokio::select! {
        () = asking => unreachable!("it asks forever"),
        () = grown => {}
    }
    serving.stop().await.unwrap();
}

#[tokio::test]
async fn a_tenant_that_asks_too_often_is_told_so_and_others_are_served() {
    let server = TestServer::start().await;
    let nats = server.connect().await;
    let rate = TenantRate::new(NonZeroU32::MIN, NonZeroU32::new(3).unwrap());
    let limits = Limits { rate: Some(rate), ..Limits::default() };
    let mut service = service(&nats).await;
    let done = async |_| Ok(Bytes::from_static(b"done"));
    service.endpoint(Endpoint::new("work", "work.v1.*").limits(limits.clone()), done).await.unwrap();
    service.endpoint(Endpoint::new("rest", "rest.v1.*").limits(limits), done).await.unwrap();
    let serving = serve(service, SOON);

    let begin = Instant::now();
    let (mut passed, mut faults) = (0, Vec::new());
    for number in 0..20 {
        let subject = ["work.v1.fast", "rest.v1.fast"][number % 2];
        match request(&nats, subject, "", SOON).await {
            Ok(_) => passed += 1,
            Err(RequestError::Fault(fault)) => faults.push(fault),
            Err(other) => panic!("{other}"),
        }
    }
    let allowed = 3 + begin.elapsed().as_secs() + 1;
    assert!((3..=allowed).contains(&passed), "{passed} passed two endpoints that share a rate");
    let fault = &faults[0];
    assert_eq!(
        (fault.code, &*fault.message),
        (ErrorCode::Busy, "this tenant asks more than 1 times a second")
    );
    assert!(fault.hint.as_ref().unwrap().starts_with("try again in "), "{fault}");
    for _ in 0..3 {
        request(&nats, "work.v1.modest", "", SOON).await.unwrap();
    }
    serving.stop().await.unwrap();
}

#[tokio::test]
async fn a_request_that_is_too_large_is_refused_unread() {
    let server = TestServer::start().await;
    let nats = server.connect().await;
    let limits = Limits { request_bytes_max: 10, ..Limits::default() };
    let (gate, serving) = serving_gate(&nats, limits, SOON).await;
    gate.permits.add_permits(1);
    request(&nats, "work.v1.acme", "0123456789", SOON).await.unwrap();
    let refused = request(&nats, "work.v1.acme", "0123456789a", SOON).await.unwrap_err();
    let RequestError::Fault(fault) = refused else { panic!("{refused}") };
    assert_eq!(fault.code, ErrorCode::BadRequest);
    assert_eq!(fault.message, "the request has 11 bytes; at most 10 are read");
    assert_eq!(gate.entered.lock().unwrap().len(), 1);
    serving.stop().await.unwrap();
}
