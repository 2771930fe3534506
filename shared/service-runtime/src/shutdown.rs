//! Shutdown of a process: soft (finish what has begun), then hard (drop it).

use std::io;
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Configuration of the drain.
#[derive(Args, Clone, Copy, Debug)]
pub struct DrainConfig {
    /// Seconds between the signal to stop and giving up on unfinished work
    //
    // Below the 30 s that Kubernetes grants by default, so that the process still says what was left undone.
    #[arg(long, env = "DRAIN_TIMEOUT_SECONDS", value_name = "SECONDS", default_value_t = 25)]
    pub drain_timeout_seconds: u64,
}

impl DrainConfig {
    /// Returns the drain timeout.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.drain_timeout_seconds)
    }
}

/// Soft and hard cancellation token of a process. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    soft: CancellationToken,
    hard: CancellationToken,
}

impl Shutdown {
    /// Creates a shutdown that has not begun.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the token that is cancelled when no new work may begin. Loops check it between two pieces of
    /// work, never inside one.
    pub fn soft(&self) -> &CancellationToken {
        &self.soft
    }

    /// Returns the token that is cancelled when unfinished work is to be dropped.
    pub fn hard(&self) -> &CancellationToken {
        &self.hard
    }

    /// Begins the shutdown: what has begun is finished.
    pub fn begin(&self) {
        self.soft.cancel();
    }

    /// Aborts: what has begun is dropped.
    pub fn abort(&self) {
        self.soft.cancel();
        self.hard.cancel();
    }

    /// Listens for signals: the first SIGTERM or SIGINT begins the shutdown and the second aborts.
    pub fn on_signals(&self) -> io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = self.clone();
        tokio::spawn(async move {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            info!(signal = name, "shutting down: finishing what has begun");
            shutdown.begin();
            tokio::select! {
                _ = terminate.recv() => (),
                _ = interrupt.recv() => (),
            }
            warn!("second signal: dropping unfinished work");
            shutdown.abort();
        });
        Ok(())
    }
}
