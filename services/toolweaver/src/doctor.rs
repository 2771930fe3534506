//! `doctor`: each part in turn. Is it there, which one is it, how fast does it answer, and what to do if not.

mod other_parts;
mod over_nats;
mod rejections;
mod round_trip;

use std::{path::PathBuf, time::Duration};

use clap::Args;
use serde::Serialize;
use toolweaver_catalog_cache::RedisConfig;
use toolweaver_contracts::Fault;
use toolweaver_vector_store::QdrantConfig;

use crate::{
    cli::{Common, Connection},
    client::{Client, located},
    data_dir::DataDir,
    exit::Exit,
    output::{Output, table},
};

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) connection: Connection,

    /// Also register a tool of its own in the domain `toolweaver-probe`, find it, and remove it
    #[arg(long)]
    round_trip: bool,

    /// Folder of the embedding model; without it that of `up` is looked at, unless --nats-url leads elsewhere
    #[arg(long, env = "TOOLWEAVER_MODEL_DIR", value_name = "DIR")]
    model_dir: Option<PathBuf>,

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
            let mut findings = over_nats::findings(&client).await;
            findings.extend(rejections::finding(&client).await);
            if args.round_trip {
                findings.push(round_trip::finding(&client).await);
            }
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
    // Who asks workers that run elsewhere has no model here, and needs none.
    if args.model_dir.is_some() || args.connection.nats.nats_url.is_none() {
        findings.push(other_parts::model(args.model_dir.as_deref(), &data_dir));
    }
    if args.qdrant.use_vector_db {
        findings.push(other_parts::qdrant(&args.qdrant).await);
    }
    if args.redis.use_redis {
        findings.push(other_parts::redis(&args.redis).await);
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
