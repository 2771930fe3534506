//! What is measured: something that answers searches over one catalogue, and many questions to it.
//!
//! How they are asked is decided here; the rest of `eval` sees answers only.

use std::{
    num::NonZeroUsize,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};
use indicatif::ProgressBar;
use toolweaver_contracts::{Fault, SearchReply, SearchRequest, subjects};

use super::offline::Offline;
use crate::{
    client::{ANSWER_TIMEOUT, Client},
    terminal::{bar, shortened},
};

/// A question is asked so often before a fault that may pass ends the run.
const ATTEMPTS_MAX: u32 = 3;
/// How long to wait before asking again.
const RETRY_AFTER: Duration = Duration::from_millis(200);
/// Characters of a query that a fault quotes.
const QUERY_SHOWN: usize = 80;

/// Who answers.
pub(super) enum System {
    /// Query workers, asked by request-reply, as agents ask them.
    Nats(Box<Client>),
    /// The same searcher in this process, without the wire.
    Offline(Box<Offline>),
}

/// A reply, and how long it took on the asking side.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) reply: SearchReply,
    pub(super) round_trip_ms: f64,
}

impl System {
    async fn search(&self, request: &SearchRequest) -> Result<Answer, Fault> {
        let begin = Instant::now();
        let reply: SearchReply = match self {
            Self::Nats(client) => {
                client.ask(&subjects::search(&client.tenant), request, ANSWER_TIMEOUT).await?
            }
            Self::Offline(offline) => offline.search(request).await?,
        };
        Ok(Answer { reply, round_trip_ms: begin.elapsed().as_secs_f64() * 1e3 })
    }

    async fn search_patiently(&self, request: SearchRequest) -> Result<Answer, Fault> {
        let mut attempt = 1;
        loop {
            match self.search(&request).await {
                Err(fault) if fault.code.is_transient() && attempt < ATTEMPTS_MAX => {
                    attempt += 1;
                    tokio::time::sleep(RETRY_AFTER).await;
                }
                Err(fault) => {
                    let query = shortened(&request.query, QUERY_SHOWN);
                    let told = Fault::new(fault.code, format!("query {query:?}: {}", fault.message));
                    return Err(Fault { pointer: fault.pointer, hint: fault.hint, ..told });
                }
                Ok(answer) => return Ok(answer),
            }
        }
    }

    /// Asks all questions, so many at a time, and keeps what `read` makes of each answer, in the order of the questions.
    pub(super) async fn ask_all<T>(
        &self,
        concurrency: NonZeroUsize,
        what: &'static str,
        requests: Vec<SearchRequest>,
        read: impl FnMut(usize, Answer) -> T,
    ) -> Result<Vec<T>, Fault> {
        let progress = bar(Some(requests.len() as u64), what);
        let outcome = self.ask_each(concurrency, &progress, requests, read).await;
        progress.finish_and_clear();
        outcome
    }

    async fn ask_each<T>(
        &self,
        concurrency: NonZeroUsize,
        progress: &ProgressBar,
        requests: Vec<SearchRequest>,
        mut read: impl FnMut(usize, Answer) -> T,
    ) -> Result<Vec<T>, Fault> {
        let mut kept = Vec::with_capacity(requests.len());
        let asked = stream::iter(requests).map(|request| self.search_patiently(request));
        let mut answers = asked.buffered(concurrency.get());
        while let Some(answer) = answers.next().await {
            kept.push(read(kept.len(), answer?));
            progress.inc(1);
        }
        Ok(kept)
    }
}
