//! Answers from before, and when one may be given again.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use toolweaver_catalog_cache::SearchKey;
use toolweaver_contracts::{SearchReply, SearchRequest, Tenant};

use super::Searcher;
use crate::{
    projection::Changed,
    ranker::{
        bar::{Bar, Newcomer},
        idioms, parts,
    },
    router,
};

/// An answer, and what it takes to tell whether it still holds.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Remembered {
    /// The tenant's version up to which every change is in it.
    pub(super) version: u64,
    pub(super) reply: SearchReply,
    /// What a later change must reach to matter; none where every one does.
    pub(super) bar: Option<Bar>,
}

impl Searcher {
    /// The remembered answer, if it holds every change up to `version` or no change since then can have reached it.
    pub(super) async fn recall(
        &self,
        key: &SearchKey,
        tenant: &Tenant,
        request: &SearchRequest,
        version: u64,
    ) -> Option<SearchReply> {
        let remembered: Remembered = self.cache.search_results.get(key).await?;
        if remembered.version >= version {
            return Some(remembered.reply);
        }
        let changes = self.projection.catalog().changes_since(tenant, remembered.version)?;
        let mut bar = remembered.bar?;
        if !self.is_harmless(&changes, &mut bar, tenant, request).await {
            return None;
        }
        let remembered = Remembered { version, bar: Some(bar), ..remembered };
        self.cache.search_results.put(key, &remembered).await;
        Some(remembered.reply)
    }

    /// Whether none of these changes can be seen in the answer that the bar is of.
    async fn is_harmless(
        &self,
        changes: &[Arc<Changed>],
        bar: &mut Bar,
        tenant: &Tenant,
        request: &SearchRequest,
    ) -> bool {
        if changes.iter().any(|change| bar.drifts() || bar.has(change.point_id)) {
            return false;
        }
        let everywhere = request.predicate(tenant.clone());
        let text = idioms::reworded(&request.query);
        let parts = parts::parts(&text);
        let Ok(wanted) = self.embed(&text, &parts, self.patience.begin()).await else { return false };
        if self.few_candidates(&everywhere).is_some() {
            return false;
        }
        let catalog = self.projection.catalog();
        let tools: Vec<_> = changes.iter().map(|change| change.point_id).collect();
        let named = catalog.named_in(&request.query, &tools, &everywhere);
        if named.iter().any(|(point_id, _)| tools.contains(point_id)) {
            return false;
        }
        let coverage = bar.coverage(&text, &parts);
        let reaches = |change: &Arc<Changed>| {
            // A tool that is gone, or that this caller may not see, and that was not in the answer either.
            let Some(tool) = catalog.at(change.point_id, &bar.predicate) else { return false };
            let newcomer = Newcomer {
                point_id: change.point_id,
                profile: tool.profile(),
                analysis: tool.analysis(),
                cosines: change.vector.as_ref().map(|vector| cosines(&wanted, vector)),
            };
            bar.prefers(&tool.key.domain) || bar.is_reached_by(&newcomer, &coverage)
        };
        !changes.iter().any(reaches)
    }
}

/// The cosine of a tool with a request and with each of its parts.
pub(crate) fn cosines(wanted: &[Vec<f32>], tool: &[f32]) -> Vec<f32> {
    wanted.iter().map(|wanted| router::cosine(wanted, tool)).collect()
}
