//! Rules that the chart, the compose file, the images and the workflows must keep: documents in, faults out.
//!
//! Pure: this crate runs no program and reads no file; `xtask` does, and prints the faults. [`chart`] looks
//! at rendered objects of Kubernetes, [`values_table`] at the chart's values, [`compose`] at the compose file
//! with the Dockerfiles and the configuration of the servers, [`environment`] at names of variables,
//! [`workflows`] at GitHub's workflows.

pub mod chart;
pub mod compose;
pub mod environment;
pub mod values_table;
pub mod workflows;
