//! Abstention on off-catalogue queries: those of other sets, and random words, to which no tool is the
//! answer.
//!
//! A reply carries a relevance decision (`nothing_relevant`) and a confidence. The decision is judged as it
//! is; the confidence by every threshold on it, because where to draw the line is a choice.

use serde::{Deserialize, Serialize};
use toolweaver_contracts::{Detail, Fault, SearchRequest, SearchStatus};

use crate::{
    metrics::{DEPTH, share},
    random::Random,
    run::QueryRun,
    set::{Query, Sample},
    statistics::auc,
    system::{Questioner, SearchSystem},
};

/// Number of queries made of random words.
const RANDOM_QUERIES: usize = 200;
/// Fewest and most words in a random query.
const RANDOM_WORDS: (usize, usize) = (3, 8);
/// Fewest and most syllables in a random word.
const RANDOM_SYLLABLES: (usize, usize) = (1, 4);
/// Name of the source of random queries.
const RANDOM_NAME: &str = "random words";
/// False-alarm rates at which the threshold on the confidence is read.
const FALSE_ALARMS: [f64; 5] = [0.01, 0.02, 0.05, 0.10, 0.20];

/// Queries of one source to which no tool of the set is the answer.
#[derive(Debug)]
pub(crate) struct ForeignQueries {
    pub(crate) source: String,
    texts: Vec<String>,
}

/// Abstention on foreign queries beside that on the set's own.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Abstention {
    /// Share of the set's own queries that were answered with `nothing_relevant`, 0 to 1.
    pub(crate) false_alarms: f64,
    pub(crate) sources: Vec<SourceAbstention>,
    /// Abstention over all sources.
    pub(crate) all: SourceAbstention,
}

/// Abstention on the foreign queries of one source.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SourceAbstention {
    pub(crate) source: String,
    pub(crate) queries: usize,
    /// Share answered with `nothing_relevant`, 0 to 1.
    pub(crate) nothing_relevant: f64,
    /// Share of pairs in which the own query has the higher confidence; absent where replies carry none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) auc: Option<f64>,
    /// Operating points of a threshold on the confidence.
    pub(crate) curve: Vec<OperatingPoint>,
}

/// Operating point of one threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct OperatingPoint {
    /// Share of own queries that may be below it.
    pub(crate) false_alarms_max: f64,
    /// Lowest confidence that is no alarm.
    pub(crate) threshold: f64,
    /// Share of own queries below it.
    pub(crate) false_alarms: f64,
    /// Share of foreign queries below it.
    pub(crate) caught: f64,
}

/// Relevance decision of one reply.
#[derive(Debug, Clone, Copy)]
struct Decision {
    nothing_relevant: bool,
    confidence: Option<f64>,
}

impl ForeignQueries {
    /// Takes the queries of another set, sampled as this one's own.
    pub(crate) fn of_set(source: String, queries: Vec<Query>, sample: Sample) -> Self {
        Self { source, texts: sample.of(queries).into_iter().map(|query| query.text).collect() }
    }

    /// Draws queries of pronounceable nonsense by the seed.
    pub(crate) fn random(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let between = |random: &mut Random, (from, to): (usize, usize)| from + random.below(to - from + 1);
        let mut texts = Vec::with_capacity(RANDOM_QUERIES);
        for _ in 0..RANDOM_QUERIES {
            let mut words = Vec::new();
            for _ in 0..between(&mut random, RANDOM_WORDS) {
                let mut word = String::new();
                for _ in 0..between(&mut random, RANDOM_SYLLABLES) {
                    word.push(char::from(random.one_of(b"bcdfghjklmnpqrstvwxz")));
                    word.push(char::from(random.one_of(b"aeiouy")));
                }
                words.push(word);
            }
            texts.push(words.join(" "));
        }
        Self { source: RANDOM_NAME.to_owned(), texts }
    }

    fn requests(&self) -> Vec<SearchRequest> {
        let request = |text: &String| {
            let mut request = SearchRequest::new(text.as_str());
            request.top_k = u32::try_from(DEPTH).ok();
            request.detail = Detail::Name;
            request
        };
        self.texts.iter().map(request).collect()
    }
}

/// Asks all foreign queries and sets their decisions beside those on the set's own.
pub(crate) async fn ask(
    questioner: &Questioner<'_, impl SearchSystem>,
    own: &[QueryRun],
    foreign: &[ForeignQueries],
) -> Result<Abstention, Fault> {
    let own: Vec<Decision> = own.iter().map(|run| Decision::new(run.status, run.confidence)).collect();
    let (mut sources, mut all) = (Vec::new(), Vec::new());
    for source in foreign {
        let decisions = questioner
            .ask_all("off catalogue", source.requests(), |_, answer| {
                Decision::new(answer.reply.status, answer.reply.confidence)
            })
            .await?;
        sources.push(SourceAbstention::of(&source.source, &own, &decisions));
        all.extend(decisions);
    }
    Ok(Abstention {
        false_alarms: nothing_relevant(&own),
        sources,
        all: SourceAbstention::of("all", &own, &all),
    })
}

impl Decision {
    fn new(status: SearchStatus, confidence: Option<f32>) -> Self {
        Self {
            nothing_relevant: status == SearchStatus::NothingRelevant,
            confidence: confidence.map(f64::from),
        }
    }
}

impl SourceAbstention {
    fn of(source: &str, own: &[Decision], foreign: &[Decision]) -> Self {
        let confidences = |decisions: &[Decision]| {
            decisions.iter().filter_map(|decision| decision.confidence).collect::<Vec<_>>()
        };
        let (own, foreign_confidences) = (confidences(own), confidences(foreign));
        Self {
            source: source.to_owned(),
            queries: foreign.len(),
            nothing_relevant: nothing_relevant(foreign),
            auc: auc(&own, &foreign_confidences),
            curve: curve(&own, &foreign_confidences),
        }
    }
}

fn nothing_relevant(decisions: &[Decision]) -> f64 {
    share(decisions.iter().filter(|decision| decision.nothing_relevant).count(), decisions.len())
}

/// Returns, for each rate of false alarms, the highest threshold that keeps to it.
fn curve(own: &[f64], foreign: &[f64]) -> Vec<OperatingPoint> {
    let mut sorted = own.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let below = |values: &[f64], threshold| values.iter().filter(|&&value| value < threshold).count();
    let alarms = |threshold| share(sorted.partition_point(|&value| value < threshold), sorted.len());
    let point = |false_alarms_max: f64| {
        let allowed = sorted.partition_point(|&threshold| alarms(threshold) <= false_alarms_max);
        let threshold = *sorted.get(allowed.checked_sub(1)?)?;
        Some(OperatingPoint {
            false_alarms_max,
            threshold,
            false_alarms: alarms(threshold),
            caught: share(below(foreign, threshold), foreign.len()),
        })
    };
    if foreign.is_empty() { Vec::new() } else { FALSE_ALARMS.into_iter().filter_map(point).collect() }
}

#[cfg(test)]
mod tests {
    use super::{Decision, ForeignQueries, SourceAbstention, curve};

    #[test]
    fn a_threshold_keeps_to_its_false_alarms() {
        let own: Vec<f64> = (1..=100).map(|i| f64::from(i) / 100.0).collect();
        let foreign = [0.001, 0.015, 0.055, 0.5];
        let points = curve(&own, &foreign);
        let shares: Vec<(f64, f64)> = points.iter().map(|point| (point.false_alarms, point.caught)).collect();
        assert_eq!(shares, [(0.01, 0.5), (0.02, 0.5), (0.05, 0.75), (0.1, 0.75), (0.2, 0.75)]);
        // All equal: no threshold catches any without alarming at all.
        assert!(
            curve(&[0.5; 10], &[0.5]).iter().all(|point| point.caught == 0.0 && point.false_alarms == 0.0)
        );
        assert!(curve(&[], &foreign).is_empty() && curve(&own, &[]).is_empty());
    }

    #[test]
    fn decisions_without_confidence_still_count() {
        let decision = |nothing_relevant| Decision { nothing_relevant, confidence: None };
        let abstention = SourceAbstention::of("x", &[decision(false)], &[decision(true), decision(false)]);
        assert!((abstention.nothing_relevant - 0.5).abs() < 1e-12);
        assert!(abstention.auc.is_none() && abstention.curve.is_empty());
    }

    #[test]
    fn random_words_repeat_with_their_seed() {
        let random = ForeignQueries::random(3);
        assert_eq!(random.texts, ForeignQueries::random(3).texts);
        assert_ne!(random.texts, ForeignQueries::random(4).texts);
        assert!(random.texts.iter().all(|text| (3..=8).contains(&text.split(' ').count())));
    }
}
