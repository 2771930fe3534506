//! Merge of shard answers: several become the answer that one index would have given.
//!
//! Means and standard deviations are exact, being sums over the candidates of each shard. Term frequencies
//! and lengths are each shard's own, as is usual where shards are scored apart; where domains differ much,
//! that is a gain as often as a loss.

use toolweaver_contracts::SearchedTerm;

use crate::{DenseAnswer, LexicalAnswer, parameters::LEXICAL_HITS};

/// Merges the lexical answers; `None` if there is none.
pub fn lexical(answers: Vec<LexicalAnswer>) -> Option<LexicalAnswer> {
    let moments = answers.iter().map(|answer| (answer.candidates, answer.mean, answer.std_dev));
    let (candidates, mean, std_dev) = pooled(moments);
    answers
        .into_iter()
        .reduce(|mut all, one| {
            all.hits.extend(one.hits);
            all.near_names.extend(one.near_names);
            all.known = all.known.max(one.known);
            all.statistics = None;
            for term in one.terms {
                add_term(&mut all.terms, term);
            }
            all
        })
        .map(|mut all| {
            all.hits.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.point_id.cmp(&b.point_id)));
            all.hits.dedup_by_key(|hit| hit.point_id);
            all.hits.truncate(LEXICAL_HITS);
            LexicalAnswer { mean, std_dev, candidates, ..all }
        })
}

/// Merges the dense answers; `None` if there is none.
pub fn dense(answers: Vec<DenseAnswer>) -> Option<DenseAnswer> {
    let (candidates, mean, std_dev) =
        pooled(answers.iter().map(|answer| (answer.candidates, answer.mean, answer.std_dev)));
    answers
        .into_iter()
        .reduce(|mut all, one| {
            all.hits.extend(one.hits);
            all
        })
        .map(|all| DenseAnswer { candidates, mean, std_dev, ..all })
}

fn add_term(terms: &mut Vec<SearchedTerm>, term: SearchedTerm) {
    match terms.iter_mut().find(|known| known.term == term.term) {
        Some(known) => known.documents += term.documents,
        None => terms.push(term),
    }
}

/// Returns count, mean and standard deviation of several groups taken together.
fn pooled(groups: impl Iterator<Item = (u64, f32, f32)>) -> (u64, f32, f32) {
    let (count, sum, squares) = groups.fold((0, 0.0, 0.0), |(count, sum, squares), (n, mean, std_dev)| {
        let (weight, mean, std_dev) = (n as f64, f64::from(mean), f64::from(std_dev));
        (count + n, sum + weight * mean, squares + weight * (std_dev * std_dev + mean * mean))
    });
    let weight = count.max(1) as f64;
    let mean = sum / weight;
    (count, mean as f32, (squares / weight - mean * mean).max(0.0).sqrt() as f32)
}

#[cfg(test)]
mod tests {
    use super::pooled;

    #[test]
    fn groups_taken_together_have_the_moments_of_all_members() {
        let moments = |values: &[f32]| {
            let n = values.len() as f32;
            let mean = values.iter().sum::<f32>() / n;
            let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / n;
            (values.len() as u64, mean, variance.sqrt())
        };
        let all = [0.1, 0.9, 0.4, 0.4, 0.7, 0.0];
        let (count, mean, std_dev) = pooled([moments(&all[..2]), moments(&all[2..])].into_iter());
        let expected = moments(&all);
        assert_eq!(count, expected.0);
        assert!((mean - expected.1).abs() < 1e-6 && (std_dev - expected.2).abs() < 1e-6);
        assert_eq!(pooled([].into_iter()), (0, 0.0, 0.0));
    }
}
