//! HTTP server for operators: `/livez`, `/readyz`, `/metrics`. Requests of agents do not come here.

use std::io;
use std::net::SocketAddr;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use axum::{Router, serve};
use clap::Args;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::health::Health;
use crate::telemetry::metrics;

/// Configuration of the operators' HTTP server.
#[derive(Args, Clone, Debug)]
pub struct HttpConfig {
    /// Address and port of /livez, /readyz and /metrics; port 0 takes a free one
    //
    // All interfaces by default: a service runs in a container, and a probe that cannot reach it is a failed
    // deployment. `toolweaver up` listens on the loopback interface instead.
    #[arg(long, env = "HTTP_ADDR", value_name = "ADDR", default_value = "0.0.0.0:9464")]
    pub http_addr: SocketAddr,

    /// Start nothing: ask the process that serves at this address whether it is ready, and exit with 0 or 1
    #[arg(long)]
    pub healthcheck: bool,
}

/// Running HTTP server. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct HttpServer {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl HttpServer {
    /// Binds the address, so that a taken port is known at once, and serves.
    pub(crate) async fn start(config: &HttpConfig, health: Health) -> io::Result<Self> {
        let listener = TcpListener::bind(config.http_addr).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            // axum's server retries what can fail and does not return.
            serve(listener, routes(health)).await.ok();
        });
        Ok(Self { address, task })
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn routes(health: Health) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(scrape))
        .with_state(health)
}

async fn livez(State(health): State<Health>) -> Response {
    match health.dead() {
        None => Json(json!({ "live": true })).into_response(),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "live": false, "reason": reason })))
            .into_response(),
    }
}

async fn readyz(State(health): State<Health>) -> Response {
    let closed = health.not_ready();
    let status = if closed.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "ready": closed.is_empty(), "not_ready": closed }))).into_response()
}

async fn scrape(headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let format = metrics::Format::accepted(accept);
    match metrics::render(format) {
        Ok(text) => ([(header::CONTENT_TYPE, format.content_type())], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
