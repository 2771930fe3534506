//! Client of the wire from outside: publish with an ack, request with a reply.

use std::time::Duration;

use anyhow::Context as _;
use async_nats::jetstream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use serde::{Serialize, de::DeserializeOwned};
use toolweaver_contracts::{
    DomainsReply, DomainsRequest, ErrorBody, ErrorCode, Fault, GetReply, GetRequest, SearchReply,
    SearchRequest, StatusReply, StatusRequest, Tenant, Tool, ToolEvent, ToolId, ToolKey, decode, encode,
    subjects,
};

/// Publishes in flight at a time.
const PUBLISHES_IN_FLIGHT: usize = 256;
/// Longest time to wait for one reply.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(40);

/// Connection on behalf of one tenant. Clones share it.
#[derive(Clone)]
pub(crate) struct Client {
    nats: async_nats::Client,
    jetstream: jetstream::Context,
    tenant: Tenant,
}

impl Client {
    pub(crate) async fn connect(url: &str, tenant: Tenant) -> anyhow::Result<Self> {
        let options =
            async_nats::ConnectOptions::new().name("loadtest").request_timeout(Some(REQUEST_TIMEOUT));
        let nats = options.connect(url).await.with_context(|| format!("cannot connect to {url}"))?;
        Ok(Self { jetstream: jetstream::new(nats.clone()), nats, tenant })
    }

    /// Publishes registrations; returns the last revision.
    pub(crate) async fn register(&self, tools: &[Tool]) -> anyhow::Result<u64> {
        let acks = futures_util::stream::iter(tools.iter().map(|tool| {
            let event = ToolEvent::Registered { tool: Box::new(tool.clone()) };
            self.publish(tool_id(tool), event)
        }));
        acks.buffered(PUBLISHES_IN_FLIGHT)
            .try_fold(0, |last, revision| std::future::ready(Ok(revision.max(last))))
            .await
    }

    /// Publishes an event; returns its revision.
    pub(crate) async fn publish(
        &self,
        ToolId { domain, tool_name }: ToolId,
        event: ToolEvent,
    ) -> anyhow::Result<u64> {
        let key = ToolKey { tenant: self.tenant.clone(), domain, tool_name };
        let ack = self.jetstream.publish(subjects::tools(&key), encode(&event).into()).await?.await;
        Ok(ack.with_context(|| format!("an event of {key} was not acknowledged"))?.sequence)
    }

    pub(crate) async fn search(&self, request: &SearchRequest) -> anyhow::Result<SearchReply> {
        self.request(subjects::search(&self.tenant), request).await
    }

    pub(crate) async fn get(&self, tool_id: ToolId) -> anyhow::Result<GetReply> {
        self.request(subjects::get(&self.tenant), &GetRequest { tool_id, roles: Vec::new() }).await
    }

    pub(crate) async fn domains(&self) -> anyhow::Result<DomainsReply> {
        self.request(subjects::domains(&self.tenant), &DomainsRequest::default()).await
    }

    pub(crate) async fn status(&self) -> anyhow::Result<StatusReply> {
        self.request(subjects::STATUS_SUBJECT.to_owned(), &StatusRequest {}).await
    }

    /// Sends a request. The error is the [`Fault`] of the reply, where there was one.
    async fn request<T: DeserializeOwned>(
        &self,
        subject: String,
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        let reply = self.nats.request(subject.clone(), encode(body).into()).await?;
        let headers = reply.headers.unwrap_or_default();
        if headers.get("Nats-Service-Error-Code").is_some() {
            let ErrorBody { error } = decode(&reply.payload)?;
            return Err(anyhow::Error::new(error).context(format!("{subject} answered an error")));
        }
        Ok(decode(&reply.payload)?)
    }
}

/// Returns a tool's id within its tenant.
pub(crate) fn tool_id(tool: &Tool) -> ToolId {
    ToolId { domain: tool.domain.clone(), tool_name: tool.tool_name.clone() }
}

/// Returns the code of an error reply; `None` where there was no reply.
pub(crate) fn code(error: &anyhow::Error) -> Option<ErrorCode> {
    error.downcast_ref::<Fault>().map(|fault| fault.code)
}
