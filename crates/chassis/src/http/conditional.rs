//! Requests under a condition (RFC 9110, section 13): `ETag` on what is read, `If-Match` on what is written,
//! `If-None-Match` for readers who have it already.

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use headers::{ETag, Header, HeaderMapExt, IfNoneMatch};
use http::request::Parts;
use http::{HeaderMap, HeaderName, StatusCode, header};

use crate::error::{Error, Kind};

/// Tells the states of one thing apart. Strong: the same tag means the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityTag(ETag);

impl EntityTag {
    /// The tag of a thing that counts its changes.
    ///
    /// # Errors
    /// None that can be met: a number is always a tag.
    pub fn of_version(version: i64) -> Result<Self, Error> {
        format!("\"{version}\"").parse().map(Self).map_err(Error::internal)
    }

    /// The thing with its tag.
    pub fn on(&self, thing: impl IntoResponse) -> Response {
        let mut response = thing.into_response();
        response.headers_mut().typed_insert(self.0.clone());
        response
    }
}

/// What the caller knows: writes that name a state are done in that state alone, and readers that have it get 304.
///
/// # Errors
/// 400 for a header that is no list of entity tags.
#[derive(Debug, Clone)]
pub struct Conditions {
    if_match: Option<headers::IfMatch>,
    if_none_match: Option<IfNoneMatch>,
}

impl<S: Send + Sync> FromRequestParts<S> for Conditions {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Error> {
        let headers = &parts.headers;
        Ok(Self { if_match: read(headers, &header::IF_MATCH)?, if_none_match: read(headers, &header::IF_NONE_MATCH)? })
    }
}

fn read<H: Header>(headers: &HeaderMap, name: &HeaderName) -> Result<Option<H>, Error> {
    if !headers.get_all(name).iter().all(|value| is_list(value.as_bytes())) {
        let expected = format!("{name}: expected `*`, or entity tags such as \"1\", with their quotes");
        return Err(Error::new(Kind::BadRequest, expected));
    }
    Ok(headers.typed_get())
}

/// `*`, or entity tags with commas between them. The library takes anything, and what is no tag matches nothing.
fn is_list(value: &[u8]) -> bool {
    let is_tag = |part: &[u8]| {
        let part = part.trim_ascii();
        let part = part.strip_prefix(b"W/").unwrap_or(part);
        let inner = part.strip_prefix(b"\"").and_then(|part| part.strip_suffix(b"\""));
        inner.is_some_and(|inner| inner.iter().all(|byte| matches!(byte, 0x21 | 0x23..=0x7E | 0x80..)))
    };
    value.trim_ascii() == b"*" || value.split(|byte| *byte == b',').all(is_tag)
}

impl Conditions {
    /// Whether a write is for certain states of what it changes; `*` is for any.
    #[must_use]
    pub fn names_states(&self) -> bool {
        self.if_match.as_ref().is_some_and(|condition| !condition.is_any())
    }

    /// Lets a write pass that names this state, or none.
    ///
    /// # Errors
    /// 412 when it names others.
    pub fn check_write(&self, present: &EntityTag) -> Result<(), Error> {
        match &self.if_match {
            Some(condition) if !condition.precondition_passes(&present.0) => Err(changed_meanwhile()),
            _ => Ok(()),
        }
    }

    /// A thing in this state, or 304 for a reader who has it.
    pub fn answer(&self, present: &EntityTag, thing: impl IntoResponse) -> Response {
        let is_known = self.if_none_match.as_ref().is_some_and(|known| !known.precondition_passes(&present.0));
        if is_known { present.on(StatusCode::NOT_MODIFIED) } else { present.on(thing) }
    }
}

/// 412: the thing is not as the caller knows it.
#[must_use]
pub fn changed_meanwhile() -> Error {
    Error::new(Kind::PreconditionFailed, "Changed meanwhile: read it again, and use its new ETag in If-Match")
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    async fn conditions(name: &'static str, value: &'static str) -> Result<Conditions, Error> {
        let (mut parts, _) = http::Request::get("/").header(name, value).body(Body::empty()).unwrap().into_parts();
        Conditions::from_request_parts(&mut parts, &()).await
    }

    #[tokio::test]
    async fn a_write_is_done_in_the_state_that_it_names() {
        let present = EntityTag::of_version(2).unwrap();
        for (value, passes) in
            [("\"2\"", true), ("\"1\", \"2\"", true), ("*", true), ("\"1\"", false), ("W/\"2\"", false)]
        {
            let checked = conditions("if-match", value).await.unwrap().check_write(&present);
            assert_eq!(
                checked.map_err(|error| error.kind()),
                if passes { Ok(()) } else { Err(Kind::PreconditionFailed) },
                "{value}"
            );
        }
        for wrong in ["2", "\"1\", 2", "\"a b\"", "", "*, \"1\""] {
            assert_eq!(conditions("if-match", wrong).await.unwrap_err().kind(), Kind::BadRequest, "{wrong}");
        }
        let unconditional = conditions("accept", "*/*").await.unwrap();
        assert!(!unconditional.names_states() && unconditional.check_write(&present).is_ok());
    }

    #[tokio::test]
    async fn a_reader_who_has_it_gets_304_and_the_tag() {
        let present = EntityTag::of_version(2).unwrap();
        for (value, status) in [("\"2\"", 304), ("W/\"2\"", 304), ("*", 304), ("\"1\"", 200)] {
            let answer = conditions("if-none-match", value).await.unwrap().answer(&present, "thing");
            assert_eq!((answer.status().as_u16(), answer.headers()["etag"].to_str().unwrap()), (status, "\"2\""));
        }
    }
}
