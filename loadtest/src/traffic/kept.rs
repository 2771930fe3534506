//! Final check of durability: every published tool is found by its name as it was last published, and no
//! removed one.

use std::collections::HashMap;

use anyhow::{Context as _, bail, ensure};
use futures_util::{StreamExt as _, stream};
use toolweaver_contracts::{
    ErrorCode, SearchRequest, ToolEvent, ToolId,
    limits::{TOP_K_MAX, WAIT_MS_MAX},
};

use super::requests::Shared;
use crate::client;

/// Tools looked for at a time.
const AT_ONCE: usize = 4;

/// Returns the description that an event leaves of a tool; `None` after its removal.
pub(super) fn description(event: &ToolEvent) -> Option<String> {
    match event {
        ToolEvent::Registered { tool } => Some(tool.description.clone()),
        ToolEvent::Removed => None,
    }
}

/// Looks for the tools as they were published last; returns a sentence about each that is not so.
pub(super) async fn missing(shared: &Shared, last: HashMap<ToolId, Option<String>>) -> Vec<String> {
    let looking = stream::iter(last).map(async |(tool_id, description)| {
        let looked = match description {
            Some(description) => is_found(shared, &tool_id, &description).await,
            None => is_gone(shared, &tool_id).await,
        };
        looked.err().map(|error| format!("{tool_id} in the end: {error:#}"))
    });
    looking.buffer_unordered(AT_ONCE).filter_map(std::future::ready).collect().await
}

async fn is_found(shared: &Shared, tool_id: &ToolId, description: &str) -> anyhow::Result<()> {
    let request = SearchRequest {
        domain: Some(tool_id.domain.clone()),
        // Others may bear the name, too.
        top_k: Some(TOP_K_MAX),
        min_version: Some(shared.truth.known().version()),
        wait_ms: Some(WAIT_MS_MAX),
        ..SearchRequest::new(tool_id.tool_name.as_str())
    };
    let reply = shared.client.search(&request).await?;
    let found = reply.results.iter().find(|result| result.tool_id == *tool_id);
    let shown = &found.context("its name does not find it")?.description;
    ensure!(shown == description, "it is shown as {shown:?}");
    Ok(())
}

async fn is_gone(shared: &Shared, tool_id: &ToolId) -> anyhow::Result<()> {
    match shared.client.get(tool_id.clone()).await {
        Ok(reply) => bail!("removed, and yet there with revision {}", reply.revision),
        Err(error) if client::code(&error) == Some(ErrorCode::NotFound) => Ok(()),
        Err(error) => Err(error),
    }
}
