//! The query worker as a process.

use std::process::ExitCode;

use toolweaver_query_worker::{Config, Dependencies, run};
use toolweaver_service_runtime::service_main;

fn main() -> ExitCode {
    service_main("query-worker", async |config: Config, runtime| {
        let parts = Dependencies::connect(&config, runtime.shutdown.soft()).await?;
        run(&config.query, parts, &runtime).await
    })
}
