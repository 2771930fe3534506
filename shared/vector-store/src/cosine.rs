//! Cosines: of unit vectors they are inner products.

/// Products summed side by side; enough for the compiler to fill the widest registers.
const LANES: usize = 16;

/// The vectors of a search, made unit vectors once.
#[derive(Debug)]
pub(crate) struct Queries {
    dims: usize,
    /// Unit vectors, one after another.
    units: Vec<f32>,
}

impl Queries {
    /// Takes over vectors of `dims` dimensions.
    pub(crate) fn new(vectors: &[Vec<f32>], dims: usize) -> Self {
        let units = vectors.iter().flat_map(|vector| unit(vector)).collect();
        Self { dims, units }
    }

    /// Returns the number of vectors.
    pub(crate) fn len(&self) -> usize {
        self.units.len() / self.dims
    }

    /// Returns the dimensions of each.
    pub(crate) const fn dims(&self) -> usize {
        self.dims
    }

    /// Computes the cosine of each to a unit vector.
    pub(crate) fn cosines(&self, unit: &[f32], row: &mut [f32]) {
        for (cosine, query) in row.iter_mut().zip(self.units.chunks_exact(self.dims)) {
            *cosine = dot(query, unit);
        }
    }
}

/// Returns the vector of length 1 in the same direction; a zero vector stays what it is.
pub(crate) fn unit(vector: &[f32]) -> impl Iterator<Item = f32> {
    let norm = dot(vector, vector).sqrt();
    let scale = if norm > 0.0 { norm.recip() } else { 1.0 };
    vector.iter().map(move |x| x * scale)
}

/// Returns the inner product of two vectors of one length.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0_f32; LANES];
    for (x, y) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::{Queries, dot, unit};

    #[test]
    fn the_inner_product_counts_every_component() {
        for dims in [1, 15, 16, 17, 384, 385] {
            let ones = vec![1.0; dims];
            let counted: f32 = std::iter::repeat_n(1.0_f32, dims).sum();
            assert!((dot(&ones, &ones) - counted).abs() < f32::EPSILON, "{dims}");
        }
    }

    #[test]
    fn every_query_has_its_cosine() {
        let queries = Queries::new(&[vec![3.0, 4.0], vec![0.0, -2.0], vec![0.0, 0.0]], 2);
        let mut row = vec![f32::NAN; queries.len()];
        queries.cosines(&[0.0, 1.0], &mut row);
        assert_eq!(row, [0.8, -1.0, 0.0]);
    }

    #[test]
    fn a_zero_vector_stays_one() {
        assert_eq!(unit(&[0.0, 0.0]).collect::<Vec<_>>(), [0.0, 0.0]);
    }
}
