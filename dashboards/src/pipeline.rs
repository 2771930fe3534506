//! From a published change to a searchable tool: what waits, what fails, and where the time goes.

use crate::panel::{Dashboard, Panel, Section, Unit, lines, stack};

pub(crate) fn dashboard() -> Dashboard {
    Dashboard {
        name: "pipeline",
        title: "ToolWeaver / Pipeline",
        about: "TOOLS to embedding worker to INDEXED to invalidator and projections: what waits, what fails, \
            and where the time goes.",
        sections: vec![
            Section { title: "Lag", height: 8, panels: lag() },
            Section { title: "What becomes of events", height: 8, panels: events() },
            Section { title: "Batches and stages of indexing", height: 8, panels: stages() },
            Section { title: "Embedding", height: 8, panels: embedding() },
            Section { title: "After INDEXED", height: 8, panels: after_indexed() },
        ],
    }
}

fn lag() -> Vec<Panel> {
    vec![
        lines(
            Unit::Seconds,
            "Oldest event not indexed",
            "Good: seconds; during an import it rises and falls again. Rising while nothing is indexed: \
                runbook ToolWeaverIndexingStuck.",
        )
        .limits(60.0, 300.0)
        .query("age", "max(toolweaver_unindexed_age_seconds{$of})"),
        lines(
            Unit::Count,
            "Events not indexed",
            "Events in TOOLS that wait, are in flight, or are to be tried again. This over the events \
                indexed a second is how long it will take.",
        )
        .query("events", "max(toolweaver_unindexed_events{$of})"),
        lines(
            Unit::Seconds,
            "Projection lag by worker",
            "Age of the oldest change in INDEXED that a query worker may not have applied. Good: below \
                a second. Runbook ToolWeaverProjectionLagging.",
        )
        .limits(5.0, 30.0)
        .query("{{instance}}", "max by (instance) (toolweaver_projection_lag_seconds{$of})"),
    ]
}

fn events() -> Vec<Panel> {
    vec![
        stack(
            Unit::PerSecond,
            "Deliveries by outcome",
            "done: acknowledged. retry: delivered again after a pause. rejected: in REJECTED. Good: \
                done only.",
        )
        .wide(6)
        .query(
            "{{stream}} {{outcome}}",
            "sum by (stream, outcome) (rate(toolweaver_deliveries_total{$of}[$__rate_interval])) > 0",
        ),
        stack(
            Unit::PerSecond,
            "Indexed and skipped",
            "Changes that became searchable, and events with nothing left to do: superseded by a newer \
                one of the batch, stale, or repeated. All repeated: TOOLS is being read again, after a new \
                model or a lost collection.",
        )
        .wide(6)
        .query("{{event}}", "sum by (event) (rate(toolweaver_indexed_total{$of}[$__rate_interval]))")
        .query("{{reason}}", "sum by (reason) (rate(toolweaver_index_skipped_total{$of}[$__rate_interval]))"),
        stack(
            Unit::PerSecond,
            "Failures by stage",
            "Attempts that failed; each is tried again. read and publish: NATS. embed: the model. \
                store: Qdrant. Good: none. Runbook ToolWeaverIndexingFailing.",
        )
        .wide(6)
        .query(
            "{{stage}}",
            "sum by (stage) (rate(toolweaver_index_failures_total{$of}[$__rate_interval])) > 0",
        ),
        stack(
            Unit::PerSecond,
            "Rejected by reason",
            "The field that was wrong; message: not readable or on the wrong subject; internal: given \
                up after five attempts. Runbooks ToolWeaverRejectionsSpike, ToolWeaverEventsGivenUp.",
        )
        .wide(6)
        .query("{{reason}}", "sum by (reason) (rate(toolweaver_rejected_total{$of}[$__rate_interval])) > 0"),
    ]
}

fn stages() -> Vec<Panel> {
    vec![
        lines(
            Unit::Seconds,
            "Stage time, p95",
            "How long a batch is in each stage. Embedding takes most. A stage that grew is the \
                bottleneck: read and publish are NATS (its disk), store is Qdrant. A dot is a trace.",
        )
        .query(
            "{{stage}}",
            "histogram_quantile(0.95, sum by (stage, le)
            (rate(toolweaver_index_stage_seconds_bucket{$of}[$__rate_interval])))",
        ),
        lines(
            Unit::Count,
            "Events in a batch",
            "Small batches: little to do. At EMBEDDING_BATCH_MAX (256 by default): a backlog. Half of \
                all batches, and 95 of 100, are no larger.",
        )
        .query(
            "p50",
            "histogram_quantile(0.5, sum by (le)
            (rate(toolweaver_index_batch_events_bucket{$of}[$__rate_interval])))",
        )
        .query(
            "p95",
            "histogram_quantile(0.95, sum by (le)
            (rate(toolweaver_index_batch_events_bucket{$of}[$__rate_interval])))",
        ),
        lines(
            Unit::Seconds,
            "Batch time by stream, p95",
            "From a whole batch to its last acknowledgement, for TOOLS (indexing) and INDEXED \
                (versions). A dot is a trace.",
        )
        .query(
            "{{stream}}",
            "histogram_quantile(0.95, sum by (stream, le)
            (rate(toolweaver_batch_seconds_bucket{$of}[$__rate_interval])))",
        ),
    ]
}

fn embedding() -> Vec<Panel> {
    vec![
        lines(
            Unit::PerSecond,
            "Tokens embedded",
            "For tools and for queries, each by its own worker. Falls with the load; while events wait \
                it is what the machine can do.",
        )
        .wide(6)
        .query(
            "{{purpose}}",
            "sum by (purpose) (rate(toolweaver_embedded_tokens_total{$of}[$__rate_interval]))",
        )
        .query(
            "texts of {{purpose}}",
            "sum by (purpose) (rate(toolweaver_embedded_texts_total{$of}[$__rate_interval]))",
        ),
        lines(
            Unit::Share,
            "Padding waste",
            "Share of computed tokens that only fill up a batch. On a CPU nothing is padded. On a GPU \
                above 30 %: lower TOOLWEAVER_TOKENS_PER_BATCH_MAX.",
        )
        .wide(6)
        .limits(0.3, 0.6)
        .query(
            "{{purpose}}",
            "1 - sum by (purpose) (rate(toolweaver_embedded_tokens_total{$of}[$__rate_interval])) / sum by
            (purpose) (rate(toolweaver_embedded_padded_tokens_total{$of}[$__rate_interval]))",
        ),
        lines(
            Unit::Share,
            "Embedding threads busy",
            "Share of the time in which each worker's embedding thread worked. At 100 % while events \
                wait: more workers, or a GPU.",
        )
        .wide(6)
        .limits(0.8, 0.95)
        .query(
            "{{purpose}} {{instance}}",
            "sum by (purpose, instance)
            (rate(toolweaver_embedding_busy_seconds_total{$of}[$__rate_interval]))",
        ),
        stack(
            Unit::PerSecond,
            "Vectors of tools by source",
            "model: computed now. memory: known to this process. indexed: read from INDEXED. A tool \
                that is registered again as it was should cost no computing.",
        )
        .wide(6)
        .query("{{source}}", "sum by (source) (rate(toolweaver_tool_vectors_total{$of}[$__rate_interval]))"),
    ]
}

fn after_indexed() -> Vec<Panel> {
    vec![
        lines(
            Unit::Count,
            "Versions",
            "Sequence of INDEXED that each projection has applied, and up to which versions are raised. \
                Good: one line.",
        )
        .wide(6)
        .query("raised", "max(toolweaver_invalidation_version{$of})")
        .query("{{instance}}", "max by (instance) (toolweaver_projection_version{$of})"),
        lines(
            Unit::Count,
            "Not raised, not applied",
            "Changes in INDEXED that the invalidators and each projection have yet to do. Good: back to \
                0 after each burst.",
        )
        .wide(6)
        .query("versions", "max(toolweaver_invalidation_pending_messages{$of})")
        .query("{{instance}}", "max by (instance) (toolweaver_projection_pending{$of})"),
        lines(
            Unit::PerSecond,
            "Invalidation",
            "Changes handled, and versions written: one for each domain and tenant of a batch, so that \
                many changes cost few writes.",
        )
        .wide(6)
        .query("changes", "sum(rate(toolweaver_invalidation_events_total{$of}[$__rate_interval]))")
        .query("writes", "sum(rate(toolweaver_invalidation_writes_total{$of}[$__rate_interval]))"),
        lines(
            Unit::PerSecond,
            "Connections to NATS made anew",
            "Good: none. A few at once: NATS was restarted. Again and again: runbook \
                ToolWeaverNatsDisconnected.",
        )
        .wide(6)
        .query(
            "{{client}} {{instance}}",
            "sum by (client, instance) (rate(toolweaver_nats_reconnects_total{$of}[$__rate_interval])) > 0",
        ),
    ]
}
