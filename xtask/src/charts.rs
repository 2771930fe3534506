//! Checks of the chart: that it renders what Kubernetes takes, and that it sets what the programs read.

mod audit;
mod environment;
mod helm;
mod nats_conf;
mod pods;
mod readme;
mod refused;
mod rendered;

pub(crate) use environment::environment_check;
pub(crate) use helm::helm_check;
pub(crate) use readme::helm_readme;

/// Where the chart is, from the root.
const CHART: &str = "helm/toolweaver";
