//! Local NATS server, a child process on the data folder.

use std::{
    net::{Ipv4Addr, TcpListener},
    path::Path,
};

use toolweaver_contracts::{ErrorCode, Fault};
use toolweaver_messaging::{LocalServer, LocalServerConfig, local_server::LocalServerError};
use toolweaver_resilience::error_chain;

/// Starts a NATS server on a data folder; port 0 takes a free one.
pub(crate) async fn start_server(data_dir: &Path, port: u16) -> Result<LocalServer, Fault> {
    let config = LocalServerConfig { binary: None, data_dir: data_dir.to_owned(), port };
    LocalServer::start(config).await.map_err(|error| {
        let is_taken = port != 0
            && matches!(error, LocalServerError::Died { .. })
            && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err();
        if is_taken {
            Fault::new(
                ErrorCode::Unavailable,
                format!("port {port} is taken, perhaps by another NATS server"),
            )
            .hint("use that server with --nats-url, or take a free port with --nats-port 0")
        } else {
            Fault::new(ErrorCode::Internal, format!("cannot start nats-server: {}", error_chain(&error)))
        }
    })
}
