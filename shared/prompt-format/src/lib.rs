//! Prompt formats: found tools in a vendor's shape, as many as fit into a token budget.
//!
//! Pure: the ranking has decided before which tools there are, and in which order.

mod budget;
mod input_schema;
mod names;
mod shapes;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::Value;
use toolweaver_contracts::{Budget, CutTool, SearchResult, Shape, Tool};

/// Fields of a reply that depend on the shape and the budget.
#[derive(Debug, Clone, PartialEq)]
pub struct Packed {
    /// Best first, as found.
    pub results: Vec<SearchResult>,
    /// One for each of `results` where a shape was asked for, else none.
    pub shaped: Vec<Value>,
    /// Tokens that were spent and tools that were cut, where there was a budget.
    pub budget: Option<Budget>,
}

/// Shapes the found tools, and keeps those that fit into the budget.
///
/// Goes from the best to the worst and keeps each tool that still fits. One that does not is cut, and smaller
/// ones behind it may still come in: a prompt with the second and third best tool serves an agent better than
/// an empty one, and `cut` tells it what to ask for by id. A tool is charged with what goes into the prompt:
/// its shaped object, or without a shape its result, less what only the asking program reads (score and
/// explanation).
pub fn pack(
    found: Vec<(SearchResult, Arc<Tool>)>,
    shape: Option<Shape>,
    budget_tokens: Option<u32>,
) -> Packed {
    let budget = budget_tokens.map(|tokens_max| Budget { tokens_max, tokens_used: 0, cut: Vec::new() });
    let mut packed = Packed { results: Vec::with_capacity(found.len()), shaped: Vec::new(), budget };
    for (result, tool) in found {
        let shaped = shape.map(|shape| shapes::shaped(shape, &tool));
        if let Some(budget) = &mut packed.budget {
            let tokens = match &shaped {
                Some(shaped) => budget::estimated_tokens(shaped),
                None => budget::estimated_tokens(&budget::InPrompt::new(&result)),
            };
            if tokens > budget.tokens_max - budget.tokens_used {
                budget.cut.push(CutTool { tool_id: result.tool_id, tokens });
                continue;
            }
            budget.tokens_used += tokens;
        }
        packed.results.push(result);
        packed.shaped.extend(shaped);
    }
    packed
}
