//! The embedding worker as a process.

use std::process::ExitCode;

use toolweaver_embedding_worker::{Config, Dependencies, run};
use toolweaver_service_runtime::service_main;

fn main() -> ExitCode {
    service_main("embedding-worker", async |config: Config, runtime| {
        let dependencies = Dependencies::connect(&config, runtime.shutdown.soft()).await?;
        run(&config.indexing, &config.streams, dependencies, &runtime).await
    })
}
