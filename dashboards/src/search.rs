//! Dashboard "Search", from a request to its answer: rate, errors and time of each endpoint and stage, what
//! was decided, and who waits.

use crate::panel::{Dashboard, Kind, Panel, Section, Unit, lines, panel, stack};

pub(crate) fn dashboard() -> Dashboard {
    Dashboard {
        name: "search",
        title: "ToolWeaver / Search",
        about: "Requests and answers of the query workers: how many, how fast, in which stage the time goes, \
            what was decided, and who waits.",
        sections: vec![
            Section { title: "Answers", height: 8, panels: answers() },
            Section { title: "Time", height: 8, panels: time() },
            Section { title: "Stages of a computed search", height: 8, panels: stages() },
            Section { title: "What was decided", height: 8, panels: decisions() },
            Section { title: "Limits", height: 8, panels: limits() },
        ],
    }
}

fn answers() -> Vec<Panel> {
    vec![
        stack(
            Unit::PerSecond,
            "Requests by endpoint",
            "All that was asked, whatever became of it. `shard` is asked by other query workers.",
        )
        .query("{{endpoint}}", "sum by (endpoint) (rate(toolweaver_requests_total{$of}[$__rate_interval]))"),
        lines(
            Unit::Share,
            "Failed by endpoint",
            "Share answered 500, 503 or 504. Good: below 0.1 %. 503: parts of the worker cannot \
                answer. 504: too slow. 500: a bug, look for ERROR in the log. Runbook \
                ToolWeaverSearchesFailing.",
        )
        .limits(0.001, 0.01)
        .query(
            "{{endpoint}}",
            r#"sum by (endpoint)
                (rate(toolweaver_requests_total{$of,code=~"500|503|504"}[$__rate_interval])) / sum by
                (endpoint) (rate(toolweaver_requests_total{$of}[$__rate_interval]))"#,
        ),
        stack(
            Unit::PerSecond,
            "Answers by code",
            "200: answered. 400, 404: the caller's mistake. 409: not yet at the version that the \
                caller asked for; many of them: see the lag. 429: refused.",
        )
        .query("{{code}}", "sum by (code) (rate(toolweaver_requests_total{$of}[$__rate_interval])) > 0"),
    ]
}

fn time() -> Vec<Panel> {
    vec![
        panel(
            Kind::Heatmap,
            Unit::Seconds,
            "Search time",
            "All answered searches by the time inside the worker. Two bands are normal: from the \
                cache, and computed. A dot is a trace.",
        )
        .query("{{le}}", "sum by (le) (increase(toolweaver_search_seconds_bucket{$of}[$__rate_interval]))"),
        lines(
            Unit::Seconds,
            "Search time, cached and computed",
            "Median and p95. Good: p95 below 0.1 s computed, a few ms cached. A dot is a trace. \
                Runbook ToolWeaverSearchesSlow.",
        )
        .limits(0.1, 0.5)
        .query(
            "p50 {{served_from}}",
            "histogram_quantile(0.5, sum by (served_from, le)
            (rate(toolweaver_search_seconds_bucket{$of}[$__rate_interval])))",
        )
        .query(
            "p95 {{served_from}}",
            "histogram_quantile(0.95, sum by (served_from, le)
            (rate(toolweaver_search_seconds_bucket{$of}[$__rate_interval])))",
        ),
        lines(
            Unit::Seconds,
            "Search p95 by worker",
            "One worker slower than the others: its machine, or it has just started and its caches \
                are cold. A dot is a trace.",
        )
        .limits(0.1, 0.5)
        .query(
            "{{instance}}",
            "histogram_quantile(0.95, sum by (instance, le)
            (rate(toolweaver_search_seconds_bucket{$of}[$__rate_interval])))",
        ),
    ]
}

fn stages() -> Vec<Panel> {
    vec![
        lines(
            Unit::Seconds,
            "Stage time, p95",
            "embed and lexical run side by side, then route, dense, fuse, load. The slowest one is \
                where to look: embed: processors; dense: Qdrant, or the number of tools. A dot is a \
                trace.",
        )
        .query(
            "{{stage}}",
            "histogram_quantile(0.95, sum by (stage, le)
            (rate(toolweaver_search_stage_seconds_bucket{$of}[$__rate_interval])))",
        ),
        stack(
            Unit::Seconds,
            "Mean time by stage",
            "What an average computed search spends where. Stages that run side by side add up to more \
            than the search took.",
        )
        .query(
            "{{stage}}",
            "sum by (stage) (rate(toolweaver_search_stage_seconds_sum{$of}[$__rate_interval])) / sum
                by (stage) (rate(toolweaver_search_stage_seconds_count{$of}[$__rate_interval]))",
        ),
        lines(
            Unit::Share,
            "Query embedding busy",
            "Share of the time in which each worker's embedding thread worked for queries. Near 100 \
                %: searches wait for it, so add workers.",
        )
        .limits(0.7, 0.9)
        .query(
            "{{instance}}",
            r#"sum by (instance)
            (rate(toolweaver_embedding_busy_seconds_total{$of,purpose="queries"}[$__rate_interval]))"#,
        ),
    ]
}

fn decisions() -> Vec<Panel> {
    vec![
        stack(
            Unit::PerSecond,
            "Answers by status",
            "nothing_relevant: no tool fits. A rise after a release of an agent: it asks for what the \
                catalog does not have. cannot_say: neither BM25 nor vectors could be judged.",
        )
        .wide(6)
        .query("{{status}}", "sum by (status) (rate(toolweaver_searches_total{$of}[$__rate_interval]))"),
        stack(
            Unit::PerSecond,
            "Answers by source",
            "From the index or the cache. A sudden rise of index: the cache was emptied, or many \
                changes reach the answers. See dashboard Caches.",
        )
        .wide(6)
        .query(
            "{{served_from}}",
            "sum by (served_from) (rate(toolweaver_searches_total{$of}[$__rate_interval]))",
        ),
        stack(
            Unit::PerSecond,
            "Routed to a domain by",
            "What led computed searches to a domain. `fell back`: the domain had fewer than three \
                good matches, so all were searched; many of them make searches slower.",
        )
        .wide(6)
        .query(
            "{{by}}",
            r#"sum by (by)
            (rate(toolweaver_searches_routed_total{$of,fell_back="false"}[$__rate_interval]))"#,
        )
        .query(
            "{{by}}, fell back",
            r#"sum by (by) (rate(toolweaver_searches_routed_total{$of,fell_back="true"}[$__rate_interval]))"#,
        ),
        stack(
            Unit::PerSecond,
            "Degraded by dependency",
            "Answers made without a dependency. Good: none. Runbook ToolWeaverSearchesDegraded.",
        )
        .wide(6)
        .query(
            "{{part}}",
            "sum by (part) (rate(toolweaver_searches_degraded_total{$of}[$__rate_interval])) > 0",
        ),
    ]
}

fn limits() -> Vec<Panel> {
    vec![
        lines(
            Unit::Count,
            "Searches in flight and limit",
            "The limit follows latency between QUERY_CONCURRENCY_MIN and _MAX. A limit that falls: \
                searches became slower.",
        )
        .wide(6)
        .query(
            "in work {{instance}}",
            r#"max by (instance) (toolweaver_requests_in_flight{$of,endpoint="search"})"#,
        )
        .query(
            "limit {{instance}}",
            r#"max by (instance) (toolweaver_requests_in_flight_max{$of,endpoint="search"})"#,
        ),
        lines(
            Unit::Count,
            "Searches waiting",
            "For their turn, up to QUERY_QUEUE_MAX (256 by default) in each worker. Good: 0. Runbook \
                ToolWeaverSearchesQueueing.",
        )
        .wide(6)
        .query(
            "{{endpoint}} {{instance}}",
            "max by (endpoint, instance) (toolweaver_requests_queued{$of}) > 0",
        ),
        lines(
            Unit::Seconds,
            "Time waited for a turn, p95",
            "Good: nothing. At QUERY_QUEUE_WAIT_MS (500 by default) requests are refused. A dot is a trace.",
        )
        .wide(6)
        .limits(0.05, 0.25)
        .query(
            "{{endpoint}}",
            "histogram_quantile(0.95, sum by (endpoint, le)
            (rate(toolweaver_request_queue_seconds_bucket{$of}[$__rate_interval])))",
        ),
        stack(
            Unit::PerSecond,
            "Refused by reason",
            "queue_full, would_wait, waited: too much for these workers. rate: a tenant over \
                QUERY_RATE_MAX. size: over QUERY_REQUEST_BYTES_MAX. Runbook ToolWeaverSearchesShed.",
        )
        .wide(6)
        .query(
            "{{endpoint}} {{reason}}",
            "sum by (endpoint, reason) (rate(toolweaver_requests_shed_total{$of}[$__rate_interval])) > 0",
        ),
    ]
}
