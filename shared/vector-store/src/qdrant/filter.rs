//! Predicates and guards in the words of Qdrant's filters.

use std::collections::BTreeSet;

use ::qdrant_client::qdrant::{Condition, Filter, Range};
use toolweaver_contracts::Predicate;
use uuid::Uuid;

use crate::{qdrant::payload::field, store::excluded};

/// Translates [`Predicate::admits`]. A tombstone has no tenant of its own and so is never admitted.
pub(super) fn of_predicate(predicate: &Predicate) -> Filter {
    let mut must = vec![Condition::matches(field::TENANT, predicate.tenant.to_string())];
    if let Some(domain) = &predicate.domain {
        must.push(Condition::matches(field::DOMAIN, domain.to_string()));
    }
    if !predicate.tool_types.is_empty() {
        let types: Vec<String> = predicate.tool_types.iter().map(|t| t.as_str().to_owned()).collect();
        must.push(Condition::matches(field::TOOL_TYPE, types));
    }
    if !predicate.tags.is_empty() {
        must.push(Condition::matches(field::TAGS, texts(&predicate.tags)));
    }
    must.push(for_roles(predicate));

    let excluded: Vec<String> = excluded(predicate).map(|point_id| point_id.to_string()).collect();
    let must_not = if excluded.is_empty() { Vec::new() } else { vec![Condition::has_id(excluded)] };
    Filter { must, must_not, ..Filter::default() }
}

fn for_roles(predicate: &Predicate) -> Condition {
    let for_everyone = Condition::is_empty(field::ALLOWED_ROLES);
    if predicate.roles.is_empty() {
        return for_everyone;
    }
    let for_them = Condition::matches(field::ALLOWED_ROLES, texts(&predicate.roles));
    Filter::should([for_everyone, for_them]).into()
}

fn texts(set: &BTreeSet<String>) -> Vec<String> {
    set.iter().cloned().collect()
}

/// Lets a write through only where the stored revision is lower: one clause a point, because a request has
/// one filter for all its points. Points that are not stored yet are written in any case.
pub(super) fn only_older(writes: impl Iterator<Item = (Uuid, u64)>) -> Filter {
    Filter::should(writes.map(|(point_id, revision)| {
        #[expect(clippy::cast_precision_loss, reason = "exact below 2^53, and a stream never gets there")]
        let older = Range { lt: Some(revision as f64), ..Range::default() };
        let clause = [Condition::has_id([point_id.to_string()]), Condition::range(field::REVISION, older)];
        Filter::must(clause).into()
    }))
}
