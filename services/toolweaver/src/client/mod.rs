//! Client of running workers: one connection, requests and their replies, discovery, waiting.
//!
//! It sees only what any NATS client sees. Every failure is a fault that says what to do.

mod connection;
mod discovery;
mod empty;
mod faults;
mod waiting;

pub(crate) use self::{
    connection::{ANSWER_TIMEOUT, Client, located},
    discovery::{Instance, instances},
    empty::{empty_catalog, is_catalog_empty},
    faults::{no_connection, not_stored},
    waiting::{Rejections, until_searchable},
};
