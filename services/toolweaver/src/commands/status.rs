//! `status`: versions, lag, streams and workers.

use serde::Serialize;
use toolweaver_contracts::{Fault, Health, StatusReply, StatusRequest, subjects};
use toolweaver_messaging::consumer;

use crate::{
    client::{ANSWER_TIMEOUT, Client, Instance, instances},
    data_dir::DataDir,
    options::{Common, Connection},
    terminal::{Column, Exit, Output, table},
};

/// Characters of a worker's id in a table, from its end: the beginning is the same for all of one process.
const ID_SHOWN: usize = 8;

/// Report of the command, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Report {
    nats_url: String,
    nats_version: String,
    /// One query worker's view.
    #[serde(flatten)]
    status: StatusReply,
    consumers: Vec<Consumer>,
    workers: Vec<Instance>,
}

/// Progress of a worker's durable consumer.
#[derive(Debug, Serialize)]
struct Consumer {
    stream: &'static str,
    name: String,
    pending: u64,
    ack_pending: u64,
}

/// Runs `status`.
pub(crate) async fn status(connection: &Connection, common: &Common) -> Result<Exit, Fault> {
    let client = Client::connect(connection, &DataDir::new(common.data_dir.as_deref())?).await?;
    let asked = client.ask(subjects::STATUS_SUBJECT, &StatusRequest {}, ANSWER_TIMEOUT);
    let (status, workers, tools, indexed) = tokio::join!(
        asked,
        instances(&client),
        consumers(&client, subjects::TOOLS_STREAM),
        consumers(&client, subjects::INDEXED_STREAM)
    );
    let report = Report {
        nats_url: client.url.clone(),
        nats_version: client.nats.server_version(),
        status: status?,
        consumers: tools.into_iter().chain(indexed).collect(),
        workers: workers?,
    };
    Output { json: common.json }.result(&report, || report.human())?;
    Ok(Exit::Done)
}

/// Returns the consumers of a stream; none where it cannot be read, which the query worker has reported.
async fn consumers(client: &Client, stream: &'static str) -> Vec<Consumer> {
    let lags = consumer::lags(&client.nats, stream).await.unwrap_or_default();
    let row = |lag: consumer::Lag| Consumer {
        stream,
        name: lag.durable,
        pending: lag.pending,
        ack_pending: lag.ack_pending,
    };
    lags.into_iter().map(row).collect()
}

impl Report {
    fn human(&self) -> String {
        let status = &self.status;
        let head = format!(
            "{} tools of {} tenants searchable, catalog version {}, {}\nNATS {} at {}\n\
             query worker {}, model {}, ranker {}\n",
            status.tools,
            status.tenants,
            status.catalog_version,
            self.lag(),
            self.nats_version,
            self.nats_url,
            status.version,
            status.model.get(..12).unwrap_or(&status.model),
            status.ranker
        );
        let mut streams = table(["stream", "messages", "bytes", "last sequence"]);
        for stream in &status.streams {
            streams.add_row([
                stream.name.clone(),
                stream.messages.to_string(),
                stream.bytes.to_string(),
                stream.last_sequence.to_string(),
            ]);
        }
        let mut consumers = table(["consumer", "of", "pending", "in flight"]);
        for consumer in &self.consumers {
            consumers.add_row([
                consumer.name.clone(),
                consumer.stream.to_owned(),
                consumer.pending.to_string(),
                consumer.ack_pending.to_string(),
            ]);
        }
        let mut dependencies =
            table([Column::whole("dependency"), Column::whole("health"), Column::text("detail")]);
        for part in &status.parts {
            let health = match part.health {
                Health::Ok => "ok",
                Health::Down => "DOWN",
            };
            dependencies.add_row([part.name.as_str(), health, part.detail.as_str()]);
        }
        format!("{head}\n{streams}\n\n{consumers}\n\n{dependencies}\n\n{}", self.workers())
    }

    fn lag(&self) -> String {
        let status = &self.status;
        match (status.unindexed, status.projection_pending) {
            (Some(0), 0) => "no lag".to_owned(),
            (Some(unindexed), pending) => format!("{unindexed} events to index, {pending} to apply"),
            (None, pending) => format!("indexing lag unknown, {pending} changes to apply"),
        }
    }

    fn workers(&self) -> String {
        let mut rows = table(["service", "instance", "version", "endpoint", "requests", "errors", "mean ms"]);
        for worker in &self.workers {
            for endpoint in &worker.endpoints {
                #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
                let mean_ms = endpoint.average_processing_time_ns as f64 / 1e6;
                rows.add_row([
                    worker.name.clone(),
                    shortened_id(&worker.id),
                    worker.version.clone(),
                    endpoint.name.clone(),
                    endpoint.requests.to_string(),
                    endpoint.errors.to_string(),
                    format!("{mean_ms:.2}"),
                ]);
            }
        }
        rows.to_string()
    }
}

fn shortened_id(id: &str) -> String {
    let skipped = id.chars().count().saturating_sub(ID_SHOWN);
    id.chars().skip(skipped).collect()
}
