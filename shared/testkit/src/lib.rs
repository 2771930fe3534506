//! Support for the tests of every crate: real servers, doubles where no real one can be had, and
//! waiting on states.
//!
//! Here live the parts on disk ([`parts`]), a real Redis process ([`redis`]), a bad network ([`proxy`]), a
//! receiver of traces ([`otlp`]), waiting on a state under a deadline ([`wait`]), a few realistic tools
//! ([`sample`]) and the optional large data sets ([`data`]). A NATS process is not here:
//! `messaging::LocalServer` starts it, because `toolweaver up` needs it too. Nothing in a service may depend
//! on this crate outside its tests.

pub mod data;
pub mod otlp;
pub mod parts;
pub mod proxy;
pub mod qdrant;
pub mod redis;
pub mod sample;
pub mod wait;
