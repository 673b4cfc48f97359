//! The bytes of a request, read whole and within the limit.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::error::{Error, Kind};

/// The largest body that a request may have; the edge puts it beside each request.
#[derive(Debug, Clone, Copy)]
pub(super) struct BodyLimit(pub(super) usize);

pub(super) fn too_large() -> Error {
    Error::new(Kind::PayloadTooLarge, "Payload too large")
}

/// The whole body.
///
/// # Errors
/// 413 over the limit; 400 when the client stops sending.
#[derive(Debug, Clone)]
pub struct RawBody(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for RawBody {
    type Rejection = Error;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Error> {
        let limit = request.extensions().get::<BodyLimit>().map_or(usize::MAX, |limit| limit.0);
        read_whole(request.into_body(), limit).await.map(Self)
    }
}

async fn read_whole(body: Body, limit: usize) -> Result<Bytes, Error> {
    match Limited::new(body, limit).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(error) => Err(Error::new(Kind::BadRequest, "The request body could not be read").caused_by(error)),
    }
}
