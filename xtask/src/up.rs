//! Running `toolweaver up` on fresh data: started, waited for, and ended when dropped.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::downloads::Runtime;
use crate::process::{cargo, command, root, run, terminate};

const READY_WAIT_MAX: Duration = Duration::from_mins(2);
const STOP_WAIT_MAX: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// Builds the command line in the profile that the tests use too.
pub(crate) fn build() -> Result<PathBuf> {
    // Cargo chooses the features of shared dependencies by what is selected, so all of the workspace is, and
    // with the example also what tests depend on: `cargo xtask test` then finds every dependency built.
    let selected = ["--workspace", "--bin", "toolweaver", "--example", "write_schemas"];
    run(cargo(&["build"]).args(selected))?;
    Ok(programs().join("toolweaver"))
}

/// Returns the folder of built programs.
pub(crate) fn programs() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    root().join(target).join("debug")
}

pub(crate) struct Up {
    child: Child,
    data: PathBuf,
    nats_url: String,
}

impl Up {
    /// Starts it with its data in `data` and its log in `data/up.log`, and returns when it is ready.
    ///
    /// `detached` gives it a process group of its own, out of reach of the terminal's Ctrl-C, which otherwise
    /// ends it together with us.
    pub(crate) fn start(program: &Path, data: &Path, runtime: &Runtime, detached: bool) -> Result<Self> {
        let log = File::create(data.join("up.log")).context("could not make the log file")?;
        let mut up = command(program);
        // Free ports, because something else may run on this machine.
        up.args(["up", "--nats-port", "0", "--http-addr", "127.0.0.1:0", "--data-dir"])
            .arg(data)
            .envs(runtime.environment());
        up.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        if detached {
            up.process_group(0);
        }
        let child = up.spawn().with_context(|| format!("could not start {}", program.display()))?;
        // Held from here on, so that it is ended when it does not become ready.
        let mut up = Self { child, data: data.to_path_buf(), nats_url: String::new() };
        up.nats_url = up.wait_until_ready()?;
        Ok(up)
    }

    pub(crate) fn nats_url(&self) -> &str {
        &self.nats_url
    }

    /// Ends it as an operator would, and fails where it does not end well.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.terminate()
    }

    /// Leaves it running and returns its process id.
    pub(crate) fn leave_running(self) -> u32 {
        let id = self.child.id();
        std::mem::forget(self);
        id
    }

    /// Waits for the file with the URL of its NATS server, written when all three workers are ready.
    fn wait_until_ready(&mut self) -> Result<String> {
        let file = self.data.join("nats.url");
        let deadline = Instant::now() + READY_WAIT_MAX;
        loop {
            let url = fs::read_to_string(&file).unwrap_or_default();
            if url.ends_with('\n') {
                return Ok(url.trim().to_owned());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("toolweaver up ended with {status} before it was ready\n{}", self.log());
            }
            if Instant::now() > deadline {
                bail!("toolweaver up was not ready after {} s\n{}", READY_WAIT_MAX.as_secs(), self.log());
            }
            sleep(POLL);
        }
    }

    fn terminate(&mut self) -> Result<()> {
        match terminate(&mut self.child, STOP_WAIT_MAX)? {
            Some(status) if status.success() => Ok(()),
            Some(status) => bail!("toolweaver up ended with {status}\n{}", self.log()),
            None => bail!("toolweaver up did not stop in {} s\n{}", STOP_WAIT_MAX.as_secs(), self.log()),
        }
    }

    /// Returns the end of its log.
    fn log(&self) -> String {
        let log = fs::read_to_string(self.data.join("up.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        if let Err(error) = self.terminate() {
            eprintln!("{error:#}");
            // It had its chance to stop in good order.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
