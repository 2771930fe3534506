//! `up` while a dependency is away: it says which, where, why and how often it has tried, and ends at Ctrl-C.

use std::{
    io::{BufRead as _, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use toolweaver_testkit::parts;

use crate::support::{SOON, program};

/// Time that an `up` may take to end while it waits.
const AT_ONCE: Duration = Duration::from_secs(5);

/// An `up` that does not become ready.
struct Waiting {
    child: Child,
    stderr: Receiver<String>,
    data_dir: TempDir,
}

impl Waiting {
    fn start(options: &[&str]) -> Self {
        let data_dir = TempDir::new().unwrap();
        let mut command = program();
        command.args(["up", "--model", "hashing", "--nats-port", "0", "--http-addr", "127.0.0.1:0"]);
        command.arg("--data-dir").arg(data_dir.path()).args(options);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let (sender, stderr) = mpsc::channel();
        std::thread::spawn(move || lines.for_each(|line| sender.send(line).unwrap_or_default()));
        Self { child, stderr, data_dir }
    }

    /// Waits for a line that holds all these words.
    fn hear(&self, words: &[&str]) {
        let deadline = Instant::now() + SOON;
        let mut heard = Vec::new();
        while let Ok(line) = self.stderr.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            if words.iter().all(|word| line.contains(word)) {
                return;
            }
            heard.push(line);
        }
        panic!("no line with {words:?} in\n{}", heard.join("\n"));
    }

    /// Ends it as Ctrl-C does; returns its exit code.
    fn interrupt(mut self) -> Option<i32> {
        Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        let deadline = Instant::now() + AT_ONCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it still runs {AT_ONCE:?} after Ctrl-C");
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // Nothing is left of a test that failed; its nats-server has lost its parent and is told to go, too.
        if self.child.try_wait().ok().flatten().is_none() {
            crate::support::stop_server(self.data_dir.path());
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}

#[test]
fn without_qdrant_up_says_so_and_ends_at_ctrl_c() {
    let up = Waiting::start(&["--use-vector-db", "--qdrant-url", "http://127.0.0.1:9"]);
    up.hear(&["not ready yet", "http://127.0.0.1:9", "refused", "attempts)"]);
    // It goes on trying, and says so.
    up.hear(&["not ready yet", "http://127.0.0.1:9", "attempts)"]);
    assert_eq!(up.interrupt(), Some(0));
}

#[test]
fn without_jetstream_up_says_so_and_ends_at_ctrl_c() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let mut server = Command::new(parts::nats_server());
    let mut server = server
        .args(["-a", "127.0.0.1", "-p", &port])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let url = format!("nats://127.0.0.1:{port}");
    let deadline = Instant::now() + SOON;
    while std::net::TcpStream::connect(("127.0.0.1", port.parse().unwrap())).is_err() {
        assert!(Instant::now() < deadline, "nats-server does not listen");
        std::thread::sleep(Duration::from_millis(10));
    }
    let up = Waiting::start(&["--nats-url", &url]);
    up.hear(&["not ready yet", &url, "JetStream", "attempt"]);
    let code = up.interrupt();
    server.kill().unwrap();
    server.wait().unwrap();
    assert_eq!(code, Some(0));
}
