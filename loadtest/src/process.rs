//! Child processes, and waiting for them.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};

/// Longest start of a process.
const START_TIMEOUT: Duration = Duration::from_mins(1);
/// Interval between two looks at a process.
const POLL_EVERY: Duration = Duration::from_millis(5);

/// A child process, killed when this is dropped.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// Starts a process, with its output in a log file.
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

    /// Sends a signal by the system's `kill`: the standard library sends none but SIGKILL, and `unsafe` is
    /// denied.
    pub(crate) fn signal(&self, name: &str) -> anyhow::Result<()> {
        let id = self.id().to_string();
        let status = Command::new("kill").args([&format!("-{name}"), &id]).status()?;
        ensure!(status.success(), "SIG{name} could not be sent to process {id}");
        Ok(())
    }

    /// Returns the exit status, if the process has ended.
    pub(crate) fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits until the process has ended by itself, for at most `longest`; `None` where it has not.
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

    /// Sends SIGKILL, as a crash would.
    pub(crate) fn kill(&mut self) {
        // Both fail only when it has ended already, and then there is nothing to do.
        self.child.kill().ok();
        self.child.wait().ok();
    }

    /// Returns the resident memory, `VmRSS`; Linux only.
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

/// Polls `ask` until it returns something, or the time is up.
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

/// Returns a port of the loopback interface that nobody listens on.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
