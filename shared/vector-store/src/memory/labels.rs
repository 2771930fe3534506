//! Domains, tags and roles as small numbers, so that a filter compares integers.

use std::{borrow::Borrow, collections::HashMap};

use toolweaver_contracts::{Predicate, Tool, ToolKey, ToolType};
use uuid::Uuid;

use crate::store::excluded;

/// The number of a domain that no tool is in.
const UNKNOWN: u32 = u32::MAX;

/// Every label ever seen, numbered. It only grows; a catalog has few different labels.
#[derive(Debug, Default)]
pub(super) struct Labels(HashMap<String, u32>);

/// A predicate, compiled to labels.
#[derive(Debug)]
pub(super) struct Facets {
    domain: u32,
    tool_type: u8,
    tags: Box<[u32]>,
    allowed_roles: Box<[u32]>,
}

/// A predicate in numbers. A label that no tool carries has none and so is left out: it admits nothing.
#[derive(Debug)]
pub(super) struct Filter {
    domain: Option<u32>,
    /// One bit per type; none set means all.
    tool_types: u8,
    /// `None` means all; sorted.
    tags: Option<Vec<u32>>,
    /// Sorted.
    roles: Vec<u32>,
    /// Sorted.
    exclude: Vec<Uuid>,
}

impl Labels {
    /// Returns the facets of a tool.
    pub(super) fn facets(&mut self, key: &ToolKey, tool: &Tool) -> Facets {
        Facets {
            domain: self.number(key.domain.as_str()),
            tool_type: bit(tool.tool_type),
            tags: tool.tags.iter().map(|tag| self.number(tag)).collect(),
            allowed_roles: tool.allowed_roles.iter().map(|role| self.number(role)).collect(),
        }
    }

    /// Returns the predicate in numbers; empty sets allocate nothing.
    pub(super) fn compile(&self, predicate: &Predicate) -> Filter {
        let mut exclude: Vec<Uuid> = excluded(predicate).collect();
        exclude.sort_unstable();
        Filter {
            domain: predicate
                .domain
                .as_ref()
                .map(|domain| self.0.get(domain.as_str()).copied().unwrap_or(UNKNOWN)),
            tool_types: predicate.tool_types.iter().fold(0, |bits, tool_type| bits | bit(*tool_type)),
            tags: (!predicate.tags.is_empty()).then(|| self.known(&predicate.tags)),
            roles: self.known(&predicate.roles),
            exclude,
        }
    }

    fn number(&mut self, label: &str) -> u32 {
        if let Some(number) = self.0.get(label) {
            return *number;
        }
        let number = u32::try_from(self.0.len()).expect("four billion labels do not fit in memory");
        self.0.insert(label.to_owned(), number);
        number
    }

    fn known<'a>(&self, labels: impl IntoIterator<Item = &'a (impl Borrow<str> + 'a)>) -> Vec<u32> {
        let mut numbers: Vec<u32> =
            labels.into_iter().filter_map(|label| self.0.get(label.borrow()).copied()).collect();
        numbers.sort_unstable();
        numbers
    }
}

impl Filter {
    /// Returns whether the tool with these facets is meant; the same answer as `Predicate::admits` within the
    /// tenant.
    pub(super) fn admits(&self, point_id: &Uuid, facets: &Facets) -> bool {
        self.fits(facets) && !self.excludes(point_id)
    }

    /// Returns whether it would be meant if nothing were excluded.
    pub(super) fn fits(&self, facets: &Facets) -> bool {
        self.domain.is_none_or(|domain| domain == facets.domain)
            && (self.tool_types == 0 || self.tool_types & facets.tool_type != 0)
            && self.tags.as_ref().is_none_or(|tags| any_in(&facets.tags, tags))
            && (facets.allowed_roles.is_empty() || any_in(&facets.allowed_roles, &self.roles))
    }

    /// Returns whether this very tool is excluded.
    pub(super) fn excludes(&self, point_id: &Uuid) -> bool {
        !self.exclude.is_empty() && self.exclude.binary_search(point_id).is_ok()
    }
}

fn any_in(numbers: &[u32], sorted: &[u32]) -> bool {
    numbers.iter().any(|number| sorted.binary_search(number).is_ok())
}

const fn bit(tool_type: ToolType) -> u8 {
    match tool_type {
        ToolType::McpWorker => 1,
        ToolType::Function => 2,
        ToolType::CodeExec => 4,
    }
}
