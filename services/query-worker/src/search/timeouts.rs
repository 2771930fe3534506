//! Until when a request is answered, and how long a part of it may take.

use std::time::Duration;

use tokio::time::Instant;

/// How long answers may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// With one part: then the answer goes on without it.
    pub(crate) part: Duration,
    /// With all of it.
    pub(crate) whole: Duration,
}

/// The end of one request's time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    end: Instant,
    part: Duration,
}

impl Patience {
    /// The deadline of a request that begins now.
    pub(crate) fn begin(self) -> Deadline {
        Deadline { end: Instant::now() + self.whole, part: self.part }
    }
}

impl Deadline {
    /// Until when a part that is asked now must have answered.
    pub(crate) fn of_part(self) -> Instant {
        (Instant::now() + self.part).min(self.end)
    }

    /// How long a part that is asked now may take.
    pub(crate) fn for_part(self) -> Duration {
        self.of_part().saturating_duration_since(Instant::now())
    }
}
