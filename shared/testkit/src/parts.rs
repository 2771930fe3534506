//! The programs and the model that tests run against, and their places on disk.
//!
//! Each is looked up in its environment variable, then where it is usually installed, then in `.parts` of
//! the workspace, where `cargo xtask fetch` puts it. A missing part is a panic that says what to do: a test
//! that quietly skips itself proves nothing.

use std::env;
use std::path::{Path, PathBuf};

/// Returns the `nats-server` program: `TOOLWEAVER_NATS_SERVER`, `.parts/bin`, then `PATH`.
///
/// The fetched one comes before `PATH`: an installed server may be too old for the features under test.
pub fn nats_server() -> PathBuf {
    from_env("TOOLWEAVER_NATS_SERVER")
        .or_else(|| fetched("bin/nats-server"))
        .or_else(|| on_path("nats-server"))
        .unwrap_or_else(|| missing("nats-server", "TOOLWEAVER_NATS_SERVER"))
}

/// Returns a Redis server program: `TOOLWEAVER_TEST_REDIS_SERVER`, `redis-server` on `PATH`, then
/// `.parts/bin`.
pub fn redis_server() -> PathBuf {
    from_env("TOOLWEAVER_TEST_REDIS_SERVER")
        .or_else(|| on_path("redis-server"))
        .or_else(|| fetched("bin/valkey-server"))
        .unwrap_or_else(|| missing("redis-server", "TOOLWEAVER_TEST_REDIS_SERVER"))
}

/// Returns the folder of the default model, all-MiniLM-L6-v2: `TOOLWEAVER_MODEL_DIR`, then `.parts/models`.
pub fn model_dir() -> PathBuf {
    from_env("TOOLWEAVER_MODEL_DIR")
        .or_else(|| fetched("models/all-MiniLM-L6-v2"))
        .unwrap_or_else(|| missing("the model all-MiniLM-L6-v2", "TOOLWEAVER_MODEL_DIR"))
}

/// Returns the root of the workspace this crate was built in.
pub fn workspace_dir() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).unwrap_or(manifest).to_path_buf()
}

/// Returns a path from the environment. Set but wrong is a mistake to hear about, not a reason to look
/// elsewhere.
pub(crate) fn from_env(variable: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env::var_os(variable).filter(|value| !value.is_empty())?);
    assert!(path.exists(), "{variable} names {}, which does not exist", path.display());
    Some(path)
}

fn fetched(relative: &str) -> Option<PathBuf> {
    Some(workspace_dir().join(".parts").join(relative)).filter(|path| path.exists())
}

fn on_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|dir| dir.join(program)).find(|path| path.is_file())
}

fn missing(what: &str, variable: &str) -> ! {
    panic!("{what} is missing: run `cargo xtask fetch`, or set {variable} to where it is")
}
