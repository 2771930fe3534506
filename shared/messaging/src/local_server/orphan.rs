//! Orphaned server, left behind by a killed parent: found by its pid file, recognised by its command line,
//! asked to end.
//!
//! Two servers on one store would damage it, and nothing stops a second one from starting.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use tracing::{info, warn};

use super::{LOOK_EVERY, LocalServerError, STOP_WITHIN};

/// Ends the server that the pid file names, if it still runs and runs on this store.
pub(super) async fn take_over(binary: &Path, pid_file: &Path, store: &Path) -> Result<(), LocalServerError> {
    let Some(pid) = std::fs::read_to_string(pid_file).ok().and_then(|text| text.trim().parse::<u32>().ok())
    else {
        return Ok(());
    };
    if !is_ours(pid, store) {
        return Ok(());
    }
    info!(pid, "stopping the nats-server that an earlier run left behind");
    signal_term(binary, pid);
    let deadline = Instant::now() + STOP_WITHIN;
    while is_ours(pid, store) {
        if Instant::now() > deadline {
            return Err(LocalServerError::Orphan { pid, store: store.to_owned() });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// Asks a server to end, as SIGTERM would. The server's own program sends it: std cannot, and a crate for it
/// is more than one signal is worth.
pub(super) fn signal_term(binary: &Path, pid: u32) {
    let sent = Command::new(binary)
        .args(["--signal", &format!("term={pid}")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match sent {
        Ok(status) if status.success() => {}
        // It may have ended in between; whoever waits for it will see.
        Ok(status) => warn!(pid, %status, "nats-server could not be asked to stop"),
        Err(error) => warn!(pid, %error, "nats-server could not be asked to stop"),
    }
}

/// Returns whether a process is a nats-server on this store: a pid alone may belong to anybody by now.
fn is_ours(pid: u32, store: &Path) -> bool {
    let Some(arguments) = command_line(pid) else { return false };
    let is_server = arguments.first().is_some_and(|program| program.contains("nats-server"));
    let store = store.to_string_lossy();
    let on_store = arguments.windows(2).any(|pair| pair[0] == "--store_dir" && pair[1] == store);
    is_server && on_store
}

/// Returns the arguments of a running process; none when it does not run, or has ended and was not reaped.
#[cfg(target_os = "linux")]
fn command_line(pid: u32) -> Option<Vec<String>> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let arguments: Vec<String> = bytes
        .split(|byte| *byte == 0)
        .filter(|argument| !argument.is_empty())
        .map(|argument| String::from_utf8_lossy(argument).into_owned())
        .collect();
    (!arguments.is_empty()).then_some(arguments)
}

/// Returns the arguments of a running process from `ps`, which joins arguments with spaces: a store whose
/// path holds one is not recognised.
#[cfg(not(target_os = "linux"))]
fn command_line(pid: u32) -> Option<Vec<String>> {
    let output = Command::new("ps").args(["-ww", "-o", "command=", "-p", &pid.to_string()]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let arguments: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    (!arguments.is_empty()).then_some(arguments)
}
