//! The totals of an embedder since its start.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::DeviceKind;

/// Counters since the embedder was started; the services export them as metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Texts that got a vector.
    pub texts: u64,
    /// Tokens of these texts.
    pub tokens: u64,
    /// Tokens including what a batch is padded with: texts times the longest one, summed over batches.
    pub padded_tokens: u64,
    /// Batches that went through the model.
    pub batches: u64,
    /// Time spent tokenizing and computing.
    pub busy: Duration,
    /// Batches that did not fit into the device's memory.
    pub out_of_memory: u64,
    /// The device of the last batch; before the first one, that of the model.
    pub device: DeviceKind,
}

/// The counters as the thread writes and the handles read them.
#[derive(Debug)]
pub(crate) struct Counters {
    texts: AtomicU64,
    tokens: AtomicU64,
    padded_tokens: AtomicU64,
    batches: AtomicU64,
    busy_ns: AtomicU64,
    out_of_memory: AtomicU64,
    on_cuda: AtomicBool,
}

impl Counters {
    pub(crate) fn new(device: DeviceKind) -> Self {
        Self {
            texts: AtomicU64::new(0),
            tokens: AtomicU64::new(0),
            padded_tokens: AtomicU64::new(0),
            batches: AtomicU64::new(0),
            busy_ns: AtomicU64::new(0),
            out_of_memory: AtomicU64::new(0),
            on_cuda: AtomicBool::new(device == DeviceKind::Cuda),
        }
    }

    pub(crate) fn batch_done(&self, texts: usize, tokens: usize, padded_tokens: usize, device: DeviceKind) {
        self.texts.fetch_add(texts as u64, Relaxed);
        self.tokens.fetch_add(tokens as u64, Relaxed);
        self.padded_tokens.fetch_add(padded_tokens as u64, Relaxed);
        self.batches.fetch_add(1, Relaxed);
        self.on_cuda.store(device == DeviceKind::Cuda, Relaxed);
    }

    pub(crate) fn out_of_memory(&self) {
        self.out_of_memory.fetch_add(1, Relaxed);
    }

    pub(crate) fn busy_for(&self, time: Duration) {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.busy_ns.fetch_add(ns, Relaxed);
    }

    pub(crate) fn snapshot(&self) -> Stats {
        Stats {
            texts: self.texts.load(Relaxed),
            tokens: self.tokens.load(Relaxed),
            padded_tokens: self.padded_tokens.load(Relaxed),
            batches: self.batches.load(Relaxed),
            busy: Duration::from_nanos(self.busy_ns.load(Relaxed)),
            out_of_memory: self.out_of_memory.load(Relaxed),
            device: if self.on_cuda.load(Relaxed) { DeviceKind::Cuda } else { DeviceKind::Cpu },
        }
    }
}
