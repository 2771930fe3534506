//! `main` that all services share.

use std::future::Future;
use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use toolweaver_resilience::error_chain;
use tracing::{error, info};

use crate::http::HttpConfig;
use crate::runtime::{Runtime, RuntimeConfig};
use crate::{healthcheck, telemetry};

/// Exit code of a service that ended because of an error.
const EXIT_FAILED: u8 = 1;
/// Exit code of a wrong configuration; nothing was started.
const EXIT_BAD_CONFIG: u8 = 2;

/// Configuration of a service, as [`service_main`] sees it.
pub trait ServiceConfig: Parser {
    /// Returns the settings that every service has.
    fn runtime(&self) -> &RuntimeConfig;

    /// Returns all faults at once, each a sentence for a human that names the variable; those of the runtime
    /// are added by [`service_main`].
    fn validate(&self) -> Vec<String>;
}

/// Parses the configuration, starts telemetry and the runtime, lets `run` wire the service up, and waits for
/// its end.
///
/// `run` returns when everything is spawned. Exit codes: 0 after a signal and a complete drain, 1 when
/// starting failed, a task died or the drain timed out, 2 when the configuration is wrong (all faults are
/// printed, and no port was bound).
pub fn service_main<C, F, R>(name: &'static str, run: F) -> ExitCode
where
    C: ServiceConfig,
    F: FnOnce(C, Runtime) -> R,
    R: Future<Output = anyhow::Result<()>>,
{
    let config = C::parse();
    if config.runtime().http.healthcheck {
        return answer_healthcheck(&config.runtime().http);
    }
    let mut faults = config.validate();
    faults.extend(config.runtime().validate());
    if !faults.is_empty() {
        print_faults(name, &faults);
        return ExitCode::from(EXIT_BAD_CONFIG);
    }
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the async runtime")
        .and_then(|executor| executor.block_on(serve(name, config, run)));
    match outcome {
        Ok(exit_code) => exit_code,
        Err(error) => {
            // There is no log yet.
            print_lines(&[format!("{name}: {}", error_chain(error.as_ref()))]);
            ExitCode::from(EXIT_FAILED)
        }
    }
}

/// Asks the process that is configured as this one whether it is ready. Container images have no shell and no
/// HTTP client that could.
fn answer_healthcheck(http: &HttpConfig) -> ExitCode {
    match healthcheck::ask(http.http_addr) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print_lines(&[error_chain(error.as_ref()).to_string()]);
            ExitCode::from(EXIT_FAILED)
        }
    }
}

/// Serves from telemetry to exit code. An error is one that could not be logged.
async fn serve<C, F, R>(name: &'static str, config: C, run: F) -> anyhow::Result<ExitCode>
where
    C: ServiceConfig,
    F: FnOnce(C, Runtime) -> R,
    R: Future<Output = anyhow::Result<()>>,
{
    let common = config.runtime().clone();
    let telemetry = telemetry::start(name, &common.telemetry)?;
    let exit_code = match supervise(name, config, &common, run).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!(error = %error_chain(error.as_ref()), "{name} ends with an error");
            ExitCode::from(EXIT_FAILED)
        }
    };
    telemetry.shutdown().await;
    Ok(exit_code)
}

async fn supervise<C, F, R>(
    name: &'static str,
    config: C,
    common: &RuntimeConfig,
    run: F,
) -> anyhow::Result<()>
where
    C: ServiceConfig,
    F: FnOnce(C, Runtime) -> R,
    R: Future<Output = anyhow::Result<()>>,
{
    let runtime = Runtime::start(&common.http, common.drain).await?;
    info!(version = env!("CARGO_PKG_VERSION"), "{name} starting");
    // Wiring may wait long for a dependency that is down; a signal must end that too.
    let soft = runtime.shutdown.soft();
    match soft.run_until_cancelled(run(config, runtime.clone())).await {
        Some(Ok(())) => {}
        Some(Err(error)) if !soft.is_cancelled() => return Err(error),
        interrupted => {
            let reason =
                interrupted.and_then(Result::err).map(|error| error_chain(error.as_ref()).to_string());
            info!(reason, "told to stop before everything was started");
        }
    }
    runtime.join().await?;
    info!("{name} ended in good order");
    Ok(())
}

fn print_faults(name: &str, faults: &[String]) {
    let mut lines = vec![format!("{name}: the configuration has {} fault(s):", faults.len())];
    lines.extend(faults.iter().map(|fault| format!("  - {fault}")));
    lines.push(format!("See `{name} --help` for all options and their environment variables."));
    print_lines(&lines);
}

fn print_lines(lines: &[String]) {
    let mut stderr = std::io::stderr().lock();
    for line in lines {
        // If stderr is closed nobody can be told.
        writeln!(stderr, "{line}").ok();
    }
}
