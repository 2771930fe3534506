//! Tiny models of every family, against what sentence-transformers says of them (see
//! `reference/families.py`), and what their folders may and may not ask for.

mod folders;
mod prefixes;
mod support;
mod vectors;
