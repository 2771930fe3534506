//! Requests of the traffic, and the judging of each reply.

use std::time::{Duration, Instant};

use anyhow::anyhow;
use rand::Rng;
use tokio::time::timeout;
use toolweaver_contracts::{ErrorCode, SearchRequest, ToolId};

use super::{
    queries::Query,
    shown::Shown,
    tally::{Answer, Asked},
    truth::{Truth, Verdict},
    zipf::Zipf,
};
use crate::client::{self, Client};

/// Share of requests that get a tool by its id.
const GETS: f64 = 0.1;
/// Timeout of an agent, which does not ask again.
const AGENT_TIMEOUT: Duration = Duration::from_secs(5);

/// State shared by all requests and changes of a run.
pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) queries: Vec<Query>,
    pub(super) zipf: Zipf,
    pub(super) shown: Shown,
    pub(super) truth: Truth,
}

pub(super) enum Request {
    /// Search for the query of this rank.
    Search(usize),
    Get(ToolId),
}

impl Shared {
    pub(super) fn draw(&self, rng: &mut impl Rng) -> Request {
        let got =
            if rng.random_bool(GETS) { self.shown.pick(|tools| self.zipf.draw(rng, tools)) } else { None };
        got.map_or_else(|| Request::Search(self.zipf.draw(rng, self.queries.len())), Request::Get)
    }

    pub(super) async fn ask(&self, request: Request, due: Instant) -> Answer {
        // Before the request leaves: what becomes known on its way is nothing it has to know.
        let (known, settled) = (self.truth.known(), self.truth.settled());
        let behind = |version, verdict| Verdict { is_behind: version < settled, ..verdict };
        match request {
            Request::Search(rank) => {
                let query = self.queries[rank].text.as_str();
                match within_agent_timeout(self.client.search(&SearchRequest::new(query))).await {
                    Ok(reply) => {
                        self.shown.record(&reply);
                        let verdict = behind(reply.catalog_version, known.judge_search(query, &reply));
                        Answer::searched(due, reply, verdict)
                    }
                    Err(error) => Answer::failed(due, Asked::Search, reason(&error)),
                }
            }
            Request::Get(tool) => match within_agent_timeout(self.client.get(tool.clone())).await {
                Ok(reply) => Answer::got(due, behind(reply.catalog_version, known.judge_get(&reply))),
                Err(error) => {
                    let is_missing = client::code(&error) == Some(ErrorCode::NotFound);
                    if is_missing && self.truth.may_be_missing(&tool) {
                        Answer::got(due, Verdict::default())
                    } else {
                        Answer::failed(due, Asked::Get, reason(&error))
                    }
                }
            },
        }
    }
}

async fn within_agent_timeout<T>(asking: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    timeout(AGENT_TIMEOUT, asking)
        .await
        .unwrap_or_else(|_| Err(anyhow!("no answer within {AGENT_TIMEOUT:?}")))
}

/// Returns the code of an error reply, or the reason why there was no reply.
fn reason(error: &anyhow::Error) -> String {
    client::code(error).map_or_else(|| format!("{error:#}"), |code| code.number().to_string())
}
