//! Publisher of catalog changes while the catalog is searched.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
    vec,
};

use rand::{SeedableRng as _, rngs::StdRng};
use serde::Serialize;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use toolweaver_contracts::{Tool, ToolEvent, ToolId, identifiers};

use super::{Phase, kept, learning, queries::Query, requests::Shared, truth::Fact};
use crate::client::tool_id;

/// Kinds of changes in turn: mostly those that have nothing to do with most answers, as in a real catalog.
const CYCLE: [Kind; 10] = [
    Kind::Add,
    Kind::AnswerByName,
    Kind::Add,
    Kind::Update,
    Kind::Add,
    Kind::Add,
    Kind::AnswerInWords,
    Kind::Add,
    Kind::Remove,
    Kind::Add,
];
/// Shortest query that a tool is published for, in words: fewer are too many tools' words.
const ANSWERED_WORDS_MIN: usize = 3;
/// Text before the counter in the description of an updated tool.
const EDITION: &str = " (edition ";
/// Attempts to draw a shown tool that was published here and not removed since.
const DRAWS_MAX: usize = 100;

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// A real tool that was held back.
    Add,
    /// A tool that bears a popular query as its name: no ranking may leave it out.
    AnswerByName,
    /// A tool whose description repeats a popular query.
    AnswerInWords,
    /// A shown tool with another description.
    Update,
    /// The end of a shown tool.
    Remove,
}

/// Changes that are left to publish.
pub(super) struct Changes {
    held_back: vec::IntoIter<Tool>,
    /// Queries that no tool was published for yet, the most popular first.
    unanswered: vec::IntoIter<Query>,
    /// Real tools as they were last published, without the removed ones.
    tools: HashMap<ToolId, Tool>,
    /// Counter that tells made-up tools apart.
    serial: u64,
    rng: StdRng,
}

/// Changes published, with their outcome.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Published {
    pub(crate) added: u64,
    pub(crate) answers: u64,
    /// Of these: tools that other tools kept out of the answer, so that nothing could be checked by them.
    pub(crate) outranked: u64,
    pub(crate) updates: u64,
    pub(crate) removals: u64,
    /// Tools of these that were looked for in the end.
    pub(crate) looked_for: usize,
    /// Time that each took to be found, with the phase in which it was published.
    #[serde(skip)]
    pub(super) found: Vec<(usize, Duration)>,
    /// Changes that could not be published, did not become visible or are not there in the end, and why.
    pub(crate) lost: Vec<String>,
}

struct Change {
    tool_id: ToolId,
    event: ToolEvent,
    fact: Fact,
}

impl Changes {
    pub(super) fn new(catalog: Vec<Tool>, held_back: Vec<Tool>, queries: Vec<Query>, seed: u64) -> Self {
        Self {
            held_back: held_back.into_iter(),
            unanswered: queries.into_iter(),
            tools: catalog.into_iter().map(|tool| (tool_id(&tool), tool)).collect(),
            serial: 0,
            rng: StdRng::seed_from_u64(seed),
        }
    }

    /// Publishes `per_second` changes until the run is over, adds each to the truth as soon as it is visible,
    /// and looks for all of them in the end.
    pub(super) async fn publish(mut self, shared: &Arc<Shared>, per_second: f64, phase: &Phase) -> Published {
        let mut published = Published::default();
        if per_second <= 0.0 {
            return published;
        }
        let mut ticks = interval(Duration::from_secs_f64(1.0 / per_second));
        // Whoever is late stays late: catching up would go on after the end.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = HashMap::new();
        let mut learning = JoinSet::new();
        for kind in CYCLE.into_iter().cycle() {
            tokio::select! {
                () = phase.ended() => break,
                _ = ticks.tick() => {}
            }
            let Some(Change { tool_id, event, fact }) = self.next(kind, shared) else { continue };
            last.insert(tool_id.clone(), kept::description(&event));
            let (shared, place, begun) = (Arc::clone(shared), phase.now(), Instant::now());
            match shared.client.publish(tool_id, event).await {
                Ok(revision) => {
                    published.count(kind);
                    learning.spawn(async move {
                        let visible = learning::wait(&shared, revision).await?;
                        let found = (place, begun.elapsed());
                        anyhow::Ok((found, learning::learn(&shared, visible, fact).await?))
                    });
                }
                Err(error) => published.lost.push(format!("{error:#}")),
            }
        }
        for learned in learning.join_all().await {
            match learned {
                Ok((found, is_certain)) => {
                    published.found.push(found);
                    published.outranked += u64::from(!is_certain);
                }
                Err(error) => published.lost.push(format!("{error:#}")),
            }
        }
        published.looked_for = last.len();
        published.lost.extend(kept::missing(shared, last).await);
        published
    }

    /// Returns the next change; `None` where there is nothing left to publish, or nothing was shown yet.
    fn next(&mut self, kind: Kind, shared: &Shared) -> Option<Change> {
        self.serial += 1;
        let (tool, fact) = match kind {
            Kind::Add => {
                let tool = self.held_back.next()?;
                self.tools.insert(tool_id(&tool), tool.clone());
                (tool, Fact::Added)
            }
            Kind::AnswerByName => {
                let query = self.unanswered.find(is_distinctive)?;
                // Two underscores: the real tool that the query was made of may bear the name with one.
                let tool = answer(&query, &identifiers::split(&query.text).join("__").to_lowercase())?;
                let fact = Fact::Answers(query.text, tool_id(&tool));
                (tool, fact)
            }
            Kind::AnswerInWords => {
                let query = self.unanswered.find(is_distinctive)?;
                let tool = answer(&query, &format!("{}_at_once_{}", query.tool.tool_name, self.serial))?;
                let fact = Fact::MayAnswer(query.text, tool_id(&tool));
                (tool, fact)
            }
            Kind::Update => {
                let tool_id = self.shown(shared)?;
                let tool = self.tools.get_mut(&tool_id)?;
                let before = tool.description.clone();
                let text = before.rsplit_once(EDITION).map_or(&*before, |(text, _)| text);
                tool.description = format!("{text}{EDITION}{})", self.serial);
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

    /// Draws a real tool that some search returned.
    fn shown(&mut self, shared: &Shared) -> Option<ToolId> {
        let mut draws =
            (0..DRAWS_MAX).map_while(|_| shared.shown.pick(|tools| shared.zipf.draw(&mut self.rng, tools)));
        draws.find(|tool_id| self.tools.contains_key(tool_id))
    }
}

fn is_distinctive(query: &Query) -> bool {
    identifiers::split(&query.text).len() >= ANSWERED_WORDS_MIN
}

/// Makes a tool that answers the query, much like the one whose words the query uses.
fn answer(query: &Query, tool_name: &str) -> Option<Tool> {
    let description = format!("{}, in one call.", query.text);
    Some(Tool { tool_name: tool_name.parse().ok()?, description, ..query.tool.clone() })
}

impl Published {
    fn count(&mut self, kind: Kind) {
        let count = match kind {
            Kind::Add => &mut self.added,
            Kind::AnswerByName | Kind::AnswerInWords => &mut self.answers,
            Kind::Update => &mut self.updates,
            Kind::Remove => &mut self.removals,
        };
        *count += 1;
    }
}
