//! Exemplars: for each bucket of a latency histogram one recent trace that fell into it.
//!
//! The OpenTelemetry SDK does not collect them yet, so a meter provider of ours stands in front of it: it
//! hands everything on, and for histograms whose name ends in `_seconds` it remembers the value and the trace
//! that is current when it is recorded, if that trace is sampled. [`attach`] writes them into a page of
//! metrics, in the syntax of OpenMetrics 1.0. One value a series and bucket is kept, so memory is bounded as
//! the series are.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::metrics::{
    AsyncInstrument, AsyncInstrumentBuilder, Counter, Gauge, Histogram, HistogramBuilder, InstrumentBuilder,
    InstrumentProvider, Meter, MeterProvider, ObservableCounter, ObservableGauge, ObservableUpDownCounter,
    SyncInstrument, UpDownCounter,
};
use opentelemetry::trace::{SpanId, TraceContextExt as _, TraceId};
use opentelemetry::{Context, InstrumentationScope, KeyValue};

use super::metrics::SECONDS_BUCKETS;

/// Exemplars by the text that a bucket's line begins with.
#[derive(Debug, Default)]
pub(super) struct Exemplars(Mutex<HashMap<Series, Buckets>>);

#[derive(Debug, PartialEq, Eq, Hash)]
struct Series {
    histogram: Arc<str>,
    labels: Vec<KeyValue>,
}

/// Exemplar of each bucket; the last has no upper bound.
type Buckets = [Option<Exemplar>; SECONDS_BUCKETS.len() + 1];

#[derive(Clone, Copy, Debug)]
struct Exemplar {
    value: f64,
    trace_id: TraceId,
    span_id: SpanId,
    /// Time in seconds since the Unix epoch.
    time: f64,
}

impl Exemplars {
    fn remember(&self, histogram: &Arc<str>, value: f64, labels: &[KeyValue]) {
        let context = Context::current();
        let span = context.span();
        let span = span.span_context();
        if !span.is_sampled() {
            return;
        }
        let mut labels = labels.to_vec();
        labels.sort_by(|one, other| one.key.cmp(&other.key));
        let bucket = SECONDS_BUCKETS.partition_point(|bound| *bound < value);
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let exemplar = Exemplar { value, trace_id: span.trace_id(), span_id: span.span_id(), time };
        let series = Series { histogram: Arc::clone(histogram), labels };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(series).or_default()[bucket] =
            Some(exemplar);
    }

    /// Returns the exemplars by bucket, each named as its line in Prometheus' text format begins.
    fn by_line(&self) -> BTreeMap<String, Exemplar> {
        let remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = BTreeMap::new();
        for (series, buckets) in &*remembered {
            for (bucket, exemplar) in buckets.iter().enumerate() {
                let Some(exemplar) = exemplar else { continue };
                lines.insert(series.line(bucket), *exemplar);
            }
        }
        lines
    }
}

impl Series {
    fn line(&self, bucket: usize) -> String {
        let mut line = format!("{}_bucket{{", self.histogram);
        for KeyValue { key, value, .. } in &self.labels {
            // Labels are words that the code chooses: nothing in them needs escaping.
            write!(line, "{key}=\"{value}\",").expect("a string takes everything");
        }
        match SECONDS_BUCKETS.get(bucket) {
            Some(bound) => write!(line, "le=\"{bound}\"}}"),
            None => write!(line, "le=\"+Inf\"}}"),
        }
        .expect("a string takes everything");
        line
    }
}

/// Turns a page in Prometheus' text format into one of OpenMetrics, with exemplars.
///
/// The two differ in three things that such a page has: a counter's family is named without `_total`, buckets
/// may carry exemplars, and the page says where it ends.
pub(super) fn attach(page: &str, exemplars: &Exemplars) -> String {
    let exemplars = exemplars.by_line();
    let counters: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .filter(|name| name.ends_with("_total"))
        .collect();
    let mut open = String::with_capacity(page.len() + 128 * exemplars.len());
    for line in page.lines() {
        match line.strip_prefix("# ").and_then(|line| line.split_once(' ')) {
            Some((keyword, rest)) => {
                let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
                let is_counter = counters.contains(&name);
                let family = name.strip_suffix("_total").filter(|_| is_counter).unwrap_or(name);
                writeln!(open, "# {keyword} {family} {rest}")
            }
            None => match line.rsplit_once(' ').and_then(|(series, _)| exemplars.get(series)) {
                Some(Exemplar { value, trace_id, span_id, time }) => writeln!(
                    open,
                    "{line} # {{trace_id=\"{trace_id}\",span_id=\"{span_id}\"}} {value} {time:.3}"
                ),
                None => writeln!(open, "{line}"),
            },
        }
        .expect("a string takes everything");
    }
    open.push_str("# EOF\n");
    open
}

/// Meter provider that hands everything on to another one, and remembers exemplars.
#[derive(Debug)]
pub(super) struct WithExemplars<P> {
    inner: P,
    exemplars: Arc<Exemplars>,
}

impl<P> WithExemplars<P> {
    pub(super) fn new(inner: P, exemplars: Arc<Exemplars>) -> Self {
        Self { inner, exemplars }
    }
}

impl<P: MeterProvider> MeterProvider for WithExemplars<P> {
    fn meter_with_scope(&self, scope: InstrumentationScope) -> Meter {
        let inner = self.inner.meter_with_scope(scope);
        Meter::new(Arc::new(Instruments { inner, exemplars: Arc::clone(&self.exemplars) }))
    }
}

struct Instruments {
    inner: Meter,
    exemplars: Arc<Exemplars>,
}

struct Remembering {
    name: Arc<str>,
    inner: Histogram<f64>,
    exemplars: Arc<Exemplars>,
}

impl SyncInstrument<f64> for Remembering {
    fn measure(&self, value: f64, labels: &[KeyValue]) {
        self.inner.record(value, labels);
        self.exemplars.remember(&self.name, value, labels);
    }
}

/// Makes the same instrument on the inner meter.
macro_rules! hand_on {
    ($($method:ident: $instrument:ty;)*) => {$(
        fn $method(&self, builder: InstrumentBuilder<'_, $instrument>) -> $instrument {
            let mut inner = self.inner.$method(builder.name);
            inner.description = builder.description;
            inner.unit = builder.unit;
            inner.build()
        }
    )*};
}

macro_rules! hand_on_observable {
    ($($method:ident: $instrument:ty, $number:ty;)*) => {$(
        fn $method(&self, builder: AsyncInstrumentBuilder<'_, $instrument, $number>) -> $instrument {
            let mut inner = self.inner.$method(builder.name);
            inner.description = builder.description;
            inner.unit = builder.unit;
            for callback in builder.callbacks {
                inner = inner.with_callback(move |observer: &dyn AsyncInstrument<$number>| callback(observer));
            }
            inner.build()
        }
    )*};
}

impl InstrumentProvider for Instruments {
    hand_on! {
        u64_counter: Counter<u64>;
        f64_counter: Counter<f64>;
        i64_up_down_counter: UpDownCounter<i64>;
        f64_up_down_counter: UpDownCounter<f64>;
        u64_gauge: Gauge<u64>;
        i64_gauge: Gauge<i64>;
        f64_gauge: Gauge<f64>;
    }

    hand_on_observable! {
        u64_observable_counter: ObservableCounter<u64>, u64;
        f64_observable_counter: ObservableCounter<f64>, f64;
        i64_observable_up_down_counter: ObservableUpDownCounter<i64>, i64;
        f64_observable_up_down_counter: ObservableUpDownCounter<f64>, f64;
        u64_observable_gauge: ObservableGauge<u64>, u64;
        i64_observable_gauge: ObservableGauge<i64>, i64;
        f64_observable_gauge: ObservableGauge<f64>, f64;
    }

    fn f64_histogram(&self, builder: HistogramBuilder<'_, Histogram<f64>>) -> Histogram<f64> {
        let name: Arc<str> = builder.name.as_ref().into();
        let mut inner = self.inner.f64_histogram(builder.name);
        inner.description = builder.description;
        inner.unit = builder.unit;
        inner.boundaries = builder.boundaries;
        let inner = inner.build();
        if !name.ends_with("_seconds") {
            return inner;
        }
        Histogram::new(Arc::new(Remembering { name, inner, exemplars: Arc::clone(&self.exemplars) }))
    }

    fn u64_histogram(&self, builder: HistogramBuilder<'_, Histogram<u64>>) -> Histogram<u64> {
        let mut inner = self.inner.u64_histogram(builder.name);
        inner.description = builder.description;
        inner.unit = builder.unit;
        inner.boundaries = builder.boundaries;
        inner.build()
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanContext, TraceFlags, TraceState};

    use super::*;

    fn current(flags: TraceFlags) -> Context {
        let (trace_id, span_id) = (TraceId::from(0xabc), SpanId::from(0xd));
        let span = SpanContext::new(trace_id, span_id, flags, false, TraceState::default());
        Context::new().with_remote_span_context(span)
    }

    #[test]
    fn a_bucket_leads_to_a_sampled_trace_that_fell_into_it() {
        let exemplars = Exemplars::default();
        let labels = [KeyValue::new("stage", "embed"), KeyValue::new("code", 200)];
        {
            let _span = current(TraceFlags::SAMPLED).attach();
            exemplars.remember(&Arc::from("a_seconds"), 0.004, &labels);
            exemplars.remember(&Arc::from("a_seconds"), 100.0, &labels);
        }
        {
            let _span = current(TraceFlags::NOT_SAMPLED).attach();
            exemplars.remember(&Arc::from("a_seconds"), 0.04, &labels);
        }
        let page = "# HELP a_seconds How long.\n# TYPE a_seconds histogram\n\
                    a_seconds_bucket{code=\"200\",stage=\"embed\",le=\"0.005\"} 1\n\
                    a_seconds_bucket{code=\"200\",stage=\"embed\",le=\"0.05\"} 2\n\
                    a_seconds_bucket{code=\"200\",stage=\"embed\",le=\"+Inf\"} 3\n\
                    # HELP b_total Things.\n# TYPE b_total counter\nb_total 7\n";
        let open = attach(page, &exemplars);
        let lines: Vec<&str> = open.lines().collect();
        let ids = "# {trace_id=\"00000000000000000000000000000abc\",span_id=\"000000000000000d\"}";
        assert!(lines[2].contains(&format!("le=\"0.005\"}} 1 {ids} 0.004 ")), "{open}");
        assert!(lines[3].ends_with("le=\"0.05\"} 2"), "an unsampled trace cannot be looked at: {open}");
        assert!(lines[4].contains(&format!("le=\"+Inf\"}} 3 {ids} 100 ")), "{open}");
        assert_eq!(lines[5..], ["# HELP b Things.", "# TYPE b counter", "b_total 7", "# EOF"]);
    }
}
