//! Seeded pseudorandom numbers: the same draws on every machine and in every version of a library.
//!
//! Here does **not** live: what is drawn.

/// `SplitMix64` generator (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA
/// 2014): good enough to sample with, and short enough to never change.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Draws the next 64 bits.
    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Draws a number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        // The upper half of the product: no division, and a bias of at most bound / 2^64.
        let product = u128::from(self.draw()) * bound as u128;
        usize::try_from(product >> 64).expect("it is below a usize")
    }

    /// Draws one of the choices; there must be one.
    pub(crate) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// Draws at most `count` of the numbers below `of`, in ascending order.
    pub(crate) fn sample(&mut self, count: usize, of: usize) -> Vec<usize> {
        let mut numbers: Vec<usize> = (0..of).collect();
        let count = count.min(of);
        for i in 0..count {
            let other = i + self.below(of - i);
            numbers.swap(i, other);
        }
        numbers.truncate(count);
        numbers.sort_unstable();
        numbers
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn draws_what_the_algorithm_says() {
        // The first outputs of the reference implementation for this seed.
        let mut random = Random::new(1_234_567);
        assert_eq!([random.draw(), random.draw()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn a_sample_holds_each_number_once_and_repeats_with_its_seed() {
        let sample = Random::new(7).sample(5, 20);
        assert_eq!(sample, Random::new(7).sample(5, 20));
        assert_ne!(sample, Random::new(8).sample(5, 20));
        assert!(sample.is_sorted_by(|a, b| a < b) && sample.len() == 5 && sample[4] < 20);
        assert_eq!(Random::new(1).sample(9, 3), [0, 1, 2]);
    }
}
