//! Refusals: the reasons for which a request is not worked on, or not to its end, and the fault that its
//! caller gets.

use std::num::NonZeroU32;
use std::time::Duration;

use tracing::error;

use toolweaver_contracts::{ErrorCode, Fault};

/// Reason to refuse a request before its handler sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The admission queue is full.
    QueueFull { retry_after: Duration },
    /// By the forecast it would wait too long.
    WouldWait { retry_after: Duration },
    /// It has waited too long.
    Waited { retry_after: Duration },
    /// Its tenant is over its rate.
    Rate { per_second: NonZeroU32, retry_after: Duration },
    /// It is too large.
    Size { bytes: usize, bytes_max: usize },
}

/// Every value of [`Refusal::reason`].
pub(crate) const REASONS: [&str; 5] = ["queue_full", "would_wait", "waited", "rate", "size"];

impl Refusal {
    /// Returns the value of the label `reason` in metrics.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::QueueFull { .. } => "queue_full",
            Self::WouldWait { .. } => "would_wait",
            Self::Waited { .. } => "waited",
            Self::Rate { .. } => "rate",
            Self::Size { .. } => "size",
        }
    }

    /// Returns the fault that the caller gets.
    pub(super) fn fault(self) -> Fault {
        let busy = |message: &str, retry_after: Duration| {
            Fault::new(ErrorCode::Busy, message).hint(format!("{}, or run more workers", again(retry_after)))
        };
        match self {
            Self::QueueFull { retry_after } => busy("too many requests wait already", retry_after),
            Self::WouldWait { retry_after } => busy("too many requests are before this one", retry_after),
            Self::Waited { retry_after } => busy("too many requests were before this one", retry_after),
            Self::Rate { per_second, retry_after } => {
                let message = format!("this tenant asks more than {per_second} times a second");
                Fault::new(ErrorCode::Busy, message).hint(again(retry_after))
            }
            Self::Size { bytes, bytes_max } => {
                let message = format!("the request has {bytes} bytes; at most {bytes_max} are read");
                Fault::new(ErrorCode::BadRequest, message).hint("ask for less at a time")
            }
        }
    }
}

/// Returns the hint to come back; rounded up, so that a caller that obeys is not early.
fn again(retry_after: Duration) -> String {
    format!("try again in {} ms", retry_after.as_micros().div_ceil(1_000).max(1))
}

/// Returns the fault of a request that a stopping service does not answer any more.
pub(super) fn stopping() -> Fault {
    Fault::new(ErrorCode::Unavailable, "the service is stopping").hint("ask again; another worker answers")
}

/// Returns the fault of a request whose deadline is over.
pub(super) fn too_late() -> Fault {
    Fault::new(ErrorCode::Deadline, "no answer could be given in time")
        .hint("ask again; the status endpoint says which dependency is down")
}

/// Logs that the code behind an endpoint panicked, and returns the fault of the request that broke it.
pub(super) fn panicked(endpoint: &str) -> Fault {
    error!(endpoint, "a request handler panicked");
    Fault::new(ErrorCode::Internal, "the request broke its handler").hint("this is a bug; report it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_names_the_limit_and_the_way_out() {
        let retry_after = Duration::from_micros(1_200);
        let busy = Refusal::WouldWait { retry_after }.fault();
        assert_eq!(busy.code, ErrorCode::Busy);
        assert_eq!(busy.hint.as_deref(), Some("try again in 2 ms, or run more workers"));
        let rate = Refusal::Rate { per_second: NonZeroU32::MIN, retry_after: Duration::ZERO }.fault();
        assert_eq!(
            rate.to_string(),
            Fault::new(ErrorCode::Busy, rate.message.clone()).hint("try again in 1 ms").to_string()
        );
        let size = Refusal::Size { bytes: 70_000, bytes_max: 65_536 }.fault();
        assert_eq!(size.code, ErrorCode::BadRequest);
        assert_eq!(size.message, "the request has 70000 bytes; at most 65536 are read");
    }
}
