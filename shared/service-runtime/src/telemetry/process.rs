//! Metrics of the process itself, under the names that Prometheus' own clients use.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::{KeyValue, global};

use crate::health::Health;

/// The kernel reports CPU time to user space in hundredths of a second, on every architecture.
const CLOCK_TICKS_PER_SECOND: f64 = 100.0;

/// Registers the instruments. Where `/proc` is missing, memory and CPU time are left out.
pub(super) fn observe(service_name: &'static str) {
    let meter = global::meter("toolweaver.process");
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64();
    meter
        .f64_observable_gauge("process_start_time_seconds")
        .with_description("Start time of the process, in seconds since the Unix epoch")
        .with_callback(move |gauge| gauge.observe(started, &[]))
        .build();
    meter
        .u64_observable_gauge("process_resident_memory_bytes")
        .with_description("Resident memory of the process")
        .with_callback(|gauge| {
            if let Some(bytes) = resident_memory_bytes() {
                gauge.observe(bytes, &[]);
            }
        })
        .build();
    meter
        .f64_observable_counter("process_cpu_seconds_total")
        .with_description("CPU time the process has used, user and system")
        .with_callback(|counter| {
            if let Some(seconds) = cpu_seconds() {
                counter.observe(seconds, &[]);
            }
        })
        .build();
    let labels =
        [KeyValue::new("service", service_name), KeyValue::new("version", env!("CARGO_PKG_VERSION"))];
    meter
        .u64_observable_gauge("toolweaver_build_info")
        .with_description("1, with the build in the labels")
        .with_callback(move |gauge| gauge.observe(1, &labels))
        .build();
}

/// Registers the readiness of the process, as `/readyz` reports it.
pub(crate) fn observe_readiness(health: Health) {
    global::meter("toolweaver.process")
        .u64_observable_gauge("toolweaver_ready")
        .with_description("1 while the process is ready, as /readyz tells it")
        .with_callback(move |gauge| gauge.observe(u64::from(health.is_ready()), &[]))
        .build();
}

/// Reads the status file, because it is in kilobytes: `/proc/self/statm` counts pages, whose size would have
/// to be asked for.
pub fn resident_memory_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in parentheses and may hold spaces; utime and stime are the 14th
    // and 15th field of the line.
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / CLOCK_TICKS_PER_SECOND)
}
