//! A folder with the files that pages speak of, and a running `up` that their commands find.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;
use toolweaver_testkit::parts;

/// Address of `toolweaver up` in the pages.
const DOCUMENTED_NATS_URL: &str = "nats://127.0.0.1:4222";

const OPENAPI: &str = r#"{"openapi":"3.1.0","paths":{"/refunds":{"post":{"summary":"Refund a payment"}}}}"#;
const QUERIES: &str = r#"{"id":"q1","text":"give the customer the money back"}"#;
const ANSWERS: &str = "q1\trefund_payment\t1\n";

/// The folder and the process; the process ends with this value.
pub(crate) struct Workspace {
    folder: TempDir,
    up: Child,
    /// Open as long as `up` may write.
    _stdout: BufReader<ChildStdout>,
    nats_url: String,
}

impl Workspace {
    /// Writes the files, starts `up` and waits until it is ready.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_files(folder.path());
        let line = "exec toolweaver up --json --nats-port 0 --http-addr 127.0.0.1:0";
        let mut up = shell(folder.path(), line).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(up.stdout.take().unwrap());
        let mut ready = String::new();
        stdout.read_line(&mut ready).unwrap();
        let ready: Value = serde_json::from_str(&ready).expect("`up` says that it is ready");
        let nats_url = ready["nats_url"].as_str().unwrap().to_owned();
        Self { folder, up, _stdout: stdout, nats_url }
    }

    /// Runs a line of shell to its end.
    pub(crate) fn run(&self, line: &str) -> Output {
        shell(self.folder.path(), &line.replace(DOCUMENTED_NATS_URL, &self.nats_url)).output().unwrap()
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        Command::new("kill").arg(self.up.id().to_string()).status().ok();
        self.up.wait().ok();
    }
}

/// Returns a line of shell in the folder, with the built `toolweaver` on its `PATH` and none of the caller's
/// settings.
pub(crate) fn shell(folder: &Path, line: &str) -> Command {
    let toolweaver = Path::new(env!("CARGO_BIN_EXE_toolweaver"));
    let installed = std::env::var_os("PATH").unwrap_or_default();
    let programs =
        [toolweaver.parent().unwrap().to_owned()].into_iter().chain(std::env::split_paths(&installed));
    let mut command = Command::new("/bin/sh");
    command.args(["-c", line]).current_dir(folder).stdin(Stdio::null()).env_clear();
    command
        .env("PATH", std::env::join_paths(programs).unwrap())
        .env("PYTHONPATH", parts::workspace_dir().join(".parts/python"))
        .env("TOOLWEAVER_DATA_DIR", folder.join("data"))
        .env("TOOLWEAVER_MODEL_DIR", parts::model_dir())
        .env("TOOLWEAVER_NATS_SERVER", parts::nats_server());
    command
}

fn write_files(folder: &Path) {
    let examples = parts::workspace_dir().join("examples");
    std::os::unix::fs::symlink(&examples, folder.join("examples")).unwrap();
    fs::write(folder.join("openapi.yaml"), OPENAPI).unwrap();
    for set in ["sets/cloud", "sets/chat"].map(|set| folder.join(set)) {
        fs::create_dir_all(&set).unwrap();
        fs::copy(examples.join("catalog.jsonl"), set.join("tools.jsonl")).unwrap();
        fs::write(set.join("queries.jsonl"), QUERIES).unwrap();
        fs::write(set.join("qrels.tsv"), ANSWERS).unwrap();
    }
}
