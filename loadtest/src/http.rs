//! One GET, as a probe or a scrape sends it.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

const TIMEOUT: Duration = Duration::from_secs(10);

/// Response to a GET.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

pub(crate) async fn get(server: SocketAddr, path: &str) -> anyhow::Result<Answer> {
    let text = timeout(TIMEOUT, exchange(server, path)).await.map_err(anyhow::Error::from).flatten()?;
    let (head, body) = text.split_once("\r\n\r\n").context("the answer has no end of its head")?;
    let status = head.split(' ').nth(1).context("the answer has no status")?.parse()?;
    Ok(Answer { status, body: body.to_owned() })
}

async fn exchange(server: SocketAddr, path: &str) -> anyhow::Result<String> {
    let mut connection = TcpStream::connect(server).await?;
    // In HTTP 1.0 the end of the connection is the end of the answer.
    connection.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await?;
    let mut text = String::new();
    connection.read_to_string(&mut text).await?;
    Ok(text)
}
