//! Checks of the chart: it renders objects that Kubernetes takes, and sets variables that the programs read.

mod environment;
mod helm;
mod nats_conf;
mod readme;
mod refused;
mod rendered;

pub(crate) use environment::environment_check;
pub(crate) use helm::helm_check;
pub(crate) use readme::helm_readme;

/// Folder of the chart, from the root.
const CHART: &str = "helm/toolweaver";
