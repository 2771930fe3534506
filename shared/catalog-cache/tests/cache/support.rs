//! Stores and caches as the processes of one installation have them.

use std::path::Path;
use std::time::Duration;

use clap::Parser;
use toolweaver_catalog_cache::{CacheConfig, CatalogCache, Store};
use toolweaver_testkit::wait::until;

/// Time that a state may take to come.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// The incarnation of the catalog that these tests are about.
pub(crate) const INCARNATION: &str = "18aa";

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    cache: CacheConfig,
}

/// Returns the defaults, with memory of this process as the store.
pub(crate) fn local() -> CacheConfig {
    parse(&[])
}

/// Returns the defaults, with the server at this URL as the store.
pub(crate) fn redis(url: &str) -> CacheConfig {
    parse(&["--use-redis", &format!("--redis-url={url}")])
}

/// Returns the same configuration with files in this folder.
pub(crate) fn with_files(config: CacheConfig, dir: &Path) -> CacheConfig {
    CacheConfig { cache_dir: Some(dir.to_owned()), ..config }
}

fn parse(arguments: &[&str]) -> CacheConfig {
    Program::parse_from(["test"].iter().chain(arguments)).cache
}

/// Opens the store that this configuration asks for, and waits until it is connected.
pub(crate) async fn open(config: &CacheConfig) -> Store {
    let store = Store::open(config).expect("a usable configuration");
    until("the store is connected", SOON, async || store.is_connected()).await;
    store
}

/// Creates the caches of one process.
pub(crate) async fn process(config: &CacheConfig) -> CatalogCache {
    CatalogCache::new(open(config).await, config, INCARNATION)
}
