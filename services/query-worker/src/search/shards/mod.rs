//! Shards: query workers that share a catalog by domain.
//!
//! A shard divides what is dear to search, postings and vectors. Every worker still reads all of INDEXED and
//! keeps the catalog itself, so that get, domains, names and versions need nobody else, and a domain that no
//! owner answers for is known by name. A request for more than one's own domains is fanned out to their
//! owners and merged, with one deadline.

pub(crate) mod directory;
pub(crate) mod fanout;
pub(crate) mod protocol;

pub(crate) use self::directory::Shards;
