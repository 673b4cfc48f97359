//! The bytes of a request: read whole, within the limit and while there is memory, before anybody works on them.

use std::error::Error as _;
use std::io;

use axum::body::{Body, HttpBody as _};
use axum::extract::{FromRequest, Request};
use bytes::{Bytes, BytesMut};
use http::header;
use http_body_util::BodyExt;

use super::overload::BodyMemory;
use crate::error::{Error, Kind};

/// Frames without data that one body may have. HTTP/2 lets a client send them without end.
const MAX_EMPTY_FRAMES: usize = 100;

pub(super) fn too_large() -> Error {
    Error::new(Kind::PayloadTooLarge, "Payload too large")
}

pub(super) fn too_slow() -> Error {
    Error::new(Kind::RequestTimeout, "The request body took too long")
}

/// The whole body. The edge has read it within the limits.
///
/// # Errors
/// None behind the edge; 400 when the body cannot be read.
#[derive(Debug, Clone)]
pub struct RawBody(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for RawBody {
    type Rejection = Error;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Error> {
        let body = request.into_body();
        if body.is_end_stream() {
            return Ok(Self(Bytes::new()));
        }
        Ok(Self(body.collect().await.map_err(unreadable)?.to_bytes()))
    }
}

/// What a body is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Whoever gets it may keep it: it has memory of its own.
    Keep,
    /// It is looked at and dropped, so it may stay where the connection has read it.
    Decrypt,
}

/// Reads a body of at most `limit` bytes.
pub(super) async fn read_whole(
    mut body: Body,
    limit: usize,
    memory: &mut BodyMemory<'_>,
    purpose: Purpose,
) -> Result<Bytes, Error> {
    let (mut whole, mut empty_frames) = (BytesMut::new(), 0);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(unreadable)?.into_data() else { continue };
        if data.is_empty() {
            empty_frames += 1;
            if empty_frames > MAX_EMPTY_FRAMES {
                return Err(Error::new(Kind::BadRequest, "The request body has too many empty frames"));
            }
        }
        if whole.len() + data.len() > limit {
            return Err(too_large());
        }
        memory.take(data.len())?;
        if purpose == Purpose::Decrypt && whole.is_empty() && body.is_end_stream() {
            return Ok(data);
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

fn unreadable(error: axum::Error) -> Error {
    if is_timeout(&error) {
        return too_slow();
    }
    // Where the next request would begin is not known any more.
    let refusal = Error::new(Kind::BadRequest, "The request body could not be read").caused_by(error);
    refusal.with_header(header::CONNECTION, "close")
}

/// Whether the server's stream gave the client up, somewhere below the HTTP library.
fn is_timeout(error: &axum::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            return true;
        }
        cause = error.source();
    }
    false
}
