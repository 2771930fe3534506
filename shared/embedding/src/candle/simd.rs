//! Loops over `f32` for the CPU encoder.
//!
//! Everything is compiled twice, for any processor and for AVX2 with FMA, and [`dispatch`] chooses at run
//! time: a binary for plain x86-64 would otherwise compute four numbers at a time where the processor can do
//! eight.
#![expect(
    clippy::inline_always,
    reason = "only what is inlined into `dispatch` is compiled for the better processor"
)]

use pulp::{Simd, WithSimd};

/// Runs `op` compiled for the best instructions that this processor has.
pub(super) fn dispatch<Op: WithSimd>(op: Op) -> Op::Output {
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = pulp::x86::V3::try_new() {
        return Simd::vectorize(simd, op);
    }
    pulp::Arch::new().dispatch(op)
}

/// Applies GELU in its exact form, `x Φ(x)`.
pub(super) fn gelu(values: &mut [f32]) {
    dispatch(
        #[inline(always)]
        || {
            for x in values {
                *x = 0.5 * *x * (1.0 + erf(*x * std::f32::consts::FRAC_1_SQRT_2));
            }
        },
    );
}

/// Applies softmax to every row of `stride` numbers.
pub(super) fn softmax(rows: &mut [f32], stride: usize) {
    dispatch(
        #[inline(always)]
        || {
            for row in rows.chunks_exact_mut(stride) {
                let max = fold(row, f32::NEG_INFINITY, |a, b| if a > b { a } else { b });
                for x in &mut *row {
                    *x = exp_negative(*x - max);
                }
                let scale = 1.0 / fold(row, 0.0, |a, b| a + b);
                for x in row {
                    *x *= scale;
                }
            }
        },
    );
}

/// Normalises every row of `x + y` into `x` (layer normalisation). A row is as long as `weight` and `bias`.
pub(super) fn add_and_normalise(x: &mut [f32], y: &[f32], weight: &[f32], bias: &[f32], epsilon: f32) {
    #[expect(clippy::cast_precision_loss, reason = "a row is some hundred numbers long")]
    let length = weight.len() as f32;
    dispatch(
        #[inline(always)]
        || {
            for (x, y) in x.chunks_exact_mut(weight.len()).zip(y.chunks_exact(weight.len())) {
                for (x, y) in x.iter_mut().zip(y) {
                    *x += y;
                }
                let mean = fold(x, 0.0, |a, b| a + b) / length;
                for x in &mut *x {
                    *x -= mean;
                }
                let scale = 1.0 / (sum_of_squares(x) / length + epsilon).sqrt();
                for ((x, weight), bias) in x.iter_mut().zip(weight).zip(bias) {
                    *x = *x * scale * weight + bias;
                }
            }
        },
    );
}

/// Makes `vector` one of length 1.
pub(super) fn normalise(vector: &mut [f32]) {
    let scale = 1.0 / sum_of_squares(vector).sqrt();
    for x in vector {
        *x *= scale;
    }
}

#[inline(always)]
fn sum_of_squares(values: &[f32]) -> f32 {
    fold_map(values, 0.0, |x| x * x, |a, b| a + b)
}

#[inline(always)]
fn fold(values: &[f32], start: f32, join: impl Fn(f32, f32) -> f32) -> f32 {
    fold_map(values, start, |x| x, join)
}

/// Joins in sixteen independent lanes: in strict order, one number would wait for the other.
#[inline(always)]
fn fold_map(values: &[f32], start: f32, map: impl Fn(f32) -> f32, join: impl Fn(f32, f32) -> f32) -> f32 {
    let (chunks, rest) = values.as_chunks::<16>();
    let mut lanes = [start; 16];
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = join(*lane, map(x));
        }
    }
    let rest = rest.iter().map(|&x| map(x)).fold(start, &join);
    lanes.into_iter().fold(rest, join)
}

/// Returns `e^x` for `x <= 0`, relative error below 3e-7; what underflows becomes about 1e-38.
#[inline(always)]
fn exp_negative(x: f32) -> f32 {
    /// Added and taken away again, it rounds to whole numbers, which then stand in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let power = x * std::f32::consts::LOG2_E;
    let power = if power > -126.0 { power } else { -126.0 };
    let rounded = power + ROUND;
    let f = power - (rounded - ROUND);
    // Taylor series of 2^f for f in [-0.5, 0.5].
    let series = 1.540_353_1e-4_f32;
    let series = series * f + 1.333_355_8e-3;
    let series = series * f + 9.618_129e-3;
    let series = series * f + 5.550_411e-2;
    let series = series * f + 2.402_265e-1;
    let series = series * f + std::f32::consts::LN_2;
    let series = series * f + 1.0;
    let whole_power = f32::from_bits((rounded.to_bits() << 23).wrapping_add(0x3f80_0000));
    series * whole_power
}

/// Returns the error function, absolute error below 5e-7: a rational approximation on [-4, 4], beyond which
/// it is ±1 in `f32`.
#[inline(always)]
fn erf(x: f32) -> f32 {
    let x = if x > 4.0 { 4.0 } else { x };
    let x = if x < -4.0 { -4.0 } else { x };
    let s = x * x;
    let p = -2.726_142_3e-10_f32;
    let p = p * s + 2.770_681_4e-8;
    let p = p * s + -2.101_024e-6;
    let p = p * s + -5.692_506_4e-5;
    let p = p * s + -7.349_906_3e-4;
    let p = p * s + -2.954_6e-3;
    let p = p * s + -1.609_603_3e-2;
    let q = -1.456_607_2e-5_f32;
    let q = q * s + -2.133_740_6e-4;
    let q = q * s + -1.682_827e-3;
    let q = q * s + -7.373_329_2e-3;
    let q = q * s + -1.426_473_9e-2;
    x * p / q
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computes the Taylor series in `f64`: exact enough for |x| <= 4.
    fn erf_exact(x: f64) -> f64 {
        let (mut term, mut sum) = (x, x);
        for n in 1..200 {
            let n = f64::from(n);
            term *= -x * x / n;
            sum += term / (2.0 * n + 1.0);
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    }

    fn between(from: f64, to: f64) -> impl Iterator<Item = f64> {
        (0..=10_000).map(move |i| from + (to - from) * f64::from(i) / 10_000.0)
    }

    #[test]
    #[expect(clippy::cast_possible_truncation, reason = "f32 is what is tested")]
    fn erf_is_close() {
        for x in between(-4.0, 4.0) {
            let error = f64::from(erf(x as f32)) - erf_exact(f64::from(x as f32));
            assert!(error.abs() < 5e-7, "erf({x}) is off by {error}");
        }
        assert!((erf(50.0) - 1.0).abs() < 5e-7 && (erf(f32::NEG_INFINITY) + 1.0).abs() < 5e-7);
    }

    #[test]
    #[expect(clippy::cast_possible_truncation, reason = "f32 is what is tested")]
    fn exp_is_close() {
        for x in between(-80.0, 0.0) {
            let exact = f64::from(x as f32).exp();
            let error = (f64::from(exp_negative(x as f32)) - exact) / exact;
            // The argument itself is only known to 24 bits once it is multiplied by log2(e).
            assert!(error.abs() < 3e-7 * (1.0 - x), "exp({x}) is off by {error}");
        }
        assert!(exp_negative(f32::NEG_INFINITY) < 1e-37);
    }

    #[test]
    fn softmax_rows_add_up_to_one_and_ignore_minus_infinity() {
        let mut rows: Vec<f32> = (0_u8..40).map(|i| f32::from(i % 7)).collect();
        rows[19] = f32::NEG_INFINITY;
        softmax(&mut rows, 20);
        for row in rows.chunks(20) {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        }
        assert!(rows[19] < 1e-30);
        assert!((rows[1] / rows[0] - std::f32::consts::E).abs() < 1e-5);
    }

    #[test]
    fn normalised_rows_have_the_given_mean_and_std_dev() {
        let length = 37;
        let mut x: Vec<f32> = (0_u8..74).map(|i| f32::from(i) * 3.0).collect();
        let y = vec![1000.0; 74];
        add_and_normalise(&mut x, &y, &vec![2.0; length], &vec![5.0; length], 1e-12);
        for row in x.chunks(length) {
            let mean = row.iter().sum::<f32>() / 37.0;
            let std_dev = (row.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / 37.0).sqrt();
            assert!((mean - 5.0).abs() < 1e-5 && (std_dev - 2.0).abs() < 1e-5, "{mean} {std_dev}");
        }
    }
}
