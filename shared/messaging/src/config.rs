//! Configuration of the NATS connection: servers, TLS and credentials.

use std::fmt;
use std::path::PathBuf;

use async_nats::ServerAddr;
use percent_encoding::percent_decode_str;

/// Address of NATS by default.
const DEFAULT_URL: &str = "nats://127.0.0.1:4222";

/// Command line options and environment variables of the NATS connection.
///
/// At most one kind of credentials: a credentials file, a token, a user with password, or either of the last
/// two in the URL. `Debug` shows no secret.
#[derive(Clone, Default, clap::Args)]
#[command(next_help_heading = "NATS")]
pub struct NatsConfig {
    /// Servers, separated by commas: `nats://[user:password@]host:port`, also `tls://`, `ws://` and `wss://`
    /// [default: `nats://127.0.0.1:4222`]
    #[arg(long, env = "NATS_URL", hide_env_values = true, value_name = "URL")]
    pub nats_url: Option<String>,

    /// Credentials file (JWT and seed) as `nsc` writes it
    #[arg(long, env = "NATS_CREDENTIALS_FILE", value_name = "FILE")]
    pub nats_credentials_file: Option<PathBuf>,

    /// Access token
    #[arg(long, env = "NATS_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub nats_token: Option<String>,

    /// User name; needs a password
    #[arg(long, env = "NATS_USER", value_name = "USER")]
    pub nats_user: Option<String>,

    /// Password of the user
    #[arg(long, env = "NATS_PASSWORD", hide_env_values = true, value_name = "PASSWORD")]
    pub nats_password: Option<String>,

    /// Certificate authority that signed the servers' certificates, PEM
    #[arg(long, env = "NATS_TLS_CA", value_name = "FILE")]
    pub nats_tls_ca: Option<PathBuf>,

    /// Client certificate, PEM; needs a key
    #[arg(long, env = "NATS_TLS_CERT", value_name = "FILE")]
    pub nats_tls_cert: Option<PathBuf>,

    /// Key of the client certificate, PEM
    #[arg(long, env = "NATS_TLS_KEY", value_name = "FILE")]
    pub nats_tls_key: Option<PathBuf>,
}

/// Credentials of a connection, of one kind.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Credentials {
    None,
    File(PathBuf),
    Token(String),
    User { name: String, password: String },
}

impl NatsConfig {
    /// Creates a configuration for one server without credentials.
    pub fn for_url(url: impl Into<String>) -> Self {
        Self { nats_url: Some(url.into()), ..Self::default() }
    }

    /// Returns the configured servers, or the default one; may hold a password, so not for logs.
    pub fn url(&self) -> &str {
        self.nats_url.as_deref().unwrap_or(DEFAULT_URL)
    }

    /// Returns the configured servers without user and password, for logs and messages.
    pub fn url_redacted(&self) -> String {
        let shown = self.urls().map(|url| match parse(url) {
            Ok(address) => without_user(address).as_url_str().to_owned(),
            Err(_) => "<not a URL>".to_owned(),
        });
        shown.collect::<Vec<_>>().join(",")
    }

    /// Returns every fault of this configuration, each naming its variable and what to do; empty when there
    /// is none.
    pub fn validate(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if let Err(fault) = self.servers() {
            faults.push(fault);
        }
        if let Err(fault) = self.credentials() {
            faults.push(fault);
        }
        if self.nats_user.is_some() != self.nats_password.is_some() {
            faults.push("NATS_USER and NATS_PASSWORD go together: set both or neither".to_owned());
        }
        if self.nats_tls_cert.is_some() != self.nats_tls_key.is_some() {
            faults.push("NATS_TLS_CERT and NATS_TLS_KEY go together: set both or neither".to_owned());
        }
        let files = [
            ("NATS_CREDENTIALS_FILE", &self.nats_credentials_file),
            ("NATS_TLS_CA", &self.nats_tls_ca),
            ("NATS_TLS_CERT", &self.nats_tls_cert),
            ("NATS_TLS_KEY", &self.nats_tls_key),
        ];
        for (variable, path) in files {
            if let Some(path) = path
                && let Err(error) = std::fs::File::open(path)
            {
                let path = path.display();
                faults.push(format!(
                    "{variable}: cannot read {path} ({error}); check the path and its permissions"
                ));
            }
        }
        faults
    }

    /// Returns the servers to connect to, without user and password.
    pub(crate) fn servers(&self) -> Result<Vec<ServerAddr>, String> {
        let servers: Vec<ServerAddr> =
            self.urls().map(|url| parse(url).map(without_user)).collect::<Result<_, _>>()?;
        if servers.is_empty() {
            return Err("NATS_URL is empty: set it to nats://host:port, or leave it out".to_owned());
        }
        Ok(servers)
    }

    /// Returns the configured credentials, wherever they were given.
    pub(crate) fn credentials(&self) -> Result<Credentials, String> {
        let mut given: Vec<(&str, Credentials)> = Vec::new();
        // The client library leaves the user part of a URL unused, so it is taken out here.
        for address in self.urls().filter_map(|url| parse(url).ok()) {
            if let Some(credentials) = user_of(&address)
                && given.iter().all(|(_, known)| *known != credentials)
            {
                given.push(("the user in NATS_URL", credentials));
            }
        }
        if let Some(path) = &self.nats_credentials_file {
            given.push(("NATS_CREDENTIALS_FILE", Credentials::File(path.clone())));
        }
        if let Some(token) = &self.nats_token {
            given.push(("NATS_TOKEN", Credentials::Token(token.clone())));
        }
        if let (Some(name), Some(password)) = (&self.nats_user, &self.nats_password) {
            let user = Credentials::User { name: name.clone(), password: password.clone() };
            given.push(("NATS_USER", user));
        }
        match given.len() {
            0 => Ok(Credentials::None),
            1 => Ok(given.remove(0).1),
            _ => {
                let names: Vec<&str> = given.iter().map(|(name, _)| *name).collect();
                Err(format!("more than one kind of NATS credentials ({}): keep one", names.join(", ")))
            }
        }
    }

    fn urls(&self) -> impl Iterator<Item = &str> {
        self.url().split(',').map(str::trim).filter(|url| !url.is_empty())
    }
}

impl fmt::Debug for NatsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secret = |value: &Option<String>| value.as_ref().map(|_| "<redacted>");
        f.debug_struct("NatsConfig")
            .field("nats_url", &self.url_redacted())
            .field("nats_credentials_file", &self.nats_credentials_file)
            .field("nats_token", &secret(&self.nats_token))
            .field("nats_user", &self.nats_user)
            .field("nats_password", &secret(&self.nats_password))
            .field("nats_tls_ca", &self.nats_tls_ca)
            .field("nats_tls_cert", &self.nats_tls_cert)
            .field("nats_tls_key", &self.nats_tls_key)
            .finish()
    }
}

fn parse(url: &str) -> Result<ServerAddr, String> {
    // The URL itself stays out of the message: it may hold a password.
    let address: ServerAddr = url.parse().map_err(|error| {
        format!("NATS_URL: {error}; expected nats://host:port (or tls://, ws://, wss://), several separated by commas")
    })?;
    if address.host().is_empty() {
        return Err("NATS_URL has no host: expected nats://host:port".to_owned());
    }
    Ok(address)
}

fn user_of(address: &ServerAddr) -> Option<Credentials> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let name = decode(address.username()?);
    Some(match address.password() {
        Some(password) => Credentials::User { name, password: decode(password) },
        // As in other NATS clients: a user without a password is a token.
        None => Credentials::Token(name),
    })
}

fn without_user(address: ServerAddr) -> ServerAddr {
    let mut url = address.clone().into_inner();
    if url.set_username("").is_err() || url.set_password(None).is_err() {
        return address;
    }
    ServerAddr::from_url(url).unwrap_or(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_set_is_valid() {
        assert_eq!(NatsConfig::default().validate(), Vec::<String>::new());
        assert_eq!(NatsConfig::default().url(), DEFAULT_URL);
    }

    #[test]
    fn user_and_password_of_the_url_are_credentials_and_never_shown() {
        let config = NatsConfig::for_url("nats://ann:s%40cret@one:4222, nats://ann:s%40cret@two");
        assert!(config.validate().is_empty());
        assert!(
            config.credentials()
                == Ok(Credentials::User { name: "ann".to_owned(), password: "s@cret".to_owned() })
        );
        assert_eq!(config.servers().unwrap().len(), 2);
        let shown = format!("{config:?} {}", config.url_redacted());
        assert!(!shown.contains("cret") && shown.contains("two"), "{shown}");
    }

    #[test]
    fn a_lone_user_in_the_url_is_a_token() {
        let config = NatsConfig::for_url("nats://t0ken@host");
        assert!(config.credentials() == Ok(Credentials::Token("t0ken".to_owned())));
    }

    #[test]
    fn all_faults_are_reported_at_once_without_secrets() {
        let config = NatsConfig {
            nats_url: Some("http://u:hidden@host".to_owned()),
            nats_token: Some("hidden".to_owned()),
            nats_user: Some("ann".to_owned()),
            nats_credentials_file: Some("/nowhere/me.creds".into()),
            nats_tls_key: Some("/nowhere/key.pem".into()),
            ..NatsConfig::default()
        };
        let faults = config.validate();
        let text = faults.join("\n");
        for variable in [
            "NATS_URL",
            "NATS_TOKEN",
            "NATS_USER",
            "NATS_CREDENTIALS_FILE: cannot read",
            "NATS_TLS_KEY: cannot read",
        ] {
            assert!(text.contains(variable), "{variable} in {text}");
        }
        assert!(!text.contains("hidden") && !format!("{config:?}").contains("hidden"), "{text}");
    }

    #[test]
    fn an_empty_list_of_servers_is_a_fault() {
        assert_eq!(NatsConfig::for_url(" , ").validate().len(), 1);
    }
}
