//! Worker as a process: start, readiness and end.

use std::{
    net::{Ipv4Addr, SocketAddr},
    os::unix::process::ExitStatusExt as _,
    process::Command,
    time::{Duration, Instant},
};

use serde::Serialize;

use super::Launcher;
use crate::{
    http,
    process::{Process, free_port, until},
};

/// Kind of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    EmbeddingWorker,
    CacheInvalidator,
    QueryWorker,
}

/// Worker, and the address of its health and its metrics.
pub(crate) struct Worker {
    pub(crate) kind: Kind,
    pub(crate) http: SocketAddr,
    process: Process,
}

/// End of a worker.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct End {
    /// Time from SIGTERM to the end, milliseconds.
    pub(crate) took_ms: f64,
    /// None where a signal ended it.
    pub(crate) exit_code: Option<i32>,
    /// The signal that ended it: 9 where it was killed because its time was up.
    pub(crate) signal: Option<i32>,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::EmbeddingWorker, Self::CacheInvalidator, Self::QueryWorker];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::EmbeddingWorker => "embedding-worker",
            Self::CacheInvalidator => "cache-invalidator",
            Self::QueryWorker => "query-worker",
        }
    }
}

impl Worker {
    /// Starts a worker.
    pub(super) fn start(kind: Kind, launcher: &Launcher) -> anyhow::Result<Self> {
        let Launcher { programs, setup, nats_url, logs, run } = launcher;
        let http = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let mut command = Command::new(programs.bin_dir.join(format!("toolweaver-{}", kind.name())));
        command
            .env("NATS_URL", nats_url)
            .env("TOOLWEAVER_MODEL_DIR", &programs.model_dir)
            .env("HTTP_ADDR", http.to_string())
            .env("USE_VECTOR_DB", "false")
            .env("USE_REDIS", setup.redis_url.is_some().to_string());
        if let Some(url) = &setup.redis_url {
            // A fresh system counts its versions from 1: under the prefix of an earlier one it would find
            // that one's answers.
            command.env("REDIS_URL", url).env("REDIS_PREFIX", format!("loadtest{run}"));
        }
        if let Some(seconds) = setup.drain_seconds {
            command.env("DRAIN_TIMEOUT_SECONDS", seconds.to_string());
        }
        let log = logs.join(format!("{}-{}.log", kind.name(), http.port()));
        Ok(Self { kind, http, process: Process::spawn(command, &log)? })
    }

    /// Waits until the worker is ready.
    pub(crate) async fn ready(&self) -> anyhow::Result<()> {
        let is_ready =
            async || http::get(self.http, "/readyz").await.ok().filter(|answer| answer.status == 200);
        until(&format!("a new {} is ready", self.kind.name()), is_ready).await.map(drop)
    }

    /// Sends SIGTERM, and kills the worker where it has not ended in time.
    pub(crate) async fn end(mut self, grace: Duration) -> anyhow::Result<End> {
        let told = Instant::now();
        self.process.signal("TERM")?;
        let ended = self.process.end_within(grace).await?;
        let took_ms = told.elapsed().as_secs_f64() * 1e3;
        if ended.is_none() {
            self.process.kill();
        }
        // After a kill this says how it ended, too.
        let status = self.process.ended()?;
        Ok(End {
            took_ms,
            exit_code: status.and_then(|status| status.code()),
            signal: status.and_then(|status| status.signal()),
        })
    }

    /// Returns true where the worker has ended by itself.
    pub(crate) fn has_ended(&mut self) -> anyhow::Result<bool> {
        Ok(self.process.ended()?.is_some())
    }

    pub(super) fn resident_mib(&self) -> anyhow::Result<f64> {
        self.process.resident_mib()
    }
}
