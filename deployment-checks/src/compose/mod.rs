//! The compose file, the images it builds, and the servers beside the workers.

pub mod images;
pub mod services;
pub mod wiring;
