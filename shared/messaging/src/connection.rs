//! Connection to NATS that comes back by itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::connection::State;
use async_nats::jetstream::{self, context::ContextBuilder};
use async_nats::{ConnectErrorKind, ConnectOptions, Event, Message, Subscriber};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::watch;
use tracing::{debug, error, info, warn};

use toolweaver_resilience::BackoffPolicy;

use crate::config::Credentials;
use crate::{NatsConfig, metrics};

/// Timeout of a request, and of a JetStream call.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Interval of pings to a silent server; two unanswered ones drop the connection.
const PING_INTERVAL: Duration = Duration::from_secs(15);
/// Waits between attempts to connect again; about a second at most, so that a restarted server is found fast.
const RECONNECT_BACKOFF: BackoffPolicy =
    BackoffPolicy::new(Duration::from_millis(10), Duration::from_millis(700));
/// Most publishes that wait for JetStream's acknowledgement at a time; more wait their turn.
const PUBLISHES_IN_FLIGHT_MAX: usize = 1_024;

/// Time that a subscription that ends waits for messages on their way.
const DRAIN_WITHIN: Duration = Duration::from_secs(2);
/// Ends a subscription on the server but not in the client: the server takes a count of more than nine digits
/// for none at all, and a server that did not would only send on. The client's own `drain` forgets a
/// subscription the next time that its connection has anything to do, and with it what is still on its way.
const AT_ONCE: u64 = u64::MAX;

/// Connection to NATS; cheap to clone, shared by everything in a process.
#[derive(Clone, Debug)]
pub struct Nats {
    client: async_nats::Client,
    jetstream: jetstream::Context,
    connections: Arc<watch::Sender<u64>>,
    address: Arc<str>,
}

/// Error of connecting to NATS.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The configuration is faulty; see [`NatsConfig::validate`].
    #[error("invalid NATS configuration: {0}")]
    Config(String),
    /// The credentials file could not be used.
    #[error("cannot use the credentials file; check NATS_CREDENTIALS_FILE")]
    Credentials(#[source] std::io::Error),
    /// The server refused the login.
    #[error(
        "{server} refused the login; check the credentials (NATS_URL, NATS_CREDENTIALS_FILE, NATS_TOKEN, NATS_USER)"
    )]
    Refused {
        /// Addresses of the servers, without credentials.
        server: String,
        /// Error of the client library.
        #[source]
        source: async_nats::ConnectError,
    },
    /// No server could be reached.
    #[error("cannot connect to {server}; check NATS_URL and that nats-server runs there")]
    Unreachable {
        /// Addresses of the servers, without credentials.
        server: String,
        /// Error of the client library.
        #[source]
        source: async_nats::ConnectError,
    },
}

impl ConnectError {
    /// Returns whether the same call may succeed later: the server may not be up yet.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

/// Connects once; fails if no server answers. A connection that is lost later is made anew, forever.
///
/// `client_name` is what operators see in `nats server report connections`.
pub async fn connect(config: &NatsConfig, client_name: &str) -> Result<Nats, ConnectError> {
    let servers = config.servers().map_err(ConnectError::Config)?;
    let connections = Arc::new(watch::Sender::new(0));
    metrics::nats_reconnected(client_name, 0);
    let mut options = ConnectOptions::new()
        .name(client_name)
        .request_timeout(Some(REQUEST_TIMEOUT))
        .ping_interval(PING_INTERVAL)
        .max_reconnects(None)
        .reconnect_delay_callback(reconnect_pause)
        .event_callback({
            let (connections, client_name) = (Arc::clone(&connections), client_name.to_owned());
            move |event| {
                observe(&event, &connections, &client_name);
                std::future::ready(())
            }
        });
    if let Some(ca) = &config.nats_tls_ca {
        options = options.add_root_certificates(ca.clone()).require_tls(true);
    }
    if let (Some(cert), Some(key)) = (&config.nats_tls_cert, &config.nats_tls_key) {
        options = options.add_client_certificate(cert.clone(), key.clone()).require_tls(true);
    }
    options = match config.credentials().map_err(ConnectError::Config)? {
        Credentials::None => options,
        Credentials::File(path) => options.credentials_file(path).await.map_err(ConnectError::Credentials)?,
        Credentials::Token(token) => options.token(token),
        Credentials::User { name, password } => options.user_and_password(name, password),
    };
    let server = config.url_redacted();
    let address = Arc::from(server.as_str());
    let client = options.connect(servers).await.map_err(|source| match source.kind() {
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
            ConnectError::Refused { server, source }
        }
        _ => ConnectError::Unreachable { server, source },
    })?;
    let jetstream = ContextBuilder::new()
        .timeout(REQUEST_TIMEOUT)
        .ack_timeout(REQUEST_TIMEOUT)
        .max_ack_inflight(PUBLISHES_IN_FLIGHT_MAX)
        .backpressure_on_inflight(true)
        .build(client.clone());
    Ok(Nats { client, jetstream, connections, address })
}

impl Nats {
    /// Returns the client, for plain publish and subscribe.
    pub fn client(&self) -> &async_nats::Client {
        &self.client
    }

    /// Returns the JetStream API over this connection.
    pub fn jetstream(&self) -> &jetstream::Context {
        &self.jetstream
    }

    /// Returns the configured servers, without credentials.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns whether the connection is up now.
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Returns the version of the connected server, such as `2.11.4`.
    pub fn server_version(&self) -> String {
        self.client.server_info().version
    }

    /// Returns whether the server can expire single messages (`Nats-TTL`, since 2.11).
    pub fn supports_message_ttl(&self) -> bool {
        self.client.is_server_compatible(2, 11, 0)
    }

    /// Makes one round trip to the server, and returns the time that it took.
    pub async fn round_trip(&self) -> Result<Duration, async_nats::RequestError> {
        let begin = Instant::now();
        // Nobody listens on a fresh inbox, and the server says so at once.
        match self.client.request(self.client.new_inbox(), bytes::Bytes::new()).await {
            Ok(_) => Ok(begin.elapsed()),
            Err(error) if error.kind() == async_nats::RequestErrorKind::NoResponders => Ok(begin.elapsed()),
            Err(error) => Err(error),
        }
    }

    /// Ends a subscription and returns the messages that were still on their way.
    pub(crate) async fn drain(&self, mut subscriber: Subscriber) -> Vec<Message> {
        let mut messages = Vec::new();
        if subscriber.unsubscribe_after(AT_ONCE).await.is_ok() {
            // After it everything that the server had sent is here, or the connection is gone.
            let _ = tokio::time::timeout(DRAIN_WITHIN, self.round_trip()).await;
        }
        while let Some(Some(message)) = subscriber.next().now_or_never() {
            messages.push(message);
        }
        messages
    }

    /// Sends buffered messages; for the end of a process.
    pub async fn flush(&self) -> Result<(), async_nats::client::FlushError> {
        self.client.flush().await
    }

    /// Returns a counter of connections that were made anew: what the server held for the old one is gone.
    pub(crate) fn connections(&self) -> watch::Receiver<u64> {
        self.connections.subscribe()
    }
}

/// Returns the pause before an attempt to connect again; the first is made at once.
fn reconnect_pause(attempts: usize) -> Duration {
    if attempts <= 1 {
        return Duration::ZERO;
    }
    RECONNECT_BACKOFF.wait_after(attempts as u64 - 1)
}

fn observe(event: &Event, connections: &watch::Sender<u64>, client_name: &str) {
    match event {
        Event::Connected => {
            metrics::nats_connected(client_name, true);
            let mut first = false;
            connections.send_modify(|count| {
                *count += 1;
                first = *count == 1;
            });
            if first {
                debug!("connected to NATS");
            } else {
                metrics::nats_reconnected(client_name, 1);
                info!("connected to NATS again");
            }
        }
        Event::Disconnected => {
            metrics::nats_connected(client_name, false);
            warn!("lost the connection to NATS; connecting again until it is back");
        }
        Event::SlowConsumer(subscription) => {
            warn!(subscription, "messages were dropped: a subscriber is slower than what it subscribed to");
        }
        Event::ServerError(error) => error!(%error, "the NATS server reported an error"),
        // Each failed attempt to connect again is one of these: the loss itself was logged.
        Event::ClientError(error) => debug!(%error, "the NATS client reported an error"),
        Event::LameDuckMode => info!("the NATS server is about to stop; moving to another one"),
        Event::Draining | Event::Closed => debug!(%event, "the NATS connection ends"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_before_reconnecting_start_at_nothing_and_stay_near_a_second() {
        assert_eq!(reconnect_pause(1), Duration::ZERO);
        assert!(reconnect_pause(2) <= Duration::from_millis(15));
        assert!((1..200).map(reconnect_pause).all(|pause| pause <= Duration::from_millis(1_050)));
    }
}
