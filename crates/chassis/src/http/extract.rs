//! Extractors whose rejections wear our problem body, and the answer in JSON.

use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

use super::body::RawBody;
use super::own_headers::OWN_HEADERS;
use crate::error::{Error, FieldError};

/// The JSON body of a request, an object of a known shape; or of an answer. Unknown members are ignored, and so is the
/// content type.
///
/// # Errors
/// 422 with `loc: ["body", …]` when it is not JSON or not of the shape; 413 over the body limit.
#[derive(Debug, Clone)]
pub struct Json<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let RawBody(bytes) = RawBody::from_request(request, state).await?;
        parse(&bytes).map(Self)
    }
}

/// A body of a known shape.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    // What serde derives for a struct would take an array too, as the values of the members in their order.
    if bytes.trim_ascii_start().starts_with(b"[") {
        return Err(invalid("body", "expected an object", "shape"));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(shape_error)?;
    deserializer.end().map_err(|_| invalid("body", "expected one JSON value", "json_invalid"))?;
    Ok(value)
}

impl<T: Serialize> IntoResponse for Json<T> {
    /// The framework's own version makes a map of headers that has to grow twice on the way out.
    fn into_response(self) -> Response {
        let body = match serde_json::to_vec(&self.0) {
            Ok(body) => body,
            Err(error) => return Error::internal(error).into_response(),
        };
        let mut headers = HeaderMap::with_capacity(2 + OWN_HEADERS);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        let mut response = Response::new(Body::from(body));
        *response.headers_mut() = headers;
        response
    }
}

fn shape_error(error: serde_path_to_error::Error<serde_json::Error>) -> Error {
    let mut loc = vec![Value::from("body")];
    if error.inner().is_data() {
        loc.extend(error.path().iter().filter_map(|segment| match segment {
            Segment::Seq { index } => Some(Value::from(*index)),
            Segment::Map { key } => Some(Value::from(key.as_str())),
            Segment::Enum { .. } | Segment::Unknown => None,
        }));
    }
    let inner = error.into_inner();
    let text = inner.to_string();
    let (msg, kind) = if let Some(member) = missing_member(&text) {
        // As FastAPI has it: the place is where the member would be.
        loc.push(member.into());
        ("Field required".to_owned(), "missing")
    } else if inner.is_data() {
        (expectation(&text), "shape")
    } else {
        ("expected JSON".into(), "json_invalid")
    };
    Error::invalid(vec![FieldError { loc, msg, kind: kind.to_owned() }])
}

/// The member that serde's message says is missing; its name is one of ours.
fn missing_member(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.split('`').next()
}

/// The part of serde's message that tells what is expected: what it found may be secret.
fn expectation(message: &str) -> String {
    let without_place = message.split(" at line ").next().unwrap_or(message);
    if without_place.contains("expected struct") {
        return "expected an object".to_owned();
    }
    without_place.find("expected ").map_or("is not valid".to_owned(), |start| without_place[start..].to_owned())
}

fn invalid(part: &str, msg: &str, kind: &str) -> Error {
    Error::invalid(vec![FieldError::new(&[part], msg, kind)])
}

/// Query parameters of a known shape.
///
/// # Errors
/// 422 with `loc: ["query"]`.
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let query = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        let rejected = |rejection: QueryRejection| invalid("query", &expectation(&rejection.body_text()), "shape");
        query.map(|axum::extract::Query(value)| Self(value)).map_err(rejected)
    }
}

/// Path parameters of a known shape.
///
/// # Errors
/// 422 with `loc: ["path"]`.
#[derive(Debug, Clone)]
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        let rejected = |rejection: PathRejection| invalid("path", &expectation(&rejection.body_text()), "shape");
        path.map(|axum::extract::Path(value)| Self(value)).map_err(rejected)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Order {
        name: String,
        #[serde(default)]
        items: Vec<Item>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Item {
        price: u32,
    }

    #[test]
    fn a_missing_member_is_named_at_its_place() {
        for (body, place) in [
            ("{}", json!(["body", "name"])),
            (r#"{"name":"a","items":[{"price":1},{}]}"#, json!(["body", "items", 1, "price"])),
        ] {
            let wrong = parse::<Order>(body.as_bytes()).unwrap_err().fields.remove(0);
            assert_eq!(
                (json!(wrong.loc), wrong.msg.as_str(), wrong.kind.as_str()),
                (place, "Field required", "missing")
            );
        }
    }

    #[test]
    fn a_wrong_value_is_named_at_its_place_and_not_shown() {
        let wrong = parse::<Order>(br#"{"name":["missing field `secret`"]}"#).unwrap_err().fields.remove(0);
        assert_eq!((json!(wrong.loc), wrong.msg.as_str()), (json!(["body", "name"]), "expected a string"));
        let wrong = parse::<Order>(br#"{"name":"a","items":[{"price":"7"}]}"#).unwrap_err().fields.remove(0);
        assert_eq!((json!(wrong.loc), wrong.msg.as_str()), (json!(["body", "items", 0, "price"]), "expected u32"));
    }
}
