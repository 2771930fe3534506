//! How long each stage of a search takes.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// A stage of a search. Some run side by side, and some twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Route,
    Embed,
    Lexical,
    Dense,
    Fuse,
    Load,
}

impl Stage {
    /// Its name in explanations and metrics.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Route => "route",
            Self::Embed => "embed",
            Self::Lexical => "lexical",
            Self::Dense => "dense",
            Self::Fuse => "fuse",
            Self::Load => "load",
        }
    }
}

/// The time spent in each stage so far.
#[derive(Debug, Default)]
pub(super) struct Stages(BTreeMap<Stage, Duration>);

impl Stages {
    /// Adds the time of `work`.
    pub(super) fn time<T>(&mut self, stage: Stage, work: impl FnOnce() -> T) -> T {
        let begin = Instant::now();
        let done = work();
        self.took(stage, (done, begin.elapsed()))
    }

    /// Adds what [`timed`] measured.
    pub(super) fn took<T>(&mut self, stage: Stage, (done, took): (T, Duration)) -> T {
        *self.0.entry(stage).or_default() += took;
        done
    }

    /// The stages that were gone through, and how long each took.
    pub(super) fn took_by_name(&self) -> impl Iterator<Item = (&'static str, Duration)> {
        self.0.iter().map(|(stage, took)| (stage.as_str(), *took))
    }

    /// Milliseconds by stage.
    pub(super) fn milliseconds(&self) -> BTreeMap<String, f64> {
        self.took_by_name().map(|(stage, took)| (stage.to_owned(), took.as_secs_f64() * 1e3)).collect()
    }
}

/// Waits for `work` and says how long that took.
pub(super) async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let begin = Instant::now();
    let done = work.await;
    (done, begin.elapsed())
}
