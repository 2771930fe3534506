//! `cargo xtask exported-check`: the names that dashboards and rules use are exported by a running system.

mod running;

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use toolweaver_dashboards::exported::Expressions;

use crate::{dashboards, downloads};

/// Longest wait for all metrics: some appear when something has happened for the first time, or at the next
/// look at a stream.
const WAIT_MAX: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(500);

/// Starts the workers in `programs`, has them do something of everything, and fails with each name that
/// dashboards and rules use and nobody exports.
pub(crate) fn exported_check(programs: &Path) -> Result<()> {
    let expressions = Expressions::new(dashboards::rules()?);
    let running = running::start(programs, &downloads::runtime()?)?;
    let deadline = Instant::now() + WAIT_MAX;
    loop {
        let missing = expressions.missing(&running.scrape()?);
        if missing.is_empty() {
            println!("{} expressions name what is exported", expressions.count());
            return running.stop();
        }
        if Instant::now() > deadline {
            let lines: Vec<String> = missing.into_iter().collect();
            bail!("nobody exports what dashboards and rules name:\n  {}", lines.join("\n  "));
        }
        sleep(POLL);
    }
}
