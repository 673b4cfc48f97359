//! Where a request ends: we and the HTTP library behind us must see the same one in the same bytes, or what follows it
//! could pass for a request that nobody checked.
#![no_main]

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use chassis::testing::request_head::{check, find_end, find_end_of_chunks};
use fuzz::decode_chunks;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(Some(end)) = find_end(bytes, []) else { return };
    let (head, rest) = bytes.split_at(end);
    let Ok(length) = check(head) else { return };
    let body = match length {
        None => find_end_of_chunks(rest, []).map(|end| (end, decode_chunks(rest).expect("it has an end").1)),
        Some(length) => {
            let taken = usize::try_from(length).ok().and_then(|length| rest.get(..length));
            taken.map(|body| (body.len(), body.to_vec()))
        }
    };
    let Some((length, body)) = body else {
        // It takes a bare LF within trailers. We do not go on behind such a request: the connection closes.
        let has_bare_lf = rest.windows(2).any(|pair| pair[0] != b'\r' && pair[1] == b'\n');
        assert!(requests_in(bytes).is_empty() || has_bare_lf, "the library sees an end where we see none");
        return;
    };
    let whole = &bytes[..end + length];
    assert_eq!(requests_in(&whole[..whole.len() - 1]), Vec::<Vec<u8>>::new(), "the library does not wait for the end");
    let seen = requests_in(whole);
    // The library may refuse what we let through, such as a head with a strange length.
    assert!(seen.is_empty() || seen == [body], "the library sees {} requests or another body", seen.len());
});

/// The bodies of the whole requests that the library finds, when these bytes are all that a client sends.
fn requests_in(bytes: &[u8]) -> Vec<Vec<u8>> {
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let found = Arc::clone(&bodies);
    let service = service_fn(move |request: Request<Incoming>| {
        let found = Arc::clone(&found);
        async move {
            if let Ok(body) = request.into_body().collect().await {
                found.lock().unwrap_or_else(PoisonError::into_inner).push(body.to_bytes().to_vec());
            }
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let client = Client { sent: bytes.to_vec(), read: 0 };
    let mut connection = pin!(http1::Builder::new().header_read_timeout(None).serve_connection(client, service));
    let mut context = Context::from_waker(Waker::noop());
    // All bytes are there, so it waits for nothing but its own turns.
    for _ in 0..10_000 {
        if connection.as_mut().poll(&mut context).is_ready() {
            return std::mem::take(&mut *bodies.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
    panic!("the library waits although the client has gone");
}

/// A client that sends all it has, hears nothing and leaves.
struct Client {
    sent: Vec<u8>,
    read: usize,
}

impl hyper::rt::Read for Client {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buffer: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let count = buffer.remaining().min(self.sent.len() - self.read);
        buffer.put_slice(&self.sent[self.read..self.read + count]);
        self.read += count;
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Write for Client {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
