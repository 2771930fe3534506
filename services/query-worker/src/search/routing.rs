//! Routing of a search to a domain: the caller's hint, else the samples of domains, else a language model.

use toolweaver_contracts::{Domain, Predicate, RouteCandidate, RoutedBy};
use toolweaver_ranking::{LexicalAnswer, Query, parameters::ROUTE_CONFIDENCE_MIN, routing};

use super::llm_classifier::LlmClassifier;
use crate::projection::Projection;

/// Router of searches without a hint.
pub(crate) struct Router {
    projection: Projection,
    /// Asked for a domain where nothing else is sure.
    classifier: Option<LlmClassifier>,
}

impl Router {
    /// Makes a router; with `classifier` it asks a language model as its last resort.
    pub(crate) fn new(projection: Projection, classifier: Option<LlmClassifier>) -> Self {
        Self { projection, classifier }
    }

    /// Returns the domains that a query may be about, the most likely first. One of several sentences may be
    /// about several domains: it has no route.
    pub(crate) async fn candidates(
        &self,
        query: &Query,
        vector: Option<&[f32]>,
        everywhere: &Predicate,
        lexical: Option<&LexicalAnswer>,
    ) -> Vec<RouteCandidate> {
        let Some(vector) = vector.filter(|_| query.sentences().is_empty()) else {
            return Vec::new();
        };
        let mut routes =
            routing::candidates(&self.projection.samples(), &everywhere.tenant, query.text(), vector);
        routing::penalise_disagreement(&mut routes, self.best_lexical_domain(lexical, everywhere).as_ref());
        if let Some(classifier) = self.classifier.as_ref().filter(|_| !routes.first().is_some_and(is_sure)) {
            let counts = self.projection.catalog().domain_counts(everywhere);
            if let Some(domain) = classifier.classify(query.text(), counts.into_keys().collect()).await {
                let confidence = ROUTE_CONFIDENCE_MIN;
                routes.insert(0, RouteCandidate { domain, by: RoutedBy::Llm, confidence });
            }
        }
        routes
    }

    /// Returns the domain of the best lexical hit.
    fn best_lexical_domain(&self, lexical: Option<&LexicalAnswer>, everywhere: &Predicate) -> Option<Domain> {
        let best = lexical?.hits.first()?;
        self.projection.catalog().at(best.point_id, everywhere).map(|entry| entry.key.domain.clone())
    }
}

/// Tells whether a route is certain enough to be taken.
pub(crate) fn is_sure(route: &RouteCandidate) -> bool {
    route.confidence >= ROUTE_CONFIDENCE_MIN
}
