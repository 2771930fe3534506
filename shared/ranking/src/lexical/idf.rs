//! Inverse document frequency, as BM25 counts it.

/// Returns `ln(1 + (N − n + ½) / (n + ½))` of a term that `documents` (*n*) of the `candidates` (*N*) hold.
pub(crate) fn idf(documents: u64, candidates: u64) -> f32 {
    let (n, all) = (documents as f64, candidates as f64);
    (1.0 + (all - n + 0.5) / (n + 0.5)).ln() as f32
}
