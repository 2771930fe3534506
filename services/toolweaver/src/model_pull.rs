//! `model pull`: the default model from the Hugging Face hub or a mirror of it, at one revision, checked.
//!
//! All files come into a folder beside the final one, which takes its name only when everything is right.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use toolweaver_contracts::{ErrorCode, Fault};

use crate::{
    cli::Common,
    data_dir::{DEFAULT_MODEL, DataDir},
    exit::{Exit, with_causes},
    output::Output,
    progress::bar,
};

const REPOSITORY: &str = "sentence-transformers/all-MiniLM-L6-v2";
const REVISION: &str = "c9745ed1d9f207416be6d2e6f8de32d1f16199bf";

/// The files of the model, and the SHA-256 of those that decide what a text's vector is.
const FILES: [(&str, Option<&str>); 6] = [
    ("config.json", None),
    ("tokenizer.json", Some("be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037")),
    ("model.safetensors", Some(WEIGHTS_SHA256)),
    ("1_Pooling/config.json", None),
    ("sentence_bert_config.json", None),
    ("modules.json", None),
];

/// The default model's weights.
pub(crate) const WEIGHTS_SHA256: &str = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db";

/// How long the server may be silent.
const SILENCE_MAX: Duration = Duration::from_mins(1);

#[derive(Debug, Args)]
pub(crate) struct PullArgs {
    /// Where the hub is, or a mirror of it
    #[arg(long, env = "HF_ENDPOINT", value_name = "URL", default_value = "https://huggingface.co")]
    endpoint: String,
}

/// What was done, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Report {
    model_dir: PathBuf,
    revision: &'static str,
    weights_sha256: &'static str,
    downloaded: bool,
}

/// `model pull`. Blocks.
pub(crate) fn pull(args: &PullArgs, common: &Common) -> Result<Exit, Fault> {
    let models = DataDir::new(common.data_dir.as_deref())?.models();
    let model_dir = models.join(DEFAULT_MODEL);
    let downloaded = !is_complete(&model_dir);
    if downloaded {
        install(&args.endpoint, &models, &model_dir)?;
    }
    let report = Report { model_dir, revision: REVISION, weights_sha256: WEIGHTS_SHA256, downloaded };
    Output { json: common.json }.result(&report, || {
        let what = if report.downloaded { "downloaded and checked" } else { "already there, checked" };
        format!("{REPOSITORY} at {} ({what})", report.model_dir.display())
    });
    Ok(Exit::Done)
}

/// The SHA-256 of a file in lower-case hex.
pub(crate) fn sha256_of(file: &Path) -> io::Result<String> {
    let mut digest = Sha256::new();
    io::copy(&mut File::open(file)?, &mut digest)?;
    Ok(hex(&digest.finalize()))
}

fn is_complete(model_dir: &Path) -> bool {
    FILES.iter().all(|(file, sha256)| {
        let path = model_dir.join(file);
        match sha256 {
            Some(sha256) => sha256_of(&path).is_ok_and(|found| found == *sha256),
            None => path.is_file(),
        }
    })
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
        Fault::new(ErrorCode::Unavailable, format!("cannot get {url}: {}", with_causes(error)))
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

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}
