//! Discovery in the NATS *micro* protocol (ADR-32): `PING`, `INFO` and `STATS` of a service and its
//! endpoints.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::Client;
use async_nats::service::{Info, PingResponse, Stats, endpoint, error};
use futures_util::{StreamExt as _, stream};
use serde::Serialize;
use time::OffsetDateTime;
use tokio::task::JoinHandle;
use tracing::warn;

use toolweaver_contracts::Fault;

use super::{ServiceConfig, ServiceError};
use crate::Nats;

/// Description of one process of a service.
#[derive(Debug)]
pub(super) struct Micro {
    name: String,
    id: String,
    version: String,
    description: String,
    started: OffsetDateTime,
    endpoints: Mutex<Vec<Arc<EndpointStats>>>,
}

/// Description and statistics of one endpoint.
#[derive(Debug)]
pub(super) struct EndpointStats {
    name: String,
    subject: String,
    queue_group: String,
    in_flight: AtomicUsize,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    requests: usize,
    errors: usize,
    processing_time: Duration,
    last_error: Option<error::Error>,
}

impl EndpointStats {
    pub(super) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn record(&self, elapsed: Duration, fault: Option<&Fault>) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.requests += 1;
        counts.processing_time += elapsed;
        if let Some(fault) = fault {
            counts.errors += 1;
            let code = usize::from(fault.code.number());
            counts.last_error = Some(error::Error { code, status: fault.message.clone() });
        }
    }

    fn stats(&self) -> endpoint::Stats {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let requests = u32::try_from(counts.requests).unwrap_or(u32::MAX);
        endpoint::Stats {
            name: self.name.clone(),
            subject: self.subject.clone(),
            requests: counts.requests,
            errors: counts.errors,
            processing_time: counts.processing_time,
            average_processing_time: counts.processing_time.checked_div(requests).unwrap_or_default(),
            last_error: counts.last_error.clone(),
            data: None,
            queue_group: self.queue_group.clone(),
        }
    }

    fn info(&self) -> endpoint::Info {
        endpoint::Info {
            name: self.name.clone(),
            subject: self.subject.clone(),
            queue_group: self.queue_group.clone(),
            metadata: HashMap::new(),
        }
    }
}

impl Micro {
    pub(super) fn new(nats: &Nats, config: &ServiceConfig) -> Result<Self, ServiceError> {
        let invalid = |field, value: &String, expected| {
            Err(ServiceError::Invalid { field, value: value.clone(), expected })
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if config.name.is_empty() || !config.name.chars().all(is_name) {
            return invalid("name", &config.name, "letters, digits, - and _");
        }
        if !is_version(&config.version) {
            return invalid("version", &config.version, "a semantic version such as 1.2.3");
        }
        let inbox = nats.client().new_inbox();
        Ok(Self {
            name: config.name.clone(),
            // An inbox ends in a fresh unique id.
            id: inbox.rsplit('.').next().unwrap_or(&inbox).to_owned(),
            version: config.version.clone(),
            description: config.description.clone(),
            started: OffsetDateTime::now_utc(),
            endpoints: Mutex::default(),
        })
    }

    pub(super) fn add(&self, name: &str, subject: &str, queue_group: &str) -> Arc<EndpointStats> {
        let stats = Arc::new(EndpointStats {
            name: name.to_owned(),
            subject: subject.to_owned(),
            queue_group: queue_group.to_owned(),
            in_flight: AtomicUsize::new(0),
            counts: Mutex::default(),
        });
        self.endpoints.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&stats));
        stats
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Returns the number of requests that were taken and are not answered yet.
    pub(super) fn in_flight(&self) -> usize {
        let endpoints = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        endpoints.iter().map(|endpoint| endpoint.in_flight.load(Ordering::Relaxed)).sum()
    }

    fn answer(&self, verb: Verb) -> Vec<u8> {
        let endpoints = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        match verb {
            Verb::Ping => json(&PingResponse {
                kind: "io.nats.micro.v1.ping_response".to_owned(),
                name: self.name.clone(),
                id: self.id.clone(),
                version: self.version.clone(),
                metadata: HashMap::new(),
            }),
            Verb::Info => json(&Info {
                kind: "io.nats.micro.v1.info_response".to_owned(),
                name: self.name.clone(),
                id: self.id.clone(),
                description: self.description.clone(),
                version: self.version.clone(),
                metadata: HashMap::new(),
                endpoints: endpoints.iter().map(|endpoint| endpoint.info()).collect(),
            }),
            Verb::Stats => json(&Stats {
                kind: "io.nats.micro.v1.stats_response".to_owned(),
                name: self.name.clone(),
                id: self.id.clone(),
                version: self.version.clone(),
                started: self.started,
                endpoints: endpoints.iter().map(|endpoint| endpoint.stats()).collect(),
            }),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Verb {
    Ping,
    Info,
    Stats,
}

/// Subscribes to the three verbs, each for all services, for this name and for this process, and answers
/// them.
pub(super) async fn serve(client: Client, micro: Arc<Micro>) -> Result<JoinHandle<()>, ServiceError> {
    let mut subscriptions = Vec::new();
    for (verb, word) in [(Verb::Ping, "PING"), (Verb::Info, "INFO"), (Verb::Stats, "STATS")] {
        let all = format!("$SRV.{word}");
        let named = format!("{all}.{}", micro.name);
        let this = format!("{named}.{}", micro.id);
        for subject in [all, named, this] {
            let subscriber = client
                .subscribe(subject.clone())
                .await
                .map_err(|source| ServiceError::Subscribe { subject, source })?;
            subscriptions.push(subscriber.map(move |message| (verb, message)));
        }
    }
    let mut requests = stream::select_all(subscriptions);
    Ok(tokio::spawn(async move {
        while let Some((verb, message)) = requests.next().await {
            let Some(reply) = message.reply else { continue };
            if let Err(error) = client.publish(reply, micro.answer(verb).into()).await {
                warn!(%error, "cannot answer a service discovery request");
            }
        }
    }))
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("the protocol's types have string keys and no failing serializer")
}

/// Returns whether a text is a semantic version: three numbers, then perhaps a pre-release and a build.
fn is_version(text: &str) -> bool {
    let end = text.find(['-', '+']).unwrap_or(text.len());
    let numbers: Vec<&str> = text[..end].split('.').collect();
    let is_number = |field: &&str| !field.is_empty() && field.bytes().all(|byte| byte.is_ascii_digit());
    let is_label = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+');
    numbers.len() == 3 && numbers.iter().all(is_number) && text[end..].chars().all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_semantic() {
        for good in ["0.1.0", "1.2.3-rc.1", "1.2.3+build", "1.2.3-a+b"] {
            assert!(is_version(good), "{good}");
        }
        for bad in ["", "1", "1.2", "1.2.x", "v1.2.3", "1.2.3 "] {
            assert!(!is_version(bad), "{bad}");
        }
    }
}
