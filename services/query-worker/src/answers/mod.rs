//! Answers from the cache: looked up, revalidated against changes of the catalog, or computed once for all
//! who ask.

pub(crate) mod cache;
pub(crate) mod popularity;
pub(crate) mod warmup;
