//! `search`, `get` and `domains`: questions to the query workers, and their answers as tables.

use std::time::{Duration, Instant};

use toolweaver_contracts::{
    Budget, DomainsReply, DomainsRequest, Fault, GetReply, GetRequest, SearchReply, SearchRequest,
    SearchResult, SearchStatus, Tool, subjects,
};

use crate::{
    cli::{Common, DetailName, DomainsArgs, GetArgs, SearchArgs},
    client::{ANSWER_TIMEOUT, Client},
    data_dir::DataDir,
    exit::Exit,
    output::{Output, note, shortened, table},
};

/// Characters of a description in a table.
const DESCRIPTION_SHOWN: usize = 200;

/// `search QUERY...`.
pub(crate) async fn search(args: SearchArgs, common: &Common) -> Result<Exit, Fault> {
    let client = Client::connect(&args.connection, &DataDir::new(common.data_dir.as_deref())?).await?;
    let detail = args.detail;
    let request = request_of(args);
    request.validate()?;
    let within = ANSWER_TIMEOUT + Duration::from_millis(request.wait_ms.unwrap_or(0));
    let begin = Instant::now();
    let reply: SearchReply = client.ask(&subjects::search(&client.tenant), &request, within).await?;
    let round_trip = begin.elapsed();
    if request.shape.is_some() && !common.json {
        // Only the array on stdout, ready to be put into a request.
        Output { json: true }.result(&reply.shaped, String::new);
        for remark in remarks(&reply) {
            note(&remark);
        }
    } else {
        Output { json: common.json }.result(&reply, || found(&reply, detail, round_trip));
    }
    Ok(match reply.status {
        SearchStatus::Matched => Exit::Done,
        SearchStatus::NothingRelevant => Exit::NotFound,
        SearchStatus::CannotSay => Exit::Unavailable,
    })
}

/// `get TOOL_ID`.
pub(crate) async fn get(args: GetArgs, common: &Common) -> Result<Exit, Fault> {
    let client = Client::connect(&args.connection, &DataDir::new(common.data_dir.as_deref())?).await?;
    let request = GetRequest { tool_id: args.tool_id, roles: args.roles };
    let reply: GetReply = client.ask(&subjects::get(&client.tenant), &request, ANSWER_TIMEOUT).await?;
    Output { json: common.json }.result(&reply, || shown(&reply));
    Ok(Exit::Done)
}

/// `domains`.
pub(crate) async fn domains(args: DomainsArgs, common: &Common) -> Result<Exit, Fault> {
    let client = Client::connect(&args.connection, &DataDir::new(common.data_dir.as_deref())?).await?;
    let request = DomainsRequest { roles: args.roles };
    let reply: DomainsReply =
        client.ask(&subjects::domains(&client.tenant), &request, ANSWER_TIMEOUT).await?;
    Output { json: common.json }.result(&reply, || {
        let mut rows = table(["domain", "tools"]);
        for count in &reply.domains {
            rows.add_row([count.domain.to_string(), count.tools.to_string()]);
        }
        format!("{rows}\n{} tools, catalogue version {}", reply.tools, reply.catalog_version)
    });
    Ok(Exit::Done)
}

fn request_of(args: SearchArgs) -> SearchRequest {
    SearchRequest {
        query: args.query.join(" "),
        top_k: args.top_k.map(Into::into),
        domain: args.domain,
        tool_types: args.types.into_iter().map(Into::into).collect(),
        tags: args.tags,
        roles: args.roles,
        exclude: args.exclude,
        min_version: args.min_version,
        min_revision: None,
        wait_ms: args.wait_ms,
        detail: args.detail.into(),
        shape: args.shape.map(Into::into),
        budget_tokens: args.budget_tokens.map(Into::into),
        explain: args.explain,
    }
}

fn found(reply: &SearchReply, detail: DetailName, round_trip: Duration) -> String {
    let mut rows = table(["", "tool", "score", "what it does"]);
    for (place, result) in (1..).zip(&reply.results) {
        let place: u32 = place;
        let what = [Some(words(result, detail)), explained(result)].into_iter().flatten().collect::<Vec<_>>();
        rows.add_row([
            place.to_string(),
            result.tool_id.to_string(),
            format!("{:.3}", result.score),
            what.join("\n"),
        ]);
    }
    let mut lines = if reply.results.is_empty() { Vec::new() } else { vec![rows.to_string()] };
    lines.extend(remarks(reply));
    lines.push(format!(
        "{} found in {:.1} ms ({:.1} ms in the worker), catalogue version {}, {}",
        reply.results.len(),
        round_trip.as_secs_f64() * 1_000.0,
        reply.took_ms,
        reply.catalog_version,
        reply.ranker
    ));
    lines.join("\n")
}

/// What there is to say about an answer beside its tools.
fn remarks(reply: &SearchReply) -> Vec<String> {
    let is_empty =
        reply.results.is_empty() && reply.budget.as_ref().is_none_or(|budget| budget.cut.is_empty());
    let verdict = match reply.status {
        SearchStatus::Matched => None,
        SearchStatus::NothingRelevant if is_empty => Some("nothing found"),
        SearchStatus::NothingRelevant => Some("nothing seems to fit; these are the nearest"),
        SearchStatus::CannotSay => Some("cannot say: too many parts are down, see `toolweaver doctor`"),
    };
    let without = (!reply.degraded.is_empty()).then(|| format!("without: {}", reply.degraded.join(", ")));
    let parts = [verdict.map(str::to_owned), reply.budget.as_ref().map(spent), without];
    parts.into_iter().flatten().collect()
}

/// What a prompt was spent on, and what did not fit.
fn spent(budget: &Budget) -> String {
    let spent = format!("about {} of {} tokens", budget.tokens_used, budget.tokens_max);
    if budget.cut.is_empty() {
        return spent;
    }
    let cut = budget.cut.iter().map(|cut| format!("{} ({})", cut.tool_id, cut.tokens));
    format!("{spent}; no room for {}", cut.collect::<Vec<_>>().join(", "))
}

fn words(result: &SearchResult, detail: DetailName) -> String {
    match (detail, &result.tool) {
        (DetailName::Schema, Some(tool)) => format!("{}\n{}", tool.description, arguments(tool)),
        _ => shortened(&result.description, DESCRIPTION_SHOWN),
    }
}

/// Why a result stands where it stands, in words; none where nobody asked for it.
fn explained(result: &SearchResult) -> Option<String> {
    let explanation = result.explain.as_ref()?;
    let arm = |name: &str, score: Option<toolweaver_contracts::ArmScore>| match score {
        Some(score) => format!("{name} #{} ({:.3})", score.rank, score.score),
        None => format!("{name} -"),
    };
    let mut parts = vec![arm("words", explanation.lexical), arm("meaning", explanation.dense)];
    if explanation.exact_name {
        parts.push("its name is in the query".to_owned());
    }
    Some(parts.join(", "))
}

fn shown(reply: &GetReply) -> String {
    let tool = &reply.tool;
    let mut rows = table(["", &reply.tool_id.to_string()]);
    let mut row = |name: &str, value: &str| {
        if !value.is_empty() {
            rows.add_row([name, value]);
        }
    };
    row("type", tool.tool_type.as_str());
    row("description", &tool.description);
    row("version", tool.version.as_deref().unwrap_or_default());
    row("last updated", tool.last_updated.as_deref().unwrap_or_default());
    row("publisher", tool.publisher.as_deref().unwrap_or_default());
    row("tags", &tool.tags.join(", "));
    row("for roles", &tool.allowed_roles.join(", "));
    row("examples", &tool.examples.join("\n"));
    row("arguments", &arguments(tool));
    row("revision", &reply.revision.to_string());
    rows.to_string()
}

/// The arguments of a tool, one a line; the whole schema is in `--json`.
fn arguments(tool: &Tool) -> String {
    let names = |field| tool.parameters.get(field);
    let required: Vec<&str> = names("required")
        .and_then(|list| list.as_array())
        .into_iter()
        .flatten()
        .filter_map(|name| name.as_str())
        .collect();
    let properties = names("properties").and_then(|properties| properties.as_object());
    let lines = properties.into_iter().flatten().map(|(name, schema)| {
        let kind = schema.get("type").map(|kind| kind.to_string().replace('"', "")).unwrap_or_default();
        let mark = if required.contains(&name.as_str()) { "required" } else { "" };
        let description = schema.get("description").and_then(|text| text.as_str()).unwrap_or_default();
        let parts = [name.as_str(), &kind, mark, &shortened(description, DESCRIPTION_SHOWN)];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ")
    });
    lines.collect::<Vec<_>>().join("\n")
}
