//! Saying once that something does not work, and once that it works again, instead of once per attempt.

use std::error::Error;
use std::fmt;
use std::time::Instant;

use tracing::{info, warn};

/// Whether one reader of one stream is in trouble.
#[derive(Debug)]
pub(crate) struct Trouble {
    stream: String,
    reader: String,
    since: Option<Instant>,
}

impl Trouble {
    pub(crate) fn new(stream: &str, reader: &str) -> Self {
        Self { stream: stream.to_owned(), reader: reader.to_owned(), since: None }
    }

    pub(crate) fn begins(&mut self, problem: &(dyn Error + 'static)) {
        if self.since.is_none() {
            self.since = Some(Instant::now());
            let Self { stream, reader, .. } = self;
            warn!(%stream, %reader, problem = %Chain(problem), "cannot read the stream; trying until it works again");
        }
    }

    pub(crate) fn ends(&mut self) {
        if let Some(since) = self.since.take() {
            let Self { stream, reader, .. } = self;
            info!(%stream, %reader, trouble_seconds = since.elapsed().as_secs_f64(), "reading the stream again");
        }
    }
}

/// An error with its causes in one line.
pub(crate) struct Chain<'a>(pub(crate) &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
