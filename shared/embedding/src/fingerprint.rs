//! The identity of an embedding: everything that decides which vector a tool gets.

use std::fmt;

use sha2::{Digest, Sha256};

/// A name for people and a hash for programs.
///
/// The hash covers the weights, the tokenizer, the shape, pooling, normalisation, the length limit, the
/// prefix of passages and the version of the [text template](crate::template). Equal hashes mean
/// interchangeable vectors; the name is the folder's and decides nothing.
///
/// The prefix of queries is not part of it: it changes no vector that is stored, so another one must not ask
/// for another index, nor keep a search apart from tools that were indexed without knowing it. It does change
/// the vectors of queries, and what is cached of them goes by [`Fingerprint::query_hex`].
#[derive(Debug, Clone)]
pub struct Fingerprint {
    name: String,
    hex: String,
    query_hex: String,
}

impl Fingerprint {
    /// Hashes `components`: the label of each, and its contents or their own hash.
    pub(crate) fn new(name: impl Into<String>, components: &[(&str, &[u8])]) -> Self {
        let mut hasher = Sha256::new();
        for (label, content) in components {
            // Lengths keep ("ab", "c") and ("a", "bc") apart.
            for field in [label.as_bytes(), content] {
                hasher.update((field.len() as u64).to_le_bytes());
                hasher.update(field);
            }
        }
        let hex = hex(&hasher.finalize());
        Self { name: name.into(), query_hex: hex.clone(), hex }
    }

    /// Sets the prefix before its queries; the model is the same.
    pub(crate) fn with_query_prefix(mut self, prefix: &str) -> Self {
        self.query_hex = match prefix {
            "" => self.hex.clone(),
            prefix => {
                Self::new("", &[("model", self.hex.as_bytes()), ("query_prefix", prefix.as_bytes())]).hex
            }
        };
        self
    }

    /// Returns the model's name, for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the whole hash: 64 hexadecimal digits.
    pub fn hex(&self) -> &str {
        &self.hex
    }

    /// Returns the hash under which vectors of queries are cached: it covers the prefix of queries too. The
    /// same as [`Self::hex`] for a model without one.
    pub fn query_hex(&self) -> &str {
        &self.query_hex
    }

    /// Returns the first 12 hexadecimal digits: enough to tell models apart in the names of collections and
    /// consumers.
    pub fn short(&self) -> &str {
        &self.hex[..12]
    }
}

impl PartialEq for Fingerprint {
    fn eq(&self, other: &Self) -> bool {
        self.hex == other.hex
    }
}

impl Eq for Fingerprint {}

/// `all-MiniLM-L6-v2@0123456789ab`.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.short())
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|n| char::from(DIGITS[usize::from(n)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_covers_every_part_and_not_the_name() {
        let components: &[(&str, &[u8])] = &[("weights", b"w"), ("pooling", b"mean")];
        let one = Fingerprint::new("one", components);
        assert_eq!(one, Fingerprint::new("two", components));
        assert_ne!(one, Fingerprint::new("one", &[("weights", b"w"), ("pooling", b"cls")]));
        assert_ne!(one, Fingerprint::new("one", &[("weights", b"wp"), ("ooling", b"mean")]));
    }

    #[test]
    fn a_query_prefix_changes_what_is_cached_of_queries_alone() {
        let plain = Fingerprint::new("tiny", &[]);
        let prefixed = plain.clone().with_query_prefix("query: ");
        assert_eq!(plain, prefixed);
        assert_eq!(plain.query_hex(), plain.hex());
        assert_ne!(prefixed.query_hex(), plain.query_hex());
        assert_ne!(prefixed.query_hex(), plain.clone().with_query_prefix("query:").query_hex());
    }

    #[test]
    fn it_prints_as_name_and_short_hash() {
        let fingerprint = Fingerprint::new("tiny", &[]);
        // SHA-256 of nothing is a published value.
        assert_eq!(fingerprint.hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(fingerprint.to_string(), "tiny@e3b0c44298fc");
    }
}
