//! The load: HTTP/1.1 with keep-alive over non-blocking sockets, all connections on one thread.
//!
//! It must cost less than the cheapest server, so a request is one ready-made write and an answer mostly one read.
//! Every answer's status and length are looked at.

pub(crate) mod closed;
mod connection;
pub(crate) mod once;
pub(crate) mod open;
pub(crate) mod probe;
pub(crate) mod slow;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use hdrhistogram::Histogram;

/// Requests and the answer that they must get.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    /// Each connection sends one of them again and again.
    pub(crate) requests: Arc<[Vec<u8>]>,
    /// Instead each of them is sent once, by whichever connection comes to it.
    pub(crate) once: bool,
    /// That of every answer to a closed loop.
    pub(crate) status: u16,
    /// Bytes of the body of every answer; none where they differ, such as by the digits of a time.
    pub(crate) length: Option<usize>,
    /// The server closes a connection after each answer, and a closed loop opens another one.
    pub(crate) closes: bool,
}

impl Target {
    /// Asks once, so that the length of all further answers is known.
    pub(crate) fn new(address: SocketAddr, request: Vec<u8>) -> Result<Self> {
        Self::of_callers(address, vec![request])
    }

    /// The same where callers ask for different things, and get answers of one length.
    pub(crate) fn of_callers(address: SocketAddr, requests: Vec<Vec<u8>>) -> Result<Self> {
        Self::expecting(200, address, requests)
    }

    /// The same where each request makes something, and is answered 201 with times, whose digits differ in number.
    pub(crate) fn creating(address: SocketAddr, request: Vec<u8>) -> Result<Self> {
        Ok(Self { length: None, ..Self::expecting(201, address, vec![request])? })
    }

    fn expecting(status: u16, address: SocketAddr, requests: Vec<Vec<u8>>) -> Result<Self> {
        let answer = once::ask(address, requests.first().context("nobody asks")?)?;
        ensure!(answer.status == status, "{address} answered {}: {}", answer.status, answer.text());
        Ok(Self {
            address,
            requests: requests.into(),
            status,
            length: Some(answer.body.len()),
            closes: false,
            once: false,
        })
    }

    /// Whether an answer has the right length.
    fn fits(&self, length: usize) -> bool {
        self.length.is_none_or(|expected| expected == length)
    }

    /// Requests of which each is sent once and is answered 200, whatever its length.
    pub(crate) fn once_each(address: SocketAddr, requests: Vec<Vec<u8>>) -> Self {
        Self { address, requests: requests.into(), once: true, status: 200, length: None, closes: false }
    }

    /// A request by its number: that of a connection, or of all that were sent before.
    fn request(&self, number: usize) -> &[u8] {
        &self.requests[number % self.requests.len()]
    }
}

/// `GET path` as a plain client sends it.
pub(crate) fn get(path: &str, token: Option<&str>) -> Vec<u8> {
    let token = token.map(shown).unwrap_or_default();
    format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench/1\r\nAccept: */*\r\n{token}\r\n").into_bytes()
}

/// `POST path` with a JSON text.
pub(crate) fn post(path: &str, body: &str) -> Vec<u8> {
    post_as(None, path, body)
}

/// The same with a token.
pub(crate) fn post_as(token: Option<&str>, path: &str, body: &str) -> Vec<u8> {
    let authorization = token.map(|token| ("Authorization", format!("Bearer {token}")));
    post_with(authorization.as_slice(), path, body)
}

/// The same with any headers.
pub(crate) fn post_with(headers: &[(&str, String)], path: &str, body: &str) -> Vec<u8> {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench/1\r\nAccept: */*\r\n\
         {headers}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    (head + body).into_bytes()
}

/// The line of a head that shows a token.
fn shown(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// Latencies in microseconds, up to a minute, to three digits.
pub(crate) fn latencies() -> Result<Histogram<u64>> {
    Histogram::new_with_bounds(1, 60_000_000, 3).context("a histogram of latencies")
}

pub(crate) fn note(histogram: &mut Histogram<u64>, latency: Duration) {
    histogram.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
}

/// A quantile in milliseconds.
pub(crate) fn millis(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    histogram.value_at_quantile(quantile) as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_take_turns_with_the_requests() {
        let (requests, address) = (Arc::from([b"one".to_vec(), b"two".to_vec()]), ([127, 0, 0, 1], 1).into());
        let target = Target { address, requests, once: false, status: 200, length: Some(2), closes: false };
        assert_eq!([0, 1, 2].map(|connection| target.request(connection)), [b"one", b"two", b"one"]);
        assert!(target.fits(2) && !target.fits(3) && Target { length: None, ..target }.fits(3));
    }

    #[test]
    fn a_token_is_a_line_of_the_head() {
        let text = |request: Vec<u8>| String::from_utf8(request).unwrap();
        let (with, without) = (text(post_as(Some("abc"), "/x", "{}")), text(post("/x", "{}")));
        assert!(with.ends_with("Content-Length: 2\r\n\r\n{}"), "{with}");
        assert_eq!(with.replace("Authorization: Bearer abc\r\n", ""), without);
        assert!(with.len() > without.len());
    }
}
