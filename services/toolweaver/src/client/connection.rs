//! Connection to the query workers, and requests over it.

use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};
use toolweaver_contracts::{ErrorCode, Fault, Tenant, decode, encode};
use toolweaver_messaging::{Nats, NatsConfig, request};

use super::faults::{no_answer, no_connection};
use crate::{data_dir::DataDir, options::Connection};

/// Time that a reply may take, beyond what the request itself asks to wait.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Connection of one command.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) nats: Nats,
    /// Address of NATS, for messages; holds no password.
    pub(crate) url: String,
    pub(crate) tenant: Tenant,
}

impl Client {
    /// Connects, or fails at once.
    pub(crate) async fn connect(connection: &Connection, data_dir: &DataDir) -> Result<Self, Fault> {
        let config = located(&connection.nats, data_dir);
        let faults = config.validate();
        if !faults.is_empty() {
            return Err(Fault::new(ErrorCode::BadRequest, faults.join("; ")));
        }
        let nats = toolweaver_messaging::connect(&config, "toolweaver")
            .await
            .map_err(|error| no_connection(&error))?;
        Ok(Self { nats, url: config.url_redacted(), tenant: connection.tenant.clone() })
    }

    /// Sends a request and decodes the reply.
    pub(crate) async fn ask<R: DeserializeOwned>(
        &self,
        subject: &str,
        question: &impl Serialize,
        within: Duration,
    ) -> Result<R, Fault> {
        let answer = request(&self.nats, subject, encode(question), within)
            .await
            .map_err(|error| no_answer(error, &self.url))?;
        decode(&answer).map_err(|fault| {
            Fault::new(ErrorCode::Internal, format!("cannot read the answer on {subject}: {fault}"))
                .hint("check that this program and the workers have the same version")
        })
    }
}

/// Returns the configuration with the address of NATS: as given, or of a running `up`, or the default.
pub(crate) fn located(config: &NatsConfig, data_dir: &DataDir) -> NatsConfig {
    let mut config = config.clone();
    config.nats_url = config.nats_url.or_else(|| data_dir.nats_url());
    config
}
