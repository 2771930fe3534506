//! Whether the system knows when nothing fits: the queries of other sets, and random words, where no tool is right.
//!
//! A reply carries a verdict (`nothing_relevant`) and a confidence. The verdict is judged as it is; the confidence as any
//! threshold on it would do, because where to draw the line is a choice.

use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};
use toolweaver_contracts::{Detail, Fault, SearchRequest, SearchStatus};

use super::{
    metrics::{DEPTH, share},
    random::Random,
    run::QueryRun,
    set::{Query, Sample},
    statistics::auc,
    system::System,
};

/// Queries made of random words.
const RANDOM_QUERIES: usize = 200;
/// Words in each, from and to.
const RANDOM_WORDS: (usize, usize) = (3, 8);
/// Syllables in a word, from and to.
const RANDOM_SYLLABLES: (usize, usize) = (1, 4);
/// What the made-up queries are called.
const RANDOM_NAME: &str = "random words";
/// Shares of own queries that may be taken for foreign ones.
const FALSE_ALARMS: [f64; 5] = [0.01, 0.02, 0.05, 0.10, 0.20];

/// Queries to which nothing in the catalogue is the answer.
#[derive(Debug)]
pub(super) struct Foreign {
    pub(super) source: String,
    texts: Vec<String>,
}

/// How well foreign queries are told from own ones.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Verdicts {
    /// Share of the set's own queries that were answered with `nothing_relevant`, 0 to 1.
    pub(super) false_alarms: f64,
    pub(super) sources: Vec<SourceVerdicts>,
    /// All sources together.
    pub(super) all: SourceVerdicts,
}

/// The same for foreign queries of one source.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SourceVerdicts {
    pub(super) source: String,
    pub(super) queries: usize,
    /// Share answered with `nothing_relevant`, 0 to 1.
    pub(super) nothing_relevant: f64,
    /// How often an own query has a higher confidence than a foreign one; absent where replies carry none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) auc: Option<f64>,
    /// What a threshold on the confidence would do.
    pub(super) curve: Vec<Point>,
}

/// One threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Point {
    /// Share of own queries that may be below it.
    pub(super) false_alarms_max: f64,
    /// A confidence below this is an alarm.
    pub(super) threshold: f64,
    /// Share of own queries below it.
    pub(super) false_alarms: f64,
    /// Share of foreign queries below it.
    pub(super) caught: f64,
}

/// What a reply said.
#[derive(Debug, Clone, Copy)]
struct Said {
    nothing_relevant: bool,
    confidence: Option<f64>,
}

impl Foreign {
    /// Queries of another set, sampled as this one's own.
    pub(super) fn of_set(source: String, queries: Vec<Query>, sample: Sample) -> Self {
        Self { source, texts: sample.of(queries).into_iter().map(|query| query.text).collect() }
    }

    /// Words that are none, drawn by the seed.
    pub(super) fn random(seed: u64) -> Self {
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

/// Asks all foreign queries and judges the verdicts beside those of the own ones.
pub(super) async fn judge(
    system: &System,
    concurrency: NonZeroUsize,
    own: &[QueryRun],
    foreign: &[Foreign],
) -> Result<Verdicts, Fault> {
    let own: Vec<Said> = own.iter().map(|run| Said::new(run.status, run.confidence)).collect();
    let (mut sources, mut all) = (Vec::new(), Vec::new());
    for source in foreign {
        let said = system
            .ask_all(concurrency, "off catalogue", source.requests(), |_, answer| {
                Said::new(answer.reply.status, answer.reply.confidence)
            })
            .await?;
        sources.push(SourceVerdicts::of(&source.source, &own, &said));
        all.extend(said);
    }
    Ok(Verdicts { false_alarms: nothing_relevant(&own), sources, all: SourceVerdicts::of("all", &own, &all) })
}

impl Said {
    fn new(status: SearchStatus, confidence: Option<f32>) -> Self {
        Self {
            nothing_relevant: status == SearchStatus::NothingRelevant,
            confidence: confidence.map(f64::from),
        }
    }
}

impl SourceVerdicts {
    fn of(source: &str, own: &[Said], foreign: &[Said]) -> Self {
        let confidences = |said: &[Said]| said.iter().filter_map(|said| said.confidence).collect::<Vec<_>>();
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

fn nothing_relevant(said: &[Said]) -> f64 {
    share(said.iter().filter(|said| said.nothing_relevant).count(), said.len())
}

/// For each share of false alarms the highest threshold that keeps to it.
fn curve(own: &[f64], foreign: &[f64]) -> Vec<Point> {
    let mut sorted = own.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let below = |values: &[f64], threshold| values.iter().filter(|&&value| value < threshold).count();
    let alarms = |threshold| share(sorted.partition_point(|&value| value < threshold), sorted.len());
    let point = |false_alarms_max: f64| {
        let allowed = sorted.partition_point(|&threshold| alarms(threshold) <= false_alarms_max);
        let threshold = *sorted.get(allowed.checked_sub(1)?)?;
        Some(Point {
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
    use super::{Foreign, Said, SourceVerdicts, curve};

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
    fn verdicts_without_confidence_still_count() {
        let said = |nothing_relevant| Said { nothing_relevant, confidence: None };
        let verdicts = SourceVerdicts::of("x", &[said(false)], &[said(true), said(false)]);
        assert!((verdicts.nothing_relevant - 0.5).abs() < 1e-12);
        assert!(verdicts.auc.is_none() && verdicts.curve.is_empty());
    }

    #[test]
    fn random_words_repeat_with_their_seed() {
        let random = Foreign::random(3);
        assert_eq!(random.texts, Foreign::random(3).texts);
        assert_ne!(random.texts, Foreign::random(4).texts);
        assert!(random.texts.iter().all(|text| (3..=8).contains(&text.split(' ').count())));
    }
}
