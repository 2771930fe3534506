//! Text as index and query see it: terms, their stems, synonyms, and the trigrams of names.

pub(crate) mod stems;
pub(crate) mod synonyms;
pub(crate) mod terms;
pub(crate) mod trigrams;

pub use self::terms::{Form, terms};
