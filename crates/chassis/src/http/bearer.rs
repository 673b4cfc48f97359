//! The token that a request shows, and what it is worth.

use std::sync::Arc;

use http::HeaderMap;
use http::header;

use crate::auth::{Claims, TokenVerifier, Verification};
use crate::client::CallError;

const SCHEME: &[u8] = b"Bearer ";
/// Where clients of the originals put it.
const ACCESS_TOKEN: &str = "x-access-token";

/// A token that was looked at. Travels with the request from the edge to the route.
#[derive(Debug, Clone)]
pub(super) enum Shown {
    /// Verified.
    Good(Arc<Claims>),
    /// Expired, forged, or no token at all.
    Bad,
    /// Perhaps good: its key could not be fetched.
    Unknown(CallError),
}

/// The token of `Authorization: Bearer`; the scheme's case does not matter (RFC 9110, section 11.1).
pub(super) fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(SCHEME.len())?;
    scheme.eq_ignore_ascii_case(SCHEME).then_some(token)
}

/// What a request shows, if anything.
pub(super) async fn shown(headers: &HeaderMap, verifier: &TokenVerifier) -> Option<Shown> {
    let token = bearer(headers).or_else(|| headers.get(ACCESS_TOKEN).map(|value| value.as_bytes()))?;
    let Ok(token) = std::str::from_utf8(token) else { return Some(Shown::Bad) };
    Some(match verifier.verify(token).await {
        Verification::Valid(claims) => Shown::Good(claims),
        Verification::Invalid(_) => Shown::Bad,
        Verification::Unknown(failure) => Shown::Unknown(failure),
    })
}
