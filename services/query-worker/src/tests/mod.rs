//! Tests of the whole worker without NATS.

mod every_name;
mod no_stale_answer;
