//! The batches in which texts go through the model.

use std::ops::Range;

/// Cuts texts into batches that cost at most `tokens_max` padded tokens each: texts times the longest one.
///
/// `lengths` are token counts in the order in which the texts will be batched; the ranges cover them from
/// first to last without gaps. Sort by length first, or the padding is wasteful. A text longer than
/// `tokens_max` makes a batch of its own.
pub fn plan(lengths: &[usize], tokens_max: usize) -> Vec<Range<usize>> {
    let mut batches = Vec::new();
    let (mut start, mut longest) = (0, 0);
    for (i, &length) in lengths.iter().enumerate() {
        let padded = (i + 1 - start).saturating_mul(longest.max(length));
        if i > start && padded > tokens_max {
            batches.push(start..i);
            (start, longest) = (i, length);
        } else {
            longest = longest.max(length);
        }
    }
    if start < lengths.len() {
        batches.push(start..lengths.len());
    }
    batches
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cost(lengths: &[usize]) -> usize {
        lengths.len() * lengths.iter().max().unwrap()
    }

    proptest! {
        #[test]
        fn batches_cover_all_texts_in_order(
            lengths in prop::collection::vec(0_usize..300, 0..200), tokens_max in 0_usize..2000,
        ) {
            let covered: Vec<usize> = plan(&lengths, tokens_max).into_iter().flatten().collect();
            prop_assert_eq!(covered, (0..lengths.len()).collect::<Vec<_>>());
        }

        #[test]
        fn only_a_single_text_may_cost_more_than_the_budget(
            lengths in prop::collection::vec(0_usize..300, 0..200), tokens_max in 0_usize..2000,
        ) {
            for batch in plan(&lengths, tokens_max) {
                prop_assert!(!batch.is_empty());
                prop_assert!(batch.len() == 1 || cost(&lengths[batch]) <= tokens_max);
            }
        }

        #[test]
        fn no_batch_could_take_the_next_text_too(
            lengths in prop::collection::vec(1_usize..300, 0..200), tokens_max in 0_usize..2000,
        ) {
            let batches = plan(&lengths, tokens_max);
            for pair in batches.windows(2) {
                prop_assert!(cost(&lengths[pair[0].start..=pair[1].start]) > tokens_max);
            }
        }
    }

    #[test]
    fn nothing_needs_no_batch() {
        assert!(plan(&[], 100).is_empty());
    }

    #[test]
    fn huge_lengths_do_not_overflow() {
        assert_eq!(plan(&[usize::MAX, usize::MAX], usize::MAX - 1), [0..1, 1..2]);
    }
}
