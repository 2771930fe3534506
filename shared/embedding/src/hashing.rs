//! A model without weights: words and pieces of words, hashed into a vector.

use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::template::TEMPLATE_VERSION;
use crate::{DeviceKind, Fingerprint, Model, ModelError, Role, Tokens};

const DIMENSIONS: NonZeroUsize = NonZeroUsize::new(384).expect("384 is not zero");
/// Features of one text; what comes after them is ignored, like the end of a long text by a real model.
const FEATURES_MAX: usize = 2048;
/// The lowest bit of a feature tells its weight; the other bits are its hash.
const WORD: u32 = 0;
const PIECE: u32 = 1;
const WORD_WEIGHT: f32 = 1.0;
/// A word of n letters has about n trigrams and two neighbours: together they weigh little more than the
/// word.
const PIECE_WEIGHT: f32 = 0.25;

/// Feature hashing of words, pairs of words and character trigrams.
///
/// Deterministic, fast and blind to meaning: texts are near when they share words or spelling. It is there
/// for tests and for trying things out without fetching weights, not for good search.
#[derive(Debug, Clone)]
pub struct Hashing {
    fingerprint: Fingerprint,
}

impl Hashing {
    /// Returns the model; there is nothing to set.
    pub fn new() -> Self {
        let template = TEMPLATE_VERSION.to_le_bytes();
        Self { fingerprint: Fingerprint::new("hashing", &[("hashing", b"1"), ("template", &template)]) }
    }
}

impl Default for Hashing {
    fn default() -> Self {
        Self::new()
    }
}

impl Model for Hashing {
    fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    fn dimensions(&self) -> NonZeroUsize {
        DIMENSIONS
    }

    fn device(&self) -> DeviceKind {
        DeviceKind::Cpu
    }

    /// Cuts the text in the same way for both roles: it was not trained to tell them apart.
    fn tokenize(&self, _: Role, text: &str) -> Result<Tokens, ModelError> {
        let text = text.to_lowercase();
        let words: Vec<&str> =
            text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
        // Every text has at least one feature, so that an empty one has a vector too.
        let mut ids = vec![feature(["", ""], WORD)];
        for (i, word) in words.iter().enumerate() {
            ids.push(feature(["", word], WORD));
            if i > 0 {
                ids.push(feature([words[i - 1], word], PIECE));
            }
            let letters: Vec<char> = format!("^{word}$").chars().collect();
            ids.extend(letters.windows(3).map(|three| {
                let three: String = three.iter().collect();
                feature(["^", &three], PIECE)
            }));
        }
        ids.truncate(FEATURES_MAX);
        Ok(Tokens::new(ids))
    }

    fn encode(&self, batch: &[Tokens]) -> Result<Vec<Vec<f32>>, ModelError> {
        Ok(batch.iter().map(|tokens| vector(tokens.ids())).collect())
    }

    fn on_cpu(&self) -> Result<Option<Arc<dyn Model>>, ModelError> {
        Ok(None)
    }
}

/// Hashes a feature by FNV-1a: stable across versions of Rust and of us, which the standard hasher is not.
fn feature(words: [&str; 2], kind: u32) -> u32 {
    let mut hash: u32 = 0x811c_9dc5;
    for byte in words[0].bytes().chain([0xff]).chain(words[1].bytes()) {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    (hash & !PIECE) | kind
}

fn vector(features: &[u32]) -> Vec<f32> {
    let mut vector = vec![0.0; DIMENSIONS.get()];
    for &feature in features {
        let weight = if feature & PIECE == 0 { WORD_WEIGHT } else { PIECE_WEIGHT };
        let sign = if feature & 2 == 0 { 1.0 } else { -1.0 };
        vector[(feature >> 2) as usize % DIMENSIONS.get()] += sign * weight;
    }
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if length == 0.0 {
        // All features cancelled out: any fixed direction is as good as another.
        vector[0] = 1.0;
    } else {
        for x in &mut vector {
            *x /= length;
        }
    }
    vector
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn embed(text: &str) -> Vec<f32> {
        let model = Hashing::new();
        model.encode(&[model.tokenize(Role::Query, text).unwrap()]).unwrap().remove(0)
    }

    fn cosine(a: &str, b: &str) -> f32 {
        embed(a).iter().zip(embed(b)).map(|(x, y)| x * y).sum()
    }

    #[test]
    fn shared_words_are_nearer_than_shared_spelling_and_both_than_nothing() {
        let same = cosine("create pull request", "pull request create");
        let typo = cosine("create pull request", "creat pul reqest");
        let other = cosine("create pull request", "weather in Tokyo");
        assert!(same > typo && typo > other && other < 0.3, "{same} {typo} {other}");
    }

    #[test]
    fn features_never_change() {
        // Vectors that were stored by an earlier build must still fit.
        assert_eq!(
            Hashing::new().tokenize(Role::Passage, "Ab a").unwrap().ids(),
            [
                2_047_574_606,
                723_531_596,
                3_633_060_463,
                125_864_231,
                1_327_362_044,
                3_490_958_347,
                378_305_545
            ]
        );
    }

    proptest! {
        #[test]
        fn every_text_has_a_unit_vector(text in any::<String>()) {
            let vector = embed(&text);
            prop_assert_eq!(vector.len(), DIMENSIONS.get());
            prop_assert!((vector.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-5);
        }
    }
}
