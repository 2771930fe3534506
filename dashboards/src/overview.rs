//! Dashboard "Overview", the first look at night: is it healthy, fast, fresh and truthful, and who is
//! refused.

use crate::panel::{Dashboard, Kind, Panel, Section, Unit, lines, number, panel, stack};

pub(crate) fn dashboard() -> Dashboard {
    Dashboard {
        name: "overview",
        title: "ToolWeaver / Overview",
        about: "Is it healthy, fast, fresh and truthful, and who is refused? The first line says it; what \
            follows says since when and where.",
        sections: vec![
            Section { title: "At a glance", height: 4, panels: at_a_glance() },
            Section { title: "Alerts and processes", height: 8, panels: processes() },
            Section { title: "Healthy and fast", height: 8, panels: requests() },
            Section { title: "Fresh: from publish to searchable", height: 8, panels: freshness() },
            Section { title: "Truthful, and who is refused", height: 8, panels: truth() },
            Section { title: "Resources", height: 7, panels: resources() },
        ],
    }
}

fn at_a_glance() -> Vec<Panel> {
    vec![
        number(
            Unit::Share,
            "Processes ready",
            "Share of processes whose /readyz says ready. Good: 100 %. Below: see the table of \
                processes, then runbook ToolWeaverWorkerNotReady.",
        )
        .limits(1.0, 0.5)
        .query("ready", "avg(toolweaver_ready{$of})"),
        number(
            Unit::Share,
            "Searches failed",
            "Share of searches answered 500, 503 or 504, or refused because too many waited. Good: \
                below 0.1 %, the objective. Above: runbook ToolWeaverSearchesFailing.",
        )
        .limits(0.001, 0.01)
        .query(
            "failed",
            r#"(sum(rate(toolweaver_requests_total{$of,endpoint=~"search|search-.*",code=~"500|503|504"}[5m]))
                + sum(rate(toolweaver_requests_shed_total{$of,endpoint=~"search|search-.*",
                reason=~"queue_full|would_wait|waited"}[5m])))
                / sum(rate(toolweaver_requests_total{$of,endpoint=~"search|search-.*"}[5m]))"#,
        ),
        number(
            Unit::Seconds,
            "Search p95",
            "95 of 100 answers took no longer inside the worker, without waiting for their turn. Good: \
                below 100 ms, the objective. Above: dashboard Search shows the stage; runbook \
                ToolWeaverSearchesSlow.",
        )
        .limits(0.1, 0.5)
        .query(
            "p95",
            "histogram_quantile(0.95, sum by (le) (rate(toolweaver_search_seconds_bucket{$of}[5m])))",
        ),
        number(
            Unit::Seconds,
            "Indexing lag",
            "Age of the oldest published change that is not searchable yet. Good: a few seconds; \
                minutes during a large import. Above: dashboard Pipeline; runbook \
                ToolWeaverIndexingLagging.",
        )
        .limits(60.0, 300.0)
        .query("age", "max(toolweaver_unindexed_age_seconds{$of})"),
        number(
            Unit::Seconds,
            "Projection lag",
            "How far the slowest query worker is behind what is indexed. Good: below a second; more for \
                some minutes after it started. Above: runbook ToolWeaverProjectionLagging.",
        )
        .limits(5.0, 30.0)
        .query("lag", "max(toolweaver_projection_lag_seconds{$of})"),
        number(
            Unit::Share,
            "Degraded share",
            "Answers that name a missing dependency in `degraded`, each counted. Good: 0. Above: which \
                one stands below; runbook ToolWeaverSearchesDegraded.",
        )
        .limits(0.01, 0.05)
        .query(
            "degraded",
            "sum(rate(toolweaver_searches_degraded_total{$of}[5m])) /
                sum(rate(toolweaver_searches_total{$of}[5m]))",
        ),
        number(
            Unit::PerSecond,
            "Refused",
            "Requests refused before they were read: too many wait, a tenant's rate is used up, or they \
                are too large. Good: 0. Above: who and why stands below; runbook ToolWeaverSearchesShed.",
        )
        .limits(0.1, 5.0)
        .query("refused", "sum(rate(toolweaver_requests_shed_total{$of}[5m]))"),
        number(
            Unit::Count,
            "NATS lost",
            "Processes that have no connection to NATS now. Good: 0. Above: runbook \
                ToolWeaverNatsDisconnected.",
        )
        .limits(1.0, 1.0)
        .query("lost", "count(toolweaver_nats_connected{$of} == 0) or vector(0)"),
    ]
}

fn processes() -> Vec<Panel> {
    const OF_BUILD: &str = "The build of each process, whether it is ready, how long it runs, and what it \
        uses. Good: one \
        version, all ready. Two versions for longer than a rollout takes, or a young process that nobody \
        restarted: runbook ToolWeaverRestartLoop.";
    vec![
        panel(
            Kind::Alerts,
            Unit::Count,
            "Alerts that fire",
            "Good: none. Each alert has a section of its name in the runbooks (link above).",
        )
        .wide(8)
        .query(
            "firing",
            r#"sum by (alertname, severity) (ALERTS{alertname=~"ToolWeaver.*",alertstate="firing"})"#,
        ),
        panel(Kind::Processes, Unit::Count, "Processes", OF_BUILD)
            .wide(16)
            .column(
                "ready",
                Unit::YesNo,
                "sum by (service, version, instance) (toolweaver_build_info{$of} * on (job, instance)
                group_left () toolweaver_ready{$of})",
            )
            .column(
                "up for",
                Unit::Seconds,
                "sum by (service, version, instance) (toolweaver_build_info{$of} * on (job, instance)
                group_left () (time() - process_start_time_seconds{$of}))",
            )
            .column(
                "memory",
                Unit::Bytes,
                "sum by (service, version, instance) (toolweaver_build_info{$of} * on (job, instance)
                group_left () process_resident_memory_bytes{$of})",
            )
            .column(
                "processors",
                Unit::Count,
                "sum by (service, version, instance) (toolweaver_build_info{$of} * on (job, instance)
                group_left () rate(process_cpu_seconds_total{$of}[5m]))",
            ),
    ]
}

fn requests() -> Vec<Panel> {
    vec![
        stack(
            Unit::PerSecond,
            "Requests by endpoint",
            "How much is asked. A sudden nothing is as telling as a peak: then agents do not reach a \
                worker (`no responders`).",
        )
        .query("{{endpoint}}", "sum by (endpoint) (rate(toolweaver_requests_total{$of}[$__rate_interval]))"),
        stack(
            Unit::PerSecond,
            "Answers that are errors, by code",
            "Good: 400, 404 and 409 only, which are the caller's. 429: see who is refused. 500, 503 and \
                504 are ours: runbook ToolWeaverSearchesFailing.",
        )
        .query(
            "{{endpoint}} {{code}}",
            r#"sum by (endpoint, code)
                (rate(toolweaver_requests_total{$of,code!="200"}[$__rate_interval])) > 0"#,
        ),
        lines(
            Unit::Seconds,
            "Answer time by endpoint, p95",
            "From a request's arrival to its answer, waiting for its turn and for a version that it \
                named included. A dot is a trace. Good: search below 0.1 s.",
        )
        .limits(0.1, 0.5)
        .query(
            "{{endpoint}}",
            "histogram_quantile(0.95, sum by (endpoint, le)
                (rate(toolweaver_request_seconds_bucket{$of}[$__rate_interval])))",
        ),
    ]
}

fn freshness() -> Vec<Panel> {
    vec![
        lines(
            Unit::Seconds,
            "Lag in seconds",
            "Age of the oldest change that is not indexed, and of the oldest that a projection has not \
                applied. Good: seconds, and falling after an import. Rising without end: runbook \
                ToolWeaverIndexingStuck.",
        )
        .limits(60.0, 300.0)
        .query("not indexed", "max(toolweaver_unindexed_age_seconds{$of})")
        .query("not in {{instance}}", "max by (instance) (toolweaver_projection_lag_seconds{$of})"),
        lines(
            Unit::Count,
            "Lag in messages",
            "Changes that wait in TOOLS for an embedding worker, and in INDEXED for an invalidator and \
                for each projection. Good: back to 0 after each burst.",
        )
        .query("TOOLS", "max(toolweaver_unindexed_events{$of})")
        .query("versions", "max(toolweaver_invalidation_pending_messages{$of})")
        .query("projection {{instance}}", "max by (instance) (toolweaver_projection_pending{$of})"),
        lines(
            Unit::Count,
            "Versions",
            "Sequence of INDEXED that each projection has applied, and up to which versions are raised. \
                Good: one line. One that stays flat below the others: runbooks \
                ToolWeaverProjectionLagging, ToolWeaverInvalidationLagging.",
        )
        .query("raised", "max(toolweaver_invalidation_version{$of})")
        .query("{{instance}}", "max by (instance) (toolweaver_projection_version{$of})"),
    ]
}

fn truth() -> Vec<Panel> {
    vec![
        stack(
            Unit::PerSecond,
            "Degraded answers by dependency",
            "Answers made without a dependency; each says so to its caller. Good: none. Runbook \
                ToolWeaverSearchesDegraded explains each value.",
        )
        .wide(6)
        .query(
            "{{part}}",
            "sum by (part) (rate(toolweaver_searches_degraded_total{$of}[$__rate_interval])) > 0",
        ),
        panel(
            Kind::States,
            Unit::Count,
            "Circuit breakers",
            "Open: nobody asks the dependency, one request a second tries. Good: closed. Runbook \
                ToolWeaverBreakerOpen.",
        )
        .wide(6)
        .query("{{part}} {{instance}}", "max by (part, instance) (toolweaver_breaker_state{$of})"),
        stack(
            Unit::PerSecond,
            "Refused by reason",
            "queue_full, would_wait and waited: more than the workers can do. rate: a tenant over its \
                rate. size: a request too large. Runbook ToolWeaverSearchesShed.",
        )
        .wide(6)
        .query(
            "{{endpoint}} {{reason}}",
            "sum by (endpoint, reason) (rate(toolweaver_requests_shed_total{$of}[$__rate_interval])) > 0",
        ),
        stack(
            Unit::PerSecond,
            "Rejected events by reason",
            "Published changes that went to REJECTED, by the field that was wrong. Good: none. A burst: \
                a publisher is broken; internal: ours. Runbooks ToolWeaverRejectionsSpike, \
                ToolWeaverEventsGivenUp.",
        )
        .wide(6)
        .query("{{reason}}", "sum by (reason) (rate(toolweaver_rejected_total{$of}[$__rate_interval])) > 0"),
    ]
}

fn resources() -> Vec<Panel> {
    vec![
        lines(
            Unit::Bytes,
            "Memory",
            "Resident memory of each process. A query worker's follows the number of tools. Doubled in \
                a day without more tools: runbook ToolWeaverMemoryGrowing.",
        )
        .wide(6)
        .query(
            "{{job}} {{instance}}",
            "process_resident_memory_bytes{$of} and on (job, instance) toolweaver_build_info{$of}",
        ),
        lines(
            Unit::Count,
            "Processors in use",
            "Processor seconds a second. A query worker at its limit refuses searches: add workers.",
        )
        .wide(6)
        .query(
            "{{job}} {{instance}}",
            "rate(process_cpu_seconds_total{$of}[$__rate_interval]) and on (job, instance)
                toolweaver_build_info{$of}",
        ),
        lines(
            Unit::Count,
            "Searches in flight, waiting, limit",
            "All query workers together. Good: in flight below the limit and nobody waiting. At the limit \
                for long: add workers.",
        )
        .wide(6)
        .query("in work", r#"sum(toolweaver_requests_in_flight{$of,endpoint="search"})"#)
        .query("waiting", r#"sum(toolweaver_requests_queued{$of,endpoint="search"})"#)
        .query("limit", r#"sum(toolweaver_requests_in_flight_max{$of,endpoint="search"})"#),
        lines(
            Unit::Count,
            "Searchable tools",
            "What each projection holds. Good: the same number everywhere. A sudden fall is a mass \
                removal, or a worker that has just started.",
        )
        .wide(6)
        .query("{{instance}}", "max by (instance) (toolweaver_projection_tools{$of})"),
    ]
}
