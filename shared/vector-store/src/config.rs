//! The configuration of Qdrant: its address, and the settings of new collections.

use std::{fmt, num::NonZeroU32, time::Duration};

use clap::{ArgAction, builder::BoolishValueParser};
use tonic::codegen::http::Uri;

/// The address of Qdrant and the settings of new collections.
#[derive(Clone, clap::Args)]
pub struct QdrantConfig {
    /// Keep vectors in Qdrant; without it they are in INDEXED, and each query worker searches them in memory.
    #[arg(
        long, env = "USE_VECTOR_DB", default_value = "false", default_missing_value = "true", num_args = 0..=1,
        action = ArgAction::Set, value_parser = BoolishValueParser::new()
    )]
    pub use_vector_db: bool,
    /// Address of Qdrant's gRPC port.
    #[arg(long, env = "QDRANT_URL", default_value = "http://127.0.0.1:6334")]
    pub qdrant_url: String,
    /// API key of Qdrant, where it asks for one.
    #[arg(long, env = "QDRANT_API_KEY", hide_env_values = true)]
    pub qdrant_api_key: Option<String>,
    /// Alias of the collection in use; each model's own collection is named after it.
    #[arg(long, env = "QDRANT_ALIAS", default_value = "toolweaver_tools")]
    pub qdrant_alias: String,
    /// Copies of each shard of a new collection; the server's default if left out.
    #[arg(long, env = "QDRANT_REPLICATION_FACTOR")]
    pub qdrant_replication_factor: Option<NonZeroU32>,
    /// Shards of a new collection; the server's default if left out.
    #[arg(long, env = "QDRANT_SHARD_NUMBER")]
    pub qdrant_shard_number: Option<NonZeroU32>,
    /// Milliseconds that a read or write may take.
    #[arg(long = "qdrant-timeout-ms", env = "QDRANT_TIMEOUT_MS", default_value = "5000", value_parser = milliseconds)]
    pub qdrant_timeout: Duration,
}

impl QdrantConfig {
    /// Returns the configuration of a Qdrant at this address, everything else as by default.
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            use_vector_db: true,
            qdrant_url: url.into(),
            qdrant_api_key: None,
            qdrant_alias: "toolweaver_tools".to_owned(),
            qdrant_replication_factor: None,
            qdrant_shard_number: None,
            qdrant_timeout: Duration::from_secs(5),
        }
    }

    /// Returns all faults of this configuration, each with its variable. What is not used is not looked at.
    pub fn validate(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if !self.use_vector_db {
            return faults;
        }
        let uri: Option<Uri> = self.qdrant_url.parse().ok();
        if !uri.is_some_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some())
        {
            faults.push(format!(
                "QDRANT_URL {:?} is not an address like http://127.0.0.1:6334 (the gRPC port)",
                self.qdrant_url
            ));
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if !(1..=200).contains(&self.qdrant_alias.len()) || !self.qdrant_alias.chars().all(is_name) {
            faults.push(format!(
                "QDRANT_ALIAS {:?} must have 1 to 200 characters of A-Z, a-z, 0-9, _ and -",
                self.qdrant_alias
            ));
        }
        if self.qdrant_timeout.is_zero() {
            faults.push("QDRANT_TIMEOUT_MS must be at least 1".to_owned());
        }
        faults
    }
}

impl fmt::Debug for QdrantConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QdrantConfig")
            .field("use_vector_db", &self.use_vector_db)
            .field("qdrant_url", &self.qdrant_url)
            .field("qdrant_api_key", &self.qdrant_api_key.as_ref().map(|_| "[redacted]"))
            .field("qdrant_alias", &self.qdrant_alias)
            .field("qdrant_replication_factor", &self.qdrant_replication_factor)
            .field("qdrant_shard_number", &self.qdrant_shard_number)
            .field("qdrant_timeout", &self.qdrant_timeout)
            .finish()
    }
}

fn milliseconds(text: &str) -> Result<Duration, std::num::ParseIntError> {
    text.parse().map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::QdrantConfig;

    #[test]
    fn defaults_are_valid() {
        assert_eq!(QdrantConfig::at("http://127.0.0.1:6334").validate(), Vec::<String>::new());
    }

    #[test]
    fn all_faults_are_reported_together() {
        let mut config = QdrantConfig::at("127.0.0.1:6334");
        config.qdrant_alias = "a/b".to_owned();
        config.qdrant_timeout = std::time::Duration::ZERO;
        let faults = config.validate();
        for (fault, variable) in faults.iter().zip(["QDRANT_URL", "QDRANT_ALIAS", "QDRANT_TIMEOUT_MS"]) {
            assert!(fault.starts_with(variable), "{fault}");
        }
        assert_eq!(faults.len(), 3);
    }

    #[test]
    fn the_api_key_is_not_in_debug_output() {
        let mut config = QdrantConfig::at("http://127.0.0.1:6334");
        config.qdrant_api_key = Some("s3cret".to_owned());
        assert!(!format!("{config:?}").contains("s3cret"));
    }
}
