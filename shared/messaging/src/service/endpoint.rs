//! The loop of one endpoint: takes requests, keeps to its limits, has them answered. The protocol's own requests are
//! not here.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::{Message, Subject, Subscriber};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, error};

use toolweaver_contracts::{ErrorCode, Fault, Tenant};

use super::admission::{Admission, Decision};
use super::answerer::Answerer;
use super::micro::EndpointStats;
use super::refusal::Refusal;
use super::{Limits, Request, ServiceError};
use crate::{Nats, metrics, trace};

pub(super) struct EndpointLoop<H> {
    limits: Limits,
    admission: Admission<Taken>,
    /// Requests that wait for something before they are offered; see [`Wait`].
    waiting: JoinSet<Waited>,
    /// What is in work; each piece ends with the time of its start.
    work: JoinSet<Instant>,
    wait: Box<Wait>,
    answerer: Arc<Answerer>,
    handler: Arc<H>,
    abandon: CancellationToken,
    nats: Nats,
}

/// What a request waits for before it is worked on, if for anything. Waiting is no work: it counts under no limit but
/// [`WAITING_MAX`], and says nothing about how fast the machine is.
pub(super) type Wait = dyn Fn(&Request) -> Option<BoxFuture<'static, Result<(), Fault>>> + Send + Sync;

/// Most requests of one endpoint that wait for something at a time.
const WAITING_MAX: usize = 1_024;
/// When one more may find room.
const WAITING_RETRY: Duration = Duration::from_secs(1);

/// A request that is owed an answer.
struct Taken {
    request: Request,
    reply: Subject,
}

/// A request that has waited for something, and whether it came.
type Waited = (Taken, Result<(), Fault>);

/// What happens inside the loop, apart from new requests.
enum Turn {
    /// A piece of work that began then has ended.
    Ended(Instant),
    /// Somebody has waited too long for a turn.
    Overdue,
    /// What a request waited for is there, or will not come.
    Waited(Box<Waited>),
}

impl<H, F> EndpointLoop<H>
where
    H: Fn(Request) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Bytes, Fault>> + Send + 'static,
{
    pub(super) fn new(
        nats: Nats,
        name: String,
        limits: Limits,
        stats: Arc<EndpointStats>,
        wait: Box<Wait>,
        handler: Arc<H>,
        abandon: CancellationToken,
    ) -> Self {
        let answerer = Arc::new(Answerer::new(nats.client().clone(), name, stats));
        let admission = Admission::new(&limits, Instant::now());
        let (waiting, work) = (JoinSet::new(), JoinSet::new());
        Self { limits, admission, waiting, work, wait, answerer, handler, abandon, nats }
    }

    /// Answers until stopped; then what the server has already sent and what waits, until the last answer is given.
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
                turn = self.turn() => self.advance(turn).await,
                next = requests.next() => match next {
                    Some(message) => self.take(message).await,
                    None => return Err(ServiceError::EndpointEnded { endpoint: self.answerer.endpoint().to_owned() }),
                },
            }
        }
        let nats = self.nats.clone();
        let mut draining = std::pin::pin!(nats.drain(requests));
        let last = loop {
            tokio::select! {
                last = &mut draining => break last,
                turn = self.turn() => self.advance(turn).await,
            }
        };
        for message in last {
            self.take(message).await;
        }
        while !self.work.is_empty() || !self.waiting.is_empty() {
            let turn = self.turn().await;
            self.advance(turn).await;
        }
        Ok(())
    }

    /// Never comes while nothing is in work and nobody waits. Nothing is lost where it is not awaited to its end.
    async fn turn(&mut self) -> Turn {
        let due = self.admission.due();
        let overdue = async {
            match due {
                Some(due) => tokio::time::sleep_until(due.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            Some(ended) = self.work.join_next() => {
                Turn::Ended(ended.expect("work catches its handler's panics, and nobody aborts it"))
            }
            Some(waited) = self.waiting.join_next() => {
                Turn::Waited(Box::new(waited.expect("waiting does not panic, and nobody aborts it")))
            }
            () = overdue => Turn::Overdue,
        }
    }

    async fn advance(&mut self, turn: Turn) {
        let now = Instant::now();
        let decisions = match turn {
            Turn::Ended(started_at) => self.admission.ended(started_at, now),
            Turn::Overdue => self.admission.overdue(now),
            Turn::Waited(waited) => match *waited {
                (taken, Ok(())) => self.admission.offer(tenant(&taken.request.subject), taken, now),
                (Taken { request, reply }, Err(fault)) => {
                    return self.answerer.answer(reply, Err(fault), request.received_at).await;
                }
            },
        };
        self.carry_out(decisions).await;
    }

    async fn take(&mut self, message: Message) {
        let now = Instant::now();
        // Nobody waits for an answer that has nowhere to go.
        let Some(reply) = message.reply.clone() else { return };
        self.answerer.taken();
        let tenant = tenant(&message.subject);
        let refusal = self.refusal(&message, tenant.as_ref(), now);
        let context = trace::extract(message.headers.as_ref());
        let (subject, payload) = (message.subject.to_string(), message.payload);
        let request = Request { subject, payload, context, received_at: now, queued_for: Duration::ZERO };
        let taken = Taken { request, reply };
        let decisions = match refusal {
            Some(refusal) => vec![Decision::Refuse(taken, refusal)],
            None => match (self.wait)(&taken.request) {
                None => self.admission.offer(tenant, taken, now),
                Some(_) if self.waiting.len() >= WAITING_MAX => {
                    vec![Decision::Refuse(taken, Refusal::QueueFull { retry_after: WAITING_RETRY })]
                }
                Some(waiting) => {
                    let abandon = self.abandon.clone();
                    self.waiting.spawn(async move {
                        let waited = abandon.run_until_cancelled(waiting).await;
                        (taken, waited.unwrap_or_else(|| Err(stopping())))
                    });
                    Vec::new()
                }
            },
        };
        self.carry_out(decisions).await;
    }

    /// Why a request is not even offered.
    fn refusal(&self, message: &Message, tenant: Option<&Tenant>, now: Instant) -> Option<Refusal> {
        let (bytes, bytes_max) = (message.payload.len(), self.limits.request_bytes_max);
        if bytes > bytes_max {
            return Some(Refusal::Size { bytes, bytes_max });
        }
        let rate = self.limits.rate.as_ref()?;
        let retry_after = rate.take(tenant, now).err()?;
        Some(Refusal::Rate { per_second: rate.per_second(), retry_after })
    }

    async fn carry_out(&mut self, decisions: Vec<Decision<Taken>>) {
        for decision in decisions {
            match decision {
                Decision::Work(taken, queued_for) => self.work_on(taken, queued_for),
                Decision::Refuse(taken, refusal) => {
                    metrics::shed(self.answerer.endpoint(), refusal.reason());
                    let received_at = taken.request.received_at;
                    self.answerer.answer(taken.reply, Err(refusal.fault()), received_at).await;
                }
            }
        }
        let Self { answerer, admission, .. } = self;
        metrics::load(answerer.endpoint(), admission.in_work(), admission.queued(), admission.limit());
    }

    fn work_on(&mut self, taken: Taken, queued_for: Duration) {
        let Taken { request, reply } = taken;
        metrics::queued(self.answerer.endpoint(), queued_for.as_secs_f64());
        let span = trace::answer_span(&request.subject, self.answerer.endpoint(), &request.context);
        let received_at = request.received_at;
        let request = Request { queued_for, ..request };
        let answerer = Arc::clone(&self.answerer);
        let handler = Arc::clone(&self.handler);
        let abandon = self.abandon.clone();
        let started_at = Instant::now();
        let answering = async move {
            // The call itself may panic before it returns a future.
            let answer = AssertUnwindSafe(async { handler(request).await }).catch_unwind();
            let result = match abandon.run_until_cancelled(answer).await {
                Some(Ok(result)) => result,
                Some(Err(_)) => {
                    error!(endpoint = answerer.endpoint(), "a request handler panicked");
                    Err(Fault::new(ErrorCode::Internal, "the request broke its handler")
                        .hint("this is a bug; report it"))
                }
                None => Err(stopping()),
            };
            answerer.answer(reply, result, received_at).await;
            started_at
        };
        self.work.spawn(answering.instrument(span));
    }
}

fn stopping() -> Fault {
    Fault::new(ErrorCode::Unavailable, "the service is stopping").hint("ask again; another worker answers")
}

/// Who asks: the third token of a subject such as `search.v1.<tenant>`, where it is a tenant's name.
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
