//! Child processes, and waiting until they are there.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};

/// Longest time a process may take to be there.
const START_TIMEOUT: Duration = Duration::from_mins(1);
/// How often is looked whether it is.
const POLL_EVERY: Duration = Duration::from_millis(5);

/// A child process, killed when this is dropped.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// Starts it, with its output in a log file.
    pub(crate) fn spawn(mut command: Command, log: &Path) -> anyhow::Result<Self> {
        let log = fs::File::options().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command.spawn().with_context(|| format!("cannot start {program}; is it there?"))?;
        Ok(Self { child })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The standard library sends no signal but SIGKILL, and `unsafe` is denied: the system's `kill` does it.
    pub(crate) fn signal(&self, name: &str) -> anyhow::Result<()> {
        let id = self.id().to_string();
        let status = Command::new("kill").args([&format!("-{name}"), &id]).status()?;
        ensure!(status.success(), "SIG{name} could not be sent to process {id}");
        Ok(())
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits until it has ended by itself, for at most so long; none where it has not.
    pub(crate) async fn end_within(&mut self, longest: Duration) -> anyhow::Result<Option<ExitStatus>> {
        let deadline = Instant::now() + longest;
        loop {
            let ended = self.ended()?;
            if ended.is_some() || Instant::now() > deadline {
                return Ok(ended);
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
    }

    /// SIGKILL, as a crash would.
    pub(crate) fn kill(&mut self) {
        // Both fail only when it has ended already, and then there is nothing to do.
        self.child.kill().ok();
        self.child.wait().ok();
    }

    /// `VmRSS`; Linux only.
    pub(crate) fn resident_mib(&self) -> anyhow::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .context("the kernel names no VmRSS")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib / 1024.0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Asks until there is an answer, or the time is up.
pub(crate) async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> anyhow::Result<T> {
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        if let Some(answer) = ask().await {
            return Ok(answer);
        }
        if Instant::now() > deadline {
            bail!("waited {} s until {what}", START_TIMEOUT.as_secs());
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
}

/// A port of the loopback interface that nobody listens on.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
