//! Error chain in one line: an error and its causes, each said once.

use std::error::Error;

/// Returns an error followed by its causes, separated by colons.
///
/// A cause whose text an error above it already contains is left out: libraries often repeat their source.
pub(crate) fn error_chain(error: &dyn Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    for error in std::iter::successors(Some(error), |&error| error.source()) {
        let text = error.to_string();
        if !texts.iter().any(|above| above.contains(&text)) {
            texts.push(text);
        }
    }
    texts.join(": ")
}
