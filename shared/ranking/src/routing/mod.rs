//! Routing: the domain that a request is about, where its caller does not say.
//!
//! Each domain lays claim to a request by how near its tools are, every sampled tool being a centroid of its
//! own: broad domains (a whole cloud) have no single centre that would tell them apart. With *m* members of
//! which *S* are sampled,
//!
//! ```text
//! claim(domain) = k · m / |S| · Σ_S exp(cos(request, tool) / 0.04)     k = 4 for a named domain, else 1
//! confidence    = claim / Σ claims
//! ```
//! A route is taken only when it is nearly certain: a wrong one hides the right tool, none costs a wider
//! search.

mod samples;

use toolweaver_contracts::{Domain, RouteCandidate, RoutedBy, Tenant, identifiers};

pub use self::samples::{DomainSample, Samples};
use crate::{
    cosine,
    parameters::{ROUTE_DISAGREEMENT_DIVISOR, ROUTE_NAMED_FACTOR, ROUTE_TEMPERATURE, ROUTE_TOOLS_MIN},
};

/// Number of candidates that an explanation shows.
const CANDIDATES_SHOWN: usize = 3;

/// Returns the route that the caller has asked for.
pub fn hinted(domain: &Domain) -> Vec<RouteCandidate> {
    vec![RouteCandidate { domain: domain.clone(), by: RoutedBy::Hint, confidence: 1.0 }]
}

/// Returns the most likely domains, the most likely first. A tenant with a single one needs no route.
pub fn candidates(samples: &Samples, tenant: &Tenant, query: &str, vector: &[f32]) -> Vec<RouteCandidate> {
    let words: Vec<String> = identifiers::split(query).into_iter().map(str::to_lowercase).collect();
    let mut claims: Vec<(Domain, bool, f32)> = samples
        .of(tenant)
        .map(|(domain, sample)| {
            let near =
                sample.vectors().map(|(_, tool)| ((cosine(vector, tool) - 1.0) / ROUTE_TEMPERATURE).exp());
            let per_tool = near.sum::<f32>() / sample.vectors().len().max(1) as f32;
            let named = is_named(domain, &words);
            let factor = if named { ROUTE_NAMED_FACTOR } else { 1.0 };
            (domain.clone(), named, factor * sample.tools() as f32 * per_tool)
        })
        .collect();
    let all: f32 = claims.iter().map(|(_, _, claim)| claim).sum();
    claims.sort_by(|a, b| b.2.total_cmp(&a.2).then_with(|| a.0.cmp(&b.0)));
    let is_small = |domain: &Domain| samples.tools(tenant, domain) < ROUTE_TOOLS_MIN;
    if claims.len() < 2 || all <= 0.0 || is_small(&claims[0].0) {
        return Vec::new();
    }
    claims.truncate(CANDIDATES_SHOWN);
    let candidates = claims.into_iter().map(|(domain, named, claim)| RouteCandidate {
        domain,
        by: if named { RoutedBy::Keywords } else { RoutedBy::Centroid },
        confidence: claim / all,
    });
    candidates.collect()
}

/// Lowers the confidence in a domain that the best lexical hit is not in: two kinds of evidence are worth
/// more than much of one.
pub fn penalise_disagreement(routes: &mut [RouteCandidate], by_lexical: Option<&Domain>) {
    if let (Some(route), Some(domain)) = (routes.first_mut(), by_lexical)
        && route.domain != *domain
    {
        route.confidence /= ROUTE_DISAGREEMENT_DIVISOR;
    }
}

/// Tells whether all words of a domain's name stand side by side in the request.
fn is_named(domain: &Domain, words: &[String]) -> bool {
    let name: Vec<&str> = identifiers::split(domain.as_str());
    !name.is_empty() && words.windows(name.len()).any(|window| window.iter().zip(&name).all(|(a, b)| a == b))
}

#[cfg(test)]
mod tests {
    use toolweaver_contracts::{RoutedBy, Tenant, Tool, ToolKey};

    use super::{Samples, candidates};
    use crate::parameters::ROUTE_CONFIDENCE_MIN;

    fn samples(tools: &[(&str, [f32; 2])]) -> Samples {
        let mut samples = Samples::default();
        for (number, (domain, vector)) in tools.iter().flat_map(|one| [one; 20]).enumerate() {
            let json = serde_json::json!({ "tool_name": number.to_string(), "domain": domain });
            let tool: Tool = serde_json::from_value(json).unwrap();
            let (domain, tool_name) = (tool.domain.clone(), tool.tool_name.clone());
            samples.put(&ToolKey { tenant: Tenant::default(), domain, tool_name }, &tool, Some(vector));
        }
        samples
    }

    #[test]
    fn the_nearest_domain_wins_and_a_tie_is_no_route() {
        let two = samples(&[("git", [1.0, 0.0]), ("mail", [0.0, 1.0])]);
        let first =
            |query: &str, vector: &[f32]| candidates(&two, &Tenant::default(), query, vector).remove(0);
        let near = first("merge it", &[0.8, 0.6]);
        assert_eq!((near.domain.as_str(), near.by), ("git", RoutedBy::Centroid));
        assert!(near.confidence > ROUTE_CONFIDENCE_MIN);
        assert!(first("merge it", &[0.7, 0.7]).confidence < ROUTE_CONFIDENCE_MIN);
        let named = first("send it by mail", &[0.7, 0.7]);
        assert_eq!((named.domain.as_str(), named.by), ("mail", RoutedBy::Keywords));
        assert!(named.confidence < ROUTE_CONFIDENCE_MIN, "a name alone is no certainty");
    }

    #[test]
    fn one_domain_needs_no_route() {
        assert!(
            candidates(&samples(&[("git", [1.0, 0.0])]), &Tenant::default(), "x", &[1.0, 0.0]).is_empty()
        );
    }
}
