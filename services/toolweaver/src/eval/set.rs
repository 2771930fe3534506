//! A retrieval set: tools, queries, and which tools are right for which query. Read from a folder and checked.
//!
//! | file | a line |
//! |---|---|
//! | `tools.jsonl` | a tool, as `register` takes it |
//! | `queries*.jsonl` | `id`, `text`, and perhaps `domain_hint` and `kind` |
//! | `qrels*.tsv` | query id, tool name, relevance: a whole number, 0 for wrong; tabs between them |
//!
//! Each may be compressed (`.gz`). Relevance is by name: where tools of several domains share one, any of them is right.

use std::{
    collections::{BTreeSet, HashMap, HashSet, hash_map::Entry},
    path::Path,
};

use serde::Deserialize;
use toolweaver_contracts::{Domain, ErrorCode, Fault, SearchRequest, Tenant, Tool, ToolId, decode};

use super::{lines, random::Random};
use crate::registration::{BadTool, prepare};

/// A set in memory.
#[derive(Debug)]
pub(super) struct Set {
    /// The folder's name.
    pub(super) name: String,
    pub(super) tools: Vec<Tool>,
    /// Those with at least one relevant tool, or a sample of them.
    pub(super) queries: Vec<Query>,
    /// How many there are without sampling.
    pub(super) queries_all: usize,
    /// Queries left out because no tool is relevant.
    pub(super) unjudged: usize,
}

/// A query and its right tools.
#[derive(Debug, Clone)]
pub(super) struct Query {
    pub(super) id: String,
    pub(super) text: String,
    pub(super) domain_hint: Option<Domain>,
    pub(super) kind: Option<String>,
    /// Tool names and their relevance, above 0; in the order of the file.
    pub(super) relevant: Vec<(String, u32)>,
}

/// How many queries to take, and which.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) queries_max: Option<usize>,
    pub(super) seed: u64,
}

#[derive(Deserialize)]
struct QueryLine {
    id: String,
    text: String,
    domain_hint: Option<Domain>,
    kind: Option<String>,
}

impl Set {
    /// Reads a whole set.
    pub(super) fn read(folder: &Path, sample: Sample) -> Result<Self, Fault> {
        let tools = read_tools(folder)?;
        let mut queries = read_queries(folder)?;
        let names = tools.iter().map(|tool| tool.tool_name.as_str()).collect();
        judge(folder, &mut queries, &names)?;
        let asked = queries.len();
        queries.retain(|query| !query.relevant.is_empty());
        let queries_all = queries.len();
        if queries.is_empty() {
            let message = format!("no query of {} has a relevant tool", folder.display());
            return Err(Fault::new(ErrorCode::BadRequest, message).hint("check the ids in qrels*.tsv"));
        }
        let unjudged = asked - queries_all;
        Ok(Self { name: name_of(folder), tools, queries: sample.of(queries), queries_all, unjudged })
    }

    /// How many domains the tools fall into.
    pub(super) fn domains(&self) -> usize {
        self.tools.iter().map(|tool| &tool.domain).collect::<BTreeSet<_>>().len()
    }
}

impl Query {
    /// The relevance of the tool at each place. A name counts once: found again, in another domain, it is no gain.
    pub(super) fn gains<'a>(&self, found: impl IntoIterator<Item = &'a ToolId>) -> Vec<u32> {
        let mut left: HashMap<&str, u32> =
            self.relevant.iter().map(|(name, relevance)| (name.as_str(), *relevance)).collect();
        found.into_iter().map(|tool| left.remove(tool.tool_name.as_str()).unwrap_or(0)).collect()
    }

    /// The relevances of all its right tools.
    pub(super) fn relevances(&self) -> Vec<u32> {
        self.relevant.iter().map(|(_, relevance)| *relevance).collect()
    }
}

impl Sample {
    /// The queries, or so many of them. Which ones depends on their ids, not on their order in the files.
    pub(super) fn of(self, mut queries: Vec<Query>) -> Vec<Query> {
        let Some(count) = self.queries_max.filter(|&count| count < queries.len()) else {
            return queries;
        };
        queries.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        let drawn = Random::new(self.seed).sample(count, queries.len());
        drawn.into_iter().map(|index| queries[index].clone()).collect()
    }
}

/// The name of a set: that of its folder.
pub(super) fn name_of(folder: &Path) -> String {
    // For `.` and the like, which have none themselves.
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    folder.file_name().map_or_else(|| "set".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// Reads the queries of a set, without judgements.
pub(super) fn read_queries(folder: &Path) -> Result<Vec<Query>, Fault> {
    let mut queries = Vec::new();
    let mut ids = HashSet::new();
    for file in lines::files(folder, "queries", "jsonl")? {
        lines::each(&file, |_, line| {
            let QueryLine { id, text, domain_hint, kind } = decode(line.as_bytes())?;
            SearchRequest::new(text.as_str()).validate().map_err(|fault| fault.at("/text"))?;
            if !ids.insert(id.clone()) {
                return Err(Fault::bad("/id", format!("there are two queries with the id {id}")));
            }
            queries.push(Query { id, text, domain_hint, kind, relevant: Vec::new() });
            Ok(())
        })?;
    }
    Ok(queries)
}

fn read_tools(folder: &Path) -> Result<Vec<Tool>, Fault> {
    let files = lines::files(folder, "tools", "jsonl")?;
    let [file] = files.as_slice() else {
        let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        return Err(Fault::new(
            ErrorCode::BadRequest,
            format!("a set has one file of tools, here are {}", names.join(" and ")),
        )
        .hint("leave one of them"));
    };
    let tenant = Tenant::default();
    let mut tools: Vec<Tool> = Vec::new();
    let mut lines_by_id: HashMap<(Domain, String), u64> = HashMap::new();
    lines::each(file, |number, line| {
        let tool: Tool = decode(line.as_bytes())?;
        prepare(tool.clone(), &tenant).map_err(|BadTool { fault, .. }| fault)?;
        match lines_by_id.entry((tool.domain.clone(), tool.tool_name.to_string())) {
            Entry::Vacant(place) => place.insert(number),
            Entry::Occupied(first) => {
                let message = format!(
                    "{}.{} stands on line {} already, and a name is one tool in its domain",
                    tool.domain,
                    tool.tool_name,
                    first.get()
                );
                return Err(Fault::bad("/tool_name", message));
            }
        };
        tools.push(tool);
        Ok(())
    })?;
    Ok(tools)
}

/// Gives the queries their right tools.
fn judge(folder: &Path, queries: &mut [Query], names: &HashSet<&str>) -> Result<(), Fault> {
    let by_id: HashMap<String, usize> =
        queries.iter().enumerate().map(|(index, query)| (query.id.clone(), index)).collect();
    for file in lines::files(folder, "qrels", "tsv")? {
        lines::each(&file, |_, line| {
            let [id, name, relevance] = line.split('\t').collect::<Vec<_>>()[..] else {
                return Err(Fault::bad(
                    "",
                    "a judgement is query id, tool name and relevance, with tabs between",
                ));
            };
            let &index = by_id.get(id).ok_or_else(|| Fault::bad("", format!("there is no query {id}")))?;
            if !names.contains(name) {
                return Err(Fault::bad("", format!("there is no tool {name}")));
            }
            let relevance: u32 = relevance.trim().parse().map_err(|_| {
                Fault::bad("", format!("the relevance {relevance:?} is not a whole number from 0 on"))
            })?;
            let relevant = &mut queries[index].relevant;
            if relevant.iter().any(|(other, _)| other == name) {
                return Err(Fault::bad("", format!("{name} is judged twice for {id}")));
            }
            if relevance > 0 {
                relevant.push((name.to_owned(), relevance));
            }
            Ok(())
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
