//! Asking for the right tools, and the answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Domain, Explanation, Fault, Predicate, SearchExplanation, Tenant, Tool, ToolId, ToolName, ToolType,
    limits::{
        BUDGET_TOKENS_MAX, EXCLUDE_ENTRIES_MAX, LABEL_BYTES_MAX, LIST_ENTRIES_MAX, QUERY_BYTES_MAX,
        TOP_K_DEFAULT, TOP_K_MAX, WAIT_MS_MAX,
    },
    tool::check_list,
};

/// A request on `search.v1.<tenant>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchRequest {
    /// The agent's intent, in its own words; not blank, at most 8 KiB of UTF-8.
    #[schemars(length(min = 1, max = QUERY_BYTES_MAX))]
    pub query: String,
    /// The most results to return, 1 to 100; 10 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = TOP_K_MAX), extend("default" = TOP_K_DEFAULT))]
    pub top_k: Option<u32>,
    /// The domain to look in first; with fewer than three good matches there, the whole tenant is searched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<Domain>,
    /// Only tools of these types.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_types: Vec<ToolType>,
    /// Only tools with at least one of these tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = LIST_ENTRIES_MAX), inner(length(min = 1, max = LABEL_BYTES_MAX)))]
    pub tags: Vec<String>,
    /// Roles of the caller; they open tools that have `allowed_roles`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = LIST_ENTRIES_MAX), inner(length(min = 1, max = LABEL_BYTES_MAX)))]
    pub roles: Vec<String>,
    /// Tools that must not be in the answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = EXCLUDE_ENTRIES_MAX))]
    pub exclude: Vec<ToolId>,
    /// Answer only from this catalog version or a later one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_version: Option<u64>,
    /// Answer only once this revision (the sequence of a publish ack) is searchable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_revision: Option<u64>,
    /// The time to wait for `min_version` or `min_revision`, in milliseconds, at most 30,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = WAIT_MS_MAX))]
    pub wait_ms: Option<u64>,
    /// The detail in which each tool is returned.
    #[serde(default)]
    pub detail: Detail,
    /// Also give the tools ready-made for this vendor's interface, in `shaped` of the reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<Shape>,
    /// The token budget of the tools, 1 to 1,000,000: the best that fit are returned, and `budget` of the
    /// reply names those that did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = BUDGET_TOKENS_MAX))]
    pub budget_tokens: Option<u32>,
    /// Whether to say why each result stands where it stands.
    #[serde(default)]
    pub explain: bool,
}

impl SearchRequest {
    /// Returns a request with the defaults.
    pub fn new(query: impl Into<String>) -> Self {
        Self {
            query: query.into(),
            top_k: None,
            domain: None,
            tool_types: Vec::new(),
            tags: Vec::new(),
            roles: Vec::new(),
            exclude: Vec::new(),
            min_version: None,
            min_revision: None,
            wait_ms: None,
            detail: Detail::default(),
            shape: None,
            budget_tokens: None,
            explain: false,
        }
    }

    /// Checks the rules that the types do not hold.
    pub fn validate(&self) -> Result<(), Fault> {
        if self.query.trim().is_empty() {
            return Err(
                Fault::bad("/query", "query must not be empty").hint("say what the agent wants to do")
            );
        }
        if self.query.len() > QUERY_BYTES_MAX {
            let message =
                format!("query is {} bytes long, at most {QUERY_BYTES_MAX} are allowed", self.query.len());
            return Err(Fault::bad("/query", message).hint("send the request, not the conversation"));
        }
        if self.top_k.is_some_and(|top_k| !(1..=TOP_K_MAX).contains(&top_k)) {
            return Err(Fault::bad("/top_k", format!("top_k must be 1 to {TOP_K_MAX}"))
                .hint(format!("leave it out for {TOP_K_DEFAULT}")));
        }
        if self.wait_ms.is_some_and(|wait_ms| wait_ms > WAIT_MS_MAX) {
            return Err(Fault::bad("/wait_ms", format!("wait_ms must be at most {WAIT_MS_MAX}"))
                .hint("ask again when it answers 409"));
        }
        if self.budget_tokens.is_some_and(|tokens| !(1..=BUDGET_TOKENS_MAX).contains(&tokens)) {
            return Err(Fault::bad(
                "/budget_tokens",
                format!("budget_tokens must be 1 to {BUDGET_TOKENS_MAX}"),
            )
            .hint("leave it out where no prompt limits the answer"));
        }
        for (field, list) in [("tags", &self.tags), ("roles", &self.roles)] {
            check_list("", field, list, LABEL_BYTES_MAX)?;
        }
        if self.exclude.len() > EXCLUDE_ENTRIES_MAX {
            return Err(Fault::bad(
                "/exclude",
                format!(
                    "exclude has {} entries, at most {EXCLUDE_ENTRIES_MAX} are allowed",
                    self.exclude.len()
                ),
            )
            .hint("exclude what the agent used last, and filter the rest out of the answer"));
        }
        Ok(())
    }

    /// Returns the number of results asked for.
    pub fn top_k(&self) -> usize {
        self.top_k.unwrap_or(TOP_K_DEFAULT) as usize
    }

    /// Returns the predicate of the request over the whole tenant: `domain` is where to look first, not a
    /// limit.
    pub fn predicate(&self, tenant: Tenant) -> Predicate {
        Predicate {
            tenant,
            domain: None,
            tool_types: self.tool_types.iter().copied().collect(),
            tags: self.tags.iter().cloned().collect(),
            roles: self.roles.iter().cloned().collect(),
            exclude: self.exclude.iter().cloned().collect(),
        }
    }
}

/// The detail in which a reply carries each tool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// Names and scores.
    Name,
    /// Also the description.
    #[default]
    Summary,
    /// Also the whole tool, with its parameters.
    Schema,
}

/// The form in which a model's vendor takes tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// `tool_reference` content blocks of Anthropic's Messages API: names only.
    AnthropicToolReference,
    /// Tool definitions of Anthropic's Messages API.
    AnthropicTool,
    /// Function definitions of OpenAI's Chat Completions API.
    OpenaiFunction,
    /// `Tool` objects of the Model Context Protocol.
    McpTool,
}

/// The answer to a search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchReply {
    /// Id of this answer in logs and traces.
    pub search_id: String,
    /// The relevance decision.
    pub status: SearchStatus,
    /// The probability that something fits, 0 to 1, calibrated for the catalog; absent where the relevance
    /// decision could not be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f32>,
    /// The tools found, best first.
    pub results: Vec<SearchResult>,
    /// The results in the form asked for with `shape`, in the order of `results`, one for each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shaped: Vec<Value>,
    /// The use of the token budget, with `budget_tokens`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// Every change up to this version of INDEXED is in the answer.
    pub catalog_version: u64,
    /// Age of the oldest change in INDEXED that this worker has not applied yet, in milliseconds; 0 when
    /// caught up.
    pub lag_ms: u64,
    /// Name of the ranking configuration.
    pub ranker: String,
    /// The source of the answer: computed, or cached.
    pub served_from: ServedFrom,
    /// Dependencies that should have taken part and could not; empty when all is well.
    pub degraded: Vec<String>,
    /// The domain that was searched, and the strategy.
    pub routed: Routed,
    /// The explanation of the answer, with `explain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explain: Option<SearchExplanation>,
    /// Time from request to reply inside the worker, in milliseconds.
    pub took_ms: f64,
}

/// One found tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchResult {
    /// Its id, to get it by.
    pub tool_id: ToolId,
    /// Its name.
    pub tool_name: ToolName,
    /// Its domain, which is its shard.
    pub domain: Domain,
    /// The kind of runtime that runs it.
    pub tool_type: ToolType,
    /// Its description; empty with `detail = name`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Its score: higher is better; comparable within one reply only.
    pub score: f32,
    /// The whole tool, with `detail = schema`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<Tool>,
    /// The explanation of its rank, with `explain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explain: Option<Explanation>,
}

/// The use of the token budget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Budget {
    /// The request's `budget_tokens`.
    pub tokens_max: u32,
    /// Estimated tokens of what is returned.
    pub tokens_used: u32,
    /// Tools that were found and did not fit, best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cut: Vec<CutTool>,
}

/// A tool that did not fit into the budget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CutTool {
    /// Its id, to get it by.
    pub tool_id: ToolId,
    /// Estimated tokens it would have taken.
    pub tokens: u32,
}

/// The relevance decision of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SearchStatus {
    /// Some result is likely right.
    Matched,
    /// Nothing in the catalog seems to fit; the results are the nearest there are.
    NothingRelevant,
    /// No decision: the dependencies that it needs are down.
    CannotSay,
}

/// The source of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServedFrom {
    /// Computed for this request.
    Index,
    /// Cached from an equal request on the same catalog.
    Cache,
}

/// The domain that was searched, and the strategy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Routed {
    /// The domain that was searched first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<Domain>,
    /// The one that chose it.
    pub by: RoutedBy,
    /// The confidence in the choice, 0 to 1; absent where nobody had to choose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f32>,
    /// Whether the domain had too few good matches, so that the whole tenant was searched.
    pub fell_back: bool,
    /// The strategy of a search.
    pub strategy: Strategy,
}

/// The one that chose the domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoutedBy {
    /// The caller.
    Hint,
    /// Words of the query.
    Keywords,
    /// The nearest domain centroid.
    Centroid,
    /// A language model.
    Llm,
    /// None was chosen: the whole tenant was searched.
    None,
}

/// The strategy of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Both arms.
    Hybrid,
    /// So few candidates that all are returned.
    All,
    /// BM25 only, because the dense arm is down.
    Lexical,
    /// Vectors only, because the lexical arm is down.
    Dense,
}
