//! `search`: the tools for a query, as a table or ready-made for a vendor's interface.

use std::time::{Duration, Instant};

use clap::{Args, value_parser};
use toolweaver_contracts::{
    Budget, Domain, Fault, SearchReply, SearchRequest, SearchResult, SearchStatus, ToolId,
    limits::{BUDGET_TOKENS_MAX, TOP_K_MAX, WAIT_MS_MAX},
    subjects,
};

use crate::{
    client::{ANSWER_TIMEOUT, Client, empty_catalog, is_catalog_empty},
    data_dir::DataDir,
    options::{Common, Connection, DetailName, ShapeName, TypeName},
    terminal::{Column, Exit, Output, arguments, explained, note, shortened, table},
};

/// Characters of a description in a table.
const DESCRIPTION_SHOWN: usize = 200;

#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    /// Task of the agent, in its own words
    #[arg(required = true)]
    query: Vec<String>,

    /// Results at most
    #[arg(long, short = 'k', value_name = "COUNT", value_parser = value_parser!(u32).range(1..=i64::from(TOP_K_MAX)))]
    top_k: Option<u32>,

    /// Look in this domain first
    #[arg(long)]
    domain: Option<Domain>,

    /// Only tools with one of these tags
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,

    /// Roles of the caller
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,

    /// Only tools of these types
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<TypeName>,

    /// Never these tools
    #[arg(long, value_name = "TOOL_ID")]
    exclude: Vec<ToolId>,

    /// Level of detail of each tool
    #[arg(long, value_enum, default_value_t = DetailName::Summary)]
    detail: DetailName,

    /// Print the tools ready-made for this interface, as a JSON array (with --json: in `shaped` of the reply)
    #[arg(long, value_enum, value_name = "NAME")]
    shape: Option<ShapeName>,

    /// Keep the best tools that fit into so many tokens of a prompt
    #[arg(long, value_name = "COUNT", value_parser = value_parser!(u32).range(1..=i64::from(BUDGET_TOKENS_MAX)))]
    budget_tokens: Option<u32>,

    /// Say why each tool stands where it stands
    #[arg(long)]
    explain: bool,

    /// Answer from this catalog version or a later one
    #[arg(long, value_name = "VERSION")]
    min_version: Option<u64>,

    /// Wait so long for the version
    #[arg(long, value_name = "MILLISECONDS", value_parser = value_parser!(u64).range(..=WAIT_MS_MAX))]
    wait_ms: Option<u64>,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

impl SearchArgs {
    fn request(&self) -> SearchRequest {
        SearchRequest {
            query: self.query.join(" "),
            top_k: self.top_k,
            domain: self.domain.clone(),
            tool_types: self.types.iter().copied().map(Into::into).collect(),
            tags: self.tags.clone(),
            roles: self.roles.clone(),
            exclude: self.exclude.clone(),
            min_version: self.min_version,
            min_revision: None,
            wait_ms: self.wait_ms,
            detail: self.detail.into(),
            shape: self.shape.map(Into::into),
            budget_tokens: self.budget_tokens,
            explain: self.explain,
        }
    }
}

/// Runs `search QUERY...`.
pub(crate) async fn search(args: SearchArgs, common: &Common) -> Result<Exit, Fault> {
    let request = args.request();
    // Before connecting: a request that every worker would refuse needs no way over NATS.
    request.validate()?;
    let client = Client::connect(&args.connection, &DataDir::new(common.data_dir.as_deref())?).await?;
    let within = ANSWER_TIMEOUT + Duration::from_millis(request.wait_ms.unwrap_or(0));
    let begin = Instant::now();
    let reply: SearchReply = client.ask(&subjects::search(&client.tenant), &request, within).await?;
    let round_trip = begin.elapsed();
    let output = Output { json: common.json };
    if common.json {
        output.result(&reply, String::new)?;
    } else {
        let is_empty = has_found_nothing(&reply) && is_catalog_empty(&client, request.roles.clone()).await;
        let remarks =
            if is_empty { vec![empty_catalog(&client.tenant, &request.roles)] } else { remarks(&reply) };
        if request.shape.is_some() {
            // Only the array on stdout, ready to be put into a request.
            Output { json: true }.result(&reply.shaped, String::new)?;
            for remark in &remarks {
                note(remark);
            }
        } else {
            output.result(&reply, || found(&reply, args.detail, &remarks, round_trip))?;
        }
    }
    Ok(match reply.status {
        SearchStatus::Matched => Exit::Done,
        SearchStatus::NothingRelevant => Exit::NotFound,
        SearchStatus::CannotSay => Exit::Unavailable,
    })
}

fn found(reply: &SearchReply, detail: DetailName, remarks: &[String], round_trip: Duration) -> String {
    let columns =
        [Column::whole(""), Column::whole("score"), Column::whole("tool"), Column::text("description")];
    let mut rows = table(columns);
    for (place, result) in (1..).zip(&reply.results) {
        let place: u32 = place;
        let lines = [Some(description(result, detail)), explained(result)];
        rows.add_row([
            place.to_string(),
            format!("{:.3}", result.score),
            result.tool_id.to_string(),
            lines.into_iter().flatten().collect::<Vec<_>>().join("\n"),
        ]);
    }
    let mut lines = if reply.results.is_empty() { Vec::new() } else { vec![format!("{rows}\n")] };
    lines.extend_from_slice(remarks);
    lines.push(format!(
        "{} found in {:.1} ms ({:.1} ms in the worker), catalog version {}, {}",
        reply.results.len(),
        round_trip.as_secs_f64() * 1_000.0,
        reply.took_ms,
        reply.catalog_version,
        reply.ranker
    ));
    lines.join("\n")
}

/// Returns the remarks about a reply, beside its tools.
fn remarks(reply: &SearchReply) -> Vec<String> {
    let decision = match reply.status {
        SearchStatus::Matched => None,
        SearchStatus::NothingRelevant if has_found_nothing(reply) => Some("nothing found"),
        SearchStatus::NothingRelevant => Some("nothing seems to fit; these are the nearest"),
        SearchStatus::CannotSay => {
            Some("cannot say: too many dependencies are down, see `toolweaver doctor`")
        }
    };
    let without = (!reply.degraded.is_empty()).then(|| format!("without: {}", reply.degraded.join(", ")));
    let remarks = [decision.map(str::to_owned), reply.budget.as_ref().map(spent), without];
    remarks.into_iter().flatten().collect()
}

/// Returns whether nothing was found, not even a tool that did not fit into the budget.
fn has_found_nothing(reply: &SearchReply) -> bool {
    reply.status == SearchStatus::NothingRelevant
        && reply.results.is_empty()
        && reply.budget.as_ref().is_none_or(|budget| budget.cut.is_empty())
}

/// Returns the use of a token budget, and the tools that did not fit.
fn spent(budget: &Budget) -> String {
    let spent = format!("about {} of {} tokens", budget.tokens_used, budget.tokens_max);
    if budget.cut.is_empty() {
        return spent;
    }
    let cut = budget.cut.iter().map(|cut| format!("{} ({})", cut.tool_id, cut.tokens));
    format!("{spent}; no room for {}", cut.collect::<Vec<_>>().join(", "))
}

fn description(result: &SearchResult, detail: DetailName) -> String {
    match (detail, &result.tool) {
        (DetailName::Schema, Some(tool)) => format!("{}\n{}", tool.description, arguments(tool)),
        _ => shortened(&result.description, DESCRIPTION_SHOWN),
    }
}
