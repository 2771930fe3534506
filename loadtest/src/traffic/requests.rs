//! What is asked, and how each answer is judged.

use std::time::Instant;

use rand::Rng;
use toolweaver_contracts::{ErrorCode, SearchRequest, ToolId};

use super::{
    queries::Query,
    shown::Shown,
    tally::Answer,
    truth::{Truth, Verdict},
    zipf::Zipf,
};
use crate::client::{self, Client};

/// Share of requests that get a tool by its id.
const GETS: f64 = 0.1;

/// What all requests and changes of a run share.
pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) queries: Vec<Query>,
    pub(super) zipf: Zipf,
    pub(super) shown: Shown,
    pub(super) truth: Truth,
}

pub(super) enum Request {
    /// The query of this rank.
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
        let known = self.truth.known();
        let failure = match request {
            Request::Search(rank) => {
                let query = self.queries[rank].text.as_str();
                match self.client.search(&SearchRequest::new(query)).await {
                    Ok(reply) => {
                        self.shown.note(&reply);
                        let verdict = known.judge_search(query, &reply);
                        return Answer::searched(due, reply, verdict);
                    }
                    Err(error) => error,
                }
            }
            Request::Get(tool) => match self.client.get(tool.clone()).await {
                Ok(reply) => return Answer::got(due, known.judge_get(&reply)),
                Err(error) => {
                    let is_missing = client::code(&error) == Some(ErrorCode::NotFound);
                    if is_missing && self.truth.may_be_missing(&tool) {
                        return Answer::got(due, Verdict::default());
                    }
                    error
                }
            },
        };
        let code = client::code(&failure).map(|code| code.number().to_string());
        Answer::failed(due, code.unwrap_or_else(|| failure.root_cause().to_string()))
    }
}
