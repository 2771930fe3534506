//! Test collection: tools, queries and relevance judgements, read from a folder and checked.
//!
//! | file | a line |
//! |---|---|
//! | `tools.jsonl` | a tool, as `register` takes it |
//! | `queries*.jsonl` | `id`, `text`, and perhaps `domain_hint` and `kind` |
//! | `qrels*.tsv` | query id, tool name, relevance: a whole number, 0 for wrong; tabs between them |
//!
//! Each may be compressed (`.gz`). Relevance is by name: where tools of several domains share one, any of
//! them is right.

use std::{
    collections::{BTreeSet, HashMap, HashSet, hash_map::Entry},
    path::Path,
};

use serde::Deserialize;
use toolweaver_contracts::{
    Domain, ErrorCode, Fault, SearchRequest, Tenant, Tool, ToolEvent, ToolId, ToolKey, decode, encode,
    subjects,
};

use crate::{
    lines::{for_each_line, matching_files},
    random::Random,
};

/// Test collection in memory.
#[derive(Debug)]
pub struct Set {
    /// Name of its folder.
    pub name: String,
    /// All tools; their ids are unique.
    pub tools: Vec<Tool>,
    /// Queries with at least one relevant tool, or a sample of them.
    pub(crate) queries: Vec<Query>,
    /// Number of those queries without sampling.
    pub(crate) queries_all: usize,
    /// Queries left out because no tool is relevant.
    pub(crate) unjudged: usize,
}

/// Query and its relevant tools.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    pub(crate) id: String,
    pub(crate) text: String,
    pub(crate) domain_hint: Option<Domain>,
    pub(crate) kind: Option<String>,
    /// Tool names and their relevance, above 0; in the order of the file.
    pub(crate) relevant: Vec<(String, u32)>,
}

/// Choice of queries: at most so many, drawn by a seed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) queries_max: Option<usize>,
    pub(crate) seed: u64,
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
    pub(crate) fn read(folder: &Path, sample: Sample) -> Result<Self, Fault> {
        let tools = read_tools(folder)?;
        let mut queries = read_queries(folder)?;
        let names = tools.iter().map(|tool| tool.tool_name.as_str()).collect();
        read_judgements(folder, &mut queries, &names)?;
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

    /// Returns the number of domains of the tools.
    pub(crate) fn domains(&self) -> usize {
        self.tools.iter().map(|tool| &tool.domain).collect::<BTreeSet<_>>().len()
    }
}

impl Query {
    /// Returns the relevance at each place. A name counts once: found again, in another domain, it is no
    /// gain.
    pub(crate) fn gains<'a>(&self, found: impl IntoIterator<Item = &'a ToolId>) -> Vec<u32> {
        let mut left: HashMap<&str, u32> =
            self.relevant.iter().map(|(name, relevance)| (name.as_str(), *relevance)).collect();
        found.into_iter().map(|tool| left.remove(tool.tool_name.as_str()).unwrap_or(0)).collect()
    }

    /// Returns the relevances of all relevant tools.
    pub(crate) fn relevances(&self) -> Vec<u32> {
        self.relevant.iter().map(|(_, relevance)| *relevance).collect()
    }
}

impl Sample {
    /// Draws from the queries, by their ids and not by their order in the files.
    pub(crate) fn of(self, mut queries: Vec<Query>) -> Vec<Query> {
        let Some(count) = self.queries_max.filter(|&count| count < queries.len()) else {
            return queries;
        };
        queries.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        let drawn = Random::new(self.seed).sample(count, queries.len());
        drawn.into_iter().map(|index| queries[index].clone()).collect()
    }
}

/// Returns the name of a set: that of its folder.
pub(crate) fn name_of(folder: &Path) -> String {
    // For `.` and the like, which have none themselves.
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    folder.file_name().map_or_else(|| "set".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// Reads the queries of a set, without judgements.
pub(crate) fn read_queries(folder: &Path) -> Result<Vec<Query>, Fault> {
    let mut queries = Vec::new();
    let mut ids = HashSet::new();
    for file in matching_files(folder, "queries", "jsonl")? {
        for_each_line(&file, |_, line| {
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
    let files = matching_files(folder, "tools", "jsonl")?;
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
    for_each_line(file, |number, line| {
        let tool: Tool = decode(line.as_bytes())?;
        check(&tool, &tenant)?;
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

/// Reads the relevance judgements into the queries.
fn read_judgements(folder: &Path, queries: &mut [Query], names: &HashSet<&str>) -> Result<(), Fault> {
    let by_id: HashMap<String, usize> =
        queries.iter().enumerate().map(|(index, query)| (query.id.clone(), index)).collect();
    for file in matching_files(folder, "qrels", "tsv")? {
        for_each_line(&file, |_, line| {
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

/// Checks a tool as the workers will; a rejected one would be missing from the results.
fn check(tool: &Tool, tenant: &Tenant) -> Result<(), Fault> {
    let key =
        ToolKey { tenant: tenant.clone(), domain: tool.domain.clone(), tool_name: tool.tool_name.clone() };
    let event = encode(&ToolEvent::Registered { tool: Box::new(tool.clone()) });
    ToolEvent::decode(&subjects::tools(&key), &event).map(drop).map_err(|fault| {
        // The workers see the event around the tool; the reader of this fault sees the tool.
        let inside = fault.pointer.as_ref().and_then(|pointer| pointer.strip_prefix("/tool"));
        let pointer = inside.map(str::to_owned).or_else(|| fault.pointer.clone());
        Fault { pointer, ..fault }
    })
}

#[cfg(test)]
mod tests;
