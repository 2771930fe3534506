//! Filling of a catalog: registers tools and waits until all of them can be found.

use std::time::{Duration, Instant};

use anyhow::ensure;
use indicatif::{ProgressBar, ProgressStyle};
use toolweaver_contracts::Tool;

use crate::client::Client;

/// Interval between two looks at their number.
const POLL_EVERY: Duration = Duration::from_millis(20);
/// Time without one more tool after which no more will come.
const STALLED_AFTER: Duration = Duration::from_mins(1);

/// Registers tools and waits until the tenant has `total` searchable ones; returns how long it took.
pub(crate) async fn fill(client: &Client, tools: &[Tool], total: usize) -> anyhow::Result<Duration> {
    let style = ProgressStyle::with_template("{prefix:>12} {bar:30} {pos}/{len}")?;
    let progress = ProgressBar::new(total as u64).with_prefix("searchable").with_style(style);
    let started = Instant::now();
    client.register(tools).await?;
    let mut seen = (0, Instant::now());
    loop {
        let now = client.domains().await?.tools;
        progress.set_position(now);
        if now >= total as u64 {
            break;
        }
        if now != seen.0 {
            seen = (now, Instant::now());
        }
        ensure!(
            seen.1.elapsed() < STALLED_AFTER,
            "no tool became searchable for {} s, at {now} of {total}",
            STALLED_AFTER.as_secs()
        );
        tokio::time::sleep(POLL_EVERY).await;
    }
    progress.finish_and_clear();
    Ok(started.elapsed())
}
