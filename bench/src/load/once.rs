//! A single request on a connection of its own, with the whole answer.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

const PATIENCE: Duration = Duration::from_secs(30);

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) latency: Duration,
}

impl Whole {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Asks and waits for the answer.
pub(crate) fn ask(address: SocketAddr, request: &[u8]) -> Result<Whole> {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    stream.write_all(request)?;
    let mut bytes = Vec::new();
    let mut chunk = [0; 16 * 1024];
    loop {
        if let Some(whole) = parse(&bytes, begun)? {
            return Ok(whole);
        }
        match stream.read(&mut chunk).with_context(|| format!("no whole answer from {address}"))? {
            0 => bail!("{address} closed before its answer was whole"),
            read => bytes.extend_from_slice(&chunk[..read]),
        }
    }
}

fn parse(bytes: &[u8], begun: Instant) -> Result<Option<Whole>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head_bytes) = head.parse(bytes)? else { return Ok(None) };
    let mut found = Vec::new();
    let mut length = 0;
    for header in head.headers.iter() {
        let value = std::str::from_utf8(header.value)?;
        if header.name.eq_ignore_ascii_case("content-length") {
            length = value.parse()?;
        }
        found.push((header.name.to_ascii_lowercase(), value.to_owned()));
    }
    let Some(body) = bytes.get(head_bytes..head_bytes + length) else { return Ok(None) };
    let status = head.code.context("an answer without a status")?;
    Ok(Some(Whole { status, headers: found, body: body.to_vec(), latency: begun.elapsed() }))
}
