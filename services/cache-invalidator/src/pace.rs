//! The pace of writes: the writes of two batches are held apart, so that a scope is written at most once in
//! that time however much changes.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The least time between the end of one batch's writes and the begin of the next one's.
#[derive(Debug)]
pub(crate) struct Pace {
    period: Duration,
    last_write: Mutex<Option<Instant>>,
}

impl Pace {
    pub(crate) fn new(period: Duration) -> Self {
        Self { period, last_write: Mutex::new(None) }
    }

    /// Waits until writes may begin.
    pub(crate) async fn wait(&self) {
        let last_write = *self.last_write();
        if let Some(last_write) = last_write {
            sleep_until(last_write + self.period).await;
        }
    }

    /// Notes that writes have ended.
    pub(crate) fn written(&self) {
        *self.last_write() = Some(Instant::now());
    }

    fn last_write(&self) -> MutexGuard<'_, Option<Instant>> {
        // No code that can panic runs under this lock.
        self.last_write.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_batch_waits_for_nothing_and_the_next_for_its_time() {
        let period = Duration::from_millis(50);
        let pace = Pace::new(period);
        let begun = Instant::now();
        pace.wait().await;
        assert!(begun.elapsed() < period);
        pace.written();
        pace.wait().await;
        assert!(begun.elapsed() >= period);
    }
}
