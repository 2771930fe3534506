//! Error chain in one line: an error and its causes, each said once.

use std::error::Error;
use std::fmt;

/// Displays an error followed by its causes, separated by colons.
#[derive(Clone, Copy, Debug)]
pub struct ErrorChain<'a>(&'a (dyn Error + 'a));

/// Returns the error with its causes, to be displayed in one line.
///
/// A cause whose text an error above it already contains is left out: libraries often repeat their source.
pub fn error_chain<'a>(error: &'a (dyn Error + 'a)) -> ErrorChain<'a> {
    ErrorChain(error)
}

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut written: Vec<String> = Vec::new();
        let mut next = Some(self.0);
        while let Some(error) = next {
            let text = error.to_string();
            if !written.iter().any(|above| above.contains(&text)) {
                let separator = if written.is_empty() { "" } else { ": " };
                write!(f, "{separator}{text}")?;
                written.push(text);
            }
            next = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        source: Option<Box<Layer>>,
    }

    fn chain(texts: &[&'static str]) -> String {
        let (text, below) = texts.split_first().expect("a text");
        let error = below.iter().rev().fold(None, |source, text| Some(Box::new(Layer { text, source })));
        error_chain(&Layer { text, source: error }).to_string()
    }

    #[test]
    fn causes_follow_their_effects() {
        assert_eq!(chain(&["cannot connect"]), "cannot connect");
        assert_eq!(chain(&["cannot connect", "I/O", "refused"]), "cannot connect: I/O: refused");
    }

    #[test]
    fn a_cause_that_was_said_already_is_not_said_again() {
        assert_eq!(chain(&["cannot connect: refused", "refused"]), "cannot connect: refused");
        assert_eq!(chain(&["I/O: refused", "I/O", "refused", "os error 111"]), "I/O: refused: os error 111");
        assert_eq!(chain(&["refused", "refused"]), "refused");
    }
}
