//! Why a request is not worked on, and how that is said.

use std::num::NonZeroU32;
use std::time::Duration;

use toolweaver_contracts::{ErrorCode, Fault};

/// Why a request is refused before its handler sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// As many wait as may.
    QueueFull { retry_after: Duration },
    /// It would have waited longer than any may.
    WouldWait { retry_after: Duration },
    /// It did.
    Waited { retry_after: Duration },
    /// Its tenant asks too often.
    Rate { per_second: NonZeroU32, retry_after: Duration },
    /// It is too large.
    Size { bytes: usize, bytes_max: usize },
}

/// Every value of [`Refusal::reason`].
pub(crate) const REASONS: [&str; 5] = ["queue_full", "would_wait", "waited", "rate", "size"];

impl Refusal {
    /// The value of the label `reason` in metrics.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::QueueFull { .. } => "queue_full",
            Self::WouldWait { .. } => "would_wait",
            Self::Waited { .. } => "waited",
            Self::Rate { .. } => "rate",
            Self::Size { .. } => "size",
        }
    }

    /// What the caller is told.
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

/// Rounded up, so that who obeys is not early.
fn again(retry_after: Duration) -> String {
    format!("try again in {} ms", retry_after.as_micros().div_ceil(1_000).max(1))
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
