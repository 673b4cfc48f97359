//! One connection with at most one request on it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

/// Answers of our routes are smaller; a larger one grows the buffer.
const BUFFER_BYTES: usize = 4096;
const MAX_HEADERS: usize = 32;

/// What an answer's head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Bytes of its body.
    pub(super) length: usize,
    /// Whether the server closes the connection after it.
    pub(super) closes: bool,
}

/// How far the request on a connection is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Waiting,
    Answered(Answer),
    /// The server closed, or the connection failed.
    Gone,
}

#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
    /// Bytes of the request that are sent; all of them when nothing is under way.
    sent: usize,
}

impl Connection {
    pub(super) fn open(address: SocketAddr, registry: &Registry, token: Token) -> io::Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self { stream, buffer: vec![0; BUFFER_BYTES], filled: 0, sent: usize::MAX })
    }

    /// Begins a request; the rest of it follows when the socket takes more.
    pub(super) fn send(&mut self, request: &[u8]) -> Progress {
        self.sent = 0;
        self.filled = 0;
        self.write(request)
    }

    /// Goes on after the socket became ready.
    pub(super) fn advance(&mut self, request: &[u8]) -> Progress {
        if self.sent < request.len() && self.write(request) == Progress::Gone {
            return Progress::Gone;
        }
        self.read()
    }

    fn write(&mut self, request: &[u8]) -> Progress {
        while self.sent < request.len() {
            match self.stream.write(&request[self.sent..]) {
                Ok(0) => return Progress::Gone,
                Ok(bytes) => self.sent += bytes,
                // Not connected: the connection is still being made.
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Progress::Gone,
            }
        }
        Progress::Waiting
    }

    fn read(&mut self) -> Progress {
        loop {
            if self.filled == self.buffer.len() {
                self.buffer.resize(self.filled * 2, 0);
            }
            match self.stream.read(&mut self.buffer[self.filled..]) {
                Ok(0) => return Progress::Gone,
                Ok(bytes) => self.filled += bytes,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {
                    return Progress::Waiting;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return Progress::Gone,
            }
            // A whole answer is all that can be there, so there is no need to read until nothing is left.
            match parse(&self.buffer[..self.filled]) {
                Some(Ok(answer)) => return Progress::Answered(answer),
                Some(Err(_)) => return Progress::Gone,
                None => {}
            }
        }
    }
}

/// The answer at the start of `bytes`, once it is whole.
fn parse(bytes: &[u8]) -> Option<Result<Answer, httparse::Error>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let head_bytes = match head.parse(bytes) {
        Ok(httparse::Status::Complete(bytes)) => bytes,
        Ok(httparse::Status::Partial) => return None,
        Err(error) => return Some(Err(error)),
    };
    let (mut length, mut closes) = (0, false);
    for header in head.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            length = std::str::from_utf8(header.value).ok()?.trim().parse().ok()?;
        } else if header.name.eq_ignore_ascii_case("connection") {
            closes = header.value.eq_ignore_ascii_case(b"close");
        }
    }
    let status = head.code?;
    (bytes.len() >= head_bytes + length).then_some(Ok(Answer { status, length, closes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_parsed_when_it_is_whole() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        assert_eq!(parse(&whole[..20]), None);
        assert_eq!(parse(&whole[..whole.len() - 1]), None);
        assert_eq!(parse(whole), Some(Ok(Answer { status: 200, length: 2, closes: false })));
    }

    #[test]
    fn a_server_that_closes_says_so() {
        let answer = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(parse(answer), Some(Ok(Answer { status: 503, length: 0, closes: true })));
    }
}
