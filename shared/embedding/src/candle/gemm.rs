//! Matrix products for the CPU encoder.
//!
//! The right-hand side is laid out once, for the order in which the product reads it. A general-purpose
//! product does that again on every call, which for the few rows of one query costs as much as the product
//! itself.
#![expect(
    clippy::inline_always,
    reason = "only what is inlined into `dispatch` is compiled for the better processor"
)]

use pulp::{Simd, WithSimd};

use super::simd::dispatch;

/// Rows of the product that are kept in registers at once: 6 rows of two 8-lane registers leave 4 of AVX2's
/// 16.
const TILE_ROWS: usize = 6;

/// The right-hand side of a product, cut into panels of as many columns as two vector registers hold; in a
/// panel, row follows row. With it the row that is added to every row of the product.
#[derive(Debug, Default)]
pub(super) struct Panels {
    data: Vec<f32>,
    bias: Vec<f32>,
    rows: usize,
    columns: usize,
}

/// Rows of a left-hand side: `data` holds one every `stride` numbers.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) data: &'a [f32],
    pub(super) stride: usize,
    pub(super) count: usize,
}

impl Panels {
    /// Returns the weights of a linear layer, stored as one row for each of its outputs, and its bias.
    pub(super) fn of_linear(weight: &[f32], bias: &[f32]) -> Self {
        let inputs = weight.len() / bias.len();
        let mut panels = Self::default();
        panels.fill(inputs, bias.len(), |row, column| weight[column * inputs + row]);
        panels.bias[..bias.len()].copy_from_slice(bias);
        panels
    }

    /// Becomes the matrix of `rows` by `columns` elements `at(row, column)`, with a bias of zeros.
    pub(super) fn fill(&mut self, rows: usize, columns: usize, at: impl Fn(usize, usize) -> f32) {
        let width = panel_width();
        let columns_padded = columns.next_multiple_of(width);
        (self.rows, self.columns) = (rows, columns);
        self.bias.clear();
        self.bias.resize(columns_padded, 0.0);
        self.data.clear();
        self.data.resize(rows * columns_padded, 0.0);
        for (panel, data) in self.data.chunks_exact_mut(rows * width).enumerate() {
            let first = panel * width;
            let filled = width.min(columns - first);
            for (row, data) in data.chunks_exact_mut(width).enumerate() {
                for (column, x) in data[..filled].iter_mut().enumerate() {
                    *x = at(row, first + column);
                }
            }
        }
    }

    /// Returns the product with rows that lie end to end.
    pub(super) fn apply(&self, left: &[f32]) -> Vec<f32> {
        let count = left.len() / self.rows;
        let mut out = vec![0.0; count * self.columns];
        self.multiply(Rows { data: left, stride: self.rows, count }, &mut out, self.columns);
        out
    }

    /// Writes `left · self + bias` to `out`, one row every `stride` numbers.
    pub(super) fn multiply(&self, left: Rows<'_>, out: &mut [f32], stride: usize) {
        dispatch(Multiply { left, right: self, out, stride });
    }
}

fn panel_width() -> usize {
    struct Width;
    impl WithSimd for Width {
        type Output = usize;

        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> usize {
            2 * S::F32_LANES
        }
    }
    dispatch(Width)
}

struct Multiply<'a> {
    left: Rows<'a>,
    right: &'a Panels,
    out: &'a mut [f32],
    stride: usize,
}

impl WithSimd for Multiply<'_> {
    type Output = ();

    /// Multiplies panel after panel, so that one stays in the nearest cache while all rows pass by.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { left, right, out, stride } = self;
        let width = 2 * S::F32_LANES;
        let panels = right.data.chunks_exact(right.rows * width).zip(right.bias.chunks_exact(width));
        for (panel, (data, bias)) in panels.enumerate() {
            let first = panel * width;
            let columns = width.min(right.columns - first);
            let panel = (S::as_simd_f32s(data).0.as_chunks().0, S::as_simd_f32s(bias).0);
            for row in (0..left.count).step_by(TILE_ROWS) {
                let a = (&left.data[row * left.stride..], left.stride);
                let out = (&mut out[row * stride + first..], stride, columns);
                match left.count - row {
                    1 => tile::<S, 1>(simd, a, panel, out),
                    2 => tile::<S, 2>(simd, a, panel, out),
                    3 => tile::<S, 3>(simd, a, panel, out),
                    4 => tile::<S, 4>(simd, a, panel, out),
                    5 => tile::<S, 5>(simd, a, panel, out),
                    _ => tile::<S, TILE_ROWS>(simd, a, panel, out),
                }
            }
        }
    }
}

/// Computes `R` rows of the product, over the columns of one panel.
#[inline(always)]
fn tile<S: Simd, const R: usize>(
    simd: S,
    (left, left_stride): (&[f32], usize),
    (panel, bias): (&[[S::f32s; 2]], &[S::f32s]),
    (out, stride, columns): (&mut [f32], usize, usize),
) {
    let depth = panel.len();
    let rows: [&[f32]; R] = std::array::from_fn(|r| &left[r * left_stride..][..depth]);
    let mut sums = [[bias[0], bias[1]]; R];
    for (i, weights) in panel.iter().enumerate() {
        for (row, sum) in rows.iter().zip(&mut sums) {
            let x = simd.splat_f32s(row[i]);
            sum[0] = simd.mul_add_f32s(x, weights[0], sum[0]);
            sum[1] = simd.mul_add_f32s(x, weights[1], sum[1]);
        }
    }
    for (r, sum) in sums.into_iter().enumerate() {
        let row = &mut out[r * stride..][..columns];
        if columns == 2 * S::F32_LANES {
            S::as_mut_simd_f32s(row).0.copy_from_slice(&sum);
        } else {
            let (first, second) = row.split_at_mut(columns.min(S::F32_LANES));
            simd.partial_store_f32s(first, sum[0]);
            simd.partial_store_f32s(second, sum[1]);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn products_are_those_of_the_schoolbook(
            rows in 1_usize..15, depth in 1_usize..40, columns in 1_usize..70, seed in any::<u32>(),
        ) {
            // Small whole numbers: every order of summation gives the same sum.
            let number = |i: usize| {
                let mixed = u32::try_from(i).unwrap().wrapping_mul(2_654_435_761).wrapping_add(seed) >> 29;
                f32::from(u8::try_from(mixed).unwrap()) - 4.0
            };
            let (left_stride, out_stride) = (depth + 3, columns + 2);
            let left: Vec<f32> = (0..rows * left_stride).map(number).collect();
            let weight: Vec<f32> = (0..columns * depth).map(|i| number(i + 7)).collect();
            let bias: Vec<f32> = (0..columns).map(|i| number(i + 13)).collect();

            let mut out = vec![99.0; rows * out_stride];
            let left_rows = Rows { data: &left, stride: left_stride, count: rows };
            Panels::of_linear(&weight, &bias).multiply(left_rows, &mut out, out_stride);

            for row in 0..rows {
                for column in 0..out_stride {
                    let expected = if column < columns {
                        let product = |i| left[row * left_stride + i] * weight[column * depth + i];
                        bias[column] + (0..depth).map(product).sum::<f32>()
                    } else {
                        99.0
                    };
                    prop_assert!((out[row * out_stride + column] - expected).abs() < 1e-3);
                }
            }
        }
    }
}
