//! Texts to vectors, each text once: within a batch, and over batches as long as the memory lasts.
//!
//! The memory is what makes a batch cost no embedding when it is delivered again because some part was down,
//! and the same tool in a hundred tenants one embedding instead of a hundred.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use moka::sync::Cache;
use toolweaver_embedding::{EmbedError, Embedder, Role};

use crate::metrics::{self, VectorSource};

/// Memory for known texts and their vectors: about 35,000 of 384 numbers.
const KNOWN_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A vector that several holders share.
pub(crate) type SharedVector = Arc<[f32]>;

/// An embedder that remembers what it has said.
#[derive(Debug, Clone)]
pub(crate) struct Vectors {
    embedder: Embedder,
    /// By the whole text, not by a hash of it: no two texts can be taken for one.
    known: Cache<String, SharedVector>,
}

impl Vectors {
    pub(crate) fn new(embedder: Embedder) -> Self {
        let known = Cache::builder()
            .max_capacity(KNOWN_BYTES_MAX)
            .weigher(|text: &String, vector: &SharedVector| {
                u32::try_from(text.len() + size_of_val::<[f32]>(vector)).unwrap_or(u32::MAX)
            })
            .build();
        Self { embedder, known }
    }

    /// Returns one vector for each text, in their order. A text that cannot be embedded fails alone.
    pub(crate) async fn of(&self, texts: &[String]) -> Vec<Result<SharedVector, EmbedError>> {
        let mut found: HashMap<&str, Result<SharedVector, EmbedError>> = HashMap::new();
        let mut missing: BTreeSet<&str> = BTreeSet::new();
        for text in texts {
            match self.known.get(text) {
                Some(vector) => drop(found.insert(text, Ok(vector))),
                None => drop(missing.insert(text)),
            }
        }
        metrics::vectors(VectorSource::Memory, texts.len() - missing.len());
        let missing: Vec<&str> = missing.into_iter().collect();
        for (text, vector) in missing.iter().zip(self.embed(&missing).await) {
            if let Ok(vector) = &vector {
                self.known.insert((*text).to_owned(), Arc::clone(vector));
            }
            found.insert(text, vector);
        }
        texts.iter().map(|text| found[text.as_str()].clone()).collect()
    }

    async fn embed(&self, texts: &[&str]) -> Vec<Result<SharedVector, EmbedError>> {
        let error = match self.embed_together(texts).await {
            Ok(vectors) => return vectors.into_iter().map(Ok).collect(),
            Err(error) => error,
        };
        if texts.len() == 1 || matches!(error, EmbedError::Stopped) {
            return vec![Err(error); texts.len()];
        }
        // One text spoiled it for all: the others must not wait for that one.
        let mut vectors = Vec::with_capacity(texts.len());
        for text in texts {
            vectors.push(self.embed_together(&[text]).await.map(|mut one| one.swap_remove(0)));
        }
        vectors
    }

    async fn embed_together(&self, texts: &[&str]) -> Result<Vec<SharedVector>, EmbedError> {
        let owned = texts.iter().map(|text| (*text).to_owned()).collect();
        let vectors = self.embedder.embed(Role::Passage, owned).await?;
        metrics::vectors(VectorSource::Model, vectors.len());
        Ok(vectors.into_iter().map(Arc::from).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use toolweaver_embedding::{DeviceKind, Fingerprint, Hashing, Limits, Model, ModelError, Tokens};

    use super::*;

    /// Hashed words, but one word is poison.
    struct Fragile(Hashing);

    impl Model for Fragile {
        fn fingerprint(&self) -> &Fingerprint {
            self.0.fingerprint()
        }

        fn dimensions(&self) -> NonZeroUsize {
            self.0.dimensions()
        }

        fn device(&self) -> DeviceKind {
            self.0.device()
        }

        fn tokenize(&self, role: Role, text: &str) -> Result<Tokens, ModelError> {
            if text.contains("poison") {
                return Err(ModelError::Tokenize("poison".into()));
            }
            self.0.tokenize(role, text)
        }

        fn encode(&self, batch: &[Tokens]) -> Result<Vec<Vec<f32>>, ModelError> {
            self.0.encode(batch)
        }

        fn on_cpu(&self) -> Result<Option<Arc<dyn Model>>, ModelError> {
            Ok(None)
        }
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    fn vectors() -> Vectors {
        Vectors::new(Embedder::spawn(Arc::new(Fragile(Hashing::new())), Limits::default()))
    }

    #[tokio::test]
    async fn each_text_is_embedded_once() {
        let vectors = vectors();
        let first = vectors.of(&texts(&["one", "two", "one"])).await;
        assert_eq!(first[0].as_ref().unwrap(), first[2].as_ref().unwrap());
        assert_ne!(first[0].as_ref().unwrap(), first[1].as_ref().unwrap());
        assert_eq!(vectors.embedder.stats().texts, 2);

        let again = vectors.of(&texts(&["two", "three"])).await;
        assert_eq!(again[0].as_ref().unwrap(), first[1].as_ref().unwrap());
        assert_eq!(vectors.embedder.stats().texts, 3);
    }

    #[tokio::test]
    async fn a_text_that_cannot_be_embedded_fails_alone() {
        let vectors = vectors();
        let answers = vectors.of(&texts(&["one", "poison", "two"])).await;
        assert!(answers[0].is_ok() && answers[2].is_ok());
        assert!(!answers[1].as_ref().unwrap_err().is_transient());
    }

    #[tokio::test]
    async fn nothing_to_do_is_fine() {
        assert!(vectors().of(&[]).await.is_empty());
    }
}
