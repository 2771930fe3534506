//! Loop of one endpoint: takes requests, keeps to its limits, has them answered.
//!
//! The requests of the micro protocol itself are not here.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::{Message, Subject, Subscriber};
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use toolweaver_contracts::{Fault, Tenant};
use toolweaver_resilience::{Deadline, DeadlineExceeded};

use super::admission::{Admission, Decision};
use super::micro::EndpointStats;
use super::refusal::{self, Refusal};
use super::request::{Accepted, Wait};
use super::responder::Responder;
use super::{Limits, Request, ServiceError};
use crate::{Nats, metrics, trace};

/// Most requests of one endpoint that wait for a condition at a time.
const WAITING_MAX: usize = 1_024;
/// Time after which a request beyond them may find room.
const WAITING_RETRY: Duration = Duration::from_secs(1);

/// Endpoint that is being served. `Q` is its decoded request.
pub(super) struct EndpointLoop<Q, H> {
    limits: Limits,
    admission: Admission<PendingRequest<Q>>,
    /// Requests that wait for a condition before they are offered to admission.
    waiting: JoinSet<Waited<Q>>,
    /// Requests in flight; each ends with the instant of its start.
    in_flight: JoinSet<Instant>,
    accept: Box<Accept<Q>>,
    handler: Arc<H>,
    responder: Arc<Responder>,
    abandon: CancellationToken,
    nats: Nats,
}

/// Decodes a request, or says what is wrong with it.
pub(super) type Accept<Q> = dyn Fn(&Request) -> Result<Accepted<Q>, Fault> + Send + Sync;

/// Decoded request that is owed an answer.
struct PendingRequest<Q> {
    request: Request,
    query: Q,
    deadline: Option<Deadline>,
    reply: Subject,
}

/// Request whose wait has ended, and whether its condition holds now.
type Waited<Q> = (PendingRequest<Q>, Result<(), Fault>);

/// Event inside the loop, apart from a new request.
enum LoopEvent<Q> {
    /// A request in flight that was started then has been answered.
    Completed(Instant),
    /// A queued request has waited too long.
    QueueExpired,
    /// The condition that a request waited for holds, or never will.
    Waited(Box<Waited<Q>>),
}

impl<Q, H, F> EndpointLoop<Q, H>
where
    Q: Send + 'static,
    H: Fn(Request, Q) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Bytes, Fault>> + Send + 'static,
{
    pub(super) fn new(
        nats: Nats,
        name: String,
        limits: Limits,
        stats: Arc<EndpointStats>,
        accept: Box<Accept<Q>>,
        handler: Arc<H>,
        abandon: CancellationToken,
    ) -> Self {
        let responder = Arc::new(Responder::new(nats.client().clone(), name, stats));
        let admission = Admission::new(&limits, Instant::now());
        let (waiting, in_flight) = (JoinSet::new(), JoinSet::new());
        Self { limits, admission, waiting, in_flight, accept, handler, responder, abandon, nats }
    }

    /// Serves until stopped; then answers what the server has already sent and what waits, to the last
    /// request.
    pub(super) async fn run(
        mut self,
        mut requests: Subscriber,
        stop: CancellationToken,
    ) -> Result<(), ServiceError> {
        // What ends makes room for what comes, so it goes first.
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                event = self.next_event() => self.advance(event).await,
                next = requests.next() => match next {
                    Some(message) => self.take(message).await,
                    None => return Err(ServiceError::EndpointEnded { endpoint: self.responder.endpoint().to_owned() }),
                },
            }
        }
        let nats = self.nats.clone();
        let mut draining = std::pin::pin!(nats.drain(requests));
        let last = loop {
            tokio::select! {
                last = &mut draining => break last,
                event = self.next_event() => self.advance(event).await,
            }
        };
        for message in last {
            self.take(message).await;
        }
        while !self.in_flight.is_empty() || !self.waiting.is_empty() {
            let event = self.next_event().await;
            self.advance(event).await;
        }
        Ok(())
    }

    /// Returns the next event; never while nothing is in flight and nobody waits. Safe to cancel.
    async fn next_event(&mut self) -> LoopEvent<Q> {
        let expiry = self.admission.next_expiry();
        let expired = async {
            match expiry {
                Some(expiry) => tokio::time::sleep_until(expiry.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            Some(completed) = self.in_flight.join_next() => {
                LoopEvent::Completed(completed.expect("it catches its handler's panics, and nobody aborts it"))
            }
            Some(waited) = self.waiting.join_next() => {
                LoopEvent::Waited(Box::new(waited.expect("waiting does not panic, and nobody aborts it")))
            }
            () = expired => LoopEvent::QueueExpired,
        }
    }

    async fn advance(&mut self, event: LoopEvent<Q>) {
        let now = Instant::now();
        let decisions = match event {
            LoopEvent::Completed(started_at) => self.admission.completed(started_at, now),
            LoopEvent::QueueExpired => self.admission.expire(now),
            LoopEvent::Waited(waited) => match *waited {
                (pending, Ok(())) => self.offer(tenant(&pending.request.subject), pending, now),
                (PendingRequest { request, reply, .. }, Err(fault)) => {
                    return self.responder.respond(reply, Err(fault), request.received_at).await;
                }
            },
        };
        self.carry_out(decisions).await;
    }

    async fn take(&mut self, message: Message) {
        let received_at = Instant::now();
        // Nobody waits for an answer that has nowhere to go.
        let Some(reply) = message.reply.clone() else { return };
        self.responder.begin();
        let tenant = tenant(&message.subject);
        if let Some(refusal) = self.refusal(&message, tenant.as_ref(), received_at) {
            return self.responder.refuse(reply, refusal, received_at).await;
        }
        let context = trace::extract(message.headers.as_ref());
        let (subject, payload) = (message.subject.to_string(), message.payload);
        let request = Request { subject, payload, context, received_at, queued_for: Duration::ZERO };
        // Decoding is somebody else's code, and a panic in it must not end the loop.
        let accepted = catch_unwind(AssertUnwindSafe(|| (self.accept)(&request)));
        match accepted.unwrap_or_else(|_| Err(refusal::panicked(self.responder.endpoint()))) {
            Err(fault) => self.responder.respond(reply, Err(fault), received_at).await,
            Ok(Accepted { query, deadline, wait }) => {
                let pending = PendingRequest { request, query, deadline, reply };
                match wait {
                    None => {
                        let decisions = self.offer(tenant, pending, received_at);
                        self.carry_out(decisions).await;
                    }
                    Some(_) if self.waiting.len() >= WAITING_MAX => {
                        let refusal = Refusal::QueueFull { retry_after: WAITING_RETRY };
                        self.responder.refuse(pending.reply, refusal, received_at).await;
                    }
                    Some(wait) => self.wait_for(pending, wait),
                }
            }
        }
    }

    /// Returns the reason to refuse a request unread, if there is one.
    fn refusal(&self, message: &Message, tenant: Option<&Tenant>, now: Instant) -> Option<Refusal> {
        let (bytes, bytes_max) = (message.payload.len(), self.limits.request_bytes_max);
        if bytes > bytes_max {
            return Some(Refusal::Size { bytes, bytes_max });
        }
        let rate = self.limits.rate.as_ref()?;
        let retry_after = rate.take(tenant, now).err()?;
        Some(Refusal::Rate { per_second: rate.per_second(), retry_after })
    }

    /// Lets a request wait for its condition, until its deadline or the end of the service.
    fn wait_for(&mut self, pending: PendingRequest<Q>, wait: Wait) {
        let abandon = self.abandon.clone();
        self.waiting.spawn(async move {
            let waited = abandon.run_until_cancelled(in_time(pending.deadline, wait)).await;
            let waited = waited.unwrap_or_else(|| Ok(Err(refusal::stopping())));
            (pending, waited.unwrap_or_else(|DeadlineExceeded| Err(refusal::too_late())))
        });
    }

    fn offer(
        &mut self,
        tenant: Option<Tenant>,
        pending: PendingRequest<Q>,
        now: Instant,
    ) -> Vec<Decision<PendingRequest<Q>>> {
        let deadline = pending.deadline.map(|deadline| deadline.instant().into_std());
        self.admission.offer(tenant, pending, deadline, now)
    }

    async fn carry_out(&mut self, decisions: Vec<Decision<PendingRequest<Q>>>) {
        for decision in decisions {
            match decision {
                Decision::Admit(pending, queued_for) => self.start(pending, queued_for),
                Decision::Refuse(PendingRequest { request, reply, deadline, .. }, refusal) => {
                    if deadline.is_some_and(Deadline::is_over) {
                        let fault = refusal::too_late();
                        self.responder.respond(reply, Err(fault), request.received_at).await;
                    } else {
                        self.responder.refuse(reply, refusal, request.received_at).await;
                    }
                }
            }
        }
        let Self { responder, admission, .. } = self;
        metrics::load(responder.endpoint(), admission.in_flight(), admission.queued(), admission.limit());
    }

    /// Starts to work on a request, in a task of its own.
    fn start(&mut self, pending: PendingRequest<Q>, queued_for: Duration) {
        let PendingRequest { request, query, deadline, reply } = pending;
        metrics::queued(self.responder.endpoint(), queued_for.as_secs_f64());
        let span = trace::answer_span(&request.subject, self.responder.endpoint(), &request.context);
        let received_at = request.received_at;
        let request = Request { queued_for, ..request };
        let responder = Arc::clone(&self.responder);
        let handler = Arc::clone(&self.handler);
        let abandon = self.abandon.clone();
        let started_at = Instant::now();
        let answering = async move {
            // The call itself may panic before it returns a future.
            let answer = AssertUnwindSafe(async { handler(request, query).await }).catch_unwind();
            let result = match abandon.run_until_cancelled(in_time(deadline, answer)).await {
                Some(Ok(Ok(result))) => result,
                Some(Ok(Err(_))) => Err(refusal::panicked(responder.endpoint())),
                Some(Err(DeadlineExceeded)) => Err(refusal::too_late()),
                None => Err(refusal::stopping()),
            };
            responder.respond(reply, result, received_at).await;
            started_at
        };
        self.in_flight.spawn(answering.instrument(span));
    }
}

/// Runs `work` until the deadline, where there is one. Work whose deadline is over is not begun.
async fn in_time<T>(
    deadline: Option<Deadline>,
    work: impl Future<Output = T>,
) -> Result<T, DeadlineExceeded> {
    match deadline {
        None => Ok(work.await),
        Some(deadline) if deadline.is_over() => Err(DeadlineExceeded),
        Some(deadline) => deadline.run(work).await,
    }
}

/// Returns the tenant that asks: the third token of a subject such as `search.v1.<tenant>`, where it is a
/// tenant's name.
fn tenant(subject: &str) -> Option<Tenant> {
    subject.split('.').nth(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tenant_is_the_third_token() {
        for (subject, expected) in [
            ("search.v1.acme", Some("acme")),
            ("search.v1.acme.github", Some("acme")),
            ("status.v1", None),
            ("get.v1.A B", None),
        ] {
            assert_eq!(tenant(subject).map(String::from).as_deref(), expected, "{subject}");
        }
    }
}
