//! Configurations for the tests of this crate.

use clap::Parser;
use toolweaver_catalog_cache::CacheConfig;
use toolweaver_testkit::redis::RedisServer;

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    cache: CacheConfig,
}

/// The defaults, and memory of this process as the store.
pub(crate) fn local() -> CacheConfig {
    parse(&[])
}

/// The defaults, and this server as the store.
pub(crate) fn redis(server: &RedisServer) -> CacheConfig {
    parse(&["--use-redis", &format!("--redis-url={}", server.url())])
}

fn parse(arguments: &[&str]) -> CacheConfig {
    Program::parse_from(["test"].iter().chain(arguments)).cache
}
