//! Cache statistics of the query workers, from `/metrics`.

use std::{collections::BTreeMap, net::SocketAddr};

use anyhow::Context as _;

use crate::http;

const LOOKUPS: &str = "toolweaver_cache_requests_total{";
const SEARCHES: &str = "toolweaver_searches_total{";

/// Cache lookups since the workers started.
#[derive(Debug, Default)]
pub(crate) struct Lookups {
    /// Counts by layer and tier.
    counts: BTreeMap<(String, String), Count>,
    searches: f64,
}

#[derive(Debug, Default, Clone, Copy)]
struct Count {
    lookups: f64,
    hits: f64,
}

/// Scrapes all workers and adds up their counters.
pub(crate) async fn scrape(workers: &[SocketAddr]) -> anyhow::Result<Lookups> {
    let mut all = Lookups::default();
    for worker in workers {
        let page = http::get(*worker, "/metrics").await;
        all.read(&page.with_context(|| format!("cannot read the metrics of {worker}"))?.body);
    }
    Ok(all)
}

impl Lookups {
    /// Adds the counters on a page in Prometheus' text format.
    fn read(&mut self, page: &str) {
        let lines = page.lines().filter_map(|line| line.strip_prefix(LOOKUPS)?.rsplit_once("} "));
        for (labels, count) in lines {
            let label = |name: &str| {
                let value = labels.split(',').find_map(|label| label.strip_prefix(name)?.strip_prefix("=\""));
                value.unwrap_or_default().trim_end_matches('"').to_owned()
            };
            let count: f64 = count.parse().unwrap_or_default();
            let counted = self.counts.entry((label("layer"), label("tier"))).or_default();
            counted.lookups += count;
            counted.hits += if label("result") == "hit" { count } else { 0.0 };
        }
        let searches = page.lines().filter_map(|line| line.strip_prefix(SEARCHES)?.rsplit_once("} "));
        self.searches += searches.filter_map(|(_, count)| count.parse::<f64>().ok()).sum::<f64>();
    }

    /// Returns the hit rate of a layer over all tiers since `before`; `None` where nobody looked.
    pub(crate) fn hit_rate_since(&self, before: &Self, layer: &str) -> Option<f64> {
        let (asked, hits) = self.since(before, layer);
        (asked > 0.0).then(|| hits / asked)
    }

    /// Returns the misses of a layer per search since `before`; `None` without searches.
    pub(crate) fn misses_per_search_since(&self, before: &Self, layer: &str) -> Option<f64> {
        let (asked, hits) = self.since(before, layer);
        let searches = self.searches - before.searches;
        (searches > 0.0).then(|| (asked - hits) / searches)
    }

    fn since(&self, before: &Self, layer: &str) -> (f64, f64) {
        let (mut asked, mut hits) = (0_f64, 0.0);
        for (place, now) in self.counts.iter().filter(|((of, _), _)| of == layer) {
            let then = before.counts.get(place).copied().unwrap_or_default();
            // A tier is asked for what the one before it did not have, so the first one sees every lookup.
            asked = asked.max(now.lookups - then.lookups);
            hits += now.hits - then.hits;
        }
        (asked, hits)
    }
}

#[cfg(test)]
mod tests {
    use super::Lookups;

    #[test]
    fn a_layer_hits_where_any_of_its_tiers_does() {
        let mut before = Lookups::default();
        before.read(r#"toolweaver_cache_requests_total{layer="search",result="miss",tier="local"} 100"#);
        let mut now = Lookups::default();
        now.read(
            r#"# TYPE toolweaver_cache_requests_total counter
toolweaver_cache_requests_total{layer="search",result="hit",tier="local"} 60
toolweaver_cache_requests_total{layer="search",result="miss",tier="local"} 140
toolweaver_cache_requests_total{layer="search",result="hit",tier="redis"} 30
toolweaver_cache_requests_total{layer="search",result="miss",tier="redis"} 10
toolweaver_cache_requests_total{layer="embedding",result="hit",tier="local"} 7
toolweaver_cache_requests_total{layer="embedding",result="miss",tier="local"} 1
toolweaver_searches_total{served_from="cache"} 5
toolweaver_searches_total{served_from="index"} 3"#,
        );
        assert_eq!(now.hit_rate_since(&before, "search"), Some(0.9));
        assert_eq!(now.hit_rate_since(&before, "embedding"), Some(0.875));
        assert_eq!(now.misses_per_search_since(&before, "embedding"), Some(0.125));
        assert_eq!(now.hit_rate_since(&before, "catalog"), None);
    }
}
