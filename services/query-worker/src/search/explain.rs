//! Explanation of an answer.

use std::collections::HashSet;

use toolweaver_contracts::{
    AppliedFilters, Explanation, MatchedTerm, RouteCandidate, SearchExplanation, Tool,
};
use toolweaver_ranking::{
    fusion::Ranked,
    lexical::FieldName,
    text::{Form, terms},
};

use super::{
    pipeline::{Found, Search},
    stages::Stages,
};

/// Explains the whole answer.
pub(super) fn search(
    search: &Search,
    found: &Found,
    routes: Vec<RouteCandidate>,
    stages: &Stages,
) -> SearchExplanation {
    let predicate = &found.predicate;
    SearchExplanation {
        filters: AppliedFilters {
            tenant: predicate.tenant.clone(),
            domain: predicate.domain.clone(),
            tool_types: predicate.tool_types.iter().copied().collect(),
            tags: predicate.tags.iter().cloned().collect(),
            roles: predicate.roles.iter().cloned().collect(),
            exclude: predicate.exclude.iter().cloned().collect(),
            candidates: found.lexical.as_ref().map_or(0, |answer| answer.candidates),
        },
        routes,
        parts: search.query.sentences().to_vec(),
        terms: found.lexical.as_ref().map_or_else(Vec::new, |answer| answer.terms.clone()),
        dense_share: found.fused.dense_share,
        stages_ms: stages.milliseconds(),
    }
}

/// Explains the place of one tool.
pub(super) fn result(ranked: &Ranked, tool: &Tool, found: &Found) -> Explanation {
    Explanation {
        lexical: ranked.lexical,
        dense: ranked.dense,
        exact_name: ranked.is_named(),
        contributions: Some(ranked.contributions),
        matched: matched(tool, found),
    }
}

/// Returns the terms that were looked for and stand in the tool. Analysed again rather than carried along
/// with every hit: only who asks for an explanation pays for it.
fn matched(tool: &Tool, found: &Found) -> Vec<MatchedTerm> {
    let held: Vec<(FieldName, HashSet<String>)> = FieldName::ALL
        .into_iter()
        .map(|field| (field, terms(&field.text(tool), Form::Stem).into_iter().collect()))
        .collect();
    let searched = found.lexical.iter().flat_map(|answer| &answer.terms);
    let matched = searched.map(|searched| {
        let holding = held.iter().filter(|(_, terms)| terms.contains(&searched.term));
        MatchedTerm {
            term: searched.term.clone(),
            fields: holding.map(|(field, _)| field.as_str().to_owned()).collect(),
        }
    });
    matched.filter(|matched| !matched.fields.is_empty()).collect()
}
