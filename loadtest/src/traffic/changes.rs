//! How the catalogue changes while it is searched.

use std::{collections::HashMap, sync::Arc, time::Duration, vec};

use rand::{SeedableRng as _, rngs::StdRng};
use serde::Serialize;
use tokio::{
    task::JoinSet,
    time::{Instant, interval, timeout_at},
};
use toolweaver_contracts::{SearchRequest, Tool, ToolEvent, ToolId, identifiers};

use super::{Shared, queries::Query, truth::Fact};
use crate::client::tool_id;

/// What is published in turn: mostly what has nothing to do with most answers, as in a real catalogue.
const CYCLE: [Kind; 10] = [
    Kind::Add,
    Kind::Answer,
    Kind::Add,
    Kind::Update,
    Kind::Add,
    Kind::Add,
    Kind::Answer,
    Kind::Add,
    Kind::Remove,
    Kind::Add,
];
/// Names of fewer words would answer other queries, too.
const ANSWER_WORDS_MIN: usize = 3;
/// Precedes the counter in the description of an updated tool.
const EDITION: &str = " (edition ";
/// Draws of a shown tool that was published here and not removed since.
const DRAWS_MAX: usize = 100;
/// How long a change may take to become visible.
const VISIBLE_WITHIN_MS: u64 = 30_000;
/// Asked to learn whether a change is visible; nobody else asks it, so that no measured answer depends on it.
const PROBE: &str = "is the latest change visible";

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// A real tool that was held back.
    Add,
    /// A tool that answers a popular query word for word.
    Answer,
    /// A shown tool with another description.
    Update,
    /// The end of a shown tool.
    Remove,
}

/// What there is to publish.
pub(super) struct Changes {
    held_back: vec::IntoIter<Tool>,
    /// Queries that no tool was published for yet, the most popular first.
    unanswered: vec::IntoIter<Query>,
    /// Real tools as they were last published, without the removed ones.
    tools: HashMap<ToolId, Tool>,
    editions: u64,
    rng: StdRng,
}

/// What was published, and what became of it.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Published {
    pub(crate) added: u64,
    pub(crate) answers: u64,
    pub(crate) updates: u64,
    pub(crate) removals: u64,
    /// Changes that could not be published or did not become visible, and why.
    pub(crate) lost: Vec<String>,
}

struct Change {
    tool_id: ToolId,
    event: ToolEvent,
    fact: Fact,
}

impl Changes {
    pub(super) fn new(catalogue: Vec<Tool>, held_back: Vec<Tool>, queries: Vec<Query>, seed: u64) -> Self {
        Self {
            held_back: held_back.into_iter(),
            unanswered: queries.into_iter(),
            tools: catalogue.into_iter().map(|tool| (tool_id(&tool), tool)).collect(),
            editions: 0,
            rng: StdRng::seed_from_u64(seed),
        }
    }

    /// Publishes so many changes a second for so long, and tells the truth of each as soon as it is visible.
    pub(super) async fn publish(
        mut self,
        shared: &Arc<Shared>,
        per_second: f64,
        duration: Duration,
    ) -> Published {
        let mut published = Published::default();
        if per_second <= 0.0 {
            return published;
        }
        let end = Instant::now() + duration;
        let mut ticks = interval(Duration::from_secs_f64(1.0 / per_second));
        let mut learning = JoinSet::new();
        for kind in CYCLE.into_iter().cycle() {
            if timeout_at(end, ticks.tick()).await.is_err() {
                break;
            }
            let Some(change) = self.next(kind, shared) else { continue };
            match shared.client.publish(change.tool_id, change.event).await {
                Ok(revision) => {
                    published.count(kind);
                    learning.spawn(learn(Arc::clone(shared), revision, change.fact));
                }
                Err(error) => published.lost.push(format!("{error:#}")),
            }
        }
        for learned in learning.join_all().await {
            published.lost.extend(learned.err().map(|error| format!("{error:#}")));
        }
        published
    }

    /// None where there is nothing left to publish, or nothing was shown yet.
    fn next(&mut self, kind: Kind, shared: &Shared) -> Option<Change> {
        let (tool, fact) = match kind {
            Kind::Add => {
                let tool = self.held_back.next()?;
                self.tools.insert(tool_id(&tool), tool.clone());
                (tool, Fact::Added)
            }
            Kind::Answer => self.unanswered.find_map(|query| answer(&query))?,
            Kind::Update => {
                let tool_id = self.shown(shared)?;
                self.editions += 1;
                let tool = self.tools.get_mut(&tool_id)?;
                let before = tool.description.clone();
                let text = before.rsplit_once(EDITION).map_or(&*before, |(text, _)| text);
                tool.description = format!("{text}{EDITION}{})", self.editions);
                (tool.clone(), Fact::Outdated(tool_id, before))
            }
            Kind::Remove => {
                let tool_id = self.shown(shared)?;
                self.tools.remove(&tool_id);
                shared.truth.leaves(&tool_id);
                let fact = Fact::Removed(tool_id.clone());
                return Some(Change { tool_id, event: ToolEvent::Removed, fact });
            }
        };
        Some(Change { tool_id: tool_id(&tool), event: ToolEvent::Registered { tool: Box::new(tool) }, fact })
    }

    /// A real tool that some search returned.
    fn shown(&mut self, shared: &Shared) -> Option<ToolId> {
        let mut draws =
            (0..DRAWS_MAX).map_while(|_| shared.shown.pick(|tools| shared.zipf.draw(&mut self.rng, tools)));
        draws.find(|tool_id| self.tools.contains_key(tool_id))
    }
}

/// A tool that bears the words of a query as its name, so that no ranking may leave it out: an exact name is never lost.
fn answer(query: &Query) -> Option<(Tool, Fact)> {
    let words = identifiers::split(&query.text);
    let tool = Tool {
        tool_name: words.join("_").to_lowercase().parse().ok()?,
        description: format!("{}, in one call.", query.text),
        ..query.tool.clone()
    };
    let fact = Fact::Answers(query.text.clone(), tool_id(&tool));
    (words.len() >= ANSWER_WORDS_MIN).then_some((tool, fact))
}

/// Waits until a change is visible, and tells from which version on.
async fn learn(shared: Arc<Shared>, revision: u64, fact: Fact) -> anyhow::Result<()> {
    let request = SearchRequest {
        min_revision: Some(revision),
        wait_ms: Some(VISIBLE_WITHIN_MS),
        ..SearchRequest::new(PROBE)
    };
    let reply = shared.client.search(&request).await?;
    shared.truth.learn(fact, reply.catalog_version);
    Ok(())
}

impl Published {
    fn count(&mut self, kind: Kind) {
        let count = match kind {
            Kind::Add => &mut self.added,
            Kind::Answer => &mut self.answers,
            Kind::Update => &mut self.updates,
            Kind::Remove => &mut self.removals,
        };
        *count += 1;
    }
}
