//! Running the program: commands that end, and an `up` that runs.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use toolweaver_testkit::parts;

/// Time that anything may take to start or to end.
pub(crate) const SOON: Duration = Duration::from_mins(1);

/// Exit code and output of a command.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// Its one JSON document.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in the output of {self:?}"))
    }

    pub(crate) fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }
}

/// The program without anything of the caller's environment that would change what it does.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_toolweaver"));
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        let prefixes = [
            "NATS_",
            "TOOLWEAVER_",
            "QDRANT_",
            "REDIS_",
            "USE_",
            "HF_",
            "EMBEDDING_",
            "HTTP",
            "OTEL_",
            "COLUMNS",
        ];
        if prefixes.iter().any(|prefix| name_text.starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command.env("TOOLWEAVER_NATS_SERVER", parts::nats_server());
    command
}

/// Runs a command to its end.
pub(crate) fn run(args: &[&str], stdin: &str) -> Outcome {
    run_program(program(), args, stdin)
}

/// Runs a command as on a terminal of this width.
pub(crate) fn run_in_columns(columns: usize, args: &[&str]) -> Outcome {
    let mut command = program();
    command.env("COLUMNS", columns.to_string());
    run_program(command, args, "")
}

fn run_program(mut command: Command, args: &[&str], stdin: &str) -> Outcome {
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that does not read its input has closed the pipe.
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).ok();
    let output = child.wait_with_output().unwrap();
    Outcome {
        code: output.status.code().expect("it ended by itself"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A running `up` on a data folder. It ends with this value.
pub(crate) struct Up {
    child: Child,
    data_dir: PathBuf,
    pub(crate) nats_url: String,
    pub(crate) http: String,
}

/// Embedding model of an `up`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum With {
    /// The real model: takes a second to load.
    Model,
    /// Hashed words, where search by meaning is not what the test is about.
    Hashing,
}

impl Up {
    /// Starts one and waits until it is ready.
    pub(crate) fn start(data_dir: &TempDir, with: With) -> Self {
        Self::start_with(data_dir, with, &[])
    }

    /// The same with more options.
    pub(crate) fn start_with(data_dir: &TempDir, with: With, options: &[&str]) -> Self {
        let data_dir = data_dir.path().to_owned();
        let mut command = program();
        command.args(["up", "--json", "--nats-port", "0", "--http-addr", "127.0.0.1:0", "--data-dir"]);
        command.arg(&data_dir).args(options);
        match with {
            With::Model => command.arg("--model-dir").arg(parts::model_dir()),
            With::Hashing => command.args(["--model", "hashing"]),
        };
        command.stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                sender.send(line).ok();
            }
        });
        let mut up = Self { child, data_dir, nats_url: String::new(), http: String::new() };
        let ready: Value =
            serde_json::from_str(&receiver.recv_timeout(SOON).expect("it becomes ready")).unwrap();
        ready["nats_url"].as_str().unwrap().clone_into(&mut up.nats_url);
        ready["http"].as_str().unwrap().clone_into(&mut up.http);
        up
    }

    /// A client command that finds it by the data folder, with `--json`.
    pub(crate) fn run(&self, args: &[&str]) -> Outcome {
        self.run_with(args, "")
    }

    pub(crate) fn run_with(&self, args: &[&str], stdin: &str) -> Outcome {
        let data_dir = self.data_dir.to_str().unwrap();
        run(&[args, &["--json", "--data-dir", data_dir]].concat(), stdin)
    }

    /// The sum of a metric over its labels; 0 where it has not been counted yet.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text =
            ureq::get(format!("{}/metrics", self.http)).call().unwrap().body_mut().read_to_string().unwrap();
        let samples = text
            .lines()
            .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
        samples.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }

    /// Ends it as an operator would; returns its exit code.
    pub(crate) fn terminate(mut self) -> Option<i32> {
        self.signal("-TERM");
        self.wait(SOON).expect("it ends in time").code()
    }

    /// Ends it as a crash would; its nats-server lives on.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        // Nothing of `drop`: that would stop the server too.
        std::mem::forget(self);
    }

    fn signal(&self, signal: &str) {
        Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
    }

    /// Its exit status, or none if it still runs after this time.
    fn wait(&mut self, within: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + within;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        if self.child.try_wait().ok().flatten().is_none() {
            self.signal("-TERM");
            if self.wait(SOON).is_none() {
                self.child.kill().ok();
                self.child.wait().ok();
                stop_server(&self.data_dir);
            }
        }
    }
}

/// Ends the nats-server that a killed `up` left behind, if it did.
pub(crate) fn stop_server(data_dir: &Path) {
    if let Ok(pid) = std::fs::read_to_string(data_dir.join("nats-server.pid")) {
        Command::new("kill").arg(pid.trim()).status().ok();
    }
}

/// Subjects of tools that are not alike: the more alike a catalog's tools are, the less a likeness tells.
const THINGS: [&str; 40] = [
    "glaciers",
    "violins",
    "chess",
    "bread",
    "comets",
    "sailing",
    "tattoos",
    "orchids",
    "dentistry",
    "castles",
    "rugby",
    "pottery",
    "tides",
    "opera",
    "bees",
    "fractals",
    "kayaks",
    "mortgages",
    "sushi",
    "volcanoes",
    "knitting",
    "dinosaurs",
    "espresso",
    "origami",
    "tariffs",
    "falcons",
    "jazz",
    "moss",
    "plumbing",
    "heraldry",
    "ballet",
    "coral",
    "locomotives",
    "perfume",
    "archery",
    "lichen",
    "typography",
    "vineyards",
    "yoga",
    "zinc",
];

/// Tools of these names in a domain, one a line.
pub(crate) fn json_lines(domain: &str, count: usize) -> String {
    let line = |i: usize| {
        let description = format!("Tells everything about {}", THINGS[i % THINGS.len()]);
        json!({ "tool_name": format!("tool_{i}"), "domain": domain, "description": description }).to_string()
    };
    (0..count).map(line).collect::<Vec<_>>().join("\n")
}
