//! The token that a request shows, and what it is worth.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request};
use http::header;
use http::request::Parts;
use http::{HeaderMap, HeaderName};
use secrecy::SecretString;

use super::client::ThroughProxy;
use crate::auth::{Claims, TokenVerifier, Verification};
use crate::client::CallError;

const SCHEME: &[u8] = b"Bearer ";
/// Where clients of the originals put it.
const ACCESS_TOKEN: &str = "x-access-token";
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

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

/// Where a request shows a token.
fn token(headers: &HeaderMap) -> Option<&[u8]> {
    bearer(headers).or_else(|| headers.get(ACCESS_TOKEN).map(|value| value.as_bytes()))
}

/// Whether a request shows a token, good or bad.
pub(super) fn shows_token(headers: &HeaderMap) -> bool {
    token(headers).is_some()
}

/// Whether whoever is at the other end of the connection asks for itself. A proxy, or a service that calls for somebody,
/// shows its certificate with everybody's requests, and so does a browser with those of any page; what they ask for
/// others must not be taken for their own.
pub(super) fn is_of_its_own(request: &Request) -> bool {
    let marks = [header::VIA, header::FORWARDED, FORWARDED_FOR, header::ORIGIN];
    !marks.iter().any(|mark| request.headers().contains_key(mark))
        && request.extensions().get::<ThroughProxy>().is_none_or(|proxy| !proxy.0)
}

/// The token that a caller shows, for a call that is made in the caller's name; `None` for one who shows none. On a route
/// that is not public the token is a good one.
#[derive(Debug, Clone)]
pub struct ShownToken(pub Option<SecretString>);

impl<S: Send + Sync> FromRequestParts<S> for ShownToken {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let text = token(&parts.headers).and_then(|token| std::str::from_utf8(token).ok());
        Ok(Self(text.map(SecretString::from)))
    }
}

/// What a request shows, if anything.
pub(super) async fn shown(headers: &HeaderMap, verifier: &TokenVerifier) -> Option<Shown> {
    let Ok(token) = std::str::from_utf8(token(headers)?) else { return Some(Shown::Bad) };
    Some(match verifier.verify(token).await {
        Verification::Valid(claims) => Shown::Good(claims),
        Verification::Invalid(_) => Shown::Bad,
        Verification::Unknown(failure) => Shown::Unknown(failure),
    })
}

#[cfg(test)]
mod tests {
    use http::Request;
    use secrecy::ExposeSecret as _;

    use super::*;

    #[tokio::test]
    async fn the_token_that_is_handed_on_is_the_one_that_was_verified() {
        for (headers, token) in [
            (&[("authorization", "bearer one"), ("x-access-token", "two")][..], Some("one")),
            (&[("authorization", "Basic one"), ("x-access-token", "two")], Some("two")),
            (&[("authorization", "Basic one")], None),
        ] {
            let request =
                headers.iter().fold(Request::get("/"), |request, (name, value)| request.header(*name, *value));
            let (mut parts, ()) = request.body(()).unwrap().into_parts();
            let Ok(ShownToken(shown)) = ShownToken::from_request_parts(&mut parts, &()).await;
            assert_eq!(shown.as_ref().map(|token| token.expose_secret()), token, "{headers:?}");
        }
    }
}
