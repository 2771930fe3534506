//! Request-reply services in the NATS *micro* protocol, so that stock tools (`nats micro ls | info | stats`) see them.
//!
//! ```text
//! subject ──queue group──▶ endpoint loop ──▶ size, rate ──▶ admission ──▶ one task per request ──▶ answer
//!                                             └─ 400, 429      └─ 429 busy
//! ```
//! An endpoint takes in no more than its [`Limits`]. What it cannot take is answered at once.
//!
//! The client library's own service type is not used: it answers errors with an empty body, and its stop drops the
//! requests that the server has already sent. Its wire types are. What a request means is not here.

mod admission;
mod answerer;
mod endpoint;
mod limits;
mod micro;
mod rate;
mod refusal;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use opentelemetry::Context;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use toolweaver_contracts::Fault;

use crate::{Nats, metrics};
use endpoint::EndpointLoop;
use micro::Micro;

pub use limits::Limits;
pub use rate::TenantRate;

/// The queue group of an endpoint that names none; the protocol's default.
const QUEUE_GROUP_DEFAULT: &str = "q";

/// Who a service is.
#[derive(Debug, Clone)]
pub struct ServiceConfig {
    /// Its kind, shared by all its processes: letters, digits, `-` and `_`.
    pub name: String,
    /// A semantic version.
    pub version: String,
    /// For people.
    pub description: String,
    /// Group within which each request goes to one process; for endpoints that name none themselves.
    pub queue_group: String,
}

impl ServiceConfig {
    /// A service in the protocol's default queue group.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            description: String::new(),
            queue_group: QUEUE_GROUP_DEFAULT.to_owned(),
        }
    }

    /// Says what the service is for.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Sets the queue group.
    #[must_use]
    pub fn queue_group(mut self, group: impl Into<String>) -> Self {
        self.queue_group = group.into();
        self
    }
}

/// One kind of request a service answers.
#[derive(Debug, Clone)]
pub struct Endpoint {
    name: String,
    subject: String,
    queue_group: Option<String>,
    limits: Limits,
}

impl Endpoint {
    /// An endpoint with the default limits.
    pub fn new(name: impl Into<String>, subject: impl Into<String>) -> Self {
        Self { name: name.into(), subject: subject.into(), queue_group: None, limits: Limits::default() }
    }

    /// Sets its own queue group.
    #[must_use]
    pub fn queue_group(mut self, group: impl Into<String>) -> Self {
        self.queue_group = Some(group.into());
        self
    }

    /// Sets how much it takes in.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}

/// A request to answer.
#[derive(Debug, Clone)]
pub struct Request {
    /// The subject it came on.
    pub subject: String,
    /// The body.
    pub payload: Bytes,
    /// The caller's trace context; empty where it sent none. The current span is its child already.
    pub context: Context,
    /// When it arrived here.
    pub received_at: Instant,
    /// How long it then waited for its turn.
    pub queued_for: Duration,
}

/// Why a service cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Name or version do not fit the protocol.
    #[error("invalid service {field} {value:?}: {expected}")]
    Invalid {
        /// Which field.
        field: &'static str,
        /// What it holds.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A subject cannot be subscribed to.
    #[error("cannot subscribe to {subject}")]
    Subscribe {
        /// Which subject.
        subject: String,
        /// What the client library said.
        #[source]
        source: async_nats::SubscribeError,
    },
    /// The loop of an endpoint ended before it was stopped.
    #[error("endpoint {endpoint} ended by itself")]
    EndpointEnded {
        /// Which endpoint.
        endpoint: String,
    },
    /// Requests were still being answered when the time to drain was over.
    #[error("{count} requests were not answered within {within:?} of the stop")]
    DrainTimedOut {
        /// How many.
        count: usize,
        /// The time there was.
        within: Duration,
    },
}

/// A running service.
#[derive(Debug)]
pub struct Service {
    nats: Nats,
    config: ServiceConfig,
    micro: Arc<Micro>,
    verbs: JoinHandle<()>,
    /// Ends the taking of requests.
    stop: CancellationToken,
    /// Ends the answering of requests.
    abandon: CancellationToken,
    endpoints: JoinSet<Result<(), ServiceError>>,
}

impl Service {
    /// Starts a service that can be found (`$SRV.PING`, `$SRV.INFO`, `$SRV.STATS`) and has no endpoints yet.
    pub async fn start(nats: &Nats, config: ServiceConfig) -> Result<Self, ServiceError> {
        let micro = Arc::new(Micro::new(nats, &config)?);
        let verbs = micro::serve(nats.client().clone(), Arc::clone(&micro)).await?;
        Ok(Self {
            nats: nats.clone(),
            config,
            micro,
            verbs,
            stop: CancellationToken::new(),
            abandon: CancellationToken::new(),
            endpoints: JoinSet::new(),
        })
    }

    /// Its id, unique among all processes; `$SRV` replies carry it.
    pub fn id(&self) -> &str {
        self.micro.id()
    }

    /// Adds an endpoint; requests are answered from now on, each in a task of its own. A handler that panics answers
    /// 500.
    pub async fn endpoint<H, F>(&mut self, endpoint: Endpoint, handler: H) -> Result<(), ServiceError>
    where
        H: Fn(Request) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Bytes, Fault>> + Send + 'static,
    {
        self.endpoint_after(endpoint, |_| None, handler).await
    }

    /// The same for requests that may have to wait for something before they can be worked on. Waiting counts under no limit
    /// of work: a thousand may wait while others are answered. `wait` says what for, or why it is in vain.
    pub async fn endpoint_after<W, H, F>(
        &mut self,
        endpoint: Endpoint,
        wait: W,
        handler: H,
    ) -> Result<(), ServiceError>
    where
        W: Fn(&Request) -> Option<BoxFuture<'static, Result<(), Fault>>> + Send + Sync + 'static,
        H: Fn(Request) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Bytes, Fault>> + Send + 'static,
    {
        let group = endpoint.queue_group.unwrap_or_else(|| self.config.queue_group.clone());
        let subscriber = self
            .nats
            .client()
            .queue_subscribe(endpoint.subject.clone(), group.clone())
            .await
            .map_err(|source| ServiceError::Subscribe { subject: endpoint.subject.clone(), source })?;
        metrics::declare_endpoint(&endpoint.name, refusal::REASONS);
        let stats = self.micro.add(&endpoint.name, &endpoint.subject, &group);
        let serving = EndpointLoop::new(
            self.nats.clone(),
            endpoint.name,
            endpoint.limits,
            stats,
            Box::new(wait),
            Arc::new(handler),
            self.abandon.clone(),
        );
        self.endpoints.spawn(serving.run(subscriber, self.stop.clone()));
        Ok(())
    }

    /// Serves until `stop`, then takes no more requests, answers those it has within `drain_within`, and returns.
    pub async fn run(mut self, stop: CancellationToken, drain_within: Duration) -> Result<(), ServiceError> {
        let ended = stop.run_until_cancelled(self.endpoints.join_next()).await;
        if let Some(Some(joined)) = ended {
            return Err(endpoint_ended(joined));
        }
        stop.cancelled().await;
        self.stop.cancel();
        let drained = tokio::time::timeout(drain_within, async {
            while let Some(joined) = self.endpoints.join_next().await {
                if !matches!(joined, Ok(Ok(()))) {
                    return Err(endpoint_ended(joined));
                }
            }
            Ok(())
        })
        .await;
        self.verbs.abort();
        let result = drained.unwrap_or_else(|_| {
            Err(ServiceError::DrainTimedOut { count: self.micro.in_flight(), within: drain_within })
        });
        // The callers learn now that nobody answers, instead of waiting for their own deadline.
        self.abandon.cancel();
        while self.endpoints.join_next().await.is_some() {}
        // The last answers must leave before the process does.
        if let Err(error) = self.nats.flush().await {
            warn!(%error, "cannot flush the last answers");
        }
        result
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.verbs.abort();
    }
}

fn endpoint_ended(joined: Result<Result<(), ServiceError>, tokio::task::JoinError>) -> ServiceError {
    match joined {
        Ok(Err(error)) => error,
        Ok(Ok(())) | Err(_) => ServiceError::EndpointEnded { endpoint: "of the service".to_owned() },
    }
}
