//! `model pull`: download of the default model from the Hugging Face hub or a mirror, one revision, checked.
//!
//! All files come into a folder beside the final one, which takes its name only when everything is right.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, Subcommand};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use toolweaver_contracts::{ErrorCode, Fault};
use toolweaver_resilience::error_chain;

use crate::{
    data_dir::DataDir,
    default_model::{self, FILES, REPOSITORY, REVISION, WEIGHTS_SHA256, hex},
    options::Common,
    terminal::{Exit, Output, bar},
};

/// Time that the server may be silent.
const SILENCE_MAX: Duration = Duration::from_mins(1);

#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Download the default model, all-MiniLM-L6-v2, and check it
    Pull(PullArgs),
}

#[derive(Debug, Args)]
pub(crate) struct PullArgs {
    /// Address of the hub, or of a mirror of it
    #[arg(long, env = "HF_ENDPOINT", value_name = "URL", default_value = "https://huggingface.co")]
    endpoint: String,
}

/// Result of the command, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Report {
    model_dir: PathBuf,
    revision: &'static str,
    weights_sha256: &'static str,
    downloaded: bool,
}

/// Runs `model pull`. Blocks.
pub(crate) fn model(command: &ModelCommand, common: &Common) -> Result<Exit, Fault> {
    let ModelCommand::Pull(args) = command;
    let models = DataDir::new(common.data_dir.as_deref())?.models();
    let model_dir = models.join(default_model::NAME);
    let downloaded = !default_model::is_complete(&model_dir);
    if downloaded {
        install(&args.endpoint, &models, &model_dir)?;
    }
    let report = Report { model_dir, revision: REVISION, weights_sha256: WEIGHTS_SHA256, downloaded };
    Output { json: common.json }.result(&report, || {
        let what = if report.downloaded { "downloaded and checked" } else { "already there, checked" };
        format!("{REPOSITORY} at {} ({what})", report.model_dir.display())
    })?;
    Ok(Exit::Done)
}

fn install(endpoint: &str, models: &Path, model_dir: &Path) -> Result<(), Fault> {
    let local = |error: io::Error| {
        Fault::new(ErrorCode::Internal, format!("cannot write into {}: {error}", models.display()))
            .hint("check its permissions and free space, or give another folder with --data-dir")
    };
    fs::create_dir_all(models).map_err(local)?;
    let part = tempfile::Builder::new().prefix(".pull-").tempdir_in(models).map_err(local)?;
    let agent = ureq::Agent::config_builder()
        .user_agent(concat!("toolweaver/", env!("CARGO_PKG_VERSION")))
        .timeout_connect(Some(SILENCE_MAX))
        .timeout_per_read(Some(SILENCE_MAX))
        .build()
        .new_agent();
    for (file, sha256) in FILES {
        let url = format!("{}/{REPOSITORY}/resolve/{REVISION}/{file}", endpoint.trim_end_matches('/'));
        let target = part.path().join(file);
        fs::create_dir_all(target.parent().unwrap_or(part.path())).map_err(local)?;
        let found = download(&agent, &url, file, File::create(&target).map_err(local)?)?;
        if let Some(expected) = sha256
            && found != expected
        {
            let message = format!("{url} has SHA-256 {found}, expected {expected}");
            return Err(Fault::new(ErrorCode::Internal, message)
                .hint("nothing was installed; the mirror is wrong or the download was damaged: use another --endpoint"));
        }
    }
    // Whatever is there was found incomplete.
    if model_dir.exists() {
        fs::remove_dir_all(model_dir).map_err(local)?;
    }
    fs::rename(part.path(), model_dir).map_err(local)?;
    Ok(())
}

/// Writes the body into a file and returns its SHA-256.
fn download(agent: &ureq::Agent, url: &str, name: &'static str, mut file: File) -> Result<String, Fault> {
    let fault = |error: &dyn std::error::Error| {
        Fault::new(ErrorCode::Unavailable, format!("cannot get {url}: {}", error_chain(error)))
            .hint("check the network, set HTTPS_PROXY, or use a mirror with --endpoint")
    };
    let mut response = agent.get(url).call().map_err(|error| fault(&error))?;
    let progress = bar(response.body().content_length(), name);
    let mut body = response.body_mut().as_reader();
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = body.read(&mut buffer).map_err(|error| fault(&error))?;
        if count == 0 {
            break;
        }
        digest.update(&buffer[..count]);
        file.write_all(&buffer[..count]).map_err(|error| {
            Fault::new(ErrorCode::Internal, format!("cannot write {name}: {error}"))
                .hint("check the free space")
        })?;
        progress.inc(count as u64);
    }
    progress.finish_and_clear();
    Ok(hex(&digest.finalize()))
}
