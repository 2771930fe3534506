//! The cache invalidator as a process.

use std::process::ExitCode;

use toolweaver_cache_invalidator::{Config, serve};
use toolweaver_service_runtime::service_main;

fn main() -> ExitCode {
    service_main("cache-invalidator", async |config: Config, runtime| serve(&config, &runtime).await)
}
