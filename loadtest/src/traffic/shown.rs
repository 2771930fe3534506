//! Tools that searches have returned, in the order in which they were first seen.

use std::{collections::HashSet, sync::Mutex};

use toolweaver_contracts::{SearchReply, ToolId};

use super::lock;

/// Set of shown tools, shared by all requests of a run.
#[derive(Default)]
pub(super) struct Shown(Mutex<Order>);

#[derive(Default)]
struct Order {
    tools: Vec<ToolId>,
    seen: HashSet<ToolId>,
}

impl Shown {
    pub(super) fn record(&self, reply: &SearchReply) {
        let mut order = lock(&self.0);
        for result in &reply.results {
            if order.seen.insert(result.tool_id.clone()) {
                order.tools.push(result.tool_id.clone());
            }
        }
    }

    /// Returns one of them; `draw` chooses its place among as many as there are. `None` before the first.
    pub(super) fn pick(&self, draw: impl FnOnce(usize) -> usize) -> Option<ToolId> {
        let order = lock(&self.0);
        (!order.tools.is_empty()).then(|| order.tools[draw(order.tools.len())].clone())
    }
}
