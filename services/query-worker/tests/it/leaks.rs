//! Nobody learns of a tool that is not theirs: not from results, counts, explanations, facets or cached
//! replies.

use std::collections::BTreeMap;

use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use serde_json::json;
use toolweaver_contracts::{
    Detail, Domain, DomainsReply, DomainsRequest, ErrorCode, Predicate, SearchReply, SearchRequest,
    ServedFrom, Tool, subjects,
};

use crate::support::{Rig, key, tool};

const SEED: u64 = 20_261_124;
/// Tenants with a few tools each.
const TENANTS: usize = 1_000;
/// Tools of the one tenant that is large enough to be ranked and routed.
const LARGE: usize = 400;
const REQUESTS: usize = 1_000;

const WORDS: [&str; 8] =
    ["invoice", "weather", "deploy", "ticket", "refund", "forecast", "cluster", "payroll"];
const DOMAINS: [&str; 3] = ["billing", "ops", "climate"];
const ROLES: [&str; 3] = ["admin", "auditor", "developer"];
const TAGS: [&str; 3] = ["red", "green", "blue"];
const TYPES: [&str; 2] = ["function", "mcp_worker"];

fn some(random: &mut StdRng, of: &[&str], likely: f64) -> Vec<String> {
    of.iter().filter(|_| random.random_bool(likely)).map(|one| (*one).to_owned()).collect()
}

fn random_tool(random: &mut StdRng, number: usize) -> Tool {
    let (first, second) =
        (WORDS.choose(random).expect("one of several"), WORDS.choose(random).expect("one of several"));
    let more = json!({
        "allowed_roles": some(random, &ROLES, 0.25),
        "tags": some(random, &TAGS, 0.3),
        "tool_type": TYPES.choose(random).expect("one of several"),
    });
    let description = format!("Handles the {first} of a {second}. Secret word w{number}.");
    tool(&format!("{first}_{number}"), DOMAINS.choose(random).expect("one of several"), &description, more)
}

fn random_request(random: &mut StdRng, tools: usize) -> SearchRequest {
    let number = random.random_range(0..tools);
    let query = match random.random_range(0..4) {
        0 => format!("{}_{number}", WORDS.choose(random).expect("one of several")),
        1 => format!("secret word w{number}"),
        2 => format!(
            "{} for {}",
            WORDS.choose(random).expect("one of several"),
            DOMAINS.choose(random).expect("one of several")
        ),
        _ => format!(
            "the {} please. Then a {} too",
            WORDS.choose(random).expect("one of several"),
            WORDS.choose(random).expect("one of several")
        ),
    };
    let id = format!(
        "{}.{}_{number}",
        DOMAINS.choose(random).expect("one of several"),
        WORDS.choose(random).expect("one of several")
    );
    SearchRequest {
        top_k: random.random_bool(0.5).then(|| random.random_range(1..100)),
        domain: random
            .random_bool(0.3)
            .then(|| DOMAINS.choose(random).expect("one of several").parse().expect("a valid name")),
        tool_types: if random.random_bool(0.3) {
            vec![serde_json::from_value(json!("function")).expect("a valid value")]
        } else {
            vec![]
        },
        tags: if random.random_bool(0.3) { some(random, &TAGS, 0.5) } else { vec![] },
        roles: some(random, &ROLES, 0.3),
        exclude: if random.random_bool(0.3) { vec![id.parse().expect("a valid name")] } else { vec![] },
        detail: if random.random_bool(0.5) { Detail::Schema } else { Detail::Summary },
        explain: random.random_bool(0.7),
        ..SearchRequest::new(query)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_random_callers_see_only_what_is_theirs() {
    println!("seed {SEED}");
    let mut random = StdRng::seed_from_u64(SEED);
    let rig = Rig::start().await;
    let mut catalogs: BTreeMap<String, Vec<Tool>> = BTreeMap::new();
    catalogs.insert("large".to_owned(), (0..LARGE).map(|number| random_tool(&mut random, number)).collect());
    for tenant in 0..TENANTS {
        let tools = (0..3).map(|number| random_tool(&mut random, number)).collect();
        catalogs.insert(format!("tenant-{tenant}"), tools);
    }
    let (mut version, mut revision) = (0, 0);
    for (tenant, tools) in &catalogs {
        for tool in tools {
            revision += 1;
            version = rig.index(tenant, tool, revision).await;
        }
    }
    rig.applied(version).await;

    let mut from_cache = 0;
    for number in 0..REQUESTS {
        let tenant =
            if number % 2 == 0 { "large".to_owned() } else { format!("tenant-{}", number % TENANTS) };
        let tools = &catalogs[&tenant];
        let request = random_request(&mut random, tools.len());
        let predicate = request.predicate(tenant.parse().expect("a valid name"));
        let computed = rig.search(&tenant, &request).await;
        check(&computed, &request, &predicate, &tenant, tools);
        // The same question from somebody else must not be answered from this one's memory.
        let other = SearchRequest { roles: some(&mut random, &ROLES, 0.5), ..request.clone() };
        let reply = rig.search(&tenant, &other).await;
        from_cache += usize::from(reply.served_from == ServedFrom::Cache);
        check(&reply, &other, &other.predicate(tenant.parse().expect("a valid name")), &tenant, tools);
        if number % 10 == 0 {
            check_lookups(&rig, &request, &tenant, tools).await;
        }
    }
    println!("{from_cache} of {REQUESTS} second questions were answered from memory");
}

/// Every tool, number and domain in a reply is one that its caller may know.
fn check(reply: &SearchReply, request: &SearchRequest, predicate: &Predicate, tenant: &str, tools: &[Tool]) {
    let admitted: Vec<&Tool> =
        tools.iter().filter(|tool| predicate.admits(&key(tenant, tool), tool)).collect();
    let place = || format!("{tenant}: {request:?}");
    for result in &reply.results {
        let is_theirs = admitted.iter().any(|tool| key(tenant, tool).tool_id() == result.tool_id);
        assert!(is_theirs, "{} is not theirs; {}", result.tool_id, place());
        assert!(result.tool.as_ref().is_none_or(|shown| admitted.contains(&shown)), "{}", place());
    }
    let public =
        |domain: &Domain| tools.iter().any(|tool| tool.domain == *domain && tool.allowed_roles.is_empty());
    if let Some(domain) =
        reply.routed.domain.as_ref().filter(|domain| request.domain.as_ref() != Some(domain))
    {
        assert!(public(domain), "{domain} was chosen by what is hidden; {}", place());
    }
    let Some(explain) = &reply.explain else { return };
    for route in explain.routes.iter().filter(|route| request.domain.as_ref() != Some(&route.domain)) {
        assert!(public(&route.domain), "{} tells of what is hidden; {}", route.domain, place());
    }
    let searched =
        |tool: &&&Tool| explain.filters.domain.as_ref().is_none_or(|domain| *domain == tool.domain);
    let candidates: Vec<_> = admitted.iter().filter(searched).collect();
    assert_eq!(explain.filters.candidates, candidates.len() as u64, "{}", place());
    for term in &explain.terms {
        assert!(term.documents <= candidates.len() as u64, "{term:?}; {}", place());
        // Each tool has a word of its own: it counts exactly where its tool may be seen.
        if let Some(number) = term.term.strip_prefix('w').and_then(|number| number.parse::<usize>().ok()) {
            let holds = |tool: &Tool| tool.description.contains(&format!(" w{number}."));
            let expected = candidates.iter().filter(|tool| holds(tool)).count() as u64;
            assert_eq!(term.documents, expected, "{term:?}; {}", place());
        }
    }
}

async fn check_lookups(rig: &Rig, request: &SearchRequest, tenant: &str, tools: &[Tool]) {
    let sees = |tool: &&Tool| {
        Predicate::tenant(tenant.parse().expect("a valid name"))
            .with_roles(request.roles.clone())
            .admits(&key(tenant, tool), tool)
    };
    let domains: DomainsReply = rig
        .ask(&format!("domains.v1.{tenant}"), &DomainsRequest { roles: request.roles.clone() })
        .await
        .expect("domains");
    assert_eq!(domains.tools, tools.iter().filter(sees).count() as u64);
    assert_eq!(subjects::domains(&tenant.parse().expect("a valid name")), format!("domains.v1.{tenant}"));
    let roles: Vec<&str> = request.roles.iter().map(String::as_str).collect();
    for tool in tools.iter().take(5) {
        let got = rig.get(tenant, &key(tenant, tool).tool_id().to_string(), &roles).await;
        match got {
            Ok(got) => assert!(sees(&tool) && got.tool == *tool),
            Err(fault) => assert!(!sees(&tool) && fault.code == ErrorCode::NotFound),
        }
    }
}
