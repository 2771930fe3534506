//! Stages of a search, and the time spent in each.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Stage of a search. Some run side by side, and some twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Route,
    Embed,
    Lexical,
    Dense,
    Fuse,
    Load,
}

impl Stage {
    /// Returns its name in explanations and metrics.
    pub(crate) const fn as_str(self) -> &'static str {
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

/// Time spent in each stage so far.
#[derive(Debug, Default)]
pub(crate) struct Stages(BTreeMap<Stage, Duration>);

impl Stages {
    /// Adds the time of `work`.
    pub(crate) fn time<T>(&mut self, stage: Stage, work: impl FnOnce() -> T) -> T {
        let begin = Instant::now();
        let done = work();
        self.took(stage, (done, begin.elapsed()))
    }

    /// Adds what [`timed`] measured.
    pub(crate) fn took<T>(&mut self, stage: Stage, (done, took): (T, Duration)) -> T {
        *self.0.entry(stage).or_default() += took;
        done
    }

    /// Returns the stages that were gone through, and the duration of each.
    pub(crate) fn took_by_name(&self) -> impl Iterator<Item = (&'static str, Duration)> {
        self.0.iter().map(|(stage, took)| (stage.as_str(), *took))
    }

    /// Returns milliseconds by stage.
    pub(crate) fn milliseconds(&self) -> BTreeMap<String, f64> {
        self.took_by_name().map(|(stage, took)| (stage.to_owned(), took.as_secs_f64() * 1e3)).collect()
    }
}

/// Waits for `work` and measures how long that took.
pub(crate) async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let begin = Instant::now();
    let done = work.await;
    (done, begin.elapsed())
}
