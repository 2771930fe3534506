//! `doctor`: checks of NATS, the streams, the workers and their dependencies, with what to do if one fails.
//!
//! The running workers are asked first: their model is the one that counts, not one that lies on this disk.

mod dependencies;
mod finding;
mod over_nats;
mod rejections;
mod round_trip;

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use toolweaver_catalog_cache::RedisConfig;
use toolweaver_contracts::Fault;
use toolweaver_vector_store::QdrantConfig;

use self::{finding::Finding, over_nats::OverNats};
use crate::{
    client::{Client, located},
    data_dir::DataDir,
    options::{Common, Connection},
    terminal::{Column, Exit, Output, table},
};

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) connection: Connection,

    /// Also register a tool of its own in the domain `toolweaver-probe`, find it, and remove it
    #[arg(long)]
    round_trip: bool,

    /// Folder of an embedding model to check; without it the running worker is asked for its model
    #[arg(long, env = "TOOLWEAVER_MODEL_DIR", value_name = "DIR")]
    model_dir: Option<PathBuf>,

    #[command(flatten)]
    qdrant: QdrantConfig,

    #[command(flatten)]
    redis: RedisConfig,
}

/// Report of the command, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Report {
    ok: bool,
    findings: Vec<Finding>,
}

/// Runs `doctor`.
pub(crate) async fn doctor(args: &DoctorArgs, common: &Common) -> Result<Exit, Fault> {
    let data_dir = DataDir::new(common.data_dir.as_deref())?;
    let OverNats { mut findings, status } = over_nats(args, &data_dir).await;
    match &args.model_dir {
        Some(dir) => findings.push(dependencies::model(dir)),
        // Without a worker here there is only the disk to look at; a worker elsewhere has its model there.
        None if status.is_none() && args.connection.nats.nats_url.is_none() => {
            findings.push(dependencies::default_model(&data_dir));
        }
        None => {}
    }
    if args.qdrant.use_vector_db {
        findings.push(dependencies::qdrant(&args.qdrant).await);
    }
    if args.redis.use_redis {
        findings.push(dependencies::redis(&args.redis).await);
    }
    let report = Report { ok: findings.iter().all(|finding| finding.ok), findings };
    Output { json: common.json }.result(&report, || report.human())?;
    Ok(if report.ok { Exit::Done } else { Exit::Failed })
}

async fn over_nats(args: &DoctorArgs, data_dir: &DataDir) -> OverNats {
    let client = match Client::connect(&args.connection, data_dir).await {
        Ok(client) => client,
        Err(fault) => {
            let url = located(&args.connection.nats, data_dir).url_redacted();
            let finding = Finding::of_fault("NATS", fault, "check the address").at(&url);
            return OverNats { findings: vec![finding], status: None };
        }
    };
    let mut over_nats = over_nats::check(&client).await;
    if args.round_trip {
        let is_sound = over_nats.findings.iter().all(|finding| finding.ok);
        over_nats.findings.push(if is_sound {
            round_trip::check(&client).await
        } else {
            Finding::fail(round_trip::CHECK, "not tried", "mend the failures above first")
        });
    }
    over_nats
}

impl Report {
    fn human(&self) -> String {
        let columns =
            [Column::whole(""), Column::whole("ms"), Column::whole("check"), Column::text("finding")];
        let mut rows = table(columns);
        for finding in &self.findings {
            let mark = if finding.ok { "ok" } else { "FAIL" };
            let round_trip = finding.round_trip_ms.map(|ms| format!("{ms:.2}")).unwrap_or_default();
            let advice =
                finding.what_to_do.as_deref().map(|advice| format!("\n→ {advice}")).unwrap_or_default();
            rows.add_row([mark, &round_trip, &finding.check, &format!("{}{advice}", finding.detail)]);
        }
        let summary = match self.findings.iter().filter(|finding| !finding.ok).count() {
            0 => "everything is in order".to_owned(),
            1 => "one check failed".to_owned(),
            count => format!("{count} checks failed"),
        };
        format!("{rows}\n\n{summary}")
    }
}
