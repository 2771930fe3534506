//! Metrics: one registry a process, filled through the global OpenTelemetry API, read in Prometheus' format.
//!
//! An instrument's name is what Prometheus shows, letter for letter: write the unit and `_total` into it
//! (`toolweaver_search_duration_seconds`, `toolweaver_rejected_total`) and set no `unit`. So a name in a
//! dashboard is found by searching the code for it.

use std::sync::{Arc, OnceLock};

use opentelemetry::global;
use opentelemetry_sdk::metrics::{Aggregation, Instrument, InstrumentKind, SdkMeterProvider, Stream};
use prometheus::{Registry, TextEncoder};

use super::exemplars::{self, Exemplars, WithExemplars};
use super::{process, resource};

/// Content type of [`Format::Prometheus`].
const PROMETHEUS: &str = prometheus::TEXT_FORMAT;
/// Content type of [`Format::OpenMetrics`].
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Format in which metrics are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' own text format.
    Prometheus,
    /// OpenMetrics 1.0: latencies carry exemplars, each the trace of a request that took so long.
    OpenMetrics,
}

impl Format {
    /// Returns the format that an HTTP `Accept` header asks for. Prometheus asks for OpenMetrics where it can
    /// use it.
    pub fn accepted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// Returns the content type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => PROMETHEUS,
            Self::OpenMetrics => OPEN_METRICS,
        }
    }
}

/// Buckets of every histogram whose name ends in `_seconds`: from half a millisecond, because a search takes
/// a few, to half a minute. OpenTelemetry's own defaults are meant for milliseconds.
pub(super) const SECONDS_BUCKETS: [f64; 15] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

static INSTALLED: OnceLock<Installed> = OnceLock::new();

struct Installed {
    registry: Registry,
    provider: SdkMeterProvider,
    exemplars: Arc<Exemplars>,
}

/// Sets the global meter provider, the first time it is called in a process; later calls return that one.
///
/// [`super::start`] does this. Tests that read metrics call it themselves, before the code under test.
pub fn install(service_name: &'static str) -> SdkMeterProvider {
    let installed = INSTALLED.get_or_init(|| {
        let installed = build(service_name);
        let exemplars = Arc::clone(&installed.exemplars);
        global::set_meter_provider(WithExemplars::new(installed.provider.clone(), exemplars));
        process::observe(service_name);
        installed
    });
    installed.provider.clone()
}

/// Returns everything measured so far; empty before [`install`].
pub fn render(format: Format) -> Result<String, prometheus::Error> {
    let installed = INSTALLED.get();
    let families = installed.map(|installed| installed.registry.gather()).unwrap_or_default();
    let page = TextEncoder::new().encode_to_string(&families)?;
    Ok(match (format, installed) {
        (Format::OpenMetrics, Some(installed)) => exemplars::attach(&page, &installed.exemplars),
        (Format::OpenMetrics, None) => exemplars::attach(&page, &Exemplars::default()),
        (Format::Prometheus, _) => page,
    })
}

fn build(service_name: &'static str) -> Installed {
    let registry = Registry::new();
    let exporter = opentelemetry_prometheus::exporter()
        .with_registry(registry.clone())
        .without_units()
        .without_counter_suffixes()
        .scope_info_enabled(false)
        .build()
        .expect("a registry made here has no other collector to clash with");
    let provider = SdkMeterProvider::builder()
        .with_resource(resource(service_name))
        .with_reader(exporter)
        .with_view(buckets_for_seconds)
        .build();
    Installed { registry, provider, exemplars: Arc::default() }
}

fn buckets_for_seconds(instrument: &Instrument) -> Option<Stream> {
    if instrument.kind() != InstrumentKind::Histogram || !instrument.name().ends_with("_seconds") {
        return None;
    }
    let boundaries = SECONDS_BUCKETS.to_vec();
    let histogram = Aggregation::ExplicitBucketHistogram { boundaries, record_min_max: false };
    Stream::builder().with_aggregation(histogram).build().ok()
}
