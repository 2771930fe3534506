//! `doctor`: each part in turn. Is it there, which one is it, how fast does it answer, and what to do if not.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use clap::Args;
use serde::Serialize;
use toolweaver_catalog_cache::{CacheStore as _, RedisConfig, Scope, Store};
use toolweaver_contracts::{Fault, StatusReply, StatusRequest, Tenant, subjects};
use toolweaver_messaging::{consumer, streams};
use toolweaver_vector_store::{Qdrant, QdrantConfig, VectorStore as _};

use crate::{
    cli::{Common, Connection},
    client::{ANSWER_TIMEOUT, Client, located},
    data_dir::DataDir,
    discovery::instances,
    exit::{Exit, with_causes},
    model_pull::{WEIGHTS_SHA256, sha256_of},
    output::{Output, table},
};

/// How long Redis may take to connect.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    connection: Connection,

    /// Folder of the embedding model
    #[arg(long, env = "TOOLWEAVER_MODEL_DIR", value_name = "DIR")]
    model_dir: Option<std::path::PathBuf>,

    #[command(flatten)]
    qdrant: QdrantConfig,

    #[command(flatten)]
    redis: RedisConfig,
}

/// What was found of one part.
#[derive(Debug, Serialize)]
struct Finding {
    part: String,
    ok: bool,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    round_trip_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    what_to_do: Option<String>,
}

/// All of it, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Report {
    ok: bool,
    findings: Vec<Finding>,
}

/// `doctor`.
pub(crate) async fn doctor(args: &DoctorArgs, common: &Common) -> Result<Exit, Fault> {
    let data_dir = DataDir::new(common.data_dir.as_deref())?;
    let mut findings = match Client::connect(&args.connection, &data_dir).await {
        Ok(client) => {
            let mut findings = vec![nats(&client).await, jetstream(&client).await];
            findings.extend(stream_findings(&client).await);
            findings.push(query_workers(&client).await);
            findings
                .push(puller(&client, "embedding worker", subjects::TOOLS_STREAM, "embedding-worker-").await);
            findings.push(
                puller(&client, "cache invalidator", subjects::INDEXED_STREAM, "cache-invalidator").await,
            );
            findings
        }
        Err(fault) => {
            let url = located(&args.connection.nats, &data_dir).url_redacted();
            vec![
                Finding::bad("NATS", &fault.message, fault.hint.as_deref().unwrap_or("check the address"))
                    .at(&url),
            ]
        }
    };
    findings.push(model(args.model_dir.as_deref(), &data_dir));
    if args.qdrant.use_vector_db {
        findings.push(qdrant(&args.qdrant).await);
    }
    if args.redis.use_redis {
        findings.push(redis(&args.redis).await);
    }
    let report = Report { ok: findings.iter().all(|finding| finding.ok), findings };
    Output { json: common.json }.result(&report, || report.human());
    Ok(if report.ok { Exit::Done } else { Exit::Failed })
}

impl Finding {
    fn good(part: &str, detail: impl Into<String>) -> Self {
        Self { part: part.to_owned(), ok: true, detail: detail.into(), round_trip_ms: None, what_to_do: None }
    }

    fn bad(part: &str, detail: impl Into<String>, what_to_do: impl Into<String>) -> Self {
        Self { ok: false, what_to_do: Some(what_to_do.into()), ..Self::good(part, detail) }
    }

    fn after(mut self, round_trip: Duration) -> Self {
        self.round_trip_ms = Some((round_trip.as_secs_f64() * 1e6).round() / 1e3);
        self
    }

    fn at(mut self, place: &str) -> Self {
        self.detail = format!("{place}: {}", self.detail);
        self
    }
}

async fn nats(client: &Client) -> Finding {
    match client.nats.round_trip().await {
        Ok(round_trip) => {
            Finding::good("NATS", format!("{} at {}", client.nats.server_version(), client.url))
                .after(round_trip)
        }
        Err(error) => {
            Finding::bad("NATS", with_causes(&error), "look at the log of nats-server").at(&client.url)
        }
    }
}

async fn jetstream(client: &Client) -> Finding {
    let begin = Instant::now();
    match client.nats.jetstream().query_account().await {
        Ok(account) => {
            let detail = format!("{} streams, {} bytes stored", account.streams, account.storage);
            Finding::good("JetStream", detail).after(begin.elapsed())
        }
        Err(error) => Finding::bad(
            "JetStream",
            with_causes(&error),
            "start nats-server with JetStream: nats-server -js -sd DIR",
        ),
    }
}

async fn stream_findings(client: &Client) -> Vec<Finding> {
    let mut findings = Vec::new();
    for stream in [subjects::TOOLS_STREAM, subjects::INDEXED_STREAM, subjects::REJECTED_STREAM] {
        let part = format!("stream {stream}");
        let begin = Instant::now();
        findings.push(match streams::state(&client.nats, stream).await {
            Ok(state) => {
                let detail = format!("{} messages, last sequence {}", state.messages, state.last_sequence);
                Finding::good(&part, detail).after(begin.elapsed())
            }
            Err(error) => Finding::bad(
                &part,
                with_causes(&error),
                "start a worker, or `toolweaver up`: the workers create the streams",
            ),
        });
    }
    findings
}

async fn query_workers(client: &Client) -> Finding {
    const PART: &str = "query worker";
    let begin = Instant::now();
    let status: StatusReply =
        match client.ask(subjects::STATUS_SUBJECT, &StatusRequest {}, ANSWER_TIMEOUT).await {
            Ok(status) => status,
            Err(fault) => return Finding::bad(PART, fault.message, fault.hint.unwrap_or_default()),
        };
    let round_trip = begin.elapsed();
    if !status.ready {
        let detail = format!("not ready, {} changes to apply", status.projection_pending);
        return Finding::bad(PART, detail, "wait until it has caught up; if it does not, look at its log");
    }
    let down: Vec<String> = status
        .parts
        .iter()
        .filter(|part| part.health != toolweaver_contracts::Health::Ok)
        .map(|part| format!("{}: {}", part.name, part.detail))
        .collect();
    if !down.is_empty() {
        return Finding::bad(
            PART,
            down.join("; "),
            "bring that part back; answers say `degraded` until then",
        );
    }
    let count = instances(client).await.map_or(0, |instances| instances.len());
    let detail = format!(
        "{count} of version {}, {} tools, version {}",
        status.version, status.tools, status.catalog_version
    );
    Finding::good(PART, detail).after(round_trip)
}

/// A worker that consumes a stream: there is no asking it, but the server knows who waits for messages.
async fn puller(client: &Client, part: &str, stream: &str, consumer_prefix: &str) -> Finding {
    let lags = match consumer::lags(&client.nats, stream).await {
        Ok(lags) => lags,
        Err(error) => return Finding::bad(part, with_causes(&error), "look at JetStream above"),
    };
    let ours: Vec<_> = lags.iter().filter(|lag| lag.durable.starts_with(consumer_prefix)).collect();
    if ours.is_empty() {
        return Finding::bad(part, "none has ever run here", "start one, or `toolweaver up`");
    }
    let detail: Vec<String> = ours
        .iter()
        .map(|lag| format!("{}: {} waiting, {} in work", lag.durable, lag.pending, lag.ack_pending))
        .collect();
    Finding::good(part, detail.join("; "))
}

fn model(given: Option<&Path>, data_dir: &DataDir) -> Finding {
    const PART: &str = "model";
    let Some(dir) = given.map(Path::to_path_buf).or_else(|| data_dir.default_model()) else {
        return Finding::bad(
            PART,
            format!("none in {}", data_dir.models().display()),
            "run `toolweaver model pull`, or say where one is with --model-dir",
        );
    };
    let missing: Vec<&str> = ["config.json", "tokenizer.json", "model.safetensors"]
        .into_iter()
        .filter(|file| !dir.join(file).is_file())
        .collect();
    if !missing.is_empty() {
        let detail = format!("{} is missing in {}", missing.join(", "), dir.display());
        return Finding::bad(PART, detail, "run `toolweaver model pull`, or give another --model-dir");
    }
    match sha256_of(&dir.join("model.safetensors")) {
        Ok(sha256) if sha256 == WEIGHTS_SHA256 => {
            Finding::good(PART, format!("all-MiniLM-L6-v2 in {}, hash as published", dir.display()))
        }
        Ok(sha256) => {
            Finding::good(PART, format!("another than the default in {}, weights {sha256}", dir.display()))
        }
        Err(error) => {
            Finding::bad(PART, format!("cannot read {}: {error}", dir.display()), "check its permissions")
        }
    }
}

async fn qdrant(config: &QdrantConfig) -> Finding {
    const PART: &str = "Qdrant";
    let advice = "check that Qdrant runs there and that QDRANT_URL is its gRPC port (6334)";
    let bad =
        |error: &dyn std::error::Error| Finding::bad(PART, with_causes(error), advice).at(&config.qdrant_url);
    // Only the server is asked here, no collection: fingerprint and dimensions do not matter.
    let store = match Qdrant::new(config, "doctor", std::num::NonZeroUsize::MIN) {
        Ok(store) => store,
        Err(error) => return bad(&error),
    };
    let begin = Instant::now();
    match store.health().await {
        Ok(version) => {
            Finding::good(PART, format!("{version} at {}", config.qdrant_url)).after(begin.elapsed())
        }
        Err(error) => bad(&error),
    }
}

async fn redis(config: &RedisConfig) -> Finding {
    const PART: &str = "Redis";
    let url = config.redis_url.to_string();
    let advice = "check that Redis runs there, and REDIS_URL with its password";
    let store = match toolweaver_catalog_cache::Redis::connect(config) {
        Ok(store) => Store::Redis(store),
        Err(error) => return Finding::bad(PART, with_causes(&error), advice).at(&url),
    };
    let deadline = Instant::now() + CONNECT_WITHIN;
    while !store.is_connected() {
        if Instant::now() >= deadline {
            return Finding::bad(
                PART,
                format!("no connection within {} s", CONNECT_WITHIN.as_secs()),
                advice,
            )
            .at(&url);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let begin = Instant::now();
    match store.version(&Scope::tenant(&Tenant::default())).await {
        Ok(_) => Finding::good(PART, format!("answers at {url}")).after(begin.elapsed()),
        Err(error) => Finding::bad(PART, with_causes(&error), advice).at(&url),
    }
}

impl Report {
    fn human(&self) -> String {
        let mut rows = table(["", "part", "what was found", "ms"]);
        for finding in &self.findings {
            let mark = if finding.ok { "ok" } else { "BAD" };
            let advice =
                finding.what_to_do.as_deref().map(|advice| format!("\n→ {advice}")).unwrap_or_default();
            let round_trip = finding.round_trip_ms.map(|ms| format!("{ms:.2}")).unwrap_or_default();
            rows.add_row([mark, &finding.part, &format!("{}{advice}", finding.detail), &round_trip]);
        }
        let verdict = match self.findings.iter().filter(|finding| !finding.ok).count() {
            0 => "everything is in order".to_owned(),
            1 => "one part needs attention".to_owned(),
            count => format!("{count} parts need attention"),
        };
        format!("{rows}\n{verdict}")
    }
}
