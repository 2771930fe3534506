//! Long-running tasks of a process. The first one that dies takes the process down in good order.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use toolweaver_resilience::error_chain;
use tracing::{Instrument, warn};

use crate::health::Health;
use crate::shutdown::Shutdown;

/// Time that aborted tasks have to disappear before the process ends without them.
const ABORT_GRACE: Duration = Duration::from_secs(1);

/// Error of a service that did not end in good order.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// A task returned an error.
    #[error("task {task} failed")]
    TaskFailed {
        /// Name of the task.
        task: String,
        /// Error that it returned.
        #[source]
        source: anyhow::Error,
    },
    /// A task panicked.
    #[error("task {task} panicked: {message}")]
    TaskPanicked {
        /// Name of the task.
        task: String,
        /// Message of the panic.
        message: String,
    },
    /// A task that should run as long as the service returned without being asked to.
    #[error("task {task} ended before the service was told to stop")]
    TaskEnded {
        /// Name of the task.
        task: String,
    },
    /// The tasks were told to stop and some still ran when the time was up or a second signal came.
    #[error("still running when the time to drain was over: {}", tasks.join(", "))]
    DrainTimedOut {
        /// Names of the tasks that were dropped.
        tasks: Vec<String>,
    },
}

/// Tasks of one process, spawned and supervised. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Tasks {
    tracker: TaskTracker,
    shutdown: Shutdown,
    health: Health,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    next_id: u64,
    running: BTreeMap<u64, String>,
    first_failure: Option<ServiceError>,
}

impl Tasks {
    pub(crate) fn new(shutdown: Shutdown, health: Health) -> Self {
        Self { tracker: TaskTracker::new(), shutdown, health, state: Arc::default() }
    }

    /// Runs `task` until the shutdown begins, when it must return by itself after finishing what it has
    /// begun.
    ///
    /// An error, a panic, or a return before the shutdown began stops the whole service with an error.
    pub fn spawn(
        &self,
        name: impl Into<String>,
        task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        let name = name.into();
        let id = self.state().start(&name);
        let tasks = self.clone();
        self.tracker.spawn(async move {
            // A task of its own, so that a panic is an outcome like the others.
            let mut running = tokio::spawn(task.in_current_span());
            let ended = tokio::select! {
                ended = &mut running => Some(ended),
                () = tasks.shutdown.hard().cancelled() => None,
            };
            let Some(ended) = ended else {
                // Stays in the list of the running: it was dropped, it did not end.
                running.abort();
                running.await.ok();
                return;
            };
            let failure = match ended {
                Ok(Ok(())) if tasks.shutdown.soft().is_cancelled() => None,
                Ok(Ok(())) => Some(ServiceError::TaskEnded { task: name }),
                Ok(Err(source)) => Some(ServiceError::TaskFailed { task: name, source }),
                Err(error) => Some(ServiceError::TaskPanicked { task: name, message: panic_message(error) }),
            };
            tasks.state().running.remove(&id);
            if let Some(failure) = failure {
                tasks.fail(failure);
            }
        });
    }

    /// Waits until the shutdown begins and all tasks have ended, at most `drain_timeout` after it began. Then
    /// what still runs is dropped.
    pub async fn join(&self, drain_timeout: Duration) -> Result<(), ServiceError> {
        self.shutdown.soft().cancelled().await;
        self.health.drain();
        self.tracker.close();
        let drained =
            timeout(drain_timeout, self.shutdown.hard().run_until_cancelled(self.tracker.wait())).await;
        if !matches!(drained, Ok(Some(()))) {
            self.shutdown.abort();
            timeout(ABORT_GRACE, self.tracker.wait()).await.ok();
        }
        let mut state = self.state();
        if let Some(failure) = state.first_failure.take() {
            return Err(failure);
        }
        if state.running.is_empty() {
            return Ok(());
        }
        Err(ServiceError::DrainTimedOut { tasks: state.running.values().cloned().collect() })
    }

    fn fail(&self, failure: ServiceError) {
        let text = error_chain(&failure).to_string();
        warn!(error = text, "a task died: stopping the service");
        self.health.die(text);
        self.state().first_failure.get_or_insert(failure);
        self.shutdown.begin();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn start(&mut self, name: &str) -> u64 {
        self.next_id += 1;
        self.running.insert(self.next_id, name.to_owned());
        self.next_id
    }
}

fn panic_message(error: tokio::task::JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => panic
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned()),
        Err(error) => error.to_string(),
    }
}
