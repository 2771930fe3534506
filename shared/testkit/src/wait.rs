//! Waiting for a state under a deadline. Tests never sleep for luck.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

/// The time between two looks at the state.
const PAUSE: Duration = Duration::from_millis(10);

/// The result of a look at the system under test: `bool`, or `Option<T>` when the state has a value to go on
/// with.
pub trait Observation {
    /// The value that [`until`] returns once the state is there.
    type State;

    /// Returns the state, if it is there.
    fn reached(self) -> Option<Self::State>;
}

impl Observation for bool {
    type State = ();

    fn reached(self) -> Option<()> {
        self.then_some(())
    }
}

impl<T> Observation for Option<T> {
    type State = T;

    fn reached(self) -> Option<T> {
        self
    }
}

/// Looks until the state is there and returns it. Panics, naming `what`, when `deadline` passes first.
///
/// ```
/// # use std::time::Duration;
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let mut looks = 0;
/// toolweaver_testkit::wait::until("the third look", Duration::from_secs(5), async || {
///     looks += 1;
///     looks == 3
/// })
/// .await;
/// # });
/// ```
pub async fn until<O: Observation>(
    what: &str,
    deadline: Duration,
    mut look: impl AsyncFnMut() -> O,
) -> O::State {
    let end = Instant::now() + deadline;
    loop {
        // A look that hangs is a state that never came.
        if let Ok(observation) = timeout_at(end, look()).await
            && let Some(state) = observation.reached()
        {
            return state;
        }
        assert!(Instant::now() < end, "waited {deadline:?} in vain for this state: {what}");
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn returns_the_state_when_it_comes() {
        let mut looks = 0;
        let state = until("a third look", Duration::from_secs(5), async || {
            looks += 1;
            (looks == 3).then_some("there")
        })
        .await;
        assert_eq!((state, looks), ("there", 3));
    }

    #[tokio::test]
    #[should_panic(expected = "pigs fly")]
    async fn names_the_state_that_never_came() {
        until("pigs fly", Duration::from_millis(30), async || false).await;
    }

    #[tokio::test]
    #[should_panic(expected = "a server answers")]
    async fn a_look_that_hangs_does_not_hang_the_test() {
        until("a server answers", Duration::from_millis(30), async || std::future::pending::<bool>().await)
            .await;
    }
}
