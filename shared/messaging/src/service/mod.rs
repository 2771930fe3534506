//! Request-reply services in the NATS *micro* protocol, so that stock tools (`nats micro ls | info | stats`)
//! see them.
//!
//! ```text
//! subject ──queue group──▶ size, rate ──▶ decode ──▶ (wait) ──▶ admission ──▶ one task per request
//!                           └─ 400, 429     └─ 400     └─ 409      └─ 429        └─ answer, or 504
//! ```
//! An endpoint takes in no more than its [`Limits`]; what it cannot take is answered at once. A request is
//! decoded once, and its deadline begins when it was received.
//!
//! The client library's own service type is not used: it answers errors with an empty body, and its stop
//! drops the requests that the server has already sent. Its wire types are. What a request means is not here.

mod admission;
mod endpoint;
mod limits;
mod micro;
mod rate;
mod refusal;
mod request;
mod responder;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use toolweaver_contracts::Fault;

use crate::{Nats, metrics};
use endpoint::EndpointLoop;
use micro::Micro;

pub use limits::Limits;
pub use rate::TenantRate;
pub use request::{Accepted, Request};

/// The queue group of an endpoint that names none; the protocol's default.
const QUEUE_GROUP_DEFAULT: &str = "q";

/// Identity of a service in the micro protocol.
#[derive(Debug, Clone)]
pub struct ServiceConfig {
    /// Name, shared by all its processes: letters, digits, `-` and `_`.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// Description for people.
    pub description: String,
    /// Queue group of endpoints that name none themselves: each request goes to one process of it.
    pub queue_group: String,
}

impl ServiceConfig {
    /// Creates a service in the protocol's default queue group.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            description: String::new(),
            queue_group: QUEUE_GROUP_DEFAULT.to_owned(),
        }
    }

    /// Sets the description.
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

/// One kind of request that a service answers: name, subject, limits.
#[derive(Debug, Clone)]
pub struct Endpoint {
    name: String,
    subject: String,
    queue_group: Option<String>,
    limits: Limits,
}

impl Endpoint {
    /// Creates an endpoint with the default limits.
    pub fn new(name: impl Into<String>, subject: impl Into<String>) -> Self {
        Self { name: name.into(), subject: subject.into(), queue_group: None, limits: Limits::default() }
    }

    /// Sets a queue group of its own.
    #[must_use]
    pub fn queue_group(mut self, group: impl Into<String>) -> Self {
        self.queue_group = Some(group.into());
        self
    }

    /// Sets the limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}

/// Error of a service that cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Name or version do not fit the protocol.
    #[error("invalid service {field} {value:?}: {expected}")]
    Invalid {
        /// Name of the field.
        field: &'static str,
        /// Value of the field.
        value: String,
        /// Form that the protocol wants.
        expected: &'static str,
    },
    /// A subject cannot be subscribed to.
    #[error("cannot subscribe to {subject}")]
    Subscribe {
        /// Subject to subscribe to.
        subject: String,
        /// Error of the client library.
        #[source]
        source: async_nats::SubscribeError,
    },
    /// The loop of an endpoint ended before it was stopped.
    #[error("endpoint {endpoint} ended by itself")]
    EndpointEnded {
        /// Name of the endpoint.
        endpoint: String,
    },
    /// Requests were still being answered when the time to drain was over.
    #[error("{count} requests were not answered within {within:?} of the stop")]
    DrainTimedOut {
        /// Number of requests.
        count: usize,
        /// Time that there was.
        within: Duration,
    },
}

/// Running service.
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

    /// Returns the id, unique among all processes; `$SRV` replies carry it.
    pub fn id(&self) -> &str {
        self.micro.id()
    }

    /// Adds an endpoint whose handler decodes requests itself; see [`Service::typed_endpoint`].
    pub async fn endpoint<H, F>(&mut self, endpoint: Endpoint, handler: H) -> Result<(), ServiceError>
    where
        H: Fn(Request) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Bytes, Fault>> + Send + 'static,
    {
        let accept = |_: &Request| Ok(Accepted::new(()));
        self.typed_endpoint(endpoint, accept, move |request, ()| handler(request)).await
    }

    /// Adds an endpoint; requests are answered from now on, each in a task of its own.
    ///
    /// `accept` decodes a request once, for its wait, its deadline and `handler` alike; a request that it
    /// refuses never takes a place in the queue. It runs in the endpoint's loop and must be quick. Where
    /// either of them panics, the request is answered 500.
    pub async fn typed_endpoint<Q, A, H, F>(
        &mut self,
        endpoint: Endpoint,
        accept: A,
        handler: H,
    ) -> Result<(), ServiceError>
    where
        Q: Send + 'static,
        A: Fn(&Request) -> Result<Accepted<Q>, Fault> + Send + Sync + 'static,
        H: Fn(Request, Q) -> F + Send + Sync + 'static,
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
            Box::new(accept),
            Arc::new(handler),
            self.abandon.clone(),
        );
        self.endpoints.spawn(serving.run(subscriber, self.stop.clone()));
        Ok(())
    }

    /// Serves until `stop`, then takes no more requests, answers those it has within `drain_within`, and
    /// returns.
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
