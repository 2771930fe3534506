//! Minimal NATS client for the demo: one connection, one request at a time.
//!
//! The demo measures what any client would see, so it asks over the wire instead of through a crate of ours;
//! the protocol is lines of text, and this small crate stays free of an asynchronous runtime.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Longest wait for a reply; a request that may wait at the server says so in its body, and stays below this.
const REPLY_WAIT_MAX: Duration = Duration::from_mins(1);

pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    requests: u64,
}

impl Connection {
    /// Connects to `nats://host:port`.
    pub(crate) fn open(url: &str) -> Result<Self> {
        let address = url.trim_start_matches("nats://");
        let stream = TcpStream::connect(address).with_context(|| format!("could not connect to {url}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(REPLY_WAIT_MAX))?;
        let mut connection = Self { stream: BufReader::new(stream), requests: 0 };
        connection.line()?; // The server introduces itself.
        connection.send(b"CONNECT {\"verbose\":false,\"headers\":true,\"no_responders\":true}\r\n")?;
        connection.send(b"SUB xtask.reply.* 1\r\n")?;
        Ok(connection)
    }

    /// Sends a request and returns its reply's body.
    pub(crate) fn request(&mut self, subject: &str, body: &Value) -> Result<Value> {
        self.requests += 1;
        let (reply_subject, body) = (format!("xtask.reply.{}", self.requests), body.to_string());
        self.send(format!("PUB {subject} {reply_subject} {}\r\n{body}\r\n", body.len()).as_bytes())?;
        loop {
            let (answered, headers, body) =
                self.message().with_context(|| format!("no reply to {subject}"))?;
            if answered != reply_subject {
                continue;
            }
            if headers.starts_with("NATS/1.0 503") {
                bail!("nobody answers on {subject}");
            }
            if headers.contains("Nats-Service-Error-Code") {
                bail!("{subject} answered with an error: {}", String::from_utf8_lossy(&body));
            }
            return serde_json::from_slice(&body)
                .with_context(|| format!("{subject} answered with something that is not JSON"));
        }
    }

    /// Reads subject, headers and body of the next message.
    fn message(&mut self) -> Result<(String, String, Vec<u8>)> {
        loop {
            let line = self.line()?;
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            // MSG subject sid [reply] bytes; HMSG subject sid [reply] header-bytes bytes
            match words.as_slice() {
                ["MSG", subject, _, .., bytes] => {
                    return Ok(((*subject).to_owned(), String::new(), self.payload(bytes.parse()?)?));
                }
                ["HMSG", subject, _, .., header_bytes, bytes] => {
                    let mut payload = self.payload(bytes.parse()?)?;
                    let body = payload.split_off(header_bytes.parse()?);
                    let headers = String::from_utf8_lossy(&payload).into_owned();
                    return Ok(((*subject).to_owned(), headers, body));
                }
                ["PING"] => self.send(b"PONG\r\n")?,
                ["-ERR", ..] => bail!("the NATS server says {line}"),
                _ => {}
            }
        }
    }

    fn payload(&mut self, bytes: usize) -> Result<Vec<u8>> {
        let mut payload = vec![0; bytes + b"\r\n".len()];
        self.stream.read_exact(&mut payload)?;
        payload.truncate(bytes);
        Ok(payload)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            bail!("the NATS server closed the connection");
        }
        Ok(line)
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.get_mut().write_all(bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::thread;

    use serde_json::json;

    use super::Connection;

    /// A server that answers the first request with these bytes.
    fn connected_to(answer: &'static str) -> Connection {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("nats://{}", listener.local_addr().unwrap());
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"INFO {}\r\n").unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let request = lines.find(|line| line.as_ref().unwrap().starts_with("PUB "));
            assert_eq!(request.unwrap().unwrap(), "PUB search.v1.default xtask.reply.1 13");
            stream.write_all(answer.as_bytes()).unwrap();
        });
        Connection::open(&url).unwrap()
    }

    fn ask(answer: &'static str) -> anyhow::Result<serde_json::Value> {
        connected_to(answer).request("search.v1.default", &json!({ "query": "a" }))
    }

    #[test]
    fn a_reply_is_read_after_what_else_the_server_says() {
        let reply = ask("PING\r\n+OK\r\nMSG xtask.reply.1 1 12\r\n{\"a\":\"\\r\\n\"}\r\n").unwrap();
        assert_eq!(reply, json!({ "a": "\r\n" }));
    }

    #[test]
    fn headers_are_not_part_of_the_body() {
        let reply = ask("HMSG xtask.reply.1 1 18 20\r\nNATS/1.0\r\nA: b\r\n\r\n{}\r\n").unwrap();
        assert_eq!(reply, json!({}));
    }

    #[test]
    fn errors_say_who_did_not_answer_or_why() {
        let nobody = ask("HMSG xtask.reply.1 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n").unwrap_err();
        assert_eq!(nobody.to_string(), "nobody answers on search.v1.default");
        let refused = "HMSG xtask.reply.1 1 42 44\r\nNATS/1.0\r\nNats-Service-Error-Code: 429\r\n\r\n{}\r\n";
        assert!(ask(refused).unwrap_err().to_string().contains("answered with an error"));
    }
}
