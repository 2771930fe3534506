//! Dashboard "Caches": the four caches and their three tiers, what they save, and what they cannot do.

use crate::panel::{Dashboard, Kind, Panel, Section, Unit, lines, number, panel, stack};

pub(crate) fn dashboard() -> Dashboard {
    Dashboard {
        name: "caches",
        title: "ToolWeaver / Caches",
        about: "The four layers (answers, embeddings, tools, catalog) in memory, Redis and files: what \
            they save, and what they cannot do.",
        sections: vec![
            Section { title: "What they save", height: 4, panels: saved() },
            Section { title: "By layer", height: 8, panels: layers() },
            Section { title: "By tier", height: 8, panels: tiers() },
            Section { title: "Trouble", height: 8, panels: trouble() },
        ],
    }
}

fn saved() -> Vec<Panel> {
    vec![
        number(
            Unit::Share,
            "Searches from the cache",
            "Share of searches that were not computed. It depends on how often agents ask the same; \
                80 to 90 % in our measurements. A fall without a release: was Redis emptied, or does the \
                catalog change all the time?",
        )
        .wide(6)
        .query(
            "cached",
            r#"sum(rate(toolweaver_searches_total{$of,served_from="cache"}[5m])) /
            sum(rate(toolweaver_searches_total{$of}[5m]))"#,
        ),
        number(
            Unit::Share,
            "Searches that embedded nothing",
            "About the share of searches without a text for the model: the answer or the embedding \
                was there. (Long requests count by their sentences, and requests answered ahead count \
                too.) What is left is what processors are needed for.",
        )
        .wide(6)
        .query(
            "saved",
            r#"clamp_min(1 - sum(rate(toolweaver_embedded_texts_total{$of,purpose="queries"}[5m])) /
            sum(rate(toolweaver_searches_total{$of}[5m])), 0)"#,
        ),
        number(
            Unit::PerSecond,
            "Lookups that failed",
            "Redis or files that failed or were not asked because they are known to be down or busy. \
                Good: 0. Runbook ToolWeaverBreakerOpen.",
        )
        .wide(6)
        .limits(0.1, 1.0)
        .query("failed", r#"sum(rate(toolweaver_cache_requests_total{$of,result=~"error|skipped"}[5m]))"#),
        number(
            Unit::PerSecond,
            "Writes that failed",
            "Entries that Redis or the folder of files did not take. Good: 0. Runbook \
                ToolWeaverCacheWritesFailing.",
        )
        .wide(6)
        .limits(0.1, 1.0)
        .query("failed", "sum(rate(toolweaver_cache_write_errors_total{$of}[5m]))"),
    ]
}

fn layers() -> Vec<Panel> {
    vec![
        lines(
            Unit::Share,
            "Found, by layer",
            "Share of lookups found in any tier. search: answers. embedding: texts. tool, catalog: \
                what `get` and `domains` show. A low share of embedding is no trouble where most answers \
                come from the cache.",
        )
        .query(
            "{{layer}}",
            r#"sum by (layer) (rate(toolweaver_cache_requests_total{$of,result="hit"}[$__rate_interval])) /
            sum by (layer) (rate(toolweaver_cache_requests_total{$of,tier="local"}[$__rate_interval]))"#,
        ),
        stack(
            Unit::PerSecond,
            "Lookups by layer",
            "Each lookup asks the memory of the process first, so these are all of them.",
        )
        .query(
            "{{layer}}",
            r#"sum by (layer)
                (rate(toolweaver_cache_requests_total{$of,tier="local"}[$__rate_interval]))"#,
        ),
        stack(
            Unit::PerSecond,
            "Found, by layer and tier",
            "Where it was found. Mostly redis: each worker knows little itself, as after a start. \
                files: Redis is away, or did not have it.",
        )
        .query(
            "{{layer}} {{tier}}",
            r#"sum by (layer, tier)
            (rate(toolweaver_cache_requests_total{$of,result="hit"}[$__rate_interval])) > 0"#,
        ),
    ]
}

fn tiers() -> Vec<Panel> {
    vec![
        lines(
            Unit::Share,
            "Found, by tier",
            "Share of the lookups that reach a tier. Redis low while memory is high is normal: only \
                what memory lacks gets there.",
        )
        .wide(12)
        .query(
            "{{tier}}",
            r#"sum by (tier) (rate(toolweaver_cache_requests_total{$of,result="hit"}[$__rate_interval])) /
            sum by (tier) (rate(toolweaver_cache_requests_total{$of}[$__rate_interval]))"#,
        ),
        stack(
            Unit::PerSecond,
            "Lookups by tier and result",
            "hit, miss, error (asked in vain) or skipped (not asked, because it is known to be down or \
            busy). Good: no error, nothing skipped.",
        )
        .wide(12)
        .query(
            "{{tier}} {{result}}",
            "sum by (tier, result) (rate(toolweaver_cache_requests_total{$of}[$__rate_interval])) > 0",
        ),
    ]
}

fn trouble() -> Vec<Panel> {
    vec![
        panel(
            Kind::States,
            Unit::Count,
            "Circuit breaker of Redis",
            "Open: nobody asks Redis, one request a second tries. Answers are then computed, or come \
                from memory and files. Runbook ToolWeaverBreakerOpen.",
        )
        .wide(6)
        .query("{{instance}}", r#"max by (instance) (toolweaver_breaker_state{$of,part="redis"})"#),
        stack(
            Unit::PerSecond,
            "Answers without caches",
            "Answers that name `cache` in `degraded`. Versions are then known from announcements only. \
            Good: none. Runbook ToolWeaverSearchesDegraded.",
        )
        .wide(6)
        .query(
            "degraded",
            r#"sum(rate(toolweaver_searches_degraded_total{$of,part="cache"}[$__rate_interval]))"#,
        ),
        stack(
            Unit::PerSecond,
            "Failed writes by layer and tier",
            "redis: away, or full and set to refuse (noeviction). files: the disk of CACHE_DIR. Runbook \
            ToolWeaverCacheWritesFailing.",
        )
        .wide(6)
        .query(
            "{{layer}} {{tier}}",
            "sum by (layer, tier) (rate(toolweaver_cache_write_errors_total{$of}[$__rate_interval]))
                > 0",
        ),
        lines(
            Unit::PerSecond,
            "Versions raised",
            "Each makes answers of its tenant doubt themselves. Many a second lower the share of searches \
            from the cache.",
        )
        .wide(6)
        .query("writes", "sum(rate(toolweaver_invalidation_writes_total{$of}[$__rate_interval]))")
        .query("changes", "sum(rate(toolweaver_invalidation_events_total{$of}[$__rate_interval]))"),
    ]
}
