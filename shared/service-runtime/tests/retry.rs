//! Retrying: what is tried again, how often, and what ends it.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use toolweaver_service_runtime::retry::{Policy, RetryError, retry};

#[derive(Debug, PartialEq, thiserror::Error)]
enum Failure {
    #[error("down")]
    Down,
    #[error("forbidden")]
    Forbidden,
}

impl Failure {
    fn is_transient(&self) -> bool {
        *self == Self::Down
    }
}

fn quick() -> Policy {
    Policy {
        initial_wait: Duration::from_millis(1),
        max_wait: Duration::from_millis(5),
        ..Policy::within(Duration::from_secs(30))
    }
}

#[tokio::test]
async fn tries_until_it_succeeds() {
    let mut attempts = 0;
    let value = retry(&quick(), &CancellationToken::new(), "count", Failure::is_transient, || {
        attempts += 1;
        std::future::ready(if attempts < 4 { Err(Failure::Down) } else { Ok("done") })
    })
    .await
    .unwrap();
    assert_eq!((value, attempts), ("done", 4));
}

#[tokio::test]
async fn an_error_that_is_not_transient_is_final() {
    let mut attempts = 0;
    let error = retry(&quick(), &CancellationToken::new(), "enter", Failure::is_transient, || {
        attempts += 1;
        std::future::ready(Err::<(), _>(Failure::Forbidden))
    })
    .await
    .unwrap_err();
    assert!(matches!(error, RetryError::Failed { source: Failure::Forbidden }), "{error:?}");
    assert_eq!(attempts, 1);
}

#[tokio::test]
async fn gives_up_after_the_time_of_the_policy() {
    let policy = Policy { max_elapsed: Some(Duration::from_millis(50)), ..quick() };
    let mut attempts = 0;
    let error = retry(&policy, &CancellationToken::new(), "connect", Failure::is_transient, || {
        attempts += 1;
        std::future::ready(Err::<(), _>(Failure::Down))
    })
    .await
    .unwrap_err();
    assert!(matches!(error, RetryError::Failed { source: Failure::Down }), "{error:?}");
    assert!(attempts > 1, "it was tried again before that");
}

#[tokio::test]
async fn ends_between_two_attempts_when_stopped() {
    let stop = CancellationToken::new();
    let policy = Policy { initial_wait: Duration::from_mins(10), ..Policy::for_ever() };
    let begun = Instant::now();
    let error = retry(&policy, &stop, "wait", Failure::is_transient, || {
        stop.cancel();
        std::future::ready(Err::<(), _>(Failure::Down))
    })
    .await
    .unwrap_err();
    assert!(matches!(error, RetryError::Stopped { source: Failure::Down }), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(10), "it took {:?}", begun.elapsed());
}
