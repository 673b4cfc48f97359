//! Lists in pages: `?skip=0&limit=100` in, `X-Total-Count` and `Link` (RFC 8288) out.

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::header::{self, HeaderName, HeaderValue};
use http::request::Parts;
use serde::{Deserialize, Serialize};

use super::extract::{Json, Query};
use crate::error::{Error, FieldError};

const TOTAL_COUNT: HeaderName = HeaderName::from_static("x-total-count");
/// Items of a page where nobody says.
const DEFAULT_LIMIT: u64 = 100;
/// Items of a page.
pub const MAX_LIMIT: u64 = 1000;

/// Which part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Items before it.
    pub skip: u64,
    /// Its items at most, up to [`MAX_LIMIT`].
    pub limit: u64,
}

/// The page that a request asks for, and its answer.
///
/// # Errors
/// 422 with `loc: ["query", …]` for what is no number, negative, or over [`MAX_LIMIT`].
#[derive(Debug, Clone)]
pub struct Paging {
    /// What to read.
    pub page: Page,
    /// The request's path and its other parameters, for links.
    path: String,
    parameters: Vec<String>,
}

#[derive(Deserialize)]
struct Asked {
    skip: Option<String>,
    limit: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Paging {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let Query(asked) = Query::<Asked>::from_request_parts(parts, state).await?;
        let mut wrong = Vec::new();
        let skip = number("skip", asked.skip, 0, MAX_SKIP, &mut wrong);
        let limit = number("limit", asked.limit, DEFAULT_LIMIT, MAX_LIMIT, &mut wrong);
        if !wrong.is_empty() {
            return Err(Error::invalid(wrong));
        }
        let others = parts.uri.query().unwrap_or_default().split('&');
        let is_other = |it: &&str| !it.is_empty() && !matches!(it.split('=').next(), Some("skip" | "limit"));
        Ok(Self {
            page: Page { skip, limit },
            path: parts.uri.path().to_owned(),
            parameters: others.filter(is_other).map(str::to_owned).collect(),
        })
    }
}

/// What databases take as an offset.
const MAX_SKIP: u64 = i64::MAX as u64;

/// Texts and types are those of FastAPI, whose clients read them.
fn number(name: &str, text: Option<String>, default: u64, most: u64, wrong: &mut Vec<FieldError>) -> u64 {
    let Some(text) = text else { return default };
    let mut refuse = |msg: String, kind| {
        wrong.push(FieldError::new(&["query", name], msg, kind));
        default
    };
    match text.parse::<i128>() {
        Err(_) => refuse("Input should be a valid integer".into(), "int_parsing"),
        Ok(number) if number < 0 => refuse("Input should be greater than or equal to 0".into(), "greater_than_equal"),
        Ok(number) => match u64::try_from(number) {
            Ok(number) if number <= most => number,
            _ => refuse(format!("Input should be less than or equal to {most}"), "less_than_equal"),
        },
    }
}

impl Paging {
    /// The items of the page as a bare array, with how many there are in all and where the other pages are.
    pub fn answer<T: Serialize>(&self, items: &[T], total: u64) -> Response {
        let mut response = Json(items).into_response();
        response.headers_mut().insert(TOTAL_COUNT, HeaderValue::from(total));
        if let Some(links) = self.links(total).and_then(|links| HeaderValue::try_from(links).ok()) {
            response.headers_mut().insert(header::LINK, links);
        }
        response
    }

    /// Relative to the server: behind a gateway it has other names.
    fn links(&self, total: u64) -> Option<String> {
        let Page { skip, limit } = self.page;
        if limit == 0 {
            return None;
        }
        let last = total.saturating_sub(1) / limit * limit;
        let pages = [
            ("first", Some(0)),
            ("prev", (skip > 0).then(|| skip.saturating_sub(limit))),
            ("next", skip.checked_add(limit).filter(|next| *next < total)),
            ("last", Some(last)),
        ];
        let links = pages.into_iter().filter_map(|(name, skip)| Some(format!("<{}>; rel=\"{name}\"", self.uri(skip?))));
        Some(links.collect::<Vec<_>>().join(", "))
    }

    fn uri(&self, skip: u64) -> String {
        let own = [format!("skip={skip}"), format!("limit={}", self.page.limit)];
        let parameters = self.parameters.iter().chain(&own).map(String::as_str).collect::<Vec<_>>();
        format!("{}?{}", self.path, parameters.join("&"))
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    async fn paging(uri: &str) -> Result<Paging, Error> {
        let (mut parts, _) = http::Request::get(uri).body(Body::empty()).unwrap().into_parts();
        Paging::from_request_parts(&mut parts, &()).await
    }

    fn link(paging: &Paging, total: u64) -> String {
        paging.answer(&[0], total).headers().get(header::LINK).unwrap().to_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn a_page_has_defaults_and_bounds() {
        assert_eq!(paging("/").await.unwrap().page, Page { skip: 0, limit: 100 });
        assert_eq!(paging("/?skip=7&limit=1000").await.unwrap().page, Page { skip: 7, limit: 1000 });
        for (wrong, field, kind) in [
            ("skip=-1", "skip", "greater_than_equal"),
            ("limit=-1", "limit", "greater_than_equal"),
            ("limit=1001", "limit", "less_than_equal"),
            ("skip=9223372036854775808", "skip", "less_than_equal"),
            ("skip=99999999999999999999999999999999999999999999", "skip", "int_parsing"),
            ("limit=many", "limit", "int_parsing"),
            ("limit=", "limit", "int_parsing"),
        ] {
            let error = paging(&format!("/?{wrong}")).await.unwrap_err();
            assert_eq!((&error.fields[0].loc[1], error.fields[0].kind.as_str()), (&field.into(), kind), "{wrong}");
        }
    }

    #[tokio::test]
    async fn links_lead_to_the_other_pages_and_keep_what_else_was_asked() {
        let middle = paging("/orders?status=a%20b&skip=10&limit=10").await.unwrap();
        assert_eq!(
            link(&middle, 35),
            "</orders?status=a%20b&skip=0&limit=10>; rel=\"first\", </orders?status=a%20b&skip=0&limit=10>; rel=\"prev\", \
             </orders?status=a%20b&skip=20&limit=10>; rel=\"next\", </orders?status=a%20b&skip=30&limit=10>; rel=\"last\""
        );
        let only = paging("/orders").await.unwrap();
        let link = link(&only, 100);
        assert!(!link.contains("next") && !link.contains("prev") && link.contains("skip=0&limit=100>; rel=\"last\""));
        let none = paging("/orders?limit=0").await.unwrap().answer::<u8>(&[], 5);
        assert_eq!(
            (none.headers().get(TOTAL_COUNT).unwrap(), none.headers().get(header::LINK)),
            (&"5".parse().unwrap(), None)
        );
    }
}
