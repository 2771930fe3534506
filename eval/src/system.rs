//! The system under test: something that answers searches over one set's tools, and many questions to it.

use std::{
    num::NonZeroUsize,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};
use indicatif::ProgressBar;
use toolweaver_contracts::{Fault, SearchReply, SearchRequest};

use crate::console::{progress_bar, shortened};

/// Attempts at a question before a transient fault ends the run.
const ATTEMPTS_MAX: u32 = 3;
/// Pause between two attempts.
const RETRY_AFTER: Duration = Duration::from_millis(200);
/// Characters of a query that a fault quotes.
const QUERY_SHOWN: usize = 80;

/// A search system: query workers over NATS, or the same searcher in this process.
pub trait SearchSystem {
    /// Answers one search.
    fn search(&self, request: &SearchRequest) -> impl Future<Output = Result<SearchReply, Fault>>;
}

/// A reply, and its round trip on the asking side.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) reply: SearchReply,
    pub(crate) round_trip_ms: f64,
}

/// Client of a system under test: asks many questions, a fixed number at a time.
pub(crate) struct Questioner<'a, S> {
    system: &'a S,
    concurrency: NonZeroUsize,
}

impl<'a, S: SearchSystem> Questioner<'a, S> {
    pub(crate) const fn new(system: &'a S, concurrency: NonZeroUsize) -> Self {
        Self { system, concurrency }
    }

    /// Asks all questions and returns what `read` makes of each answer, in the order of the questions.
    pub(crate) async fn ask_all<T>(
        &self,
        label: &'static str,
        requests: Vec<SearchRequest>,
        read: impl FnMut(usize, Answer) -> T,
    ) -> Result<Vec<T>, Fault> {
        let progress = progress_bar(requests.len(), label);
        let outcome = self.ask_each(&progress, requests, read).await;
        progress.finish_and_clear();
        outcome
    }

    async fn ask_each<T>(
        &self,
        progress: &ProgressBar,
        requests: Vec<SearchRequest>,
        mut read: impl FnMut(usize, Answer) -> T,
    ) -> Result<Vec<T>, Fault> {
        let mut kept = Vec::with_capacity(requests.len());
        let asked = stream::iter(requests).map(|request| self.ask(request));
        let mut answers = asked.buffered(self.concurrency.get());
        while let Some(answer) = answers.next().await {
            kept.push(read(kept.len(), answer?));
            progress.inc(1);
        }
        Ok(kept)
    }

    /// Asks one question, again where the fault is transient.
    async fn ask(&self, request: SearchRequest) -> Result<Answer, Fault> {
        let mut attempt = 1;
        loop {
            let begin = Instant::now();
            match self.system.search(&request).await {
                Err(fault) if fault.code.is_transient() && attempt < ATTEMPTS_MAX => {
                    attempt += 1;
                    tokio::time::sleep(RETRY_AFTER).await;
                }
                Err(fault) => {
                    let query = shortened(&request.query, QUERY_SHOWN);
                    let located = Fault::new(fault.code, format!("query {query:?}: {}", fault.message));
                    return Err(Fault { pointer: fault.pointer, hint: fault.hint, ..located });
                }
                Ok(reply) => {
                    return Ok(Answer { reply, round_trip_ms: begin.elapsed().as_secs_f64() * 1e3 });
                }
            }
        }
    }
}
