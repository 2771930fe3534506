//! Stores and caches as the processes of one installation have them.

use std::path::Path;
use std::time::Duration;

use clap::Parser;
use toolweaver_catalog_cache::{CacheConfig, CatalogCache, Store};
use toolweaver_testkit::wait::until;

/// How long a state may take to come.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// The incarnation of the catalogue that these tests are about.
pub(crate) const INCARNATION: &str = "18aa";

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    cache: CacheConfig,
}

/// The defaults, and memory of this process as the store.
pub(crate) fn local() -> CacheConfig {
    parse(&[])
}

/// The defaults, and the server at this URL as the store.
pub(crate) fn redis(url: &str) -> CacheConfig {
    parse(&["--use-redis", &format!("--redis-url={url}")])
}

/// The same configuration with files in this folder.
pub(crate) fn with_files(config: CacheConfig, dir: &Path) -> CacheConfig {
    CacheConfig { cache_dir: Some(dir.to_owned()), ..config }
}

fn parse(arguments: &[&str]) -> CacheConfig {
    Program::parse_from(["test"].iter().chain(arguments)).cache
}

/// The store that this configuration asks for, connected.
pub(crate) async fn open(config: &CacheConfig) -> Store {
    let store = Store::open(config).expect("a usable configuration");
    until("the store is connected", SOON, async || store.is_connected()).await;
    store
}

/// The caches of one process.
pub(crate) async fn process(config: &CacheConfig) -> CatalogCache {
    CatalogCache::new(open(config).await, config, INCARNATION)
}
