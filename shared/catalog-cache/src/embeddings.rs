//! Layer of embeddings of texts, in practice of queries.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use crate::keys;
use crate::metrics::LayerSnapshot;
use crate::tiers::{Layer, Tiers};

const TTL: Duration = Duration::from_hours(7 * 24);

/// Header of a stored vector: a mark, the version of this layout, and the type of the numbers (0 = f32).
/// Four bytes of dimensions follow, then the numbers; all little-endian.
const HEADER: [u8; 4] = [b'T', b'V', 1, 0];

/// Embeddings by text and model.
#[derive(Clone, Debug)]
pub struct Embeddings {
    layer: Layer,
}

impl Embeddings {
    pub(crate) fn new(tiers: &Arc<Tiers>) -> Self {
        Self { layer: Layer::new(Arc::clone(tiers), "embedding", TTL) }
    }

    /// Returns the vector of this text by this model, if it is cached with `dims` dimensions.
    ///
    /// `model` is the fingerprint, so that vectors of two models never meet.
    pub async fn get(&self, model: &str, text: &str, dims: usize) -> Option<Vec<f32>> {
        self.layer.get(&keys::embedding(model, text), |bytes| decode(bytes, dims)).await
    }

    /// Caches a vector.
    pub async fn put(&self, model: &str, text: &str, vector: &[f32]) {
        self.layer.put(&keys::embedding(model, text), encode(vector)).await;
    }

    pub(crate) fn snapshot(&self) -> LayerSnapshot {
        self.layer.snapshot()
    }
}

fn encode(vector: &[f32]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(HEADER.len() + 4 + 4 * vector.len());
    bytes.put_slice(&HEADER);
    bytes.put_u32_le(u32::try_from(vector.len()).expect("a vector has fewer than 2^32 dimensions"));
    for number in vector {
        bytes.put_f32_le(*number);
    }
    bytes.freeze()
}

/// Decodes a vector; none for bytes that are not exactly a vector of so many dimensions.
fn decode(bytes: &[u8], dims: usize) -> Option<Vec<f32>> {
    let (stored_dims, numbers) = bytes.strip_prefix(&HEADER)?.split_first_chunk::<4>()?;
    let (numbers, rest) = numbers.as_chunks::<4>();
    if u32::from_le_bytes(*stored_dims) as usize != dims || numbers.len() != dims || !rest.is_empty() {
        return None;
    }
    let vector: Vec<f32> = numbers.iter().map(|number| f32::from_le_bytes(*number)).collect();
    vector.iter().all(|number| number.is_finite()).then_some(vector)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_comes_back_as_it_was() {
        let vector = [0.25, -1.0, f32::MIN_POSITIVE];
        assert_eq!(decode(&encode(&vector), 3).unwrap(), vector);
    }

    #[test]
    fn whatever_is_not_that_vector_is_a_miss() {
        let good = encode(&[0.25, -1.0]).to_vec();
        assert!(decode(&good, 3).is_none(), "other dimensions");
        assert!(decode(&good[..good.len() - 1], 2).is_none(), "cut off");
        assert!(decode(&[good.as_slice(), &[0]].concat(), 2).is_none(), "too long");
        assert!(decode(b"", 2).is_none(), "empty");
        assert!(decode(b"[0.25,-1.0]", 2).is_none(), "something else");
        let mut other_type = good.clone();
        other_type[3] = 1;
        assert!(decode(&other_type, 2).is_none(), "another type of number");
        assert!(decode(&encode(&[f32::NAN, 0.0]), 2).is_none(), "not a number");
    }
}
